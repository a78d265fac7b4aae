//! The settings of this node, from file, environment and command line.
//!
//! [`RunArgs`] is the shape of all three layers: the flags of `antiphon run`, the keys of the TOML
//! file and the `ANTIPHON_…` variables. Flags win over variables, variables over the file, the file
//! over the defaults. What [`Settings::load`] returns needs no further check. Settings of the whole
//! cluster are not here but in the replicated document.

mod beside;
mod differences;
mod dns;
mod file;
mod https;
mod icecast;
mod layers;
mod log;
mod logs;
mod machine;
mod plain_http;
#[cfg(test)]
mod tests;
mod transcoding;
mod values;
mod variables;
mod wanted;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::Deserialize;

use crate::model::geo::{Country, Position, Whereabouts};
use crate::model::http_header::ExtraHeaders;
use crate::model::https::ContactAddress;
use crate::model::mount::MountName;
use crate::model::network::Network;
use crate::model::node::NodeName;
use crate::model::outside::{BACKEND_PREFIX, is_backend};
use crate::model::quorum::Quorum;
use crate::model::seat::Rank;

pub use beside::{BadPortBeside, PortBeside};
pub use dns::{Answers, AnswersPerS, BadDnsValue, DnsSettings, Mailbox};
pub use https::TlsFiles;
pub use icecast::{BadAdoption, BadEngine, IcecastSettings, ServingEngine};
pub use log::{BadLogFilter, LogFilter};
pub use logs::{BadLogs, LogsSettings, LogsTable};
pub use machine::Machine;
pub use plain_http::{HttpsRedirect, PlainHttpSettings, TlsUse};
pub use transcoding::{BadTranscodeUser, EngineChoice, TranscodeMemory, Transcoding};
pub use values::{
    BadValue, Bandwidth, Line, ListenAddress, MeshAddress, PeerAddress, PublicHttpsUrl, PublicUrl,
    whole_number,
};

/// One port for sources, listeners, admin and mesh; the usual port of Icecast.
const DEFAULT_PORT: u16 = 8000;

/// The folder in the data directory for files that listeners hear before a stream, if none is set.
pub const MEDIA_FOLDER: &str = "media";

/// The listeners that a small machine can serve, 128 Mbit/s at the usual 128 kbit/s, and just below the 1,024 files
/// that a process may have open by default.
const DEFAULT_MAX_LISTENERS: u32 = 1_000;

/// More radios than anybody runs on one node; each costs some megabytes.
const DEFAULT_MAX_SOURCES: u32 = 1_000;

/// The line of a common rented server; a slower line must be set, or the listeners will stutter.
const DEFAULT_MAX_BANDWIDTH: Bandwidth = Bandwidth::from_bps(1_000_000_000);

/// In the middle, so that a node can be made both weaker and stronger than those without a setting.
const DEFAULT_RANK: Rank = Rank(100);

