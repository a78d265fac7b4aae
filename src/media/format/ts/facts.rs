//! The facts about sound and pictures that stand in their own bytes.

use super::sequence::picture_size;
use crate::media::format::adts::AdtsHead;
use crate::media::format::frames::FrameHead;
use crate::media::format::mpeg::MpegHead;
use crate::model::format::{CodecName, StreamFormat, VideoFormat};

/// The facts about sound that begins with these bytes; `None` if they tell nothing. The tables call all layers of MPEG
/// audio by one name.
pub(super) fn sound_facts(codec: CodecName, body: &[u8]) -> Option<StreamFormat> {
    match codec {
        CodecName::Mp2 => MpegHead::parse(body).map(|head| head.facts(codec)),
        CodecName::Aac => AdtsHead::parse(body).map(|head| head.facts(codec)),
        _ => None,
    }
}

/// The facts about pictures that begin with these bytes. `None` if they do not tell their size.
pub(super) fn picture_facts(codec: CodecName, body: &[u8]) -> Option<VideoFormat> {
    if codec != CodecName::Mpeg2 {
        let (width, height) = picture_size(codec, body)?;
        return Some(VideoFormat {
            codec,
            width,
            height,
        });
    }
    let sequence = body
        .windows(7)
        .find(|bytes| bytes.starts_with(&[0, 0, 1, 0xB3]))?;
    let [a, b, c] = *sequence.last_chunk()?;
    Some(VideoFormat {
        codec,
        width: u32::from(a) << 4 | u32::from(b >> 4),
        height: u32::from(b & 0x0F) << 8 | u32::from(c),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_sequences_tell_their_facts() {
        let facts = |codec, body: &[u8]| {
            let facts = sound_facts(codec, body)?;
            Some((facts.codec, facts.sample_rate_hz, facts.channels))
        };
        let mp2 = Some((CodecName::Mp2, 44_100, 1));
        assert_eq!(facts(CodecName::Mp2, b"\xFF\xFD\x90\xC4sound"), mp2);
        let mp3 = Some((CodecName::Mp3, 44_100, 2));
        assert_eq!(facts(CodecName::Mp2, b"\xFF\xFB\x90\x64sound"), mp3);
        let aac = Some((CodecName::Aac, 44_100, 2));
        assert_eq!(
            facts(CodecName::Aac, b"\xFF\xF1\x50\x80\x02\x1F\xFCsound"),
            aac
        );
        for (codec, body) in [
            (CodecName::Mp2, b"\xFF\xFD".as_slice()),
            (CodecName::Mp2, b"sound"),
            (CodecName::Aac, b"\xFF\xF1\x7C\x80\x02\x1F\xFC"),
            (CodecName::Ac3, b"\xFF\xF1\x50\x80\x02\x1F\xFC"),
        ] {
            assert_eq!(sound_facts(codec, body), None);
        }
        // As `ffmpeg -f lavfi -i testsrc=size=160x120 -c:v mpeg2video` makes it.
        let sequence = b"\0\0\0\x01\xB3\x0A\x00\x78\x23\xFF";
        let size = picture_facts(CodecName::Mpeg2, sequence).map(|it| (it.width, it.height));
        assert_eq!(size, Some((160, 120)));
        assert_eq!(picture_facts(CodecName::H264, sequence), None);
        assert_eq!(picture_facts(CodecName::Mpeg2, b"\0\0\x01\xB3\x0A"), None);
    }
}
