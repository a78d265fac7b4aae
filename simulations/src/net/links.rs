//! The links between nodes: up while somebody answers, dialled again when not.
//!
//! Production's waits between dials decide here too: after a long partition it is they that decide how soon
//! the two sides meet, not the gossip.

use std::time::Duration;

use antiphon::logic::backoff::Backoff;
use rand::Rng;
use rand::rngs::SmallRng;

/// After how long without an answer a link is down, and a dial has failed; the mesh's QUIC idle timeout.
const LINK_IDLE: Duration = Duration::from_secs(1);

/// One node's end of a link to another.
#[derive(Clone, Copy, Debug)]
struct End {
    answered_at: Option<Duration>,
    dial: Dial,
    backoff: Backoff,
}

/// The state of a node's dialling of another.
#[derive(Clone, Copy, Debug)]
enum Dial {
    /// The dial may begin at this time.
    NotBefore(Duration),
    /// The dial is under way until then.
    Until(Duration),
}

/// All ends of all links.
#[derive(Debug)]
pub(super) struct Links {
    nodes: usize,
    ends: Vec<End>,
}

impl Links {
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            nodes,
            ends: vec![End::new(); nodes * nodes],
        }
    }

    fn end(&mut self, (a, b): (usize, usize)) -> &mut End {
        &mut self.ends[a * self.nodes + b]
    }

    /// Whether a dial is under way now; begins one if it is time.
    pub(super) fn may_dial(
        &mut self,
        between: (usize, usize),
        now: Duration,
        rng: &mut SmallRng,
    ) -> bool {
        let chance = rng.random();
        let end = self.end(between);
        match end.dial {
            Dial::NotBefore(at) if at > now => false,
            Dial::NotBefore(_) => {
                end.dial = Dial::Until(now + LINK_IDLE);
                true
            }
            Dial::Until(until) if until >= now => true,
            Dial::Until(until) => {
                end.dial = Dial::NotBefore(until + end.backoff.fail(chance));
                false
            }
        }
    }

    /// Both hear each other.
    pub(super) fn answered(&mut self, (a, b): (usize, usize), now: Duration) {
        for between in [(a, b), (b, a)] {
            *self.end(between) = End {
                answered_at: Some(now),
                ..End::new()
            };
        }
    }

    pub(super) fn is_up(&self, (a, b): (usize, usize), now: Duration) -> bool {
        let answered_at = self.ends[a * self.nodes + b].answered_at;
        answered_at.is_some_and(|at| now - at <= LINK_IDLE)
    }

    pub(super) fn forget(&mut self, node: usize) {
        for other in 0..self.nodes {
            *self.end((node, other)) = End::new();
        }
    }
}

impl End {
    fn new() -> Self {
        Self {
            answered_at: None,
            dial: Dial::NotBefore(Duration::ZERO),
            backoff: Backoff::for_dialling(),
        }
    }
}
