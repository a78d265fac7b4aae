//! Players that ask twice for one listener: Safari first asks for two bytes, to see what answers.
//!
//! It is counted and sent on by the first request. The second is given the same answer, and where that is served, the
//! place of the first. VLC asks twice too, but the second time where it was sent, and a tag counts only once.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::MountRequest;
use crate::model::mount::MountName;
use crate::wire::http::head::Head;

/// How long the second request is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most that are waited for at the same time. Beyond, the oldest is counted twice.
const MAX_WAITING: usize = 1_024;

/// Somebody in front of a player, as far as he can be told from others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Person {
    ip: IpAddr,
    agent: String,
    mount: MountName,
}

impl Person {
    fn of(asking: &MountRequest<'_>) -> Self {
        let agent = asking.head.header("user-agent").unwrap_or_default();
        Self {
            ip: asking.client.ip,
            agent: agent.to_owned(),
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

/// What probes were given, the oldest first.
#[derive(Debug)]
pub(super) struct Probes<T>(Mutex<VecDeque<(Instant, Person, T)>>);

impl<T> Default for Probes<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Probes<T> {
    /// Remembers what a probe was given.
    pub(super) fn note(&self, asking: &MountRequest<'_>, answer: T) {
        self.note_person(Person::of(asking), answer);
    }

    fn note_person(&self, person: Person, answer: T) {
        let mut waiting = self.waiting();
        if waiting.len() >= MAX_WAITING {
            waiting.pop_front();
        }
        waiting.push_back((Instant::now(), person, answer));
    }

    /// What this person's probe was given a moment ago, if there was one. It is given once.
    pub(super) fn take(&self, asking: &MountRequest<'_>) -> Option<T> {
        self.take_person(|| Person::of(asking))
    }

    fn take_person(&self, person: impl FnOnce() -> Person) -> Option<T> {
        let mut waiting = self.waiting();
        let place = Self::place(&mut waiting, person)?;
        waiting.remove(place).map(|(_, _, answer)| answer)
    }

    /// Whether this person's probe was given something a moment ago.
    pub(super) fn waits_for(&self, asking: &MountRequest<'_>) -> bool {
        Self::place(&mut self.waiting(), || Person::of(asking)).is_some()
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<(Instant, Person, T)>> {
        // Each change is one call that leaves the queue whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(
        waiting: &mut VecDeque<(Instant, Person, T)>,
        person: impl FnOnce() -> Person,
    ) -> Option<usize> {
        while waiting
            .front()
            .is_some_and(|(at, _, _)| at.elapsed() > PATIENCE)
        {
            waiting.pop_front();
        }
        if waiting.is_empty() {
            return None; // as it nearly always is
        }
        let person = person();
        waiting.iter().position(|(_, it, _)| *it == person)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http::reader::{Parsed, parse};

    fn person(agent: &str) -> Person {
        Person {
            ip: [192, 0, 2, 1].into(),
            agent: agent.to_owned(),
            mount: "/a.mp3".parse().unwrap(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_answers_for_the_next_request_of_the_same_person_and_for_no_later_one() {
        let probes = Probes::default();
        probes.note_person(person("Safari"), 1);
        assert_eq!(probes.take_person(|| person("VLC")), None);
        assert_eq!(probes.take_person(|| person("Safari")), Some(1));
        assert_eq!(probes.take_person(|| person("Safari")), None);
        probes.note_person(person("Safari"), 2);
        tokio::time::advance(PATIENCE + Duration::from_secs(1)).await;
        assert_eq!(probes.take_person(|| person("Safari")), None);
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
            probes.note_person(person(&number.to_string()), number);
        }
        assert_eq!(probes.take_person(|| person("0")), None);
        assert_eq!(probes.take_person(|| person("1")), Some(1));
    }
}
