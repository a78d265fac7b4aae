//! Faults in the bytes of a source: they are logged when they change, and may be a reason to close the source.

use std::io;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::media::format::change::ChangeWatch;
use crate::media::format::detect::Format;
use crate::media::format::joining::Trouble;

/// The least time between two lines about a fault that comes and goes: a chain of short links of Ogg can change it with
/// each page.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Watches the bytes of one source.
#[derive(Debug)]
pub(super) struct Faults {
    format: Option<Format>,
    change: Option<ChangeWatch>,
    /// The trouble that was logged last.
    told: Option<Trouble>,
    /// The fault for which the source is closed.
    fatal: Option<String>,
    /// Before this moment no other one is logged.
    quiet_until: Option<Instant>,
    /// The place where the last new stream has begun in the middle of this one, if any has.
    anew_at: u64,
}

impl Faults {
    /// Watches a source that has sent nothing yet.
    pub(super) fn new() -> Self {
        Self {
            format: None,
            change: None,
            told: None,
            fatal: None,
            quiet_until: None,
            anew_at: 0,
        }
    }

    /// Notes the format of the first bytes; all that follow are to be of it.
    pub(super) fn expect(&mut self, format: Option<Format>) {
        self.format = format;
        self.change = format.map(ChangeWatch::new);
    }

    /// Takes bytes that are about to go on air; the stream `is_lost` if it may be of another format by now. Returns how
    /// many of them do not belong there any more, because the format is another from there on: the source is to be closed.
    pub(super) fn look(&mut self, bytes: &[u8], is_lost: bool) -> Option<usize> {
        let change = self.change.as_mut()?.feed(bytes, is_lost)?;
        self.note_change(change.to);
        Some(bytes.len() - change.before)
    }

    /// Notes that the source is closed as a silent one, although it has sent so many bytes since its last sound.
    pub(super) fn note_unheard(&mut self, bytes: u64) {
        let change = self.change.as_mut().and_then(|it| it.feed(&[], true));
        match (change, self.format) {
            (Some(change), _) => self.note_change(change.to),
            (None, Some(format)) if bytes > 0 => {
                let format = format.name();
                warn!(
                    bytes,
                    "no {format} is found in what the source sends: it is closed as a silent one; connect again"
                );
                self.fatal = Some(format!(
                    "no {format} was found in the last {bytes} bytes that it sent"
                ));
            }
            _ => {}
        }
    }

    fn note_change(&mut self, to: Format) {
        let from = self.format.map_or("another format", Format::name);
        let to = to.name();
        warn!("changed from {from} to {to} within one connection, which is closed; connect again");
        self.fatal = Some(format!(
            "it changed from {from} to {to} within one connection"
        ));
    }

    /// Notes where a new stream has begun last in the middle of this one.
    pub(super) fn note_anew(&mut self, anew_at: u64) {
        if anew_at > self.anew_at {
            warn!(
                offset = anew_at,
                "the source goes on with a stream that decoders cannot follow: listeners who were there are ended, and can \
                 ask again; such a change belongs into a new connection"
            );
            self.anew_at = anew_at;
        }
    }

    /// Notes that the framing of the body is invalid from here on: nothing more can be read.
    pub(super) fn note_malformed(&mut self, error: &io::Error) {
        warn!(%error, "malformed body: the source is closed; connect again");
        self.fatal = Some(format!("its body is malformed: {error}"));
    }

    /// The fault for which the source is closed, in words for an operator.
    pub(super) fn fatal(&self) -> Option<&str> {
        self.fatal.as_deref()
    }

    /// Notes the trouble of the stream as it is now. Returns whether the source is to be closed for it.
    pub(super) fn note(&mut self, trouble: Option<Trouble>, now: Instant) -> bool {
        let is_quiet = self.quiet_until.is_some_and(|until| now < until);
        let is_fatal = trouble == Some(Trouble::HeadersTooLong);
        if trouble == self.told || is_quiet && !is_fatal {
            return is_fatal;
        }
        let before = std::mem::replace(&mut self.told, trouble);
        self.quiet_until = Some(now + LOG_INTERVAL);
        match trouble {
            None if before == Some(Trouble::LeftOut) => {
                info!("listeners that come late get all headers again");
            }
            None if before == Some(Trouble::RareKeyframes) => {
                info!("listeners that come late need not wait any more");
            }
            None => info!("listeners that come late can decode the stream again"),
            Some(trouble @ Trouble::LeftOut) => {
                info!(%trouble, "send a smaller picture if late listeners are to see it");
            }
            Some(trouble @ Trouble::RareKeyframes) => {
                warn!(%trouble, "listeners that come late have to wait");
            }
            Some(trouble) if is_fatal => {
                warn!(%trouble, "the source is closed; send shorter comments, or a smaller picture");
                self.fatal = Some(format!(
                    "{trouble}; send shorter comments, or a smaller picture"
                ));
            }
            Some(trouble) => warn!(%trouble, "listeners that come late may not decode the stream"),
        }
        is_fatal
    }
}
