//! A soak: hours of a radio's life within half an hour, and what the nodes hold at its end.
//!
//! `make soak` runs it. Listeners and sources come and go, titles change, mounts are edited, made and deleted, right and
//! wrong passwords are tried, pages are read. What a node holds must not grow with any of it.

use std::collections::VecDeque;
use std::env;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::http::{Connection, basic, get};
use crate::support::mesh::TestMesh;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::source::{KnownSource, knock};
use crate::support::vitals::Vitals;

/// How long it takes, unless `MINUTES` says otherwise.
const MINUTES: u64 = 30;
/// The part of the time in which a node may still grow: caches fill, and the allocator learns what it needs.
const WARM_UP_SHARE: u32 = 6;
/// How much more memory than at the end of that time a node may ever hold.
const RSS_SLACK_KIB: u64 = 10 * 1024;
/// How much the medians of descriptors and of threads may differ between the beginning and the end. What listens
/// and sends is the same in number; connections that just end are not.
const SLACK: u64 = 8;
/// How often everything happens once.
const ROUND: Duration = Duration::from_secs(1);
/// How often what the nodes hold is looked at.
const LOOK_ROUNDS: u32 = 5;
/// Listeners at any time; the oldest leaves when the next comes.
const LISTENERS: usize = 40;
/// How many come in a round.
const NEWCOMERS: usize = 4;
/// How many rounds the source that comes and goes is on air, and then off.
const SOURCE_ROUNDS: u32 = 6;
/// How many rounds a mount lives that is made to be deleted.
const MOUNT_ROUNDS: u32 = 10;

const STEADY: &str = "/steady.mp3";
const RESTLESS: &str = "/restless.mp3";
const FLEETING: &str = "/fleeting.mp3";
const PASSWORD: &str = "hackme-not";

#[test]
#[ignore = "takes half an hour: make soak"]
fn soak() {
    let minutes = env::var("MINUTES").ok();
    let minutes = minutes.map(|it| it.parse().expect("MINUTES is a number"));
    let time = Duration::from_secs(60 * minutes.unwrap_or(MINUTES));
    let begun = Instant::now();
    let mut life = Life::begin();
    let mut looks: Vec<Look> = Vec::new();
    for round in 0.. {
        let due = begun + ROUND * round;
        if due > begun + time {
            break;
        }
        thread::sleep(due.saturating_duration_since(Instant::now())); // real time is what a soak is made of
        life.go_on(round);
        if round.is_multiple_of(LOOK_ROUNDS) {
            looks.push(life.look(begun));
        }
        if round.is_multiple_of(60) {
            println!("{}", looks.last().expect("just looked"));
        }
    }
    let grown = judge(&looks, time / WARM_UP_SHARE);
    assert!(grown.is_empty(), "{grown:#?}");
}

/// The use of each node at a moment.
#[derive(Debug)]
struct Look {
    at: Duration,
    nodes: Vec<Vitals>,
}

impl std::fmt::Display for Look {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:>5} s", self.at.as_secs())?;
        self.nodes.iter().try_for_each(|it| write!(f, " | {it}"))
    }
}

/// The growth after the warm-up, of whatever has grown.
fn judge(looks: &[Look], warm_up: Duration) -> Vec<String> {
    let warm = looks.iter().position(|look| look.at >= warm_up);
    let warm = &looks[warm.expect("it went on after its warm-up")..];
    let (half, mut grown) = (warm.len() / 2, Vec::new());
    for node in 0..warm[0].nodes.len() {
        let of = |looks: &[Look], what: fn(&Vitals) -> u64| -> Vec<u64> {
            looks.iter().map(|look| what(&look.nodes[node])).collect()
        };
        let rss = of(warm, |it| it.rss_kib);
        let (first, most) = (rss[0], rss.iter().copied().max().unwrap_or_default());
        println!("node {node}: {first} KiB after the warm-up, {most} KiB at most");
        if most > first + RSS_SLACK_KIB {
            grown.push(format!("node {node}: {first} KiB grew to {most} KiB"));
        }
        let mut compare = |name: &str, count: fn(&Vitals) -> u64| {
            let early = median(of(&warm[..half], count));
            let late = median(of(&warm[half..], count));
            println!("node {node}: {early} {name} in the first half, {late} in the second");
            if late > early + SLACK {
                grown.push(format!("node {node}: {early} {name} grew to {late}"));
            }
        };
        compare("descriptors", |it| it.descriptors);
        compare("threads", |it| it.threads);
    }
    grown
}

