//! The streams that can be heard of a mount anywhere in the mesh, as gossip tells: its own stream, or that of a fallback.

use std::collections::BTreeMap;

use super::making::{Making, making};
use super::view::{MeshNode, MeshView};
use crate::logic::ladder;
use crate::logic::transcoding::order::order;
use crate::model::caption::caption;
use crate::model::file_name::PlayedFile;
use crate::model::format::StreamFormat;
use crate::model::mount::{MountName, MountSpec};
use crate::model::node::NodeName;
use crate::model::rung_name::RungName;
use crate::model::status::rung::{RungState, RungStatus};

use crate::wire::gossip::FileCard;

type Mounts = BTreeMap<MountName, MountSpec>;

/// Whether a mount has a stream of its own, or would have one if it were wanted.
pub fn is_on_air(mount: &MountName, mounts: &Mounts, view: &MeshView) -> bool {
    view.source(mount).is_some() || making(mount, mounts, view) == Making::Promised
}

/// Whether a mount's stream is silent, and the mount does not play that.
pub fn fails_by_silence(mount: &MountName, mounts: &Mounts, view: &MeshView) -> bool {
    let is_silent = || {
        let about = view.about(mount);
        about.is_some_and(|about| about.silent_since_unix_ms.is_some())
    };
    mounts.get(mount).is_some_and(|spec| spec.silence_fails) && is_silent()
}

/// The best fallback of a mount that can be heard at this time.
pub fn fallback_on_air(
    unix_s: u64,
    spec: &MountSpec,
    mounts: &Mounts,
    view: &MeshView,
) -> Option<RungName> {
    let mut fallbacks = ladder::rungs_at(unix_s, spec, mounts).into_iter().skip(1);
    fallbacks.find(|rung| match rung {
        RungName::Mount(mount) => mounts.contains_key(mount) && is_on_air(mount, mounts, view),
        RungName::File(_) => state(rung, mounts, view) == RungState::Flows,
    })
}

/// The best fallback of a mount that can be heard at this time and has listeners of its own: a file has none.
pub fn fallback_mount_on_air(
    unix_s: u64,
    spec: &MountSpec,
    mounts: &Mounts,
    view: &MeshView,
) -> Option<MountName> {
    let fallbacks = ladder::rungs_at(unix_s, spec, mounts).into_iter().skip(1);
    let mut fallbacks = fallbacks.filter_map(|rung| rung.mount().cloned());
    fallbacks.find(|mount| mounts.contains_key(mount) && is_on_air(mount, mounts, view))
}

/// The format of a mount's stream: as its source sends it, or as it is ordered from a transcoder. `None`: not known now.
pub fn format(mount: &MountName, mounts: &Mounts, view: &MeshView) -> Option<StreamFormat> {
    let mut told = view.holders(mount).filter_map(|(_, card)| card.format);
    told.next().or_else(|| {
        let order = order(&mounts.get(mount)?.transcode).ok().flatten()?;
        Some(order.audio.format())
    })
}

/// The format of a rung, as streams and nodes tell it; `None`: not known now.
pub fn rung_format(rung: &RungName, mounts: &Mounts, view: &MeshView) -> Option<StreamFormat> {
    match rung {
        RungName::Mount(mount) => format(mount, mounts, view),
        RungName::File(file) => cards_of(file, view).find_map(|(_, card)| card.format),
    }
}

/// The fallbacks that listeners of a mount hear somewhere.
pub fn heard<'a>(mount: &MountName, view: &'a MeshView) -> impl Iterator<Item = &'a RungName> {
    let up = view.nodes.values().filter(|node| node.is_up());
    let heard = up.filter_map(move |node| node.rungs.get(mount));
    heard
        .filter(|card| card.listeners > 0)
        .map(|card| &card.rung)
}

/// A fallback that listeners of a mount hear somewhere, and its format, with which they could not go on with this one.
pub fn heard_in_another_format(
    mount: &MountName,
    own: StreamFormat,
    mounts: &Mounts,
    view: &MeshView,
) -> Option<(RungName, StreamFormat)> {
    heard(mount, view).find_map(|rung| {
        let theirs = rung_format(rung, mounts, view)?;
        (!ladder::may_follow(theirs, own)).then(|| (rung.clone(), theirs))
    })
}

