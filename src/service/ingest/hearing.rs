//! Listens to what a source sends, whether it is silent.

use std::time::Duration;

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
    /// Listens to a stream of this media type from here on.
    pub(super) fn new(content_type: &str, start: &StreamStart, settings: SilenceSpec) -> Self {
        Self {
            watch: SilenceWatch::new(settings),
            meter: LoudnessMeter::new(content_type, start),
        }
    }

    /// Whether the format tells how loud it is.
    pub(super) fn can_tell(&self) -> bool {
        self.meter.is_some()
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

    /// How long the stream has been quiet.
    pub(super) fn quiet_for(&self) -> Duration {
        self.watch.quiet_for()
    }
}
