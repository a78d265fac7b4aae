//! Whether a stream that is made on demand comes as soon as somebody wants it, as gossip tells.

use std::collections::BTreeMap;

use super::transcoder_seats::is_able;
use super::view::MeshView;
use crate::logic::transcoding::lineage;
use crate::model::mount::{MountName, MountSpec};
use crate::model::outside_relay::OutsideRelayStage;
use crate::model::seat::Seat;

/// The prospect of a stream that somebody wants; the reasons are in words for an operator.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Making {
    /// The stream is not made on demand, or what it is made of is off air.
    Never,
    /// Nobody can make it now.
    Impossible(String),
    /// The last try has failed; the next one may not.
    Doubtful(String),
    /// Nothing speaks against it.
    Promised,
}

impl Making {
    /// Why it does not come, if it may be made at all.
    pub fn trouble(&self) -> Option<&str> {
        match self {
            Self::Never | Self::Promised => None,
            Self::Impossible(why) | Self::Doubtful(why) => Some(why),
        }
    }
}

/// The prospect of a mount's stream, if it were wanted.
pub fn making(
    mount: &MountName,
    mounts: &BTreeMap<MountName, MountSpec>,
    view: &MeshView,
) -> Making {
    let spec = mounts.get(mount).filter(|spec| spec.is_on_demand());
    let Some(mut spec) = spec.filter(|spec| lineage::fault(spec, mounts).is_none()) else {
        return Making::Never;
    };
    let mut worst = Making::Promised;
    // A row of transcoders without a fault has an end.
    while let Some(from) = spec.transcode.transcode_from.as_ref() {
        worst = worst.min(by_transcoder(spec, view));
        match mounts.get(from) {
            Some(_) if view.source(from).is_some() => return worst,
            Some(next) => spec = next,
            None => return Making::Never,
        }
    }
    worst.min(by_relay(spec, view))
}

/// The prospect of what a mount's transcoder makes.
fn by_transcoder(spec: &MountSpec, view: &MeshView) -> Making {
    let codec = spec.transcode.codec;
    if let Some(codec) = codec.filter(|codec| !is_able((*codec).into(), view)) {
        return Making::Impossible(format!("no node can transcode to {codec} now"));
    }
    let holder = view.seats.get(&Seat::Transcoder(spec.path.clone()));
    let node = holder.and_then(|claim| view.nodes.get(&claim.node));
    let report = node.and_then(|node| node.transcoders.get(&spec.path));
    let trouble = report.and_then(|report| report.trouble.clone());
    trouble.map_or(Making::Promised, Making::Doubtful)
}

