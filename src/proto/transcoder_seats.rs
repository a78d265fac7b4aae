//! The seats of transcoders that this node stands for, by its view of the mesh: the rule is [`assign`].

use std::collections::BTreeMap;
use std::time::Instant;

use crate::logic::transcoding::assign;
use crate::logic::transcoding::assign::{PATIENCE, Runner, Runners, TranscoderSeat};
use crate::model::format::CodecName;
use crate::model::mount::{MountName, MountSpec};
use crate::model::seat::{Seat, Stance};
use crate::model::status::NodeState;
use crate::proto::view::{MeshNode, MeshView};

/// The work of a transcoder, as far as it decides which node does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TranscoderTask {
    /// The codec to be made.
    pub codec: CodecName,
    /// Whether there is something to make now: see [`is_needed`].
    pub is_needed: bool,
}

/// Whether the stream of a mount has to be made: the mount that it is made from has a source, and somebody wants it, if it
/// is made on demand only.
pub fn is_needed(view: &MeshView, spec: &MountSpec) -> bool {
    let transcode = &spec.transcode;
    let from = transcode.transcode_from.as_ref();
    let has_source = from.is_some_and(|from| view.source(from).is_some());
    has_source && (!transcode.on_demand || view.is_wanted(&spec.path))
}

/// The stances of one node, and since when the seats have been vacant.
#[derive(Clone, Debug, Default)]
pub struct TranscoderStances {
    vacant_since: BTreeMap<Seat, Instant>,
}

impl TranscoderStances {
    /// The seat of each transcoded mount, and whether this node stands for it. To be asked at every look at the mesh: time
    /// alone changes the answer too.
    pub fn take(
        &mut self,
        mounts: &BTreeMap<MountName, TranscoderTask>,
        view: &MeshView,
        now: Instant,
    ) -> BTreeMap<Seat, Stance> {
        let seats = mounts.iter().map(|(mount, task)| {
            let seat = Seat::Transcoder(mount.clone());
            let holder = view.seats.get(&seat).map(|claim| claim.node.clone());
            let is_overdue = holder.is_none() && self.is_overdue(&seat, now);
            let held_at = holder.as_ref().and_then(|name| view.nodes.get(name));
            let card = held_at.and_then(|node| node.transcoders.get(mount));
            let seen = TranscoderSeat {
                codec: task.codec,
                is_needed: task.is_needed,
                holder,
                stage: card.map(|card| card.stage).unwrap_or_default(),
                is_overdue,
            };
            (seat, seen)
        });
        let seats: assign::TranscoderSeats = seats.collect();
        let vacant = |seat: &Seat| seats.get(seat).is_some_and(|it| it.holder.is_none());
        self.vacant_since.retain(|seat, _| vacant(seat));
        let ours = assign::stood_for(&view.me, &runners(view), &seats);
        let stance = |seat: &Seat| match ours.contains(seat) {
            true => Stance::Stand,
            false => Stance::Follow,
        };
        let stances = seats.keys().map(|seat| (seat.clone(), stance(seat)));
        stances.collect()
    }

    fn is_overdue(&mut self, seat: &Seat, now: Instant) -> bool {
        let since = *self.vacant_since.entry(seat.clone()).or_insert(now);
        now.saturating_duration_since(since) >= PATIENCE
    }
}

/// Whether a node of the mesh can transcode to this codec now.
pub fn is_able(codec: CodecName, view: &MeshView) -> bool {
    let runners = runners(view);
    runners.values().any(|runner| runner.is_able(codec))
}

fn runners(view: &MeshView) -> Runners {
    let runners = view.nodes.iter();
    let runners = runners.filter_map(|(name, node)| Some((name.clone(), runner(node)?)));
    runners.collect()
}

