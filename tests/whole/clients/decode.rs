//! The judge of what listeners received: ffmpeg, which reads it from a pipe as a player does.

use std::time::Duration;

use crate::support::decoder::{Decoding, through_ffmpeg, until_edge};

/// Samples of sound that the judge makes of a second.
const RATE_HZ: usize = 8_000;
/// The size of such a sample.
const SAMPLE_BYTES: usize = 2;

/// Everything is decoded, and the sound comes out as well. The times in a stream are not asked for: they jump where
/// another encoder has taken its place.
const ARGUMENTS: &str = "-v error -i pipe:0 -map 0:v? -map 0:a -af asetpts=N/SR/TB -f null - \
                         -map 0:a -af asetpts=N/SR/TB -ac 1 -ar 8000 -f s16le pipe:1";

/// Decodes what a listener received until it left. It left at any byte, so what is cut there does not count. How long the
/// sound is, or what ffmpeg found wrong.
pub(crate) fn decode(received: &[u8], media_type: &str) -> Result<Duration, String> {
    decode_whole(until_edge(received, media_type), None)
}

/// Decodes the whole of what a listener received. How long the sound is, or what ffmpeg found wrong, if that is more than
/// one line that is known.
pub(super) fn decode_whole(received: &[u8], known: Option<&str>) -> Result<Duration, String> {
    // If it ends early it says why.
    let Decoding { output, .. } = through_ffmpeg(ARGUMENTS, received);
    let complaint = String::from_utf8_lossy(&output.stderr);
    let complaint = known.map_or(complaint.clone(), |known| {
        complaint.replacen(known, "", 1).into()
    });
    let complaint = complaint.trim();
    if !output.status.success() || !complaint.is_empty() {
        let lines: Vec<&str> = complaint.lines().take(5).collect();
        return Err(format!(
            "ffmpeg finds in {} bytes: {}",
            received.len(),
            lines.join(" / ")
        ));
    }
    let ms = output.stdout.len() / SAMPLE_BYTES * 1_000 / RATE_HZ;
    Ok(Duration::from_millis(ms as u64))
}
