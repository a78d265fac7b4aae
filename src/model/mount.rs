//! A mount: the path of a stream, and its settings.

use serde::{Deserialize, Serialize};

use super::charset::Charset;
use super::fallback::Fallbacks;
use super::file_name::PlayedFile;
use super::geo::CountryRule;
use super::http_header::ExtraHeaders;
use super::listener_auth::ListenerAuth;
pub use super::mount_name::{BadMountName, MountName};
use super::outside_relay::RelayAddresses;
use super::rung_name::RungName;
use super::sound::SilenceSpec;
use super::source_user::SourceUser;
use super::switch::Switch;
use super::transcoding::{TargetBitrate, TargetCodec};

/// The settings of a mount; the same on every node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountSpec {
    /// The path of the mount.
    pub path: MountName,
    /// The Argon2id hash (PHC string) of the source password. Never shown.
    #[serde(skip)]
    pub password_hash: String,
    /// The same of the password of sources that come second; `None`: there is none.
    #[serde(skip)]
    pub standby_password_hash: Option<String>,
    /// The user name that its sources log in as.
    #[serde(default)]
    pub user: SourceUser,
    /// The station's name, sent to listeners as `icy-name`; empty: what the source says.
    pub name: String,
    /// The description, sent as `icy-description`; empty: what the source says.
    pub description: String,
    /// The genre, sent as `icy-genre`; empty: what the source says.
    pub genre: String,
    /// The station's page, sent as `icy-url`; empty: what the source says.
    pub url: String,
    /// The most listeners in the whole mesh; `None`: as many as the nodes take.
    pub max_listeners: Option<u32>,
    /// The most listeners of one address at each node; `None`: as many as come.
    #[serde(default)]
    pub max_per_address: Option<u32>,
    /// The rule for who may listen.
    #[serde(default)]
    pub listener_auth: ListenerAuth,
    /// The most listeners of one account at each node; `None`: as many as come.
    #[serde(default)]
    pub max_per_account: Option<u32>,
    /// The number that signed tokens have to be made with.
    #[serde(default)]
    pub token_series: u32,
    /// How long one connection of a listener lasts, seconds; `None`: as long as the listener stays.
    #[serde(default)]
    pub max_listener_s: Option<u32>,
    /// Whether the mount stands in no list that anybody may read.
    #[serde(default)]
    pub hidden: bool,
    /// How long listeners are kept in silence, so that a source that has gone can come back: seconds.
    #[serde(default = "MountSpec::default_linger_s")]
    pub linger_s: u32,
    /// How long a source may be silent before it is closed: seconds.
    #[serde(default = "MountSpec::default_source_timeout_s")]
    pub source_timeout_s: u32,
    /// The rule for a second source that connects.
    #[serde(default)]
    pub takeover: Takeover,
    /// Whether a source that finds the mount taken, or loses it after a partition, is kept for later.
    #[serde(default)]
    pub standby: bool,
    /// The charset of titles and names that are not UTF-8, if their source names none.
    #[serde(default)]
    pub charset: Charset,
    /// The name of a file that listeners hear before the stream; empty: none.
    #[serde(default)]
    pub intro: String,
    /// The headers of the answers to its listeners, besides the usual ones.
    #[serde(default)]
    pub http_headers: ExtraHeaders,
    /// How much of the stream each node keeps in memory, seconds of its time.
    #[serde(default = "MountSpec::default_ring_s")]
    pub ring_s: u32,
    /// The most of it that each node keeps, MiB.
    #[serde(default = "MountSpec::default_ring_mib")]
    pub ring_mib: u32,
    /// The mounts that its listeners hear when it has no stream of its own, the best first.
    #[serde(default)]
    pub fallback: Fallbacks,
    /// Whether they return to its own stream as soon as there is one.
    #[serde(default = "MountSpec::default_fallback_override")]
    pub fallback_override: bool,
    /// Whether listeners for whom the mount is too full hear its fallback instead.
    #[serde(default)]
    pub fallback_when_full: bool,
    /// The stream to which an operator has switched its listeners; `None`: they hear the best one that flows.
    #[serde(default)]
    pub switched_to: Option<Switch>,
    /// The settings that say what silence of a source is.
    #[serde(flatten)]
    pub silence: SilenceSpec,
    /// Whether a stream that is silent counts as one that does not flow.
    #[serde(default)]
    pub silence_fails: bool,
    /// The addresses from which the stream is got while no encoder sends it.
    #[serde(default)]
    pub relay: RelayAddresses,
    /// The list of streams because of which it is here, without secrets; empty: an operator has made it.
    #[serde(default)]
    pub imported_from: String,
    /// The listeners that may listen, and where they are sent.
    #[serde(flatten)]
    pub steering: MountSteering,
    /// The mount from which it is transcoded, and how, if it is.
    #[serde(flatten)]
    pub transcode: TranscodeSpec,
}