fn median(mut numbers: Vec<u64>) -> u64 {
    numbers.sort_unstable();
    numbers[numbers.len() / 2]
}

/// The mesh, and all clients that use it.
struct Life {
    // First, so that they leave before the nodes are killed.
    players: VecDeque<Player>,
    restless: Option<KnownSource>,
    steady: KnownSource,
    mesh: TestMesh,
}

impl Life {
    fn begin() -> Self {
        let mesh = TestMesh::start(3);
        mesh.create_mount(STEADY, PASSWORD);
        mesh.create_mount(RESTLESS, PASSWORD);
        let steady = KnownSource::start(&mesh.nodes[0], STEADY, PASSWORD);
        mesh.wait_on_air(STEADY);
        Self {
            players: VecDeque::new(),
            restless: None,
            steady,
            mesh,
        }
    }

    /// One round: a little of everything, each time at other nodes.
    fn go_on(&mut self, round: u32) {
        assert!(!self.steady.is_closed(), "the steady source was sent away");
        self.listen(round);
        self.send(round);
        self.edit(round);
        self.guess(round);
        self.read(round);
    }

    fn node(&self, turn: u32) -> &crate::support::node::TestNode {
        &self.mesh.nodes[turn as usize % self.mesh.nodes.len()]
    }

    fn listen(&mut self, round: u32) {
        for newcomer in 0..NEWCOMERS {
            let node = self.node(round + newcomer as u32);
            let url = format!("{}{STEADY}", node.url());
            self.players.push_back(Player::tune_in(&url));
        }
        while self.players.len() > LISTENERS {
            let gone = self.players.pop_front().expect("there are some");
            assert!(!gone.is_closed(), "a listener at {} was cut off", gone.url);
        }
    }

    fn send(&mut self, round: u32) {
        if !round.is_multiple_of(SOURCE_ROUNDS) {
            return;
        }
        if self.restless.take().is_some() {
            return;
        }
        let look = || KnownSource::try_start(self.node(round / SOURCE_ROUNDS), RESTLESS, PASSWORD);
        let (source, _) = eventually(PATIENCE, "the restless source is taken", look);
        self.restless = Some(source);
    }

    fn edit(&self, round: u32) {
        let credentials = basic("source", PASSWORD);
        let node = self.node(round);
        let request = format!(
            "GET /admin/metadata?mode=updinfo&mount={STEADY}&song=song%20{round} HTTP/1.0\r\n\
             Authorization: {credentials}\r\n\r\n"
        );
        let mut connection = Connection::open(&node.address()).unwrap();
        connection.send(request).unwrap();
        connection.head().unwrap();
        let description = format!(r#"{{ "description": "round {round}" }}"#);
        let target = format!("/api/v1/mounts{RESTLESS}");
        let answer = node.api("PATCH", &target, &description).unwrap();
        assert_eq!(answer.head.status, 200, "{}", answer.text());
        match round % MOUNT_ROUNDS {
            0 => node.create_mount(FLEETING, PASSWORD),
            5 => {
                let known = || {
                    let known = node.mounts().iter().any(|it| it == FLEETING);
                    so(known, "not yet")
                };
                eventually(PATIENCE, "the fleeting mount is known", known);
                node.delete_mount(FLEETING);
            }
            _ => {}
        }
    }

    /// Guesses passwords, without waiting for the answers.
    fn guess(&self, round: u32) {
        let guess = format!("wrong-{round}");
        let address = self.node(round).address();
        thread::spawn(move || knock(&address, STEADY, &guess));
        let address = self.node(round + 1).address();
        let credentials = basic("admin", &format!("wrong-{round}"));
        let mut connection = Connection::open(&address).unwrap();
        connection
            .send(format!(
                "GET /api/v1/mounts HTTP/1.1\r\nHost: {address}\r\nAuthorization: {credentials}\r\n\r\n"
            ))
            .unwrap();
    }

    fn read(&self, round: u32) {
        let address = self.node(round).address();
        for target in ["/", "/status.json", "/status-json.xsl", "/steady.mp3.m3u"] {
            let answer = get(&address, target).unwrap();
            assert_eq!(answer.head.status, 200, "{target}");
        }
    }

    fn look(&self, begun: Instant) -> Look {
        let nodes = self.mesh.nodes.iter();
        Look {
            at: begun.elapsed(),
            nodes: nodes.map(|node| Vitals::of(node.pid())).collect(),
        }
    }
}
