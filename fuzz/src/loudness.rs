//! The meters of loudness.

use std::time::Duration;

use antiphon::media::format::joining::StreamStart;
use antiphon::media::loudness::{Heard, LoudnessMeter, SilenceWatch};
use antiphon::model::sound::SilenceSpec;
use bytes::Bytes;

use crate::{cuts, memory};

/// The media types whose loudness is measured.
const TYPES: [&str; 4] = ["audio/mpeg", "audio/aac", "application/ogg", "audio/flac"];

/// The most that a meter holds: what its scanner does, 256 KiB, and a frame or a packet as long as they may be, which is moved
/// as it grows.
const MAX_HELD_BYTES: usize = 1 << 20;

/// However a stream is cut, as much is heard; FLAC without headers is joined where a piece of it arrived.
pub fn any_cut(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    let content_type = TYPES[usize::from(*kind) % TYPES.len()];
    let (lengths, stream) = cuts::take(data);
    let whole = hear(content_type, std::iter::once(stream));
    let cut = hear(content_type, cuts::pieces(lengths, stream));
    if content_type != "audio/flac" {
        assert_eq!(whole, cut);
    }
    let most = memory::most_held(|| {
        let mut meter = meter(content_type);
        for _ in 0..8 {
            for piece in cuts::pieces(lengths, stream) {
                meter.feed(piece, |_| {});
            }
        }
    });
    assert!(most <= MAX_HELD_BYTES, "{most} bytes were held");
}

fn meter(content_type: &str) -> LoudnessMeter {
    let start = StreamStart {
        offset: 0,
        media_time: Duration::ZERO,
        prologue: Bytes::new(),
    };
    LoudnessMeter::new(content_type, &start).expect("a type whose loudness is measured")
}

fn hear<'a>(content_type: &str, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Heard> {
    let (mut meter, mut found) = (meter(content_type), Vec::new());
    let mut watch = SilenceWatch::new(SilenceSpec {
        silence_s: 1,
        ..SilenceSpec::default()
    });
    for piece in pieces {
        meter.feed(piece, |heard| {
            watch.hear(heard);
            let _state = watch.state();
            found.push(heard);
        });
    }
    found
}
