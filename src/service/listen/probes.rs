//! Players that ask twice for one listener: Safari first asks for two bytes, to see what answers.
//!
//! He is counted and sent on by the first request, and the second is given the same answer. VLC asks twice too, but
//! the second time where it was sent, and a tag counts only once.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Asking;
use crate::model::mount::MountName;
use crate::wire::head::Head;

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
    fn of(asking: Asking<'_>) -> Self {
        let agent = asking.head.header("user-agent").unwrap_or_default();
        Self {
            ip: asking.client.ip,
            agent: agent.to_owned(),
            mount: asking.mount.clone(),
        }
    }
}

/// Whether a request only looks what there is: it asks for the first two bytes.
pub(super) fn is_probe(head: &Head) -> bool {
    head.header("range") == Some("bytes=0-1")
}

/// The answers that were given to probes, the oldest first.
#[derive(Debug)]
pub(super) struct Probes<T>(Mutex<VecDeque<(Instant, Person, T)>>);

impl<T> Default for Probes<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Probes<T> {
    /// Remembers what a probe was answered.
    pub(super) fn note(&self, asking: Asking<'_>, answer: T) {
        self.note_person(Person::of(asking), answer);
    }

    fn note_person(&self, person: Person, answer: T) {
        // Each change is one call that leaves the queue whole.
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= MAX_WAITING {
            waiting.pop_front();
        }
        waiting.push_back((Instant::now(), person, answer));
    }

    /// What this person's probe was answered a moment ago, if there was one. It is answered so once.
    pub(super) fn take(&self, asking: Asking<'_>) -> Option<T> {
        self.take_person(|| Person::of(asking))
    }

    fn take_person(&self, person: impl FnOnce() -> Person) -> Option<T> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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
        let place = waiting.iter().position(|(_, it, _)| *it == person)?;
        waiting.remove(place).map(|(_, _, answer)| answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
