//! A row: one thing that programs expect of an Icecast, and how it is found out whether a server does it.

use std::fmt::Display;
use std::io;

use crate::target::Target;

/// How much programs rely on a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Programs break without it.
    Must,
    /// Some programs are better with it.
    Should,
}

impl Level {
    /// The word for it on the page.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Must => "must",
            Self::Should => "should",
        }
    }
}

/// The finding of a row about a server.
pub(crate) type Outcome = Result<(), Fault>;

/// Why a row does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server does something else: what was seen.
    Deviates(String),
    /// Nothing was found out, for this reason.
    Skipped(&'static str),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Deviates(format!("the connection fails: {error}"))
    }
}

/// The fault of a server that does something else.
pub(crate) fn deviates(seen: impl Display) -> Fault {
    Fault::Deviates(seen.to_string())
}

/// Holds if it is so; otherwise this was seen.
pub(crate) fn want(it_is: bool, seen: impl FnOnce() -> String) -> Outcome {
    if it_is { Ok(()) } else { Err(deviates(seen())) }
}

/// Settings by their names, as antiphon calls them.
pub(crate) type Settings = &'static [(&'static str, &'static str)];

/// The needs of a row beside a mount as it comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needs {
    /// Settings of the row's mount.
    pub(crate) mount: Settings,
    /// Other mounts, made before it: the letter behind its name, and their settings.
    pub(crate) others: &'static [(&'static str, Settings)],
    /// The mounts that are relayed from other servers.
    pub(crate) relays: &'static [Relay],
    /// The preparation of the server.
    pub(crate) server: Prepared,
}

/// A mount whose stream comes from another server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relay {
    /// The letter behind the name of the row's mount; empty for that mount itself.
    pub(crate) letter: &'static str,
    /// The streams, the best first: a server that can name one alone has the first.
    pub(crate) from: &'static [Upstream],
    /// Whether it is asked for while somebody listens only.
    pub(crate) on_demand: bool,
}

/// A stream of [`crate::upstreams::Upstreams`], by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upstream {
    /// Of a stock icecast2.
    Stock(&'static str),
    /// Of a server of the suite's own, which behaves by the path.
    Own(&'static str),
    /// The same over TLS.
    Tls(&'static str),
}

/// A preparation of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prepared {
    /// Nothing.
    Nothing,
    /// A port for Shoutcast sources, and the mount of those that name none.
    Shoutcast,
    /// The files of [`crate::server::files`], and a header for the answer 404.
    Files,
    /// A server for this row alone, which takes one source.
    OneSource,
    /// A server for this row alone.
    Alone,
}

impl Prepared {
    /// Whether it is a server for one row alone.
    pub(crate) fn is_alone(self) -> bool {
        matches!(self, Self::OneSource | Self::Alone)
    }
}

impl Needs {
    /// One mount, as it comes.
    pub(crate) const NOTHING: Self = Self {
        mount: &[],
        others: &[],
        relays: &[],
        server: Prepared::Nothing,
    };

    /// A second mount.
    pub(crate) const SECOND: Self = Self {
        others: &[("b", &[])],
        ..Self::NOTHING
    };

    /// A mount with settings.
    pub(crate) const fn mount(settings: Settings) -> Self {
        Self {
            mount: settings,
            ..Self::NOTHING
        }
    }

    /// The same beside other mounts.
    pub(crate) const fn beside(self, others: &'static [(&'static str, Settings)]) -> Self {
        Self { others, ..self }
    }

    /// Mounts that are relayed.
    pub(crate) const fn relays(relays: &'static [Relay]) -> Self {
        Self {
            relays,
            ..Self::NOTHING
        }
    }

    /// The same in a server that is prepared.
    pub(crate) const fn in_server(self, prepared: Prepared) -> Self {
        Self {
            server: prepared,
            ..self
        }
    }
}

/// One thing that programs expect of an Icecast.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// The number by which the row is known.
    pub(crate) number: u8,
    /// How much programs rely on it.
    pub(crate) level: Level,
    /// The words for what is done, and what has to follow.
    pub(crate) expected: &'static str,
    /// The things that have to be there before.
    pub(crate) needs: Needs,
    /// Finds out whether it follows.
    pub(crate) check: fn(&Target<'_>) -> Outcome,
}
