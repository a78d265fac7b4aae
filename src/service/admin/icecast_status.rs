//! `/status-json.xsl`: what Icecast 2.4 tells the world of its streams, for the programs that read that.
//!
//! Names and types are Icecast's: one source is an object, several are a list, and none is no key at all; numbers
//! are numbers. Other than there a title of digits stays a text, because it is one.

use hyper::StatusCode;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::Admin;
use super::call::{Answer, Call};
use super::reply;
use crate::model::format::{CodecName, Container, StreamFormat};
use crate::model::mount::MountName;
use crate::model::status::{MountStatus, NodeStatus, SourceStatus, Status};
use crate::service::status::Viewer;
use crate::wire::http::date;

/// Icecast's name for a stream whose source gives it none.
const UNNAMED: &str = "Unspecified name";
/// Icecast's description of a stream whose source gives it none.
const UNDESCRIBED: &str = "Unspecified description";
/// The genre of one that names none.
const NO_GENRE: &str = "various";
/// The key that ends an object of Icecast's JSON.
const END: &str = "dummy";
/// The facts of its sound that a source may give beside the bitrate, in `audio_info`; others could hide our fields.
const SOUND: [&str; 8] = [
    "bitrate",
    "channels",
    "ice-bitrate",
    "ice-channels",
    "ice-quality",
    "ice-samplerate",
    "quality",
    "samplerate",
];

/// The node's description of itself beside the streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// How its operator is reached.
    pub admin: String,
    /// The place where it stands, in words.
    pub location: String,
}

impl Default for Contact {
    /// Icecast's values if nothing is set.
    fn default() -> Self {
        Self {
            admin: "icemaster@localhost".to_owned(),
            location: "Earth".to_owned(),
        }
    }
}

/// A server and its streams under Icecast's names.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    /// The figures of the server.
    pub(super) server: Map<String, Value>,
    /// The figures of each mount on air, or of the one that was asked for.
    pub(super) sources: Vec<(MountName, Map<String, Value>)>,
}

/// Answers `/status-json.xsl?mount=…`.
pub(super) fn status_json(admin: &Admin, call: &Call) -> Answer {
    let status = admin.0.statuses.status(Viewer::Public);
    let shown = Figures::of(admin, call, &status).json();
    Ok(reply::json(StatusCode::OK, &shown))
}

impl Figures {
    /// The figures of this status, for whoever calls.
    pub(super) fn of(admin: &Admin, call: &Call, status: &Status) -> Self {
        let base = base(status, call);
        Self::new(status, &admin.0.contact, &base, call.query())
    }

    fn new(status: &Status, contact: &Contact, base: &str, query: &str) -> Self {
        let wanted = wanted_mount(query);
        let on_air = status.mounts.iter().filter_map(|mount| {
            let source = mount.source.as_ref()?;
            let asked = wanted
                .as_deref()
                .is_none_or(|path| path == mount.path.as_str());
            asked.then(|| (mount.path.clone(), source_figures(mount, source, base)))
        });
        let mut server = Map::new();
        let mut say = |key: &str, value: Value| drop(server.insert(key.to_owned(), value));
        say("admin", json!(contact.admin));
        say("host", json!(host_of(base)));
        say("location", json!(contact.location));
        say("server_id", json!(format!("antiphon {}", status.version)));
        say(
            "server_start",
            json!(date::icecast_date(status.started_unix_s)),
        );
        say(
            "server_start_iso8601",
            json!(date::iso_date(status.started_unix_s)),
        );
        Self {
            sources: on_air.collect(),
            server,
        }
    }

    /// The figures as Icecast's JSON has them: one source is an object, several are a list, and none is no key at all.
    pub(super) fn json(self) -> Value {
        let mut stats = self.server;
        let ended = |(_, mut source): (MountName, Map<String, Value>)| {
            source.insert(END.to_owned(), Value::Null);
            Value::Object(source)
        };
        let mut sources: Vec<Value> = self.sources.into_iter().map(ended).collect();
        match sources.len() {
            0 => stats.insert(END.to_owned(), Value::Null),
            1 => stats.insert("source".to_owned(), sources.remove(0)),
            _ => stats.insert("source".to_owned(), Value::Array(sources)),
        };
        json!({ "icestats": stats })
    }
}

/// The mount that is asked for alone; `None`: all of them.
fn wanted_mount(query: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, path) = pairs.find(|(key, _)| *key == "mount")?;
    Some(percent_decode_str(path).decode_utf8_lossy().into_owned())
}

/// The address of this node, for HTTPS or not, as the client asked.
pub(super) fn base_for(admin: &Admin, call: &Call) -> String {
    base(&admin.0.statuses.status(Viewer::Public), call)
}

fn base(status: &Status, call: &Call) -> String {
    let own = status.nodes.iter().find(|node| node.name == status.node);
    let plain = || own.map(|node| node.url.clone()).unwrap_or_default();
    if !call.client.https {
        return plain();
    }
    let host = call.header("host").filter(|host| !host.is_empty());
    let public = own.and_then(|node: &NodeStatus| node.https_url.clone());
    let named = || host.map(|host| format!("https://{host}"));
    public.or_else(named).unwrap_or_else(plain)
}

/// `radio.example` of `http://radio.example:8000`.
fn host_of(base: &str) -> &str {
    let authority = base.split_once("://").map_or(base, |(_, rest)| rest);
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
    match port.bytes().all(|byte| byte.is_ascii_digit()) {
        true => host,
        false => authority, // the colon was one of an IPv6 address without a port
    }
}

