//! Builds the services of a node, each from those that it needs.

use std::sync::Arc;

use anyhow::Context;
use tokio::sync::watch;
use tracing::warn;

use super::kept::KeptState;
use crate::io::child::Spawner;
use crate::io::gossip::Gossip;
use crate::io::https::handshake::Https;
use crate::io::link::Links;
use crate::io::pacer::{Pacer, PacerConfig};
use crate::io::password::{Passwords, Secret};
use crate::io::seal::Seal;
use crate::io::tasks::Tasks;
use crate::logic::forecast::Life;
use crate::proto::ended::Ended;
use crate::service::admin::{Admin, AdminConfig, Contact, Feeds};
use crate::service::audience::{Audience, MeshAudience};
use crate::service::authority::{AuthorityConfig, MountAuthority};
use crate::service::cluster::joining::Joiner;
use crate::service::cluster::seeking::Unreached;
use crate::service::cluster::{Cluster, ClusterConfig};
use crate::service::dismissal::Dismissals;
use crate::service::document::{DocumentConfig, Documents};
use crate::service::drain::{Drain, DrainConfig};
use crate::service::files::Files;
use crate::service::founding::Founder;
use crate::service::front::Front;
use crate::service::geo::Geo;
use crate::service::https_address::HttpsAddress;
use crate::service::import::Imports;
use crate::service::ingest::{Ingest, IngestConfig};
use crate::service::intro::Intros;
use crate::service::ladders::{LadderConfig, Ladders};
use crate::service::listen::{ListenConfig, Listening};
use crate::service::load::{Capacity, Load};
use crate::service::logins::Logins;
use crate::service::logs::Logs;
use crate::service::loops::Loops;
use crate::service::mesh::Mesh;
use crate::service::outside::Outside;
use crate::service::outside_relay::{OutsideRelayConfig, OutsideRelays};
use crate::service::plain_http::PlainHttp;
use crate::service::reach::{ReachConfig, Reaching};
use crate::service::relay::Relays;
use crate::service::sources::Sources;
use crate::service::status::{StatusConfig, Statuses};
use crate::service::streams::Streams;
use crate::service::switchboard::Switchboard;
use crate::service::titles::Titles;
use crate::service::tls_offers::TlsOffers;
use crate::service::transcode::{TranscodeConfig, Transcoders};
use crate::service::wants::Wants;
use crate::settings::{Line, MEDIA_FOLDER, Settings};
use crate::wire::icecast::{passthrough::TagKey, token::TokenKeys};
use crate::wire::livez::ProofKeys;

/// The folder of the files that the mesh keeps, in the data directory.
const FILES_FOLDER: &str = "files";

/// The parts that the services are built from.
pub(super) struct Core<'a> {
    pub(super) settings: &'a Settings,
    /// Opens and seals what the document keeps secret.
    pub(super) seal: &'a Seal,
    /// The capacity that the settings and the system allow.
    pub(super) capacity: Capacity,
    pub(super) links: &'a Links,
    pub(super) gossip: &'a Arc<Gossip>,
    pub(super) tasks: &'a Tasks,
    pub(super) ended: Ended,
    pub(super) geo: &'a Geo,
    pub(super) https: &'a Https,
    pub(super) https_address: &'a HttpsAddress,
    pub(super) tag_key: TagKey,
    pub(super) token_keys: TokenKeys,
    pub(super) unreached: Unreached,
    pub(super) proof_keys: ProofKeys,
    /// Whether this node waits for the peers that it was told of before it makes a secret or password.
    pub(super) is_newcomer: bool,
}

/// How this node proves and shows its identity.
pub(super) struct NodeCredentials {
    /// The token by which the command line of this machine proves its right.
    pub(super) token: String,
    /// The cluster's fingerprint, which changes with its secret.
    pub(super) fingerprint: watch::Receiver<String>,
}

/// The services that the node itself still needs.
pub(super) struct NodeServices {
    pub(super) switchboard: Switchboard,
    pub(super) front: Front,
    /// The tasks of visitors, which end before all others.
    pub(super) visitors: Tasks,
    pub(super) drain: Drain,
    pub(super) load: Load,
    pub(super) logs: Logs,
}

