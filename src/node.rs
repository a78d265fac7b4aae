//! Builds a node from its settings, owns its tasks and stops them in order.

use crate::settings::Settings;

/// Runs a node until it is asked to stop.
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    std::future::ready(()).await;
    anyhow::bail!(
        "{} cannot run yet: its services are not built in",
        settings.name
    )
}