/// The settings that say where the listeners of a mount are sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountSteering {
    /// The policy by which a node is chosen, checked; empty: that of the whole mesh.
    pub policy: String,
    /// Whether listeners are redirected; if not, the node that they ask serves them itself.
    pub redirect: bool,
    /// The address for listeners when the mesh is too full for them, such as a CDN; empty: none.
    pub overflow_url: String,
    /// How full the node that would be chosen must be for that, per cent.
    pub overflow_percent: u32,
    /// The countries in which the mount may be heard.
    pub countries: CountryRule,
}

impl MountSteering {
    /// Listeners overflow only when the node is full, unless the operator says otherwise.
    pub const DEFAULT_OVERFLOW_PERCENT: u32 = 100;
}

impl Default for MountSteering {
    fn default() -> Self {
        Self {
            policy: String::new(),
            redirect: true,
            overflow_url: String::new(),
            overflow_percent: Self::DEFAULT_OVERFLOW_PERCENT,
            countries: CountryRule::default(),
        }
    }
}

/// The settings of a mount that say how it is transcoded, as they were set: perhaps some do not fit together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TranscodeSpec {
    /// The mount from which it is transcoded; `None`: its stream comes from an encoder.
    pub transcode_from: Option<MountName>,
    /// The codec that is made.
    pub codec: Option<TargetCodec>,
    /// The bitrate that is made; `None`: what is usual for the codec.
    pub bitrate: Option<TargetBitrate>,
    /// The sample rate that is made, Hz; `None`: what is usual for the codec.
    pub sample_rate: Option<u32>,
    /// The channels that are made; `None`: two.
    pub channels: Option<u32>,
    /// The quality of the codec, on its own scale, instead of a bitrate; `None`: a bitrate.
    pub quality: Option<u32>,
    /// Whether it is transcoded, or got by its outside relay, only while somebody listens.
    pub on_demand: bool,
}

impl MountSpec {
    /// Seconds that listeners are kept for a source to come back, unless the operator says otherwise: every player
    /// keeps its socket open for so long, and an encoder needs that time to notice and reconnect.
    pub const DEFAULT_LINGER_S: u32 = 10;
    /// Seconds of a stream in memory: a listener's burst of 5 s, the 10 s that a source may take to come back, and a
    /// failover in that time.
    pub const DEFAULT_RING_S: u32 = 30;
    /// MiB of a stream in memory: 30 s of 2.2 Mbit/s, more than lossless stereo needs; a hundred mounts then fit a small
    /// machine.
    pub const DEFAULT_RING_MIB: u32 = 8;

    /// Seconds that a source may be silent, unless the operator says otherwise: the same as in Icecast.
    pub const DEFAULT_SOURCE_TIMEOUT_S: u32 = 10;

