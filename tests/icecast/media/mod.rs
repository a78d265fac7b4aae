//! Streams of which every byte is known, made here: no encoder has to be installed, and none decides what is sent.

pub(crate) mod bits;
pub(crate) mod flac;
pub(crate) mod frames;
pub(crate) mod ogg;
pub(crate) mod opus;
pub(crate) mod vorbis;
pub(crate) mod webm;

use std::fmt;
use std::time::Duration;

/// How much a joiner may get that was sent before it came: ten seconds are in no server's usual burst.
const LATE: Duration = Duration::from_secs(12);
/// So little that every server's usual burst holds it from its first byte on.
const EARLY: Duration = Duration::from_secs(2);

/// Makes the unit of a number.
pub(crate) type Unit = Box<dyn FnMut(u64) -> Vec<u8> + Send>;

/// The stream of an encoder.
pub(crate) struct Tune {
    /// The content type that the encoder says.
    pub(crate) content_type: &'static str,
    /// The bytes that come first.
    pub(crate) head: Vec<u8>,
    /// How long a unit plays.
    pub(crate) unit: Duration,
    /// How many units are sent at once, before it goes on in real time.
    pub(crate) lead: u64,
    /// How many units there are before the encoder falls silent.
    pub(crate) most_units: Option<u64>,
    /// Makes the units.
    pub(crate) next: Unit,
}

impl fmt::Debug for Tune {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tune")
            .field("type", &self.content_type)
            .finish_non_exhaustive()
    }
}

impl Tune {
    /// A tune of which some seconds are sent at once: whoever listens then hears it from its first byte.
    pub(crate) fn new(
        content_type: &'static str,
        head: Vec<u8>,
        unit: Duration,
        next: impl FnMut(u64) -> Vec<u8> + Send + 'static,
    ) -> Self {
        let tune = Self {
            content_type,
            head,
            unit,
            lead: 0,
            most_units: None,
            next: Box::new(next),
        };
        tune.leading(EARLY)
    }

    /// The same with so much sent at once that whoever listens then comes late.
    pub(crate) fn late(self) -> Self {
        self.leading(LATE)
    }

    /// The same in real time from its first unit on, as live encoders send.
    pub(crate) fn in_time(self) -> Self {
        self.leading(Duration::ZERO)
    }

    fn leading(mut self, lead: Duration) -> Self {
        let units = lead.as_nanos() / self.unit.as_nanos();
        self.lead = u64::try_from(units).unwrap_or(u64::MAX);
        self
    }

    /// The same, silent after what is sent at once.
    pub(crate) fn falling_silent(mut self) -> Self {
        self.most_units = Some(self.lead);
        self
    }

    /// The same with another content type.
    pub(crate) fn called(mut self, content_type: &'static str) -> Self {
        self.content_type = content_type;
        self
    }

    /// The same from the unit of this number on.
    pub(crate) fn beginning_at(mut self, first: u64) -> Self {
        let mut next = self.next;
        self.next = Box::new(move |number| next(first + number));
        self
    }

    /// The same in chunks of HTTP, which end where no unit does.
    pub(crate) fn chunked(mut self) -> Self {
        let mut next = self.next;
        self.next = Box::new(move |number| {
            let unit = next(number);
            let cut = unit.len() / 3;
            [chunk(&unit[..cut]), chunk(&unit[cut..])].concat()
        });
        self
    }
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}
