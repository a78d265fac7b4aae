//! Thousands of listeners come at once, by any node: all find a place, and all nodes fill to one level.
//!
//! `make crowd` measures that with the optimised program and writes the table into the documentation. The short
//! test brings as many listeners, and holds whatever does not depend on the speed of the machine.

mod figures;

use std::thread;
use std::time::{Duration, Instant};

use antiphon::logic::policy::explain::Prediction;

use self::figures::{Figures, Sample, Table};
use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::rush::{End, Rush, Story};
use crate::support::signal::{FRAME_BYTES, FRAME_US};
use crate::support::source::KnownSource;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";
/// How many listeners each node takes: the greatest eight times as many as the least, and 3,050 in all.
const LIMITS: [usize; 5] = [150, 300, 500, 900, 1_200];
/// The node that is limited by its line, and not by a number.
const NARROW: usize = 3;
/// Within which all come.
const WITHIN: Duration = Duration::from_secs(5);
/// How often all nodes are asked what they foresee.
const SAMPLE_PERIOD: Duration = Duration::from_millis(250);
/// The listeners of the promise: two thirds of what there is room for.
const MANY: usize = 2_000;
/// As many as may come before anybody may be refused: 95 % of what there is room for.
const MOST: usize = 2_897;
/// How many times each crowd comes when it is measured.
const ROUNDS: usize = 5;
/// The bytes that a listener must have heard to count as served: a second.
const HEARD_BYTES: usize = 38 * FRAME_BYTES;

/// By how much the fullest node may stand above the level of all, in points of its capacity.
const LEVEL_POINTS: f64 = 2.0;
/// The same on a machine that is busy with other tests, where nodes hear late of each other.
const BUSY_LEVEL_POINTS: f64 = 5.0;
/// By how much 95 of 100 predictions may be off, in points of a node's capacity.
const PREDICTION_POINTS: f64 = 3.0;

#[test]
fn two_thousand_sudden_listeners_find_a_place() {
    let figures = come(MANY);
    println!("{figures}");
    let level = figures.level() + BUSY_LEVEL_POINTS;
    assert!(figures.peak() <= level, "{figures}");
}

#[test]
#[ignore = "takes minutes, and the machine for itself: make crowd"]
fn measured() {
    let mut table = Table::default();
    for listeners in [MANY, MOST] {
        for round in 1..=ROUNDS {
            let figures = come(listeners);
            println!("{round}/{ROUNDS}: {figures}");
            table.note(figures);
        }
    }
    println!("\n{table}");
    table.write_into_the_documentation();
    let broken = table.broken(LEVEL_POINTS, PREDICTION_POINTS);
    assert!(broken.is_empty(), "{broken:#?}");
}

/// A mesh of nodes of unequal size, with a source at the smallest, in which no node is new any more.
fn unequal_mesh() -> (TestMesh, KnownSource) {
    let mesh = TestMesh::start_with(LIMITS.len(), |index, setup| {
        let limit = LIMITS[index];
        if index == NARROW {
            let frames_bps = FRAME_BYTES as f64 * 8.0 * 1e6 / FRAME_US as f64;
            let line_bps = limit as f64 * frames_bps.ceil();
            setup.with(&[
                "--max-listeners",
                "5000",
                "--max-bandwidth",
                &line_bps.to_string(),
            ])
        } else {
            setup.with(&["--max-listeners", &limit.to_string()])
        }
    });
    mesh.create_mount(RADIO, PASSWORD);
    let source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    mesh.wait_warm(RADIO);
    (mesh, source)
}

/// Lets so many come to a mesh of their own, holds what is promised everywhere, and tells what was measured.
fn come(listeners: usize) -> Figures {
    let (mesh, _source) = unequal_mesh();
    let doors: Vec<String> = mesh.nodes.iter().map(TestNode::address).collect();
    let rush = Rush::begin(&doors, RADIO, listeners, WITHIN);
    let mut samples = Vec::new();
    while rush.on_the_way() > 0 {
        samples.extend(mesh.nodes.iter().map(sample));
        thread::sleep(SAMPLE_PERIOD);
    }
    let stories = rush.stories();
    check_manners(&stories);
    let figures = Figures::of(&LIMITS, &stories, &samples);
    wait_known(&mesh, &figures.counts);
    check_limits(&figures.counts, &samples);
    wait_heard(&rush);
    figures
}

fn sample(node: &TestNode) -> Sample {
    let predictions = node.predictions(RADIO);
    Sample {
        at: Instant::now(),
        predictions,
    }
}

/// Checks that each is served, where it asks or where it is sent, and none is redirected twice: all have room.
fn check_manners(stories: &[Story]) {
    let bad = stories.iter();
    let bad: Vec<&Story> = bad
        .filter(|it| it.end != Some(End::Served) || it.redirects > 1)
        .collect();
    let some = &bad[..bad.len().min(8)];
    assert!(
        bad.is_empty(),
        "{} of {}: {some:#?}",
        bad.len(),
        stories.len()
    );
}

/// No node serves more than it may, nor has it ever said so.
fn check_limits(counts: &[usize], samples: &[Sample]) {
    let fits = counts
        .iter()
        .zip(LIMITS)
        .all(|(count, most)| *count <= most);
    assert!(fits, "{counts:?}");
    for prediction in samples.iter().flat_map(|it| &it.predictions) {
        let (load, most) = (prediction.reported, prediction.capacity);
        let fits = load.listeners <= most.listeners && load.bps <= most.bps;
        assert!(fits, "{prediction:?}");
    }
}

/// Waits until every node knows how many listeners all nodes have, and that none is on its way.
fn wait_known(mesh: &TestMesh, counts: &[usize]) {
    let look = || {
        for node in &mesh.nodes {
            let seen = |it: Prediction| (it.reported.listeners as usize, it.pending.listeners);
            let seen: Vec<_> = node.predictions(RADIO).into_iter().map(seen).collect();
            let known = seen
                .iter()
                .zip(counts)
                .all(|(seen, count)| *seen == (*count, 0));
            so(known, format!("{} sees {seen:?}", node.name()))?;
        }
        Ok::<_, String>(())
    };
    eventually(
        PATIENCE,
        &format!("all know that {counts:?} are there"),
        look,
    );
}

/// Waits until each listener has heard something, and none was dropped meanwhile.
fn wait_heard(rush: &Rush) {
    let look = || {
        let stories = rush.stories();
        check_manners(&stories);
        let deaf = stories.iter().filter(|it| it.bytes < HEARD_BYTES).count();
        so(deaf == 0, format!("{deaf} do not"))
    };
    eventually(PATIENCE, "everybody hears the stream", look);
}
