//! What a node takes over from its settings while it runs, when it is asked to by `SIGHUP`.
//!
//! Whatever is wrong with what is read, the node goes on as before: nobody who reloads a service expects it to end.

use tracing::{info, warn};

use super::Node;
use crate::service::identity::{self, Company};
use crate::settings::Settings;

/// Settings that are taken over at once. All others are told of, and wait for a restart.
const TAKEN_OVER: [&str; 2] = ["log", "secret_file"];

impl Node {
    /// Reads everything again that can change under a running node. `read` gives the settings, and has put what they
    /// say of the log in force.
    pub(super) fn reload(&mut self, read: &impl Fn() -> anyhow::Result<Settings>) {
        let new = match read() {
            Ok(new) => new,
            Err(error) => {
                let why = format!("{error:#}");
                return warn!(%why, "not reloaded: the settings stay as they were");
            }
        };
        info!(log = %new.log, "settings reloaded");
        self.reload_secret(&new);
        self.geo.read_again();
        let mut changed = self.settings.differing(&new);
        changed.retain(|key| !TAKEN_OVER.contains(key));
        if !changed.is_empty() {
            let settings = changed.join(", ");
            warn!(%settings, "these settings have changed too, and need a restart");
        }
    }

    fn reload_secret(&mut self, new: &Settings) {
        // As one that has peers: a secret that has vanished is no reason to make another.
        let file = new.secret_file.as_deref();
        let secret = match identity::secret(&self.data_dir, file, Company::Peers) {
            Ok(secret) if secret == self.secret => return,
            Ok(secret) => secret,
            Err(error) => return warn!(%error, "the secret stays as it was"),
        };
        match self.links.renew(&secret) {
            Ok(closed) => {
                let cluster = secret.fingerprint();
                info!(%cluster, links_closed = closed, "the secret was read again");
                self.fingerprint.send_replace(cluster);
                self.secret = secret;
            }
            Err(error) => warn!(%error, "the secret stays as it was"),
        }
    }
}
