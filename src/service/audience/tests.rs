//! The register on its own: numbers, counts, and what is left of a listener that has gone.

use super::*;
use crate::io::feed::Feed;
use crate::logic::forecast::Life;
use crate::media::ring::samples::ring;
use crate::model::node::Generation;
use crate::service::load::{Capacity, Load};
use crate::service::streams::{Reader, Streams};
use crate::wire::gossip::Origin;

/// A node with one mount on air.
pub(in crate::service) struct Stage {
    pub(in crate::service) audience: Audience,
    pub(super) load: Load,
    streams: Streams,
}

/// The address of all players here.
const PLAYER: [u8; 4] = [192, 0, 2, 1];

pub(super) const RADIO: &str = "/radio.mp3";

impl Stage {
    pub(in crate::service) fn open() -> Self {
        let life = Life {
            node: "n1".parse().unwrap(),
            generation: Generation(1),
        };
        let capacity = Capacity {
            max_listeners: 1_000,
            max_bandwidth_bps: 1_000_000_000,
        };
        let streams = Streams::default();
        let mount = RADIO.parse().unwrap();
        let feed = Feed::new(ring("audio/mpeg"));
        streams.hold(&mount, feed, Origin::Source).unwrap();
        Self {
            audience: Audience::default(),
            load: Load::new(life, capacity),
            streams,
        }
    }

    /// A listener of the mount comes.
    pub(in crate::service) fn enter(&self) -> Attendance {
        self.enter_as("Player/1.0")
    }

    pub(super) fn enter_as(&self, agent: &str) -> Attendance {
        let mount: MountName = RADIO.parse().unwrap();
        let admission = Admission {
            share: self.load.admit(&mount, None).unwrap(),
            address: self.audience.place(&mount, PLAYER.into(), None).unwrap(),
            account: None,
        };
        self.enter_with(admission, agent)
    }

    fn enter_with(&self, admission: Admission, agent: &str) -> Attendance {
        let mount: MountName = RADIO.parse().unwrap();
        let held = self.streams.get(&mount).unwrap();
        self.audience.enter(Newcomer {
            mount,
            ip: PLAYER.into(),
            agent: agent.to_owned(),
            admission,
            reading: held.read_by(Reader::Listener),
        })
    }

    /// How many listen by the load of the node, and by its mount.
    fn counts(&self) -> [u32; 2] {
        let mount = RADIO.parse().unwrap();
        let held = self.streams.get(&mount).unwrap();
        [self.load.report().listeners, held.listeners()]
    }

    fn entered(&self) -> usize {
        self.audience.register.lock().attendees.len()
    }
}

#[test]
fn a_listener_counts_from_its_entry_until_it_has_left() {
    let stage = Stage::open();
    let attending = [stage.enter(), stage.enter()];
    let numbers = attending.each_ref().map(|it| it.attendee().number);
    assert_eq!(numbers, [1, 2]);
    assert_eq!((stage.counts(), stage.entered()), ([2, 2], 2));
    let kept = attending[0].attendee().clone();
    drop(attending);
    assert_eq!((stage.counts(), stage.entered()), ([0, 0], 0));
    assert!(kept.hand_over().is_none(), "it has nothing to give");
    assert_eq!(stage.enter().attendee().number, 3, "no number comes twice");
}

#[test]
fn a_listener_that_is_replaced_hands_its_share_over_once() {
    let stage = Stage::open();
    let probe = stage.enter();
    let admission = probe.attendee().hand_over().unwrap();
    assert_eq!(probe.attendee().control().ended(), Some(Left::Replaced));
    assert!(probe.attendee().hand_over().is_none());
    assert_eq!(stage.counts(), [1, 0]);
    let another = || {
        stage
            .audience
            .place(&RADIO.parse().unwrap(), PLAYER.into(), Some(1))
    };
    assert!(another().is_none(), "its place was handed over, too");
    let player = stage.enter_with(admission, "Player/1.0");
    assert_eq!(stage.counts(), [1, 1]);
    drop(probe);
    assert_eq!(stage.counts(), [1, 1]);
    assert!(another().is_none());
    drop(player);
    assert_eq!((stage.counts(), stage.entered()), ([0, 0], 0));
    assert!(another().is_some());
}

#[test]
fn the_name_of_a_player_is_one_line_and_bounded() {
    let stage = Stage::open();
    let listener = stage.enter_as("A\u{1b}[2J\tB\u{202e}");
    assert_eq!(listener.attendee().agent(), "A[2J B");
    let long = stage.enter_as(&"é".repeat(40_000));
    assert_eq!(long.attendee().agent(), "é".repeat(128));
}

#[test]
fn a_list_says_how_many_there_are_beyond_it() {
    let stage = Stage::open();
    let _attending: Vec<Attendance> = (0..5).map(|_| stage.enter()).collect();
    let list = stage.audience.list(None, 3);
    let numbers: Vec<u64> = list.listeners.iter().map(|(number, _)| *number).collect();
    assert_eq!((numbers, list.total), (vec![1, 2, 3], 5));
    let facts = &list.listeners[0].1;
    assert_eq!((facts.mount.as_str(), facts.sent_bytes), (RADIO, 0));
    assert_eq!(
        (facts.user_agent.as_str(), facts.connected_s),
        ("Player/1.0", 0)
    );
    let [radio, other] = [RADIO, "/other.mp3"].map(|mount| mount.parse().unwrap());
    assert_eq!(stage.audience.list(Some(&radio), 9).total, 5);
    assert_eq!(stage.audience.list(Some(&other), 9).total, 0);
}

#[test]
fn a_killed_listener_is_gone_from_the_list_at_once() {
    let stage = Stage::open();
    let attending = [stage.enter(), stage.enter()];
    assert!(stage.audience.kill(2).is_some());
    assert!(stage.audience.kill(2).is_none(), "it is leaving already");
    assert!(
        stage.audience.kill(3).is_none(),
        "there is no such listener"
    );
    let control = attending[1].attendee().control();
    assert_eq!(control.ended(), Some(Left::Killed));
    assert_eq!(stage.audience.list(None, 9).total, 1);
    assert_eq!(stage.counts(), [2, 2], "it counts until it has left");
}

#[test]
fn the_kept_name_of_a_player_takes_no_more_memory_than_it_needs() {
    let kept: String = kept_agent(&"x".repeat(64 << 10)).into();
    assert_eq!((kept.len(), kept.capacity()), (256, 256));
}
