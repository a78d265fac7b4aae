//! Makes the first admin password of a mesh, and shows it once.

use std::io::{self, Write};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{error, info};

use super::cluster::seeking::Unreached;
use super::mesh::Mesh;
use crate::io::password::{Passwords, Secret};
use crate::logic::members::founding::{FoundingStep, PATIENCE, Situation, next_step};

/// How often the mesh is looked at until there is a password: a person who starts the first node waits for it.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// The parts that founding needs.
#[derive(Debug)]
pub struct Founder {
    /// The members, and the configuration, which keeps the password.
    pub mesh: Mesh,
    /// Hashes the password.
    pub passwords: Passwords,
    /// Whether this node was told of peers, and not that it founds the mesh all the same.
    pub is_newcomer: bool,
    /// The peers that this node was told of.
    pub unreached: Unreached,
}

impl Founder {
    /// Runs until the mesh has an admin password.
    pub async fn run(self) {
        let mut looks = interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut steady_since, mut is_waiting) = (Instant::now(), false);
        loop {
            looks.tick().await;
            let step = next_step(&self.situation());
            if step != FoundingStep::FoundIfSteady {
                steady_since = Instant::now();
            }
            match step {
                FoundingStep::Done => return,
                FoundingStep::Found => return self.found().await,
                FoundingStep::FoundIfSteady if steady_since.elapsed() >= PATIENCE => {
                    return self.found().await;
                }
                FoundingStep::AwaitPeers if !is_waiting => {
                    is_waiting = true;
                    info!(
                        "the admin password is made once a peer is reached, because the peer may have one; --found makes it now"
                    );
                }
                FoundingStep::AwaitPeers
                | FoundingStep::FoundIfSteady
                | FoundingStep::AwaitSeat
                | FoundingStep::AwaitAgreement => {}
            }
        }
    }

    fn situation(&self) -> Situation {
        let view = self.mesh.cluster.view();
        let digest = self.mesh.documents.digest();
        let others = || view.nodes.iter().filter(|(name, _)| **name != view.me);
        let up = || others().filter(|(_, node)| node.is_up());
        Situation {
            is_newcomer: self.is_newcomer && !self.unreached.are_all_ourselves(),
            is_master: view.is_master(),
            has_password: self.mesh.documents.admin_password_hash().is_some(),
            peers_up: up().count(),
            peers_gone: others().count() - up().count(),
            is_settled: up().all(|(_, node)| node.document.as_deref() == Some(&*digest)),
        }
    }

    async fn found(self) {
        let password = Secret::generate();
        let hash = match self.passwords.hash(&password).await {
            Ok(hash) => hash,
            Err(error) => return error!(%error, "the admin password could not be made"),
        };
        // A peer may have brought one meanwhile.
        if self.mesh.documents.admin_password_hash().is_some() {
            return;
        }
        // Shown before it is stored: a password that was never read would lock the admin out.
        let shown = writeln!(
            io::stdout().lock(),
            "admin password, shown this once: {}",
            password.reveal()
        );
        if let Err(error) = shown {
            return error!(%error, "the admin password could not be shown, so there is none yet");
        }
        if let Err(error) = self.mesh.documents.found_admin_password_hash(&hash).await {
            error!(%error, "the admin password could not be stored, so it is not valid");
        }
    }
}
