//! The work of policies, and the promises that hold for every one of them.

mod properties;

use std::collections::{BTreeMap, BTreeSet};

use super::explain::{Explanation, Reason};
use super::*;
use crate::logic::forecast::{Basis, Outlook, Standing, Table, Tally};
use crate::model::geo::Whereabouts;
use crate::model::load::LoadReport;
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::outside::Slots;

/// A mesh of which every part can be set; a builder, so that a test shows only what it is about.
#[derive(Clone, Debug, Default)]
struct Mesh {
    names: Vec<NodeName>,
    loads: Vec<(Standing, LoadReport, u64)>,
    facts: Facts,
    from: Whereabouts,
    cost_bps: u64,
}

fn name(text: &str) -> NodeName {
    NodeName::try_from(text).unwrap()
}

fn mount() -> MountName {
    MountName::try_from("/a.mp3").unwrap()
}

fn at(text: &str) -> Whereabouts {
    let (country, position) = text.split_once(' ').unwrap_or((text, ""));
    Whereabouts {
        country: country.parse().ok(),
        position: position.parse().ok(),
    }
}

fn load(listeners: u32, max_listeners: u32) -> LoadReport {
    LoadReport {
        listeners,
        max_listeners,
        egress_bps: u64::from(listeners) * 100,
        max_bandwidth_bps: u64::from(max_listeners) * 200,
        cpu_permille: None,
    }
}

impl Mesh {
    fn of<const N: usize>(nodes: [(&str, u32, u32); N]) -> Self {
        let mut mesh = Self {
            cost_bps: 100,
            ..Self::default()
        };
        for (node, listeners, max_listeners) in nodes {
            mesh.names.push(name(node));
            let load = load(listeners, max_listeners);
            mesh.loads.push((Standing::Ready, load, 0));
            mesh.facts.nodes.insert(name(node), NodeFacts::default());
        }
        mesh
    }

    fn say(mut self, node: &str, say: impl FnOnce(&mut NodeFacts)) -> Self {
        say(self.facts.nodes.get_mut(&name(node)).unwrap());
        self
    }

    fn report(mut self, node: &str, change: impl FnOnce(&mut LoadReport)) -> Self {
        let place = self.names.iter().position(|it| *it == name(node));
        change(&mut self.loads[place.unwrap()].1);
        self
    }

    fn places<const N: usize>(mut self, places: [(&str, &str); N]) -> Self {
        for (node, place) in places {
            self = self.say(node, |facts| facts.place = at(place));
        }
        self
    }

    fn from(self, from: &str) -> Self {
        Self {
            from: at(from),
            ..self
        }
    }

    fn with<T>(&self, ask: impl FnOnce(Scene<'_>, &Request<'_>) -> T) -> T {
        let loads = self.names.iter().zip(&self.loads);
        let outlook = |(node, load): (_, &(Standing, LoadReport, u64))| Outlook {
            node,
            standing: load.0,
            predicted: load.1,
            reported: load.1,
            pending: Tally {
                listeners: load.2,
                bps: load.2 * 100,
            },
            ahead: 0,
            warmth: 1.0,
        };
        let table = Table {
            outlooks: loads.map(outlook).collect(),
            expected_listeners: 10.0,
            basis: Basis::Predicted,
        };
        let scene = Scene {
            table: &table,
            facts: &self.facts,
        };
        let mount = mount();
        let request = Request {
            mount: &mount,
            cost_bps: self.cost_bps,
            place: self.from,
        };
        ask(scene, &request)
    }

    fn explain(&self, policy: &str) -> Explanation {
        let policy = policy.parse().unwrap();
        self.with(|scene, request| Chooser::new(name("a"), 1).explain(&policy, scene, request))
    }

    fn rank(&self, policy: &str) -> Vec<String> {
        let policy = policy.parse().unwrap();
        let chooser = Chooser::new(name("a"), 1);
        let ranked = self.with(|scene, request| chooser.rank(&policy, scene, request, 8));
        ranked.iter().map(ToString::to_string).collect()
    }

    /// How many of a thousand listeners each node gets when no news comes meanwhile.
    fn spread(&self, policy: &str) -> Vec<u32> {
        let policy: Policy = policy.parse().unwrap();
        let mut chooser = Chooser::new(name("a"), 1);
        let mut counts = vec![0; self.names.len()];
        for _ in 0..1_000 {
            let choice = self.with(|scene, request| chooser.choose(&policy, scene, request));
            let chosen = chosen(&choice, &name("a"));
            let place = self.names.iter().position(|it| Some(it) == chosen.as_ref());
            place.inspect(|place| counts[*place] += 1);
        }
        counts
    }
}

fn chosen(choice: &Choice, own: &NodeName) -> Option<NodeName> {
    match choice {
        Choice::Here => Some(own.clone()),
        Choice::Redirect(node) => Some(node.clone()),
        Choice::Full => None,
    }
}

