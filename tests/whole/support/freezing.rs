//! A node that stands still as a whole, as one does whose machine hangs.

use std::fs;

use rustix::process::Signal;

use super::node::TestNode;
use super::patience::{PATIENCE, eventually};

impl TestNode {
    /// Stops it in the middle of whatever it does, until it gets SIGCONT; returns when none of its threads runs any more.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
        let tasks = format!("/proc/{}/task", self.pid());
        let look = || {
            let mut states = fs::read_dir(&tasks).unwrap().map(|task| {
                let stat = fs::read_to_string(task.unwrap().path().join("stat")).unwrap();
                // The name of the thread stands before it, in brackets, and may have brackets of its own.
                stat.rsplit(") ").next().and_then(|it| it.chars().next())
            });
            let running = states.find(|state| *state != Some('T'));
            running.map_or(Ok(()), |state| Err(format!("a thread is {state:?}")))
        };
        eventually(PATIENCE, &format!("{} has stopped", self.name()), look);
    }
}