/// A node as a runner. One that is only heard through others works all the same; one that may be dead gets no new seat.
fn runner(node: &MeshNode) -> Option<Runner> {
    let is_leaving = node.state == NodeState::Draining;
    let works = is_leaving || matches!(node.state, NodeState::Alive | NodeState::Unlinked);
    let card = node.transcoding.as_ref().filter(|_| works)?;
    let report = node.bulletin.as_ref().map(|bulletin| bulletin.report);
    card.trouble.is_none().then(|| Runner {
        codecs: card.codecs.clone(),
        most: card.most,
        cpu_permille: report.and_then(|report| report.cpu_permille),
        is_leaving,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::logic::forecast::Bulletin;
    use crate::model::load::LoadReport;
    use crate::model::node::{Generation, NodeName};
    use crate::model::seat::{Claim, Epoch, Rank};
    use crate::model::stream::StreamId;
    use crate::model::transcoding::{TranscoderReport, TranscoderStage};
    use crate::wire::gossip::{StreamCard, TranscodingCard};

    /// A node's view of a mesh whose nodes can all make Opus, four at once, its stances and its clock.
    struct Bench {
        stances: TranscoderStances,
        mounts: BTreeMap<MountName, TranscoderTask>,
        view: MeshView,
        now: Instant,
    }

    fn name(text: &str) -> NodeName {
        text.parse().unwrap()
    }

    fn seat(path: &str) -> Seat {
        Seat::Transcoder(path.parse().unwrap())
    }

    impl Bench {
        fn new(me: &str, nodes: &[&str], mounts: &[&str]) -> Self {
            let now = Instant::now();
            let mut view = MeshView::empty(name(me));
            for node in nodes {
                let mut seen = MeshNode::unheard(Generation(1), now);
                seen.state = NodeState::Alive;
                seen.transcoding = Some(TranscodingCard {
                    engine: "ffmpeg".to_owned(),
                    codecs: vec![CodecName::Opus],
                    most: 4,
                    trouble: None,
                });
                view.nodes.insert(name(node), seen);
            }
            let mounts = mounts.iter().map(|path| path.parse().unwrap());
            let task = TranscoderTask {
                codec: CodecName::Opus,
                is_needed: true,
            };
            Self {
                stances: TranscoderStances::default(),
                mounts: mounts.map(|mount| (mount, task)).collect(),
                view,
                now,
            }
        }

        fn node(&mut self, node: &str) -> &mut MeshNode {
            self.view.nodes.get_mut(&name(node)).unwrap()
        }

        fn hold(&mut self, path: &str, holder: Option<&str>) {
            let Some(holder) = holder else {
                self.view.seats.remove(&seat(path));
                return;
            };
            let claim = Claim {
                epoch: Epoch(1),
                rank: Rank(1),
                node: name(holder),
            };
            self.view.seats.insert(seat(path), claim);
        }

        /// The seats that this node stands for after some more time.
        fn stood_for_after(&mut self, time: Duration) -> Vec<String> {
            self.now += time;
            let stances = self.stances.take(&self.mounts, &self.view, self.now);
            assert_eq!(stances.len(), self.mounts.len());
            let stands = stances
                .iter()
                .filter(|(_, stance)| **stance == Stance::Stand);
            stands.map(|(seat, _)| seat.to_string()).collect()
        }

        fn stood_for(&mut self) -> Vec<String> {
            self.stood_for_after(Duration::from_millis(1))
        }
    }

    #[test]
    fn exactly_one_node_stands_for_a_vacant_seat() {
        let nodes = ["a", "b", "c"];
        let stood = nodes.map(|me| Bench::new(me, &nodes, &["/r.opus"]).stood_for().len());
        assert_eq!(stood.iter().sum::<usize>(), 1, "{stood:?}");
    }

    #[test]
    fn a_node_without_a_card_or_in_trouble_follows() {
        let mut bench = Bench::new("a", &["a", "b"], &["/r.opus"]);
        bench.node("b").transcoding = None;
        assert_eq!(bench.stood_for(), ["transcoder/r.opus"]);
        bench.hold("/r.opus", Some("a"));
        assert_eq!(bench.stood_for(), ["transcoder/r.opus"]);
        let card = bench.node("a").transcoding.as_mut().unwrap();
        card.trouble = Some("its tool has gone".to_owned());
        assert!(bench.stood_for().is_empty(), "also for what it holds");
        bench.hold("/r.opus", None);
        assert!(bench.stood_for_after(PATIENCE).is_empty());
        bench.node("a").transcoding = None;
        assert!(bench.stood_for_after(PATIENCE).is_empty());
    }

    #[test]
    fn only_nodes_that_work_get_a_seat() {
        for (state, ours) in [
            (NodeState::Draining, true),
            (NodeState::Suspect, true),
            (NodeState::Dead, true),
            (NodeState::Unlinked, false),
            (NodeState::Alive, false),
        ] {
            let mut bench = Bench::new("a", &["a", "b"], &["/r.opus", "/s.opus"]);
            bench.hold("/r.opus", Some("a"));
            bench.node("b").state = state;
            let stands = bench.stood_for().contains(&"transcoder/s.opus".to_owned());
            assert_eq!(stands, ours, "{state:?}");
        }
        let mut bench = Bench::new("a", &["a", "b"], &["/r.opus"]);
        bench.hold("/r.opus", Some("a"));
        bench.node("a").state = NodeState::Draining;
        assert!(bench.stood_for().is_empty(), "it hands its seat over");
    }

    #[test]
    fn the_gossiped_load_of_the_processors_counts() {
        let mut bench = Bench::new("a", &["a", "b"], &["/r.opus", "/s.opus"]);
        bench.hold("/r.opus", Some("a"));
        assert_eq!(bench.stood_for(), ["transcoder/r.opus"]);
        bench.node("b").bulletin = Some(Bulletin {
            report: LoadReport {
                cpu_permille: Some(900),
                ..LoadReport::default()
            },
            ..Bulletin::default()
        });
        assert_eq!(bench.stood_for().len(), 2, "b is busy");
    }

    #[test]
    fn a_stream_is_needed_if_it_has_a_source_and_somebody_to_hear_it() {
        let mut bench = Bench::new("a", &["a", "b"], &[]);
        let (mount, from): (MountName, MountName) =
            ("/r.opus".parse().unwrap(), "/r".parse().unwrap());
        let mut spec = MountSpec::new(mount.clone());
        spec.transcode.transcode_from = Some(from.clone());
        assert!(!is_needed(&bench.view, &spec));
        let card = StreamCard::sample(StreamId(1));
        bench.node("b").streams.insert(from, card);
        assert!(is_needed(&bench.view, &spec));
        spec.transcode.on_demand = true;
        assert!(!is_needed(&bench.view, &spec));
        bench.node("b").wanted.insert(mount);
        assert!(is_needed(&bench.view, &spec));
    }

    #[test]
    fn the_stage_of_the_holder_counts() {
        let mut bench = Bench::new("a", &["a"], &["/r.opus", "/s.opus"]);
        bench.node("a").transcoding.as_mut().unwrap().most = 1;
        bench.hold("/r.opus", Some("a"));
        bench.hold("/s.opus", Some("a"));
        for made in ["/r.opus", "/s.opus"] {
            let card = TranscoderReport {
                stage: TranscoderStage::Running,
                ..TranscoderReport::default()
            };
            bench.node("a").transcoders = [(made.parse().unwrap(), card)].into();
            assert_eq!(bench.stood_for(), [seat(made).to_string()]);
        }
    }

    #[test]
    fn patience_begins_anew_whenever_a_seat_was_held() {
        let mut bench = Bench::new("a", &["a", "b"], &["/r.opus", "/s.opus"]);
        bench.hold("/s.opus", Some("a"));
        let own = ["transcoder/s.opus"];
        let almost = PATIENCE - Duration::from_millis(10);
        assert_eq!(bench.stood_for(), own);
        assert_eq!(bench.stood_for_after(almost), own);
        bench.hold("/r.opus", Some("b"));
        assert_eq!(bench.stood_for_after(PATIENCE), own);
        bench.hold("/r.opus", None);
        assert_eq!(bench.stood_for(), own);
        assert_eq!(bench.stood_for_after(almost), own);
        assert_eq!(bench.stood_for_after(PATIENCE - almost).len(), 2);
        bench.hold("/r.opus", Some("b"));
        assert_eq!(bench.stood_for(), own);
        bench.mounts.clear();
        assert!(bench.stood_for().is_empty());
        assert!(
            bench.stances.vacant_since.is_empty(),
            "nothing is left over"
        );
    }
}
