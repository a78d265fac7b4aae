//! The seats that a node knows beside the master's, and which of them it stands for: drives production's rule.

use std::collections::{BTreeMap, BTreeSet};

use antiphon::model::mount::MountName;
use antiphon::model::seat::{Seat, Stance};
use antiphon::proto::seats::Input;
use antiphon::proto::transcoder_seats::{TranscoderStances, TranscoderTask};
use antiphon::wire::gossip::{self, TranscodingCard};

use super::{Action, Moment, Node};

/// The jobs of a world, each of which one node does.
#[derive(Clone, Debug, Default)]
pub struct WorldJobs {
    /// The seats of outside servers: every node stands for them.
    pub outside: BTreeSet<Seat>,
    /// The transcoded mounts.
    pub transcoded: BTreeMap<MountName, TranscoderTask>,
}

/// The stances of a node.
#[derive(Debug, Default)]
pub(super) struct Stances {
    jobs: WorldJobs,
    rule: TranscoderStances,
    /// The stances that the elections were told last.
    told: BTreeMap<Seat, Stance>,
}

impl Node {
    pub(super) fn set_jobs(&mut self, jobs: WorldJobs, moment: Moment, out: &mut Vec<Action>) {
        self.stances.jobs = jobs;
        self.update_stances(moment, out);
    }

    /// Tells the elections which seats this node stands for, if that has changed.
    pub(super) fn update_stances(&mut self, moment: Moment, out: &mut Vec<Action>) {
        let Stances { jobs, rule, told } = &mut self.stances;
        if jobs.outside.is_empty() && jobs.transcoded.is_empty() {
            return;
        }
        let mut stances = rule.take(&jobs.transcoded, self.mesh.view(), moment.now);
        let outside = jobs.outside.iter().cloned();
        stances.extend(outside.map(|seat| (seat, Stance::Stand)));
        if *told != stances {
            told.clone_from(&stances);
            self.handle_seats(Input::Wanted(&stances), moment, out);
        }
    }

    /// Gossips what this node can transcode.
    pub(super) fn tell_tools(&mut self, card: Option<&TranscodingCard>, out: &mut Vec<Action>) {
        let text = card.map(gossip::write);
        self.mesh.apply_own(gossip::TRANSCODING, text.as_deref());
        out.push(Action::Gossip(gossip::TRANSCODING.into(), text));
    }
}