    /// A mount of which nothing is set yet; no password is valid for it.
    pub fn new(path: MountName) -> Self {
        Self {
            path,
            password_hash: String::new(),
            standby_password_hash: None,
            user: SourceUser::default(),
            name: String::new(),
            description: String::new(),
            genre: String::new(),
            url: String::new(),
            max_listeners: None,
            max_per_address: None,
            listener_auth: ListenerAuth::default(),
            max_per_account: None,
            token_series: 0,
            max_listener_s: None,
            hidden: false,
            linger_s: Self::DEFAULT_LINGER_S,
            source_timeout_s: Self::DEFAULT_SOURCE_TIMEOUT_S,
            takeover: Takeover::default(),
            standby: false,
            charset: Charset::default(),
            intro: String::new(),
            http_headers: ExtraHeaders::default(),
            ring_s: Self::DEFAULT_RING_S,
            ring_mib: Self::DEFAULT_RING_MIB,
            fallback: Fallbacks::default(),
            fallback_override: true,
            fallback_when_full: false,
            switched_to: None,
            silence: SilenceSpec::default(),
            silence_fails: false,
            relay: RelayAddresses::default(),
            imported_from: String::new(),
            steering: MountSteering::default(),
            transcode: TranscodeSpec::default(),
        }
    }

    /// Whether its stream is made, or got from elsewhere, only while somebody listens.
    pub fn is_on_demand(&self) -> bool {
        let comes_by_itself = self.transcode.transcode_from.is_some() || !self.relay.is_empty();
        self.transcode.on_demand && comes_by_itself
    }

    /// The stream to which an operator has switched its listeners for this time.
    pub fn ordered_rung(&self, unix_s: u64) -> Option<&RungName> {
        let switch = self.switched_to.as_ref();
        Some(&switch.filter(|it| it.is_in_force(unix_s))?.to)
    }

    /// The files that its listeners may hear.
    pub fn played_files(&self) -> impl Iterator<Item = &PlayedFile> {
        let ordered = self.switched_to.as_ref().and_then(|it| it.to.file());
        self.fallback.files().chain(ordered)
    }

    /// Whether its listeners may hear the stream of another mount.
    pub fn has_ladder(&self) -> bool {
        !self.fallback.is_empty() || self.switched_to.is_some()
    }

    fn default_fallback_override() -> bool {
        true
    }

    fn default_source_timeout_s() -> u32 {
        Self::DEFAULT_SOURCE_TIMEOUT_S
    }

    fn default_linger_s() -> u32 {
        Self::DEFAULT_LINGER_S
    }

    fn default_ring_s() -> u32 {
        Self::DEFAULT_RING_S
    }

    fn default_ring_mib() -> u32 {
        Self::DEFAULT_RING_MIB
    }
}

/// The rule for a source with the right password on a mount that has a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Takeover {
    /// The new source is told that the mount is in use.
    #[default]
    Refuse,
    /// The new source takes the place of the other one; listeners continue with it.
    Takeover,
}

impl Takeover {
    /// Both choices.
    pub const ALL: [Self; 2] = [Self::Refuse, Self::Takeover];

    /// The word for it in settings.
    pub fn word(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Takeover => "takeover",
        }
    }
}

/// Why a word is neither of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `refuse` or `takeover`")]
pub struct BadTakeover;

impl std::str::FromStr for Takeover {
    type Err = BadTakeover;

    fn from_str(word: &str) -> Result<Self, BadTakeover> {
        let known = Self::ALL.into_iter().find(|known| known.word() == word);
        known.ok_or(BadTakeover)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_is_read_as_it_is_written() {
        let spec = TranscodeSpec {
            transcode_from: "/radio.mp3".parse().ok(),
            codec: Some(TargetCodec::Opus),
            bitrate: "64k".parse().ok(),
            sample_rate: Some(48_000),
            on_demand: true,
            ..TranscodeSpec::default()
        };
        let text = serde_json::to_string(&spec).unwrap();
        let expected = r#"{"transcode_from":"/radio.mp3","codec":"opus","bitrate":64000,"#;
        assert!(text.starts_with(expected), "{text}");
        assert_eq!(serde_json::from_str::<TranscodeSpec>(&text).unwrap(), spec);
        let ordinary: TranscodeSpec = serde_json::from_str("{}").unwrap();
        assert_eq!(ordinary, TranscodeSpec::default());
    }
}
