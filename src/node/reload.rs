//! The settings that a running node reads again when it gets `SIGHUP`.
//!
//! If something is wrong with them, the node continues as before: a reload must never end a service.

use tracing::{info, warn};

use super::Node;
use crate::logic::election::Start;
use crate::service::identity;
use crate::settings::Settings;

/// Settings that take effect at once. All others are named in a warning and need a restart.
const TAKEN_OVER: [&str; 5] = ["log", "logs", "secret_file", "tls_cert", "tls_key"];

impl Node {
    /// Reads everything again that can change in a running node. `read` returns the settings, and has already applied
    /// the new log filter.
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
        self.logs.reload(new.logs.clone());
        self.geo.read_again();
        self.own_certificate.read_again(new.tls.clone());
        let mut changed = self.settings.differing(&new);
        changed.retain(|key| !TAKEN_OVER.contains(key));
        if !changed.is_empty() {
            let settings = changed.join(", ");
            warn!(%settings, "these settings have changed too, and need a restart");
        }
    }

    fn reload_secret(&mut self, new: &Settings) {
        // Read as by a node that has peers: when the secret has vanished, no new one must be made.
        let file = new.secret_file.as_deref();
        let secret = match identity::secret(&self.data_dir, file, Start::Joining) {
            Ok(secret) if secret == self.secret => return,
            Ok(secret) => secret,
            Err(error) => return warn!(%error, "the secret stays as it was"),
        };
        match self.links.renew(&secret) {
            Ok(closed) => {
                let mesh = secret.fingerprint();
                info!(%mesh, links_closed = closed, "the secret was read again");
                self.fingerprint.send_replace(mesh);
                self.https.renew(&secret);
                self.seal.renew(&secret);
                self.secret = secret;
            }
            Err(error) => warn!(%error, "the secret stays as it was"),
        }
    }
}
