//! Players that ask twice for one listener: Safari first asks for two bytes, to see what answers.
//!
//! Such a player is counted and sent on by the first request. The second is given the same answer, and where that is
//! served, the place of the first. VLC asks twice too, but the second time where it was sent, and a tag counts only once.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::MountRequest;
use crate::io::clock;
use crate::model::mount::MountName;
use crate::service::audience::kept_agent;
use crate::wire::http::head::Head;

/// The time within which the second request comes.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most probes that are remembered at the same time. Beyond, the player of the oldest is counted twice.
const MAX_WAITING: usize = 1_024;

/// A player, as far as it can be told from others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Prober {
    ip: IpAddr,
    /// Cut, as in the register: what a client sends may be 64 KiB, and each probe's is kept for a moment.
    agent: Box<str>,
    mount: MountName,
}

impl Prober {
    fn of(asking: &MountRequest<'_>) -> Self {
        let agent = asking.head.header("user-agent").unwrap_or_default();
        Self {
            ip: asking.client.ip,
            agent: kept_agent(agent),
            mount: asking.mount.clone(),
        }
    }
}

/// Whether a request only looks what there is: it asks for the first byte or two.
pub(super) fn is_probe(head: &Head) -> bool {
    let Some((unit, range)) = head.header("range").and_then(|range| range.split_once('=')) else {
        return false;
    };
    unit.trim().eq_ignore_ascii_case("bytes") && matches!(range.trim(), "0-0" | "0-1")
}

/// The answers to probes, the oldest first.
#[derive(Debug)]
pub(super) struct Probes<T>(Mutex<VecDeque<Probe<T>>>);

/// One probe that has been answered.
#[derive(Debug)]
struct Probe<T> {
    at: Instant,
    prober: Prober,
    answer: T,
}

impl<T> Default for Probes<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Probes<T> {
    /// Remembers the answer to a probe.
    pub(super) fn note(&self, asking: &MountRequest<'_>, answer: T) {
        self.note_prober(Prober::of(asking), answer);
    }

    fn note_prober(&self, prober: Prober, answer: T) {
        let mut waiting = self.0.lock();
        if waiting.len() >= MAX_WAITING {
            waiting.pop_front();
        }
        let at = clock::now();
        waiting.push_back(Probe { at, prober, answer });
    }

    /// The answer that this player's probe was given a moment ago, if there was one. It is given once.
    pub(super) fn take(&self, asking: &MountRequest<'_>) -> Option<T> {
        self.take_prober(|| Prober::of(asking))
    }

    fn take_prober(&self, prober: impl FnOnce() -> Prober) -> Option<T> {
        let mut waiting = self.0.lock();
        let place = find(&mut waiting, prober)?;
        waiting.remove(place).map(|probe| probe.answer)
    }

    /// Whether this player's probe was answered a moment ago.
    pub(super) fn waits_for(&self, asking: &MountRequest<'_>) -> bool {
        find(&mut self.0.lock(), || Prober::of(asking)).is_some()
    }
}

/// Forgets old probes, and looks for that of a player.
fn find<T>(waiting: &mut VecDeque<Probe<T>>, prober: impl FnOnce() -> Prober) -> Option<usize> {
    let now = clock::now();
    let is_old = |probe: &Probe<T>| now.saturating_duration_since(probe.at) > PATIENCE;
    while waiting.front().is_some_and(is_old) {
        waiting.pop_front();
    }
    if waiting.is_empty() {
        return None; // as it nearly always is
    }
    let prober = prober();
    waiting.iter().position(|probe| probe.prober == prober)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::listen::Entrance;
    use crate::service::listen::admission::LetIn;
    use crate::wire::http::forwarded::Client;
    use crate::wire::http::reader::{Parsed, parse};

    fn player(agent: &str) -> Prober {
        Prober {
            ip: [192, 0, 2, 1].into(),
            agent: agent.into(),
            mount: "/a.mp3".parse().unwrap(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_answers_for_the_next_request_of_its_player_alone() {
        let probes = Probes::default();
        probes.note_prober(player("Safari"), 1);
        assert_eq!(probes.take_prober(|| player("VLC")), None);
        assert_eq!(probes.take_prober(|| player("Safari")), Some(1));
        assert_eq!(probes.take_prober(|| player("Safari")), None);
        probes.note_prober(player("Safari"), 2);
        tokio::time::advance(PATIENCE + Duration::from_secs(1)).await;
        assert_eq!(probes.take_prober(|| player("Safari")), None);
    }

    #[test]
    fn the_name_of_a_player_is_kept_cut() {
        let agent = "x".repeat(60_000);
        let request = format!("GET /a.mp3 HTTP/1.1\r\nUser-Agent: {agent}\r\n\r\n");
        let Ok(Parsed::Complete { head, .. }) = parse(request.as_bytes()) else {
            panic!("a whole head");
        };
        let prober = Prober::of(&MountRequest {
            mount: &"/a.mp3".parse().unwrap(),
            entrance: &Entrance::Front,
            head: &head,
            client: Client {
                ip: [192, 0, 2, 1].into(),
                https: false,
            },
            let_in: &LetIn::Anybody,
        });
        assert_eq!(prober.agent, kept_agent(&agent));
        assert_eq!(prober.agent.len(), 256);
    }

    #[test]
    fn only_the_first_bytes_alone_are_a_look() {
        let probe = |range: &str| {
            let request = format!("GET /a HTTP/1.1\r\nHost: h\r\nRange: {range}\r\n\r\n");
            match parse(request.as_bytes()) {
                Ok(Parsed::Complete { head, .. }) => is_probe(&head),
                other => panic!("{range}: {other:?}"),
            }
        };
        for range in ["bytes=0-1", "bytes=0-0", "Bytes = 0-1", "bytes= 0-1 "] {
            assert!(probe(range), "{range}");
        }
        for range in [
            "bytes=0-",
            "bytes=0-10",
            "bytes=1-1",
            "bytes=-1",
            "0-1",
            "lines=0-1",
        ] {
            assert!(!probe(range), "{range}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_probes_takes_no_more_memory() {
        let probes = Probes::default();
        for number in 0..=MAX_WAITING {
            probes.note_prober(player(&number.to_string()), number);
        }
        assert_eq!(probes.take_prober(|| player("0")), None);
        assert_eq!(probes.take_prober(|| player("1")), Some(1));
    }
}