/// The rungs of a mount with fallbacks at this time, the best first, for an operator; none if it has no fallback.
pub fn rungs(unix_s: u64, spec: &MountSpec, mounts: &Mounts, view: &MeshView) -> Vec<RungStatus> {
    if !spec.has_ladder() {
        return Vec::new();
    }
    let rungs = ladder::rungs_at(unix_s, spec, mounts).into_iter();
    let own = format(&spec.path, mounts, view);
    let may_follow = |rung: &RungName| {
        let theirs = rung_format(rung, mounts, view);
        let both = own.zip(theirs);
        both.is_none_or(|(own, theirs)| {
            rung.is_mount(&spec.path) || ladder::may_follow(own, theirs)
        })
    };
    let status = rungs.map(|rung| RungStatus {
        state: match state(&rung, mounts, view) {
            RungState::Flows if !may_follow(&rung) => RungState::OtherFormat,
            state => state,
        },
        heard_on: heard_on(&spec.path, &rung, view),
        troubles: troubles(&rung, view),
        why_not_made: why_not_made(&rung, mounts, view),
        rung,
    });
    status.collect()
}

/// Whether a rung can be heard.
fn state(rung: &RungName, mounts: &Mounts, view: &MeshView) -> RungState {
    if let Some(file) = rung.file() {
        return file_state(file, view);
    }
    let known = rung.mount().filter(|mount| mounts.contains_key(mount));
    match known {
        None => RungState::Missing,
        Some(mount) if fails_by_silence(mount, mounts, view) => RungState::Silent,
        Some(mount) if is_on_air(mount, mounts, view) => RungState::Flows,
        Some(_) => RungState::OffAir,
    }
}

/// Whether any node can play a file.
fn file_state(file: &PlayedFile, view: &MeshView) -> RungState {
    let cards: Vec<&FileCard> = cards_of(file, view).map(|(_, card)| card).collect();
    let any = |is: fn(&FileCard) -> bool| cards.iter().any(|card| is(card));
    match cards.is_empty() {
        true => RungState::Missing,
        false if any(|card| card.trouble.is_none()) => RungState::Flows,
        false if any(|card| card.is_coming) => RungState::Fetched,
        false => RungState::Unplayable,
    }
}

/// The words of the live nodes on a file.
fn cards_of<'a>(
    file: &'a PlayedFile,
    view: &'a MeshView,
) -> impl Iterator<Item = (&'a NodeName, &'a FileCard)> {
    let up = view.nodes.iter().filter(|(_, node)| node.is_up());
    up.filter_map(move |(name, node)| Some((name, node.files.get(file)?)))
}

/// Why the stream of a rung does not come, if it is made on demand and is not there.
fn why_not_made(rung: &RungName, mounts: &Mounts, view: &MeshView) -> Option<String> {
    let mount = rung.mount().filter(|it| view.source(it).is_none())?;
    making(mount, mounts, view).trouble().map(caption)
}

/// Why nodes cannot play a rung, if it is a file.
fn troubles(rung: &RungName, view: &MeshView) -> BTreeMap<NodeName, String> {
    let file = rung.file();
    file.map(|file| file_troubles(file, view))
        .unwrap_or_default()
}

/// Why nodes cannot play a file.
pub fn file_troubles(file: &PlayedFile, view: &MeshView) -> BTreeMap<NodeName, String> {
    let troubles =
        cards_of(file, view).filter_map(|(name, card)| Some((name.clone(), card.trouble.clone()?)));
    troubles.collect()
}

/// The nodes at which the listeners of a mount hear this rung.
pub fn heard_on(mount: &MountName, rung: &RungName, view: &MeshView) -> Vec<NodeName> {
    let is_heard = |node: &MeshNode| match node.rungs.get(mount) {
        Some(card) => card.rung == *rung && card.listeners > 0,
        None => {
            rung.is_mount(mount)
                && node
                    .listeners_of(mount)
                    .is_some_and(|listeners| listeners > 0)
        }
    };
    let up = view.nodes.iter().filter(|(_, node)| node.is_up());
    up.filter(|(_, node)| is_heard(node))
        .map(|(name, _)| name.clone())
        .collect()
}
