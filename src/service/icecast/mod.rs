//! The Icecast that serves this node's listeners: kept, fed from the node's rings, and listened to in their place.
//!
//! The node stays the door: listeners come to it, are counted and sent on by it, and their bytes go through its pacer. The
//! pacer reads them from the Icecast instead of from a ring.

mod feeding;
mod folder;
mod keeper;
mod reloading;
mod tuning;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::{Instrument, info_span};

pub use self::feeding::FeedHold;
use self::feeding::IcecastFeed;
pub use self::keeper::KeeperConfig;
pub use self::tuning::{NotTuned, Tuned};
use super::ladders::Ladders;
use super::mesh::Mesh;
use crate::io::http::Question;
use crate::io::password::Secret;
use crate::model::mount::MountName;
use crate::wire::icecast::server_config::ADMIN;

/// The passwords of one Icecast, made anew in each life of the node and known to nobody else.
#[derive(Debug)]
struct IcecastPasswords {
    source: Secret,
    admin: Secret,
}

#[derive(Debug)]
struct EngineInner {
    mesh: Mesh,
    ladders: Ladders,
    passwords: IcecastPasswords,
    /// The port at which it serves; `None` while it does not.
    serving: watch::Sender<Option<u16>>,
    feeds: Mutex<BTreeMap<MountName, Arc<IcecastFeed>>>,
}

/// A cheap, cloneable way to the Icecast.
#[derive(Clone, Debug)]
pub struct IcecastEngine(Arc<EngineInner>);

impl IcecastEngine {
    /// Keeps an Icecast until the node stops.
    pub fn start(config: KeeperConfig, mesh: Mesh, ladders: Ladders) -> Self {
        let engine = Self(Arc::new(EngineInner {
            mesh: mesh.clone(),
            ladders,
            passwords: IcecastPasswords {
                source: Secret::generate(),
                admin: Secret::generate(),
            },
            serving: watch::Sender::default(),
            feeds: Mutex::default(),
        }));
        let keeping = keeper::keep(engine.clone(), config);
        mesh.tasks.spawn(keeping.instrument(info_span!("icecast")));
        engine
    }

    /// Has a mount fed to the Icecast for as long as the returned value is kept, and a little longer.
    fn hold_feed(&self, mount: &MountName) -> FeedHold {
        let mut feeds = self.0.feeds.lock();
        let feed = feeds.entry(mount.clone()).or_insert_with(|| {
            let feed = Arc::new(IcecastFeed::default());
            let feeding = feeding::feed(self.clone(), mount.clone(), feed.clone());
            // Outlives the listener that caused it.
            let span = info_span!(parent: None, "icecast feed", %mount);
            self.0.mesh.tasks.spawn_until_end(feeding.instrument(span));
            feed
        });
        feed.hold()
    }

    /// Forgets a feed that nobody has begun to hold meanwhile, and says whether it has.
    fn forget_idle_feed(&self, mount: &MountName) -> bool {
        let mut feeds = self.0.feeds.lock();
        let is_idle = feeds.get(mount).is_none_or(|feed| feed.is_idle());
        if is_idle {
            feeds.remove(mount);
        }
        is_idle
    }

    /// A question for a path of its admin at this address; `None` if that is none, which only a bug can make.
    fn admin_question(&self, address: SocketAddr, path: &str) -> Option<Question> {
        let url = format!("http://{address}{path}").parse().ok()?;
        let login = format!("{ADMIN}:{}", self.0.passwords.admin.reveal());
        Some(Question::get(url).with_login(&login))
    }

    /// The address at which it serves; `None` while it does not.
    fn address(&self) -> Option<SocketAddr> {
        self.0.serving.borrow().map(local)
    }
}

/// The address of a port on the loopback.
fn local(port: u16) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)
}
