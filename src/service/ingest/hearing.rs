//! Listens to a source that waits on standby, whether it is silent: one that is on air is read from its ring.

use std::time::Duration;

use bytes::Bytes;

use crate::media::format::joining::StreamStart;
use crate::media::loudness::{LoudnessMeter, SilenceWatch};
use crate::model::sound::{SilenceSpec, SoundState};

/// Follows the loudness of one source.
#[derive(Debug)]
pub(super) struct Hearing {
    watch: SilenceWatch,
    /// The meter; `None` if the format tells nothing.
    meter: Option<LoudnessMeter>,
}

impl Hearing {
    /// Listens to a stream of this media type from its next byte on, before which a decoder needs the prologue.
    pub(super) fn new(content_type: &str, prologue: Bytes, settings: SilenceSpec) -> Self {
        let start = StreamStart {
            offset: 0,
            media_time: Duration::ZERO,
            prologue,
        };
        Self {
            watch: SilenceWatch::new(settings),
            meter: LoudnessMeter::new(content_type, &start),
        }
    }

    /// The settings by which it judges.
    pub(super) fn settings(&self) -> SilenceSpec {
        self.watch.settings()
    }

    /// Takes the next bytes.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let watch = &mut self.watch;
        if let Some(meter) = &mut self.meter {
            meter.feed(bytes, |heard| watch.hear(heard));
        }
    }

    /// The state of the stream now.
    pub(super) fn state(&self) -> SoundState {
        self.watch.state()
    }
}