fn near(counts: &[u32], ideal: &[u32]) {
    let fits = counts
        .iter()
        .zip(ideal)
        .all(|(it, ideal)| it.abs_diff(*ideal) <= 60);
    assert!(
        counts.len() == ideal.len() && fits,
        "{counts:?} for {ideal:?}"
    );
}

#[test]
fn autoradios_policies_work_unchanged() {
    let mesh = Mesh::of([("a", 80, 100), ("b", 40, 100), ("c", 100, 100)]);
    near(
        &mesh.spread("listeners_available,listeners_score,weighted"),
        &[250, 750, 0],
    );
    near(
        &mesh.spread("icecast_active,listeners_score,best"),
        &[0, 1_000, 0],
    );
    near(&mesh.spread("bandwidth_available,random"), &[500, 500, 0]);
    near(&mesh.spread("bandwidth_score,weighted"), &[429, 571, 0]);
}

#[test]
fn weight_fills_a_node_less_far() {
    let mesh = Mesh::of([("a", 0, 100), ("b", 0, 100)]);
    let mesh = mesh.say("b", |facts| facts.traits.weight_percent = 50);
    near(&mesh.spread("weight,water"), &[667, 333]);
    near(&mesh.spread("weight,weighted"), &[667, 333]);
    near(&mesh.spread("water"), &[500, 500]);
    let never = mesh.say("b", |facts| facts.traits.weight_percent = 0);
    near(&never.spread("random"), &[1_000, 0]);
}

#[test]
fn a_node_in_maintenance_is_not_chosen() {
    let mesh = Mesh::of([("a", 0, 100), ("b", 0, 100)]);
    let mesh = mesh.say("a", |facts| facts.traits.maintenance = true);
    near(&mesh.spread("random"), &[0, 1_000]);
    let verdict = &mesh.explain("water").nodes[0].verdicts;
    assert_eq!(verdict[0].dropped, Some(Reason::Maintenance));
}

#[test]
fn tags_and_names_pin_a_mount() {
    let mesh = Mesh::of([("a", 0, 100), ("b", 0, 100), ("c", 0, 100)]);
    let mesh = mesh.say("b", |facts| {
        facts.traits.tags.insert("fast".parse().unwrap());
    });
    near(&mesh.spread("tag(fast),water"), &[0, 1_000, 0]);
    near(&mesh.spread("tag(c)"), &[0, 0, 1_000]);
    near(
        &mesh.spread("not_tag(fast),not_tag(c),best"),
        &[1_000, 0, 0],
    );
    near(&mesh.spread("tag(none)"), &[0, 0, 0]);
}

#[test]
fn a_nearly_full_near_node_loses_to_a_far_one() {
    let mesh = Mesh::of([("a", 80, 100), ("b", 0, 100)]).places([("a", "de"), ("b", "us")]);
    let mesh = mesh.from("de");
    near(&mesh.spread("geo(country),random"), &[1_000, 0]);
    near(&mesh.spread("geo(country,80),random"), &[500, 500]);
    let full = mesh.report("a", |load| load.listeners = 92);
    near(&full.spread("geo(country),water"), &[0, 1_000]);
}

#[test]
fn an_unknown_place_is_neutral() {
    let mesh = Mesh::of([("a", 0, 100), ("b", 0, 100), ("c", 0, 100)]);
    let mesh = mesh.places([("a", "de"), ("b", "us")]);
    near(
        &mesh.clone().from("").spread("geo(country),random"),
        &[333, 333, 333],
    );
    near(
        &mesh.clone().from("fr").spread("geo(country),random"),
        &[333, 333, 333],
    );
    near(
        &mesh.from("de").spread("geo(country),random"),
        &[500, 0, 500],
    );
}

#[test]
fn the_nearest_that_is_not_full_says_what_is_near() {
    let mesh = Mesh::of([("a", 0, 100), ("b", 0, 100), ("c", 0, 100), ("d", 0, 100)]);
    let mesh = mesh.places([
        ("a", "de 52.52,13.40"),
        ("b", "de 52.40,13.07"), // 25 km from there
        ("c", "fr 48.86,2.35"),
        ("d", "au -33.87,151.21"),
    ]);
    let mesh = mesh.from("de 52.5,13.4");
    near(&mesh.spread("geo(distance),random"), &[500, 500, 0, 0]);
    let full = |mesh: Mesh, node| mesh.report(node, |load| load.listeners = 95);
    let mesh = full(full(mesh, "a"), "b");
    near(&mesh.spread("geo(distance),water"), &[0, 0, 1_000, 0]);
    let mesh = full(full(mesh, "c"), "d");
    near(&mesh.spread("geo(distance),random"), &[250, 250, 250, 250]);
}

#[test]
fn a_node_that_holds_the_mount_is_preferred() {
    let mut mesh = Mesh::of([("a", 0, 100), ("b", 50, 100)]);
    near(&mesh.spread("holds_mount,random"), &[500, 500]);
    let holders = BTreeSet::from([name("b")]);
    mesh.facts.holders.insert(mount(), holders);
    near(&mesh.spread("holds_mount,random"), &[0, 1_000]);
    near(&mesh.spread("holds_mount(50),random"), &[500, 500]);
}