/// The services that carry streams.
struct Carriers {
    streams: Streams,
    sources: Sources,
    audience: Audience,
    load: Load,
    authority: MountAuthority,
    relays: Relays,
    loops: Loops,
    ladders: Ladders,
    wants: Wants,
    drain: Drain,
}

impl Core<'_> {
    pub(super) fn start_mesh(&self, kept: KeptState) -> Mesh {
        let cluster = Cluster::start(
            ClusterConfig {
                links: self.links.clone(),
                gossip: self.gossip.clone(),
                data_dir: kept.data_dir.clone(),
                rank: self.settings.rank,
                quorum: self.settings.quorum,
                max_epoch: kept.life.max_epoch,
                ended: self.ended.clone(),
                start: kept.start,
            },
            self.tasks,
        );
        let documents = Documents::start(
            DocumentConfig {
                document: kept.document,
                set_aside: kept.set_aside,
                links: self.links.clone(),
                gossip: self.gossip.clone(),
                cluster: cluster.clone(),
                data_dir: kept.data_dir.clone(),
                start: kept.start,
            },
            self.tasks,
        );
        let joiner = Joiner {
            links: self.links.clone(),
            gossip: self.gossip.clone(),
            cluster: cluster.clone(),
            targets: self.settings.join.clone(),
            unreached: self.unreached.clone(),
            remembered: kept.remembered,
            data_dir: kept.data_dir,
            tasks: self.tasks.clone(),
        };
        self.tasks.spawn(joiner.run());
        Mesh {
            links: self.links.clone(),
            gossip: self.gossip.clone(),
            cluster,
            documents,
            tasks: self.tasks.clone(),
        }
    }

    pub(super) fn start_services(
        &self,
        mesh: &Mesh,
        credentials: NodeCredentials,
    ) -> anyhow::Result<NodeServices> {
        let documents = &mesh.documents;
        let carriers = self.start_carriers(mesh)?;
        let passwords = Passwords::new(self.tasks.clone(), &self.settings.trusted_proxies);
        let token = Secret::from(credentials.token);
        let logins = Logins::new(documents.clone(), passwords.clone(), token);
        self.start_founding(mesh, &passwords);
        self.start_outside(mesh, &carriers.load);
        self.start_reaching(mesh, &carriers.load);
        let visitors = self.tasks.group();
        let titles = Titles::new(mesh.clone(), carriers.streams.clone());
        let dismissals = Dismissals::new(mesh.clone(), carriers.sources.clone());
        let logs = Logs::start(self.settings.logs.clone(), mesh, carriers.streams.clone());
        let ingest = self.start_ingest(mesh, &carriers, logins.clone(), &visitors, logs.clone());
        self.start_transcoders(mesh, &carriers, &ingest)?;
        let audience = MeshAudience::new(carriers.audience.clone(), mesh.clone());
        self.start_outside_relays(mesh, &carriers, &ingest, credentials.fingerprint.clone());
        self.start_imports(mesh, &passwords, credentials.fingerprint.clone());
        self.start_certificates(mesh);
        let fingerprint = credentials.fingerprint.clone();
        let listening = self.start_listening(mesh, &carriers, logins.clone(), fingerprint)?;
        let plain_http =
            PlainHttp::new(self.settings.plain_http.clone(), self.https_address.clone());
        let admin = Admin::new(AdminConfig {
            mesh: mesh.clone(),
            audience: audience.clone(),
            loops: carriers.loops.clone(),
            drain: carriers.drain.clone(),
            statuses: self.statuses(mesh, &carriers, credentials.fingerprint),
            listening: listening.clone(),
            titles: titles.clone(),
            dismissals: dismissals.clone(),
            passwords,
            logins,
            contact: self.contact(),
            http_headers: self.settings.http_headers.clone(),
            proof_keys: self.proof_keys.clone(),
            sources: carriers.sources.clone(),
            shoutcast_mount: self.settings.shoutcast_mount.clone(),
            seal: self.seal.clone(),
            plain_http: plain_http.clone(),
            feeds: Feeds::new(visitors.clone()),
            token_keys: self.token_keys.clone(),
        });
        let switchboard = Switchboard {
            mesh: mesh.clone(),
            authority: carriers.authority,
            streams: carriers.streams,
            titles,
            dismissals,
            loops: carriers.loops,
            audience,
            drain: carriers.drain.clone(),
        };
        Ok(NodeServices {
            switchboard,
            front: Front {
                ingest,
                listening,
                admin,
                http_headers: self.settings.http_headers.clone(),
                plain_http,
                files: Files::new(self.settings.web_root.clone(), visitors.clone()),
                https: self.https.clone(),
                tls_offers: TlsOffers::new(self.https.certificates().clone()),
                logs: logs.clone(),
                drain: carriers.drain.clone(),
                trusted_proxies: self.settings.trusted_proxies.clone().into(),
            },
            visitors,
            drain: carriers.drain,
            load: carriers.load,
            logs,
        })
    }

    /// Starts the service for listeners, and the pacer that writes to them.
    fn start_listening(
        &self,
        mesh: &Mesh,
        carriers: &Carriers,
        logins: Logins,
        fingerprint: watch::Receiver<String>,
    ) -> anyhow::Result<Listening> {
        self.check_media_dir();
        let pacer = Pacer::start(PacerConfig::default()).context("cannot start the pacer")?;
        let engine = self.start_engine(mesh, &carriers.load, &carriers.ladders)?;
        Ok(Listening::new(ListenConfig {
            mesh: mesh.clone(),
            load: carriers.load.clone(),
            relays: carriers.relays.clone(),
            ladders: carriers.ladders.clone(),
            pacer,
            engine,
            audience: carriers.audience.clone(),
            intros: Intros::new(self.settings.media_dir.clone(), self.tasks.clone()),
            wants: carriers.wants.clone(),
            geo: self.geo.clone(),
            tag_key: self.tag_key.clone(),
            logins,
            token_keys: self.token_keys.clone(),
            fingerprint,
        }))
    }

    /// Starts the service of transcoded mounts. Its jobs end before the tasks of visitors do.
    fn start_transcoders(
        &self,
        mesh: &Mesh,
        carriers: &Carriers,
        ingest: &Ingest,
    ) -> anyhow::Result<()> {
        let transcoders = Transcoders::new(TranscodeConfig {
            settings: self.settings.transcoding.clone(),
            mesh: mesh.clone(),
            relays: carriers.relays.clone(),
            ingest: ingest.clone(),
            wants: carriers.wants.clone(),
            spawner: self.start_spawner()?,
        });
        self.tasks.spawn(transcoders.run());
        Ok(())
    }

    /// Starts the service of outside relays. Its jobs end before the tasks of visitors do, too.
    fn start_outside_relays(
        &self,
        mesh: &Mesh,
        carriers: &Carriers,
        ingest: &Ingest,
        fingerprint: watch::Receiver<String>,
    ) {
        let relays = OutsideRelays::new(OutsideRelayConfig {
            mesh: mesh.clone(),
            sources: carriers.sources.clone(),
            ingest: ingest.clone(),
            relays: carriers.relays.clone(),
            fingerprint,
        });
        self.tasks.spawn(relays.run());
    }

    /// Starts the service of imports.
    fn start_imports(
        &self,
        mesh: &Mesh,
        passwords: &Passwords,
        fingerprint: watch::Receiver<String>,
    ) {
        let imports = Imports {
            mesh: mesh.clone(),
            passwords: passwords.clone(),
            fingerprint,
        };
        self.tasks.spawn(imports.run());
    }

    pub(super) fn start_spawner(&self) -> anyhow::Result<Spawner> {
        Spawner::start(self.tasks).context("cannot start the thread that starts programs")
    }

    /// Warns if the folder of intros is set and not there. The usual one need not be there.
    fn check_media_dir(&self) {
        let (folder, data) = (&self.settings.media_dir, &self.settings.data_dir);
        if *folder != data.join(MEDIA_FOLDER) && !folder.is_dir() {
            let media_dir = folder.display();
            warn!(%media_dir, "there is no such folder: listeners hear no intro from it until it is there");
        }
    }

    /// The status of the mesh, as this node shows it.
    fn statuses(
        &self,
        mesh: &Mesh,
        carriers: &Carriers,
        fingerprint: watch::Receiver<String>,
    ) -> Statuses {
        Statuses::new(StatusConfig {
            mesh: mesh.clone(),
            load: carriers.load.clone(),
            streams: carriers.streams.clone(),
            ladders: carriers.ladders.clone(),
            sources: carriers.sources.clone(),
            geo: self.geo.clone(),
            unreached: self.unreached.clone(),
            certificates: self.https.certificates().clone(),
            seal: self.seal.clone(),
            fingerprint,
        })
    }

    /// The node's description of itself to programs that know Icecast.
    fn contact(&self) -> Contact {
        let unsaid = Contact::default();
        let said = |line: &Option<Line>| line.clone().map(|line| line.0);
        Contact {
            admin: said(&self.settings.admin).unwrap_or(unsaid.admin),
            location: said(&self.settings.location).unwrap_or(unsaid.location),
        }
    }

    /// Starts the service for sources; it ends with the tasks of visitors.
    fn start_ingest(
        &self,
        mesh: &Mesh,
        carriers: &Carriers,
        logins: Logins,
        visitors: &Tasks,
        logs: Logs,
    ) -> Ingest {
        let ingest = Ingest::new(IngestConfig {
            mesh: mesh.clone(),
            authority: carriers.authority.clone(),
            streams: carriers.streams.clone(),
            relays: carriers.relays.clone(),
            sources: carriers.sources.clone(),
            drain: carriers.drain.clone(),
            logins,
            max_sources: self.settings.max_sources,
            shoutcast_mount: self.settings.shoutcast_mount.clone(),
            logs,
            visitors: visitors.clone(),
        });
        self.tasks.spawn(ingest.clone().settle_rivals());
        ingest
    }

    /// Starts the services that carry streams: from sources, between nodes, to listeners.
    fn start_carriers(&self, mesh: &Mesh) -> anyhow::Result<Carriers> {
        let (streams, sources) = (Streams::default(), Sources::default());
        let audience = Audience::default();
        let load = self.start_load(mesh, &streams, &sources);
        let authority = AuthorityConfig {
            mesh: mesh.clone(),
            sources: sources.clone(),
            ended: self.ended.clone(),
        };
        let authority = MountAuthority::new(authority, mesh.cluster.view().max_epoch);
        let relays = Relays::new(mesh.clone(), streams.clone(), self.ended.clone());
        self.tasks.spawn(relays.clone().keep_all_while_master());
        let wants = Wants::default();
        self.tasks.spawn(wants.clone().tell(mesh.clone()));
        let loops = Loops::new(
            mesh.clone(),
            streams.clone(),
            self.settings.data_dir.join(FILES_FOLDER),
        );
        self.tasks.spawn(loops.clone().run());
        let ladders = Ladders::new(LadderConfig {
            mesh: mesh.clone(),
            streams: streams.clone(),
            relays: relays.clone(),
            loops: loops.clone(),
            wants: wants.clone(),
        });
        self.tasks.spawn(ladders.clone().run());
        let drain = Drain::new(DrainConfig {
            mesh: mesh.clone(),
            sources: sources.clone(),
            audience: audience.clone(),
        });
        Ok(Carriers {
            streams,
            sources,
            audience,
            load,
            authority,
            relays,
            loops,
            ladders,
            wants,
            drain,
        })
    }

    fn start_outside(&self, mesh: &Mesh, load: &Load) {
        let outside = Outside::new(mesh.clone(), load.clone());
        self.tasks.spawn(outside.run());
    }

    /// Starts the service that asks other nodes at their addresses.
    fn start_reaching(&self, mesh: &Mesh, load: &Load) {
        let reaching = Reaching::new(ReachConfig {
            mesh: mesh.clone(),
            load: load.clone(),
            proof_keys: self.proof_keys.clone(),
        });
        self.tasks.spawn(reaching.run());
    }

    fn start_founding(&self, mesh: &Mesh, passwords: &Passwords) {
        let founder = Founder {
            mesh: mesh.clone(),
            passwords: passwords.clone(),
            is_newcomer: self.is_newcomer,
            unreached: self.unreached.clone(),
        };
        self.tasks.spawn_until_end(founder.run());
    }

    fn start_load(&self, mesh: &Mesh, streams: &Streams, sources: &Sources) -> Load {
        let hello = self.links.hello();
        let life = Life {
            node: hello.name.clone(),
            generation: hello.generation,
        };
        let load = Load::new(life, self.capacity);
        let running = load
            .clone()
            .run(mesh.clone(), streams.clone(), sources.clone());
        self.tasks.spawn(running);
        load
    }
}
