//! `antiphon run`: a node, until it is asked to stop.

use std::future::Future;

use anyhow::Context;
use tokio::runtime::Builder;

use crate::node;
use crate::settings::{Machine, RunArgs, Settings};

/// Reads and checks the settings, then runs the node on all cores.
pub(super) fn run(args: RunArgs) -> anyhow::Result<()> {
    let settings = Settings::load(args, &Machine::here())?;
    let runtime = Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the threads of the node")?;
    runtime.block_on(node::run(settings))
}

/// Runs one of the small commands, for which this thread is enough.
pub(super) fn wait_for(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start")?.block_on(command)
}