#[test]
fn an_unknown_processor_load_is_taken_for_an_average_one() {
    let busy = |permille| move |load: &mut LoadReport| load.cpu_permille = Some(permille);
    let mesh = Mesh::of([("a", 0, 100), ("b", 0, 100), ("c", 0, 100)]);
    let mesh = mesh.report("a", busy(0)).report("b", busy(500));
    near(&mesh.spread("cpu_score,weighted"), &[444, 222, 333]);
    near(&mesh.spread("cpu_score,water"), &[444, 222, 333]);
}

#[test]
fn two_choices_take_the_emptier_of_two_drawn_by_size() {
    let mesh = Mesh::of([("a", 30, 100), ("b", 90, 300)]);
    near(&mesh.spread("two_choices"), &[250, 750]);
    let mesh = mesh.report("b", |load| load.listeners = 120);
    near(&mesh.spread("two_choices"), &[438, 562]);
    let shown: Vec<f64> = mesh
        .explain("two_choices")
        .nodes
        .iter()
        .map(|it| it.probability)
        .collect();
    assert_eq!(shown, [0.4375, 0.5625]);
}

#[test]
fn an_outside_server_has_the_room_of_its_mounts_only() {
    let mesh = Mesh::of([("a", 90, 100), ("outside-x", 0, 1_000)]);
    let slots = |max| Slots {
        listeners: 7,
        max_listeners: max,
    };
    let mounts = |slots| BTreeMap::from([(mount(), slots)]);
    let having = |max| {
        let mesh = mesh.clone();
        mesh.say("outside-x", |facts| facts.mounts = Some(mounts(slots(max))))
    };
    near(&having(None).spread("water"), &[0, 1_000]);
    near(&having(Some(7)).spread("water"), &[1_000, 0]);
    let mut last_place = having(Some(8));
    near(&last_place.spread("best"), &[0, 1_000]);
    last_place.loads[1].2 = 1;
    near(&last_place.spread("best"), &[1_000, 0]);
    let none = mesh
        .clone()
        .say("outside-x", |facts| facts.mounts = Some(BTreeMap::new()));
    near(&none.spread("best"), &[1_000, 0]);
    near(&mesh.spread("best"), &[1_000, 0]);
}

#[test]
fn scores_that_are_all_zero_leave_it_to_size() {
    let mesh = Mesh::of([("a", 0, 100), ("b", 0, 300)]);
    let mesh = mesh.report("a", |load| load.cpu_permille = Some(1_000));
    let mesh = mesh.report("b", |load| load.cpu_permille = Some(1_000));
    for selector in ["water", "weighted", "two_choices"] {
        near(&mesh.spread(&format!("cpu_score,{selector}")), &[250, 750]);
    }
}

#[test]
fn candidates_are_ranked_as_the_selector_likes_them() {
    let mesh = Mesh::of([
        ("a", 50, 100),
        ("b", 10, 100),
        ("c", 20, 100),
        ("d", 100, 100),
    ]);
    for policy in [
        "water",
        "listeners_score,weighted",
        "listeners_score,best",
        "best",
        "random",
    ] {
        assert_eq!(mesh.rank(policy), ["b", "c", "a"], "{policy}");
    }
    assert_eq!(mesh.rank("not_tag(b),two_choices"), ["c", "a"]);
    assert_eq!(mesh.rank("tag(d)"), [""; 0]);
}

#[test]
fn an_explanation_tells_each_stage_and_the_predictions_parts() {
    let mut mesh = Mesh::of([("a", 50, 100), ("b", 10, 100), ("c", 100, 100)]);
    mesh.loads[1].2 = 4;
    let explained = mesh.explain("not_tag(a),listeners_score,weighted");
    let [a, b, c] = &explained.nodes[..] else {
        panic!("three nodes");
    };
    assert_eq!(a.verdicts[1].dropped, Some(Reason::TagPresent));
    assert_eq!(a.verdicts.len(), 2);
    assert_eq!(b.prediction.reported.listeners, 6);
    assert_eq!(b.prediction.pending.listeners, 4);
    assert_eq!(b.prediction.bandwidth_utilization, 0.05);
    assert_eq!(
        (b.verdicts[2].score_before, b.verdicts[2].score_after),
        (1.0, 0.9)
    );
    assert_eq!(b.probability, 1.0);
    assert_eq!(c.verdicts[0].dropped, Some(Reason::NoListenerPlace));
    assert_eq!(explained.choice, Choice::Redirect(name("b")));
    let json = serde_json::to_value(&explained).unwrap();
    assert_eq!(json["choice"]["redirect"], "b");
    assert_eq!(json["policy"], "not_tag(a),listeners_score,weighted");
    assert_eq!(
        json["nodes"][2]["verdicts"][0]["dropped"],
        "no_listener_place"
    );
}