/// The checked settings of one node.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The name of the node, unique in the mesh.
    pub name: NodeName,
    /// The directory of the document, secret and token.
    pub data_dir: PathBuf,
    /// The address for sources and listeners (TCP) and for nodes (UDP).
    pub listen: SocketAddr,
    /// The second address (TCP), for sources that speak Shoutcast; `None`: they come to `listen` only.
    pub shoutcast_listen: Option<SocketAddr>,
    /// A further address (TCP) for all that comes to `listen`, such as one at port 80.
    pub listen_http: Option<SocketAddr>,
    /// A further address (TCP) at which HTTPS is spoken and nothing else, such as one at port 443.
    pub listen_https: Option<SocketAddr>,
    /// The files of the node's certificate; `None`: it has none of its own.
    pub tls: Option<TlsFiles>,
    /// The mount of Shoutcast sources that name none; `None`: they have to name one.
    pub shoutcast_mount: Option<MountName>,
    /// The URL that listeners are told; `None`: found out from `listen`.
    pub public_url: Option<PublicUrl>,
    /// The URL for listeners that speak HTTPS, with the node itself or a proxy in front of it; `None`: none.
    pub public_https_url: Option<PublicHttpsUrl>,
    /// The requests by plain HTTP that are sent to HTTPS, or refused.
    pub plain_http: PlainHttpSettings,
    /// The address that other nodes are told; `None`: found out from `listen`.
    pub mesh_address: Option<SocketAddr>,
    /// The addresses that DNS gives for the node; empty: the one of its URL, or the one for its peers.
    pub addresses: Vec<IpAddr>,
    /// The zone that the node answers for, if it serves DNS.
    pub dns: Option<DnsSettings>,
    /// Peers to join, each a checked `HOST:PORT`; empty: the node founds a mesh of its own.
    pub join: Vec<String>,
    /// Whether the node makes the mesh's secret and admin password without having met the peers that are named.
    pub found: bool,
    /// The file with the cluster's secret; `None`: `secret` in the data directory.
    pub secret_file: Option<PathBuf>,
    /// The most listeners that the node takes; 0: it carries streams and serves no listener.
    pub max_listeners: u32,
    /// The most sources that may be connected to the node; 0: it takes none.
    pub max_sources: u32,
    /// The most that the node may send to listeners, bits per second.
    pub max_bandwidth_bps: u64,
    /// The weight in the election of the master; the greater wins.
    pub rank: Rank,
    /// How many nodes must be there for one of them to be the master.
    pub quorum: Quorum,
    /// The MaxMind-format database that tells the places of addresses; `None`: no place is looked up.
    pub geo_database: Option<PathBuf>,
    /// The place of this node; what is not set is looked up by its address.
    pub place: Whereabouts,
    /// The proxies that are trusted to tell the address of their client.
    pub trusted_proxies: Vec<Network>,
    /// The Icecast that serves the node's listeners; `None`: the node serves them itself.
    pub icecast: Option<IcecastSettings>,
    /// The folder of the operator's own files, which everybody may read; `None`: no files are sent.
    pub web_root: Option<PathBuf>,
    /// The folder of the intros of mounts.
    pub media_dir: PathBuf,
    /// The headers of this node's answers, besides the usual ones.
    pub http_headers: ExtraHeaders,
    /// How the operator is reached, for `/status-json.xsl`; `None`: not set.
    pub admin: Option<Line>,
    /// The place of the node in words, for `/status-json.xsl`; `None`: not set.
    pub location: Option<Line>,
    /// The mail address with which the node turns HTTPS on for the mesh, if nobody has yet; `None`: it does not.
    pub https: Option<ContactAddress>,
    /// Whether the node transcodes streams, and how.
    pub transcoding: Transcoding,
    /// The filter of the node's log.
    pub log: LogFilter,
    /// The logs of requests and titles.
    pub logs: LogsSettings,
}

