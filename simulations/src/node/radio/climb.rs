//! The ladders of the mounts that somebody listens to here: production's machine and its look, one beat at a time.

use antiphon::model::mount::{MountName, MountSpec};
use antiphon::proto::ladder::{Ladder, LadderStep};
use antiphon::service::ladders::climb::Climb;

use super::super::{Action, Env};
use super::{Radio, RadioNews};

impl Radio {
    /// Lets the listeners of every mount with fallbacks hear the right rung.
    pub(super) fn climb_all(&mut self, env: &mut Env<'_>) {
        let mounts = env.replica.mounts().clone();
        for spec in mounts.values().filter(|spec| !spec.fallback.is_empty()) {
            if !self.audience.contains_key(&spec.path) {
                continue;
            }
            if let Some(rung) = self.climb(spec, env) {
                self.pull(&rung, None, env);
            }
        }
    }

    /// One look at a ladder; the mount to fetch, if one is missing.
    fn climb(&mut self, spec: &MountSpec, env: &mut Env<'_>) -> Option<MountName> {
        let (mounts, view) = (env.replica.mounts(), env.mesh.view());
        let climb = Climb {
            spec,
            mounts,
            view,
            streams: &self.streams,
            // Its listener comes back again and again.
            is_asked: true,
            now: env.moment.now,
            unix_s: 0,
        };
        let rungs = climb.rungs();
        let look = climb.look(&rungs);
        let ladder = self.ladders.entry(spec.path.clone());
        let ladder = ladder.or_insert_with(|| Ladder::new(env.moment.now));
        let step = ladder.step(&look, env.moment.now);
        let before = self.streams.stand_in_of(&spec.path);
        climb.carry_out(step, &rungs);
        if self.streams.stand_in_of(&spec.path) != before {
            let switched = RadioNews::Switched(spec.path.clone());
            env.out.push(Action::Radio(switched));
        }
        match step {
            LadderStep::Fetch { rung, .. } => rungs[rung].mount().cloned(),
            _ => None,
        }
    }
}
