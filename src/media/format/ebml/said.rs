//! The media type of a stream by its headers.

use std::time::Duration;

use super::stream::EbmlStream;
use super::walk::Elements;
use crate::model::format::Container;

/// The media type of a stream that begins so, as far as its headers are in these bytes: sound of WebM if they say nothing.
pub(in crate::media::format) fn media_type(begun: &[u8]) -> &'static str {
    let (mut elements, mut stream) = (
        Elements::searched_from(0),
        EbmlStream::new(0, Duration::ZERO),
    );
    elements.feed(begun, &mut stream.telling(&mut |_| {}));
    let said = stream.said();
    match (said.container, said.video.is_some()) {
        (Container::Matroska, true) => "video/x-matroska",
        (Container::Matroska, false) => "audio/x-matroska",
        (_, true) => "video/webm",
        (_, false) => "audio/webm",
    }
}

#[cfg(test)]
mod tests {
    use super::super::ids;
    use super::super::samples::{
        audio_track, cluster, header, info, open, prologue, tracks, video_track,
    };
    use super::*;

    #[test]
    fn the_kind_of_document_and_the_tracks_tell_the_type() {
        let film = [audio_track(1), video_track(2)];
        let sound = [audio_track(1)];
        for (doc_type, entries, told) in [
            ("webm", &film[..], "video/webm"),
            ("webm", &sound, "audio/webm"),
            ("matroska", &film, "video/x-matroska"),
            ("matroska", &sound, "audio/x-matroska"),
        ] {
            let begun = [header(doc_type), open(ids::SEGMENT), info(1_000_000)].concat();
            let heads = [&begun[..], &tracks(entries)].concat();
            assert_eq!(media_type(&heads), told);
            assert_eq!(media_type(&[&heads[..], &cluster(0, &[])].concat()), told);
            let without_tracks = told.replace("video", "audio");
            assert_eq!(media_type(&begun), without_tracks);
        }
        assert_eq!(media_type(&prologue(&film)), "video/webm");
        let no_headers = [&b"\x1A\x45\xDF\xA3"[..], &[0; 900]].concat();
        for nonsense in [&no_headers[..], b"", b"\x1A\x45"] {
            assert_eq!(media_type(nonsense), "audio/webm");
        }
    }
}
