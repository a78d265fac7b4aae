//! The part of a mount's status about its transcoder.

use std::collections::BTreeMap;

use super::Viewer;
use crate::logic::transcoding::lineage::{self, TranscodeFault};
use crate::model::caption::caption;
use crate::model::mount::{MountName, MountSpec};
use crate::model::node::NodeName;
use crate::model::seat::Seat;
use crate::model::status::transcoder::TranscoderStatus;
use crate::model::transcoding::{TargetCodec, TranscoderReport};
use crate::proto::view::MeshView;
use crate::wire::gossip::TranscodingCard;

/// The most nodes that are named in a reason.
const MAX_NAMED: usize = 4;

/// The transcoder of a mount, as a viewer may see it; `None` for a mount with an encoder.
pub(super) fn status(
    view: &MeshView,
    spec: &MountSpec,
    mounts: &BTreeMap<MountName, MountSpec>,
    viewer: Viewer,
) -> Option<TranscoderStatus> {
    let from = spec.transcode.transcode_from.clone()?;
    let is_hidden = mounts.get(&from).is_some_and(|from| from.hidden);
    let seat = Seat::Transcoder(spec.path.clone());
    let node = view.seats.get(&seat).map(|claim| claim.node.clone());
    let runner = node.as_ref().and_then(|name| view.nodes.get(name));
    let card = runner.and_then(|node| node.transcoders.get(&spec.path));
    let trouble = match (lineage::fault(spec, mounts), card, spec.transcode.codec) {
        (Some(fault), ..) if viewer == Viewer::Operator => Some(fault.to_string()),
        (Some(TranscodeFault::NoSource { from, .. }), ..) => {
            Some(format!("there is no mount {from}"))
        }
        // Other mounts that a fault names may be hidden.
        (Some(_), ..) => {
            Some("its settings make no sense: ask as an operator for the reason".to_owned())
        }
        (None, Some(card), _) => card.trouble.as_deref().map(caption),
        (None, None, Some(codec)) if node.is_none() => Some(why_nobody(view, codec)),
        _ => None,
    };
    Some(TranscoderStatus {
        from: Some(from).filter(|_| !is_hidden || viewer == Viewer::Operator),
        node,
        report: TranscoderReport {
            engine: card.map_or_else(String::new, |card| caption(&card.engine)),
            trouble,
            ..card.cloned().unwrap_or_default()
        },
    })
}

/// Why no node runs a transcoder of this codec, and what to do about it.
fn why_nobody(view: &MeshView, codec: TargetCodec) -> String {
    let up = view.nodes.iter().filter(|(_, node)| node.is_up());
    let cards = up.filter_map(|(name, node)| Some((name, node.transcoding.as_ref()?)));
    let cards: Vec<(&NodeName, &TranscodingCard)> = cards.collect();
    let can_make = |card: &TranscodingCard| card.codecs.contains(&codec.into());
    if cards.is_empty() {
        return "no node transcodes: start one with --transcode, and with --transcode-user if it is root's".to_owned();
    }
    let troubled = cards.iter().find_map(|(name, card)| {
        let trouble = card.trouble.as_deref()?;
        Some(format!("{name} cannot: {}", caption(trouble)))
    });
    if !cards.iter().any(|(_, card)| can_make(card)) {
        let unable = || match codec {
            TargetCodec::HeAac => format!(
                "no node that transcodes can make {codec}: its program has no libfdk_aac; set codec=aac instead, or install \
                 an ffmpeg that has it"
            ),
            _ => format!("no node that transcodes can make {codec}"),
        };
        return troubled.unwrap_or_else(unable);
    }
    let able = cards.iter().filter(|(_, card)| can_make(card));
    let able = able.map(|(name, card)| (*name, running(view, name), card.most));
    let able: Vec<(&NodeName, usize, u32)> = able.collect();
    if able.iter().any(|(_, runs, most)| *runs < *most as usize) {
        return troubled.unwrap_or_else(|| "no node has taken it yet".to_owned());
    }
    let full = able.iter().take(MAX_NAMED);
    let full = full.map(|(name, runs, most)| format!("{name} makes {runs} of at most {most}"));
    let full: Vec<String> = full.collect();
    format!(
        "no node has room for it: {}; raise max_transcoders there, or have another node transcode",
        full.join(", ")
    )
}

/// How many transcoders run at a node.
fn running(view: &MeshView, node: &NodeName) -> usize {
    let transcoders = view.nodes.get(node).map(|node| node.transcoders.values());
    let transcoders = transcoders.into_iter().flatten();
    transcoders.filter(|report| report.stage.runs()).count()
}