/// One layer of settings, each of them optional.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunArgs {
    /// Read settings from this TOML file
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Name of this node, unique in the mesh [default: the machine's name]
    #[arg(long, value_name = "NAME")]
    pub name: Option<NodeName>,
    /// Directory for the node's state [default: /var/lib/antiphon for root, else ~/.local/share/antiphon]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// One port for all: sources and listeners by TCP, the other nodes by UDP [default: 0.0.0.0:8000]
    #[arg(long, value_name = "IP:PORT")]
    pub listen: Option<ListenAddress>,
    /// A second port for encoders that speak Shoutcast; they expect it at the port of `--listen` + 1
    #[arg(long, value_name = "[IP:]PORT")]
    pub shoutcast_listen: Option<PortBeside>,
    /// A further port for all that comes to `--listen`, such as 80, which is where browsers and authorities ask first
    #[arg(long, value_name = "[IP:]PORT")]
    pub listen_http: Option<PortBeside>,
    /// A further port that speaks HTTPS only, such as 443; `--listen` speaks it too, beside HTTP
    #[arg(long, value_name = "[IP:]PORT")]
    pub listen_https: Option<PortBeside>,
    /// File with this node's certificate for HTTPS and those above it (PEM); read again when it changes
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// File with the key of `--tls-cert` (PEM) [default: the key stands in that file, too]
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Mount of Shoutcast sources that log in with a password alone, such as `/radio.mp3`
    #[arg(long, value_name = "MOUNT")]
    pub shoutcast_mount: Option<MountName>,
    /// URL at which listeners reach this node, such as `http://radio1.example:8000`
    #[arg(long, value_name = "URL")]
    pub public_url: Option<PublicUrl>,
    /// URL at which this node, or a proxy in front of it, speaks HTTPS, such as `https://radio1.example`
    #[arg(long, value_name = "URL")]
    pub public_https_url: Option<PublicHttpsUrl>,
    /// Address at which other nodes reach this one, if a router forwards another address to it. In the file only
    #[arg(skip)]
    pub mesh_address: Option<MeshAddress>,
    /// The addresses at which the world reaches this node, for DNS. In the file only
    #[arg(skip)]
    #[serde(deserialize_with = "dns::addresses")]
    pub addresses: Vec<IpAddr>,
    /// The zone to answer for, which makes this node a name server. In the file only
    #[arg(skip)]
    pub dns: Option<DnsSettings>,
    /// Any node of the mesh to join; give it several times for several
    #[arg(long, value_name = "HOST:PORT")]
    pub join: Vec<PeerAddress>,
    /// Make the mesh's secret and admin password now, without waiting for the peers that are named
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub found: Option<bool>,
    /// File with the cluster's secret [default: `secret` in the data directory]
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// The most listeners to take [default: 1000]
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub max_listeners: Option<u32>,
    /// The most sources to take [default: 1000]
    #[arg(long, value_name = "N", value_parser = values::count)]
    pub max_sources: Option<u32>,
    /// The most to send to listeners, in bits per second: 800k, 100M, 2G [default: 1G]
    #[arg(long, value_name = "RATE")]
    pub max_bandwidth: Option<Bandwidth>,
    /// Weight in an election of the master, which happens when the seat is empty; the greater wins [default: 100]
    #[arg(long, value_name = "N", value_parser = values::rank)]
    pub rank: Option<u64>,
    /// How many nodes must be there for one of them to be the master. In the file only
    #[arg(skip)]
    pub quorum: Option<Quorum>,
    /// The requests by plain HTTP that are sent to HTTPS. In the file only
    #[arg(skip)]
    pub https_redirect: Option<HttpsRedirect>,
    /// The logins that are refused by plain HTTP. In the file only
    #[arg(skip)]
    pub require_tls_for: Vec<TlsUse>,
    /// File that tells where addresses are, in MaxMind's format (.mmdb)
    #[arg(long, value_name = "FILE")]
    pub geo_database: Option<PathBuf>,
    /// Country of this node, two letters [default: looked up]
    #[arg(long, value_name = "CODE")]
    pub country: Option<Country>,
    /// Position of this node in degrees north and east, such as 52.5,13.4 [default: looked up]
    #[arg(long, value_name = "LATITUDE,LONGITUDE", allow_hyphen_values = true)]
    pub position: Option<Position>,
    /// Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed, such as 10.0.0.0/8,::1
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    pub trusted_proxies: Vec<Network>,
    /// Server of this node's listeners: embedded or icecast; see docs/engines.md [default: embedded]
    #[arg(long, value_name = "ENGINE")]
    pub engine: Option<ServingEngine>,
    /// The Icecast that serves the listeners, if the engine is icecast. In the file only
    #[arg(skip)]
    pub icecast: Option<IcecastSettings>,
    /// Folder of files to send to whoever asks, such as a web player; see Files in docs/operations.md
    #[arg(long, value_name = "DIR")]
    pub web_root: Option<PathBuf>,
    /// Folder of the files that listeners hear before a stream [default: `media` in the data directory]
    #[arg(long, value_name = "DIR")]
    pub media_dir: Option<PathBuf>,
    /// Headers for all answers of this node but those to sources on air. In the file only
    #[arg(skip)]
    #[serde(deserialize_with = "file::headers")]
    pub http_headers: Option<ExtraHeaders>,
    /// How the operator is reached, such as `radio@example.org`; told to everybody by /status-json.xsl
    #[arg(long, value_name = "TEXT")]
    pub admin: Option<Line>,
    /// Place of this node, in words, such as Graz; told to everybody by /status-json.xsl
    #[arg(long, value_name = "TEXT")]
    pub location: Option<Line>,
    /// Mail address for certificates of HTTPS, which the mesh gets from Let's Encrypt from then on
    #[arg(long, value_name = "MAIL")]
    pub https: Option<ContactAddress>,
    /// Transcode streams of the mesh on this node, if Liquidsoap or ffmpeg is installed
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub transcode: Option<bool>,
    /// Program that transcodes: auto, liquidsoap or ffmpeg [default: auto, which is the first of them that is installed]
    #[arg(long, value_name = "PROGRAM")]
    pub transcode_engine: Option<EngineChoice>,
    /// User that transcoders run as, if the node is root's, such as nobody; or UID:GID
    #[arg(long, value_name = "USER")]
    pub transcode_user: Option<String>,
    /// The most transcoders at once [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = transcoding::transcoders)]
    pub max_transcoders: Option<u32>,
    /// The most memory of each transcoder, in MiB [default: 512]
    #[arg(long, value_name = "MIB")]
    pub transcode_memory_mib: Option<TranscodeMemory>,
    /// The level of the log: error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log: Option<LogFilter>,
    /// The logs of requests and titles. In the file only
    #[arg(skip)]
    pub logs: Option<LogsTable>,
}