fn source_figures(mount: &MountStatus, source: &SourceStatus, base: &str) -> Map<String, Value> {
    let mut fields = Map::new();
    let or = |text: &str, default: &str| json!(if text.is_empty() { default } else { text });
    let measured = mount.format.map(measured).unwrap_or_default();
    for (key, value) in measured.into_iter().chain(sound(&mount.audio_info)) {
        fields.insert(key.to_owned(), value);
    }
    let mut say = |key: &str, value: Value| drop(fields.insert(key.to_owned(), value));
    if !mount.listener_auth.is_open() {
        say("authenticator", json!(mount.listener_auth.word()));
    }
    if !mount.audio_info.is_empty() {
        say("audio_info", json!(mount.audio_info));
    }
    if mount.bitrate_kbps > 0 {
        say("bitrate", json!(mount.bitrate_kbps));
    }
    say("genre", or(&mount.genre, NO_GENRE));
    say("listener_peak", json!(mount.listener_peak));
    say("listeners", json!(mount.listeners));
    say("listenurl", json!(format!("{base}{}", mount.path)));
    say("server_description", or(&mount.description, UNDESCRIBED));
    say("server_name", or(&mount.name, UNNAMED));
    say("server_type", json!(mount.content_type));
    if !mount.url.is_empty() {
        say("server_url", json!(mount.url));
    }
    say("slow_listeners", json!(mount.slow_listeners));
    let started_unix_s = source.started_unix_s;
    say("stream_start", json!(date::icecast_date(started_unix_s)));
    say(
        "stream_start_iso8601",
        json!(date::iso_date(started_unix_s)),
    );
    // Icecast has the title of the piece here if it was told artist and title apart.
    let apart = mount.now_playing.as_ref();
    let apart = apart.filter(|parts| !parts.artist.is_empty() && !parts.title.is_empty());
    if let Some(parts) = apart {
        say("artist", json!(parts.artist));
        say("title", json!(parts.title));
    } else if !mount.title.is_empty() {
        say("title", json!(mount.title));
    }
    fields
}

/// The format under the names that Icecast has for it; what is not known is left out. Of Ogg it tells more.
fn measured(format: StreamFormat) -> Vec<(&'static str, Value)> {
    let (rate, channels) = (format.sample_rate_hz, u32::from(format.channels));
    let mut figures = vec![("samplerate", rate), ("channels", channels)];
    let mut subtype = String::new();
    if format.container == Container::Ogg {
        let bitrate_bps = u32::try_from(format.bitrate_bps).unwrap_or_default();
        figures.extend([
            ("audio_bitrate", bitrate_bps),
            ("audio_channels", channels),
            ("audio_samplerate", rate),
        ]);
        let codecs = [format.video.map(|video| video.codec), Some(format.codec)];
        let codecs = codecs.into_iter().flatten().map(CodecName::title);
        let codecs: Vec<&str> = codecs.filter(|name| !name.is_empty()).collect();
        subtype = codecs.join("/");
    }
    let figures = figures.into_iter().filter(|(_, figure)| *figure > 0);
    let figures = figures.map(|(key, figure)| (key, json!(figure)));
    let subtype = (!subtype.is_empty()).then(|| ("subtype", json!(subtype)));
    figures.chain(subtype).collect()
}

/// The words of `ice-samplerate=44100;ice-channels=2` that are known, as numbers.
fn sound(audio_info: &str) -> impl Iterator<Item = (&str, Value)> {
    let pairs = audio_info
        .split(';')
        .filter_map(|pair| pair.split_once('='));
    pairs.filter_map(|(key, value)| {
        let key = key.trim();
        let known = SOUND.contains(&key);
        let value = percent_decode_str(value.trim()).decode_utf8_lossy();
        let number: serde_json::Number = value.parse().ok()?;
        known.then_some((key, Value::Number(number)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_stands_without_its_port() {
        for (base, host) in [
            ("http://radio.example:8000", "radio.example"),
            ("https://radio.example", "radio.example"),
            ("http://[2001:db8::1]:8000", "[2001:db8::1]"),
            ("http://[2001:db8::1]", "[2001:db8::1]"),
            ("", ""),
        ] {
            assert_eq!(host_of(base), host, "{base}");
        }
    }

    #[test]
    fn the_sound_is_told_in_numbers_and_hides_no_field() {
        let told = "ice-samplerate=44100; ice-bitrate=64%20;ice-channels=2;listeners=9;quality=x";
        let told: Vec<_> = sound(told).collect();
        let expected = [
            ("ice-samplerate", json!(44_100)),
            ("ice-channels", json!(2)),
        ];
        assert_eq!(told, expected);
        assert_eq!(sound("").count() + sound("=;;a").count(), 0);
    }

    #[test]
    fn the_format_has_icecasts_names() {
        let format = StreamFormat {
            container: Container::Mpeg,
            codec: CodecName::Mp3,
            bitrate_bps: 127_706,
            sample_rate_hz: 44_100,
            channels: 2,
            video: None,
        };
        let sound = [("samplerate", json!(44_100)), ("channels", json!(2))];
        assert_eq!(measured(format), sound);
        assert!(measured(StreamFormat::default()).is_empty());
        let vorbis = StreamFormat {
            container: Container::Ogg,
            codec: CodecName::Vorbis,
            ..format
        };
        let mut told = measured(vorbis);
        assert_eq!(told.pop(), Some(("subtype", json!("Vorbis"))));
        assert_eq!(
            told[2..4],
            [
                ("audio_bitrate", json!(127_706)),
                ("audio_channels", json!(2))
            ]
        );
    }

    #[test]
    fn a_mount_is_asked_for_by_its_path() {
        assert_eq!(wanted_mount("x=1&mount=%2Fa.mp3"), Some("/a.mp3".into()));
        assert_eq!(wanted_mount("mounts=/a.mp3"), None);
    }
}