/// The prospect of what a mount's outside relay gets.
fn by_relay(spec: &MountSpec, view: &MeshView) -> Making {
    let addresses = u32::try_from(spec.relay.as_slice().len()).unwrap_or(u32::MAX);
    if addresses == 0 {
        return Making::Never;
    }
    let report = view.outside_relay(&spec.path);
    let Some(report) = report.filter(|it| it.has_failed(addresses)) else {
        return Making::Promised;
    };
    let why = report.trouble.clone();
    let why = why.unwrap_or_else(|| "its outside relay gives no stream".to_owned());
    match report.stage {
        OutsideRelayStage::Failing => Making::Impossible(why),
        _ => Making::Doubtful(why),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::model::format::CodecName;
    use crate::model::node::{Generation, NodeName};
    use crate::model::outside_relay::{AddressFault, OutsideRelayReport};
    use crate::model::seat::{Claim, Epoch, Rank};
    use crate::model::status::NodeState;
    use crate::model::stream::StreamId;
    use crate::model::transcoding::{TargetCodec, TranscoderReport};
    use crate::proto::view::MeshNode;
    use crate::wire::gossip::{StreamCard, TranscodingCard};

    /// A mesh of one node, with these mounts.
    struct Bench {
        mounts: BTreeMap<MountName, MountSpec>,
        view: MeshView,
    }

    fn path(name: &str) -> MountName {
        name.parse().unwrap()
    }

    fn transcoded(name: &str, from: &str) -> MountSpec {
        let mut spec = MountSpec::new(path(name));
        spec.transcode.transcode_from = Some(path(from));
        spec.transcode.codec = Some(TargetCodec::Opus);
        spec.transcode.on_demand = true;
        spec
    }

    fn relayed(name: &str) -> MountSpec {
        let mut spec = MountSpec::new(path(name));
        spec.relay = "http://a/x,http://b/x".parse().unwrap();
        spec.transcode.on_demand = true;
        spec
    }

    impl Bench {
        fn new(specs: Vec<MountSpec>) -> Self {
            let me: NodeName = "n1".parse().unwrap();
            let mut view = MeshView::empty(me.clone());
            let mut node = MeshNode::unheard(Generation(1), Instant::now());
            node.state = NodeState::Alive;
            view.nodes.insert(me, node);
            let mounts = specs.into_iter().map(|spec| (spec.path.clone(), spec));
            Self {
                mounts: mounts.collect(),
                view,
            }
        }

        fn node(&mut self) -> &mut MeshNode {
            self.view.nodes.values_mut().next().unwrap()
        }

        fn hold(&mut self, seat: Seat) {
            let claim = Claim {
                epoch: Epoch(1),
                rank: Rank(1),
                node: self.view.me.clone(),
            };
            self.view.seats.insert(seat, claim);
        }

        fn making(&self, name: &str) -> Making {
            making(&path(name), &self.mounts, &self.view)
        }
    }

    fn able(codec: CodecName, trouble: Option<&str>) -> TranscodingCard {
        TranscodingCard {
            engine: "ffmpeg".to_owned(),
            codecs: vec![codec],
            most: 2,
            trouble: trouble.map(str::to_owned),
        }
    }

    #[test]
    fn a_transcoded_stream_is_promised_while_somebody_can_make_it() {
        let specs = vec![MountSpec::new(path("/r")), transcoded("/r.opus", "/r")];
        let mut bench = Bench::new(specs);
        assert_eq!(bench.making("/r.opus"), Making::Never, "nothing is on air");
        let card = StreamCard::sample(StreamId(1));
        bench.node().streams.insert(path("/r"), card);
        let nobody = Making::Impossible("no node can transcode to opus now".to_owned());
        assert_eq!(bench.making("/r.opus"), nobody);
        for (codec, trouble, expected) in [
            (CodecName::Mp3, None, nobody.clone()),
            (CodecName::Opus, Some("no ffmpeg"), nobody),
            (CodecName::Opus, None, Making::Promised),
        ] {
            bench.node().transcoding = Some(able(codec, trouble));
            assert_eq!(bench.making("/r.opus"), expected);
        }
        bench.hold(Seat::Transcoder(path("/r.opus")));
        let report = TranscoderReport {
            trouble: Some("it ended".to_owned()),
            ..TranscoderReport::default()
        };
        bench.node().transcoders.insert(path("/r.opus"), report);
        let failed = Making::Doubtful("it ended".to_owned());
        assert_eq!(bench.making("/r.opus"), failed);
        assert_eq!(bench.making("/r"), Making::Never, "an encoder sends it");
    }

    #[test]
    fn a_relayed_stream_is_promised_until_every_address_has_failed() {
        let specs = vec![relayed("/r.mp3"), transcoded("/r.opus", "/r.mp3")];
        let mut bench = Bench::new(specs);
        bench.node().transcoding = Some(able(CodecName::Opus, None));
        assert_eq!(bench.making("/r.mp3"), Making::Promised);
        bench.hold(Seat::OutsideRelay(path("/r.mp3")));
        let fault = |number| AddressFault {
            number,
            why: "404".to_owned(),
        };
        for (stage, failed, expected) in [
            (OutsideRelayStage::Connecting, &[1][..], "promised"),
            (OutsideRelayStage::Connecting, &[1, 2], "doubtful"),
            (OutsideRelayStage::Idle, &[2, 1], "doubtful"),
            (OutsideRelayStage::Failing, &[], "impossible"),
            (OutsideRelayStage::Running, &[1, 2], "promised"),
        ] {
            let report = OutsideRelayReport {
                stage,
                faults: failed.iter().copied().map(fault).collect(),
                ..OutsideRelayReport::default()
            };
            bench.node().outside_relays.insert(path("/r.mp3"), report);
            for mount in ["/r.mp3", "/r.opus"] {
                let found = match bench.making(mount) {
                    Making::Never => "never",
                    Making::Impossible(_) => "impossible",
                    Making::Doubtful(_) => "doubtful",
                    Making::Promised => "promised",
                };
                assert_eq!(found, expected, "{mount}: {stage:?} {failed:?}");
            }
        }
    }

    #[test]
    fn a_row_of_transcoders_without_an_end_makes_nothing() {
        let bench = Bench::new(vec![transcoded("/a", "/b"), transcoded("/b", "/a")]);
        assert_eq!(bench.making("/a"), Making::Never);
    }
}