/// Why the settings could not be loaded. Nothing has been opened or bound yet.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The settings file was asked for, or exists, and cannot be read.
    #[error("cannot read the settings file {0}")]
    Unreadable(PathBuf, #[source] std::io::Error),
    /// The settings file holds something that is not a setting.
    #[error("{}:{line}:{column}: {why}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The line of the mistake, from 1.
        line: usize,
        /// The column of the mistake in characters, from 1.
        column: usize,
        /// The error, and what would be right.
        why: String,
    },
    /// An environment variable holds an invalid value.
    #[error("the environment variable {name} is {value:?}: {why}")]
    Variable {
        /// The name of the variable.
        name: &'static str,
        /// The value of the variable.
        value: String,
        /// The error, and what would be right.
        why: String,
    },
    /// The name, given or the machine's own, begins with the prefix of outside servers.
    #[error(
        "a node cannot be named {0}: names that begin with {BACKEND_PREFIX:?} stand for outside servers; give --name"
    )]
    Name(NodeName),
    /// The second port is the first one.
    #[error(
        "shoutcast_listen is {0}, where the node listens for all others: that port takes Shoutcast sources too; leave it \
         out, or take the next port, as most encoders expect"
    )]
    ShoutcastPort(SocketAddr),
    /// A further port is the first one.
    #[error(
        "{0} is {1}, where the node listens for all others: that port speaks both HTTP and HTTPS; leave it out, or name \
         another port"
    )]
    SamePort(&'static str, SocketAddr),
    /// A key is named without a certificate.
    #[error("tls_key is set, and tls_cert is not: name the file of the certificate by tls_cert")]
    KeyAlone,
    /// Transcoders cannot run as the user that was named.
    #[error(transparent)]
    TranscodeUser(#[from] BadTranscodeUser),
    /// The Icecast of another service cannot be used without all that tells where it is.
    #[error(transparent)]
    Adoption(#[from] BadAdoption),
    /// The logs of requests and titles would be too small, too large or too many.
    #[error(transparent)]
    Logs(#[from] BadLogs),
    /// No data directory is set, and there is no default.
    #[error("no data directory: neither XDG_DATA_HOME nor HOME is set; name one with --data-dir")]
    NoHome,
}

impl Settings {
    /// Combines the layers; the flags are given, the rest is read from the machine.
    pub fn load(flags: RunArgs, machine: &Machine) -> Result<Self, SettingsError> {
        let args = flags.or(variables::read(machine)?);
        let path = args
            .config
            .clone()
            .or_else(|| machine.default_config_file());
        let file = match path {
            Some(path) => file::read(&path)?,
            None => RunArgs::default(),
        };
        Self::with_defaults(args.or(file), machine)
    }

    /// The log filter of the small commands: as `ANTIPHON_LOG` says, or else `RUST_LOG`.
    pub fn log_filter(machine: &Machine) -> Result<LogFilter, SettingsError> {
        let said = variables::log(machine)?;
        Ok(said.unwrap_or_else(|| rust_log(machine)))
    }

    /// Complaints about variables that look like settings and are not read.
    pub fn complaints(machine: &Machine) -> Vec<String> {
        variables::complaints(machine)
    }

    fn with_defaults(args: RunArgs, machine: &Machine) -> Result<Self, SettingsError> {
        let transcoding = Transcoding::of(&args, machine)?;
        let anywhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), DEFAULT_PORT);
        let data_dir = match args.data_dir {
            Some(named) => named,
            None => machine.default_data_dir().ok_or(SettingsError::NoHome)?,
        };
        let media_dir = args
            .media_dir
            .unwrap_or_else(|| data_dir.join(MEDIA_FOLDER));
        let name = args.name.unwrap_or_else(|| machine.node_name());
        if is_backend(&name) {
            return Err(SettingsError::Name(name));
        }
        let listen = args.listen.map_or(anywhere, SocketAddr::from);
        if args.shoutcast_listen.is_some_and(|it| it.is_of_all(listen)) {
            return Err(SettingsError::ShoutcastPort(listen));
        }
        let (http, https) = (args.listen_http, args.listen_https);
        for (key, port) in [("listen_http", http), ("listen_https", https)] {
            if port.is_some_and(|port| port.is_of_all(listen)) {
                return Err(SettingsError::SamePort(key, listen));
            }
        }
        let logs = LogsSettings::of(args.logs.unwrap_or_default(), &data_dir)?;
        let icecast = args.icecast.unwrap_or_default();
        icecast.check()?;
        let uses_icecast = args.engine.unwrap_or_default() == ServingEngine::Icecast;
        Ok(Self {
            name,
            data_dir,
            listen,
            shoutcast_listen: args.shoutcast_listen.map(|port| port.beside(listen)),
            listen_http: http.map(|port| port.beside(listen)),
            listen_https: https.map(|port| port.beside(listen)),
            tls: TlsFiles::of(args.tls_cert, args.tls_key)?,
            shoutcast_mount: args.shoutcast_mount,
            public_url: args.public_url,
            public_https_url: args.public_https_url,
            plain_http: PlainHttpSettings {
                redirect: args.https_redirect,
                refused: args.require_tls_for.into_iter().collect(),
            },
            mesh_address: args.mesh_address.map(SocketAddr::from),
            addresses: args.addresses,
            dns: args.dns,
            join: args.join.into_iter().map(String::from).collect(),
            found: args.found.unwrap_or(false),
            secret_file: args.secret_file,
            max_listeners: args.max_listeners.unwrap_or(DEFAULT_MAX_LISTENERS),
            max_sources: args.max_sources.unwrap_or(DEFAULT_MAX_SOURCES),
            max_bandwidth_bps: args.max_bandwidth.unwrap_or(DEFAULT_MAX_BANDWIDTH).bps(),
            rank: args.rank.map_or(DEFAULT_RANK, Rank),
            quorum: args.quorum.unwrap_or_default(),
            geo_database: args.geo_database,
            place: Whereabouts {
                country: args.country,
                position: args.position,
            },
            trusted_proxies: args.trusted_proxies,
            icecast: uses_icecast.then_some(icecast),
            web_root: args.web_root,
            media_dir,
            http_headers: args.http_headers.unwrap_or_default(),
            admin: args.admin,
            location: args.location,
            https: args.https,
            transcoding,
            log: args.log.unwrap_or_else(|| rust_log(machine)),
            logs,
        })
    }
}

/// The filter in `RUST_LOG`. That variable is for all programs, so a value that means nothing here is no mistake.
fn rust_log(machine: &Machine) -> LogFilter {
    let said = machine.text("RUST_LOG");
    said.and_then(|it| it.parse().ok()).unwrap_or_default()
}
