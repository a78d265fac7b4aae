//! One look at a mount's ladder, and what follows for its listeners: the part that does not wait.

use std::time::{Duration, Instant};

use tracing::info;

use crate::io::feed::Feed;
use crate::logic::ladder;
use crate::media::splice::may_splice;
use crate::model::file_name::PlayedFile;
use crate::model::mount::{MountName, MountSpec};
use crate::model::rung_name::RungName;
use crate::proto::ladder::{
    DemandLook, HeardLook, LadderLook, LadderStep, LeaveReason, RungLook, RungRing,
};
use crate::proto::view::MeshView;
use crate::service::document::Mounts;
use crate::service::streams::{Held, Return, Streams};
use crate::wire::gossip::Origin;

/// The ladder of a mount, and all that it is looked at by.
#[derive(Clone, Copy, Debug)]
pub struct Climb<'a> {
    /// The mount.
    pub spec: &'a MountSpec,
    /// All mounts.
    pub mounts: &'a Mounts,
    /// The mesh.
    pub view: &'a MeshView,
    /// The streams that are here, and what listeners hear.
    pub streams: &'a Streams,
    /// Whether a listener asks for the mount.
    pub is_asked: bool,
    /// The time.
    pub now: Instant,
    /// The time of day, unix seconds.
    pub unix_s: u64,
}

impl Climb<'_> {
    /// The rungs, the mount itself first.
    pub fn rungs(&self) -> Vec<RungName> {
        ladder::rungs_at(self.unix_s, self.spec, self.mounts)
    }

    /// The rungs as this node knows them.
    pub fn look(&self, rungs: &[RungName]) -> LadderLook {
        let mount = &self.spec.path;
        let heard = self.streams.heard(mount);
        let listened = heard.as_ref().filter(|heard| heard.has_audience());
        let playing = self.streams.stand_in_of(mount);
        let playing = playing.unwrap_or_else(|| mount.clone().into());
        LadderLook {
            rungs: rungs.iter().map(|rung| self.rung(rung, listened)).collect(),
            heard: heard.as_ref().map(|heard| HeardLook {
                rung: rungs.iter().position(|rung| *rung == playing),
                has_audience: self.is_asked || heard.has_audience(),
                idle_since: heard.idle_since(),
            }),
            returns: self.spec.fallback_override,
            switched_to: self.switched_to(rungs),
            linger: Duration::from_secs(self.spec.linger_s.into()),
        }
    }

    /// The rung to which an operator has switched the mount.
    fn switched_to(&self, rungs: &[RungName]) -> Option<usize> {
        let switched = self.spec.ordered_rung(self.unix_s)?;
        rungs.iter().position(|rung| rung == switched)
    }

    /// One rung, for those who listen to the mount.
    fn rung(&self, rung: &RungName, listened: Option<&Held>) -> RungLook {
        let rung = match rung {
            RungName::Mount(mount) => mount,
            RungName::File(file) => return self.file(file, listened),
        };
        let may_go_on = |next: &str| {
            listened.is_none_or(|heard| may_splice(&heard.feed.head().content_type, next))
        };
        let ring = self.streams.get(rung).map(|held| RungRing {
            stream_id: held.feed.stream_id(),
            look: held.feed.look(),
            has_source_here: held.origin == Origin::Source,
            last_fed: held.feed.last_fed(),
            goes_on: match listened {
                Some(heard) => heard.channel.goes_on_with(&held.feed),
                None => Some(true),
            },
        });
        RungLook {
            ring,
            ..RungLook::by_gossip(rung, self.mounts, self.view, may_go_on)
        }
    }

    /// A rung that is a file, for those who listen to the mount.
    fn file(&self, file: &PlayedFile, listened: Option<&Held>) -> RungLook {
        let Some(held) = self.streams.file(file) else {
            return RungLook::MISSING;
        };
        let Ok(facts) = held.facts else {
            return RungLook {
                exists: true,
                ..RungLook::MISSING
            };
        };
        let goes_on = |feed: &Feed| match listened {
            Some(heard) => heard.channel.goes_on_with(feed),
            None => Some(true),
        };
        let ring = held.feed.map(|feed| RungRing {
            stream_id: feed.stream_id(),
            look: feed.look(),
            has_source_here: true,
            last_fed: feed.last_fed(),
            goes_on: goes_on(&feed),
        });
        RungLook {
            exists: true,
            ring,
            demand: DemandLook::Yes,
            may_go_on: listened
                .is_none_or(|heard| may_splice(&heard.feed.head().content_type, facts.media_type)),
            ..RungLook::MISSING
        }
    }

    /// Whether the bytes of a file are being fetched from another node.
    pub fn has_file_on_its_way(&self, rungs: &[RungName]) -> bool {
        let mut files = rungs.iter().filter_map(RungName::file);
        files.any(|file| {
            let held = self.streams.file(file);
            held.is_some_and(|it| it.facts.is_err_and(|lack| lack.is_coming))
        })
    }

    /// Does what a step says, as far as it concerns the listeners. The driver fetches streams.
    pub fn carry_out(&self, step: LadderStep, rungs: &[RungName]) {
        let mount = &self.spec.path;
        if let Some(heard) = self.streams.heard(mount) {
            heard
                .channel
                .set_outlasts(!matches!(step, LadderStep::Leave(_)));
        }
        match step {
            LadderStep::Hear(rung) => self.switch_to(&rungs[rung]),
            LadderStep::Leave(why) => leave(self.streams, mount, why),
            LadderStep::Fetch { .. } | LadderStep::Wait => {}
        }
    }

    /// Lets the listeners hear a rung whose stream is here.
    fn switch_to(&self, rung: &RungName) {
        let (streams, mount) = (self.streams, &self.spec.path);
        let before = streams.stand_in_of(mount);
        if rung.is_mount(mount) {
            streams.take_back(mount);
        } else {
            let is_ordered = self.spec.ordered_rung(self.unix_s) == Some(rung);
            let returns = match self.spec.fallback_override && !is_ordered {
                true => Return::AtOnce,
                false => Return::Later,
            };
            streams.stand_in(mount, rung, returns);
        }
        match streams.stand_in_of(mount) {
            after if after == before => {}
            Some(fallback) => info!(%mount, %fallback, "listeners hear a fallback"),
            None => info!(%mount, "listeners hear the mount's own stream again"),
        }
    }
}

/// Ends the listeners of a mount who hear a fallback, or wait for one.
pub(super) fn leave(streams: &Streams, mount: &MountName, why: LeaveReason) {
    if streams.end_stand_in(mount) {
        info!(%mount, ?why, "the mount plays no fallback any more");
    }
}
