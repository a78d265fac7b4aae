//! Starts the Icecast that serves the listeners of a node.

use std::path::Path;

use super::services::Core;
use crate::service::icecast::{IcecastEngine, KeeperConfig};
use crate::service::ladders::Ladders;
use crate::service::listen::Engine;
use crate::service::load::Load;
use crate::service::mesh::Mesh;

/// The folder of files that a node makes for programs of other users.
const RUN_FOLDER: &str = "/run/antiphon";

impl Core<'_> {
    /// Starts the Icecast that serves the listeners, if the settings say so.
    pub(super) fn start_engine(
        &self,
        mesh: &Mesh,
        load: &Load,
        ladders: &Ladders,
    ) -> anyhow::Result<Engine> {
        let Some(settings) = self.settings.icecast.clone() else {
            return Ok(Engine::Embedded);
        };
        // Another user cannot get into the data directory.
        let usual_folder = match &settings.user {
            Some(_) => Path::new(RUN_FOLDER).join(format!("icecast-{}", self.settings.name)),
            None => self.settings.data_dir.join("icecast"),
        };
        let config = KeeperConfig {
            settings,
            usual_folder,
            max_listeners: self.capacity.max_listeners,
            spawner: self.start_spawner()?,
            load: load.clone(),
        };
        let engine = IcecastEngine::start(config, mesh.clone(), ladders.clone());
        Ok(Engine::Icecast(engine))
    }
}
