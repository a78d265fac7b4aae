//! The settings of a mount, each said once.

use super::{admitting, laddering, relaying, transcoding};
use crate::logic::policy::Policy;
use crate::logic::records::field::{FROM_ONE, Field, FieldKind, FlagWords, PASSWORD_HASH};
use crate::logic::records::mistake::Mistake;
use crate::logic::records::outside::public_url;
use crate::logic::records::texts::{check_line, kept_caption, read_as, read_caption, read_page};
use crate::model::charset::Charset;
use crate::model::geo::CountryRule;
use crate::model::http_header::ExtraHeaders;
use crate::model::mount::MountSpec;
use crate::model::sound::SoundLevel;
use crate::model::source_user::SourceUser;

/// The longest time that listeners are kept in silence, seconds: no player waits longer than some minutes.
const MAX_LINGER_S: u32 = 600;

/// The shortest time that a source may be silent, seconds: lines over which audio is sent stutter for a second now and
/// then, and pages of Ogg hold a second of it.
const MIN_SOURCE_TIMEOUT_S: u32 = 2;
/// The longest one: the mount is taken for so long by a source that has died.
const MAX_SOURCE_TIMEOUT_S: u32 = 600;

/// The longest silence that is not called one yet, seconds: a programme that is silent for longer is off the air.
const MAX_SILENCE_S: u32 = 3_600;

/// Seconds of a stream that a node may keep. Listeners begin 5 s back, and need as long to read that before it is dropped;
/// beyond two minutes nobody is late, but elsewhere.
const RING_S: [u32; 2] = [10, 120];

/// MiB of a stream that a node may keep: 64 hold 30 s of 18 Mbit/s, more than any picture that radios send.
const RING_MIB: [u32; 2] = [1, 64];

/// The longest name that file systems know.
const MAX_FILE_NAME_BYTES: usize = 255;

/// In the order in which they are shown.
pub(super) const FIELDS: &[Field<MountSpec>] = &[
    Field {
        key: "password",
        help: "password of the source; only its hash is kept",
        required: true,
        kind: FieldKind::Password {
            stored: PASSWORD_HASH,
            put: |mount, hash| mount.password_hash = hash,
        },
    },
    Field {
        key: "user",
        help: "user name that sources of this mount log in as; empty: `source`",
        required: false,
        kind: FieldKind::Text {
            word: "NAME",
            clears: true,
            read: read_as::<SourceUser>,
            // A name that only newer nodes allow must not take the mount off the air.
            put: |mount, name| {
                mount.user = name.parse().unwrap_or_default();
                Ok(())
            },
            show: |mount| mount.user.to_string(),
        },
    },
    caption(
        "name",
        "the station's name; empty: what the source says",
        |mount, text| kept_caption(text).map(|text| mount.name = text),
        |mount| mount.name.clone(),
    ),
    caption(
        "description",
        "description of the station; empty: what the source says",
        |mount, text| kept_caption(text).map(|text| mount.description = text),
        |mount| mount.description.clone(),
    ),
    caption(
        "genre",
        "genre of the station; empty: what the source says",
        |mount, text| kept_caption(text).map(|text| mount.genre = text),
        |mount| mount.genre.clone(),
    ),
    Field {
        key: "url",
        help: "web page of the station; empty: what the source says",
        required: false,
        kind: FieldKind::Text {
            word: "URL",
            clears: false,
            read: read_page,
            put: |mount, url| {
                mount.url = read_page(url)?;
                Ok(())
            },
            show: |mount| mount.url.clone(),
        },
    },
    Field {
        key: "max_listeners",
        help: "the most listeners in the whole mesh: a number, or `unlimited` for as many as the nodes take",
        required: false,
        kind: FieldKind::Optional {
            bounds: FROM_ONE,
            example: 500,
            none: "unlimited",
            put: |mount, most| mount.max_listeners = most,
            get: |mount| mount.max_listeners,
        },
    },
    Field {
        key: "max_per_address",
        help: "the most listeners of one address, or of one /64 of IPv6, at each node: a number, or `unlimited`",
        required: false,
        kind: FieldKind::Optional {
            bounds: FROM_ONE,
            example: 4,
            none: "unlimited",
            put: |mount, most| mount.max_per_address = most,
            get: |mount| mount.max_per_address,
        },
    },
    Field {
        key: "max_listener_s",
        help: "how long a listener hears the mount before it is disconnected: a number of seconds, or `unlimited`; counts for \
               listeners that come from then on",
        required: false,
        kind: FieldKind::Optional {
            bounds: FROM_ONE,
            example: 3600,
            none: "unlimited",
            put: |mount, seconds| mount.max_listener_s = seconds,
            get: |mount| mount.max_listener_s,
        },
    },
    Field {
        key: "hidden",
        help: "`true` leaves the mount out of every page and list that anybody may read; whoever knows its path listens as to \
               any other",
        required: false,
        kind: FieldKind::Flag {
            words: FlagWords::TrueFalse,
            put: |mount, flag| mount.hidden = flag,
            get: |mount| mount.hidden,
        },
    },
    Field {
        key: "linger_s",
        help: "how long listeners are kept, in silence, when the source has gone: 0 to 600 seconds. The usual 10 give an \
               encoder the time to come back on any node",
        required: false,
        kind: FieldKind::Number {
            bounds: [0, MAX_LINGER_S],
            example: 30,
            put: |mount, seconds| mount.linger_s = seconds,
            get: |mount| mount.linger_s,
        },
    },
    Field {
        key: "source_timeout_s",
        help: "how long a source may be silent before it is closed: 2 to 600 seconds. A source is silent when it sends less \
               than a tenth of its audio",
        required: false,
        kind: FieldKind::Number {
            bounds: [MIN_SOURCE_TIMEOUT_S, MAX_SOURCE_TIMEOUT_S],
            example: 6,
            put: |mount, seconds| mount.source_timeout_s = seconds,
            get: |mount| mount.source_timeout_s,
        },
    },
    Field {
        key: "silence_s",
        help: "after how many seconds without sound the log and the status call the source silent: 0 to 3600; 0: nobody looks. \
               What is told of which codec: see `silence_level`",
        required: false,
        kind: FieldKind::Number {
            bounds: [0, MAX_SILENCE_S],
            example: 30,
            put: |mount, seconds| mount.silence.silence_s = seconds,
            get: |mount| mount.silence.silence_s,
        },
    },
    Field {
        key: "silence_level",
        help: "the level below which nothing is to be heard, decibels: -90 to -20, where 0 is full scale. It is estimated: for \
               MP3 and FLAC mostly within 10 decibels, for AAC up to 20 too loud; of Opus and Vorbis only digital silence is \
               noticed, of others nothing",
        required: false,
        kind: FieldKind::Text {
            word: "DB",
            clears: true,
            read: read_as::<SoundLevel>,
            // A level that only newer nodes allow must not take the mount off the air.
            put: |mount, level| {
                mount.silence.silence_level = level.parse().unwrap_or_default();
                Ok(())
            },
            show: |mount| mount.silence.silence_level.to_string(),
        },
    },
    Field {
        key: "silence_fails",
        help: "`true` lets listeners hear a fallback while the stream is silent, and passes over this mount where it is the \
               fallback of another; `false` plays the silence. Works with `silence_s`",
        required: false,
        kind: FieldKind::Flag {
            words: FlagWords::TrueFalse,
            put: |mount, flag| mount.silence_fails = flag,
            get: |mount| mount.silence_fails,
        },
    },
    Field {
        key: "takeover",
        help: "what happens to a second source with the right password: `refuse` tells it that the mount is in use; \
               `takeover` puts it in the place of the first one, and listeners continue with it",
        required: false,
        kind: FieldKind::Choice {
            words: &["refuse", "takeover"],
            clears: false,
            put: |mount, word| {
                mount.takeover = word.parse()?;
                Ok(())
            },
            show: |mount| mount.takeover.word(),
        },
    },
    Field {
        key: "standby",
        help: "`true` keeps a source that finds the mount taken connected, and puts it on air when the other one \
               leaves; of several, the one with the best priority (`source--priority=2` as user, 1 to 9; see `standby_password`). One \
               that sends has the place of one with a worse priority at once. `false` refuses it",
        required: false,
        kind: FieldKind::Flag {
            words: FlagWords::TrueFalse,
            put: |mount, flag| mount.standby = flag,
            get: |mount| mount.standby,
        },
    },
    Field {
        key: "standby_password",
        help: "second password: a source that logs in with it has priority 2, so that one with the first goes before it; works with \
               `standby`; empty: none",
        required: false,
        kind: FieldKind::Password {
            stored: "standby_password_hash",
            put: |mount, hash| mount.standby_password_hash = Some(hash),
        },
    },
    laddering::FALLBACK_LIST,
    laddering::FALLBACK_OVERRIDE,
    laddering::FALLBACK_WHEN_FULL,
    laddering::ORDER,
    Field {
        key: "charset",
        help: "the charset of titles and names that are not UTF-8, such as `windows-1251` or `shift_jis`, if their source \
               names none",
        required: false,
        kind: FieldKind::Text {
            word: "NAME",
            clears: true,
            read: read_as::<Charset>,
            // A name that this node does not know must not take the mount off the air.
            put: |mount, name| {
                mount.charset = name.parse().unwrap_or_default();
                Ok(())
            },
            show: |mount| mount.charset.to_string(),
        },
    },
    Field {
        key: "intro",
        help: "the name of a file that each listener hears before the stream, such as `intro.mp3`, in the folder `media_dir` of \
               the node that serves it, and in the format of the stream; empty: none",
        required: false,
        kind: FieldKind::Text {
            word: "FILE",
            clears: false,
            read: read_file_name,
            // A name that this node does not take must not take the mount off the air.
            put: |mount, name| {
                mount.intro = read_file_name(name).unwrap_or_default();
                Ok(())
            },
            show: |mount| mount.intro.clone(),
        },
    },
    Field {
        key: "http_headers",
        help: "headers for the answers to listeners of the mount, such as `X-Robots-Tag: noindex`, or `404 X-Who: me` for \
               answers of one status; several with a vertical bar between them, at most 16. One of our own of the same \
               name is replaced",
        required: false,
        kind: FieldKind::Text {
            word: "HEADERS",
            clears: false,
            read: |text| {
                check_line(text)?;
                read_as::<ExtraHeaders>(text)
            },
            // A rule that only newer nodes know must not take the mount off the air.
            put: |mount, text| {
                mount.http_headers = text.parse().unwrap_or_default();
                Ok(())
            },
            show: |mount| mount.http_headers.to_string(),
        },
    },
    Field {
        key: "ring_s",
        help: "how much of the stream each node keeps in memory for late and slow listeners: 10 to 120 seconds, if `ring_mib` \
               holds them; counts from the next stream on",
        required: false,
        kind: FieldKind::Number {
            bounds: RING_S,
            example: 60,
            put: |mount, seconds| mount.ring_s = seconds,
            get: |mount| mount.ring_s,
        },
    },
    Field {
        key: "ring_mib",
        help: "the most memory for that: 1 to 64 MiB; 8 hold 30 seconds of 2.2 Mbit/s, so films want more: at least from one \
               keyframe to the next; what came in the last 5 seconds may take 4 MiB more; counts from the next stream on",
        required: false,
        kind: FieldKind::Number {
            bounds: RING_MIB,
            example: 32,
            put: |mount, mib| mount.ring_mib = mib,
            get: |mount| mount.ring_mib,
        },
    },
    Field {
        key: "policy",
        help: "how a node is chosen for a listener, such as `tag(big),water`; empty: as for all mounts, see \
               `antiphon policy`",
        required: false,
        kind: FieldKind::Text {
            word: "POLICY",
            clears: false,
            read: |text| match text {
                "" => Ok(String::new()),
                text => read_as::<Policy>(text),
            },
            // A word that only newer nodes know must not take the mount off the air: it is read where it is used.
            put: |mount, text| {
                check_line(text)?;
                mount.steering.policy = text.to_owned();
                Ok(())
            },
            show: |mount| mount.steering.policy.clone(),
        },
    },
    Field {
        key: "redirect",
        help: "`false` serves listeners on the node that they ask; `true` redirects them to the node that is chosen",
        required: false,
        kind: FieldKind::Flag {
            words: FlagWords::TrueFalse,
            put: |mount, flag| mount.steering.redirect = flag,
            get: |mount| mount.steering.redirect,
        },
    },
    Field {
        key: "overflow_url",
        help: "the address for listeners, such as a CDN, when the mesh is too full for them; empty: none",
        required: false,
        kind: FieldKind::Text {
            word: "URL",
            clears: false,
            read: read_overflow,
            put: |mount, url| {
                mount.steering.overflow_url = read_overflow(url)?;
                Ok(())
            },
            show: |mount| mount.steering.overflow_url.clone(),
        },
    },
    Field {
        key: "overflow_percent",
        help: "how full the node that would be chosen must be for that, per cent: 1 to 100",
        required: false,
        kind: FieldKind::Number {
            bounds: [1, 100],
            example: 90,
            put: |mount, percent| mount.steering.overflow_percent = percent,
            get: |mount| mount.steering.overflow_percent,
        },
    },
    Field {
        key: "countries",
        help: "the countries in which the mount may be heard: `de,at` for only these, `!us,!cn` for all but these; empty: \
               everywhere. A listener whose country is not known is admitted, so each node needs a `geo_database`",
        required: false,
        kind: FieldKind::Text {
            word: "LIST",
            clears: false,
            read: read_as::<CountryRule>,
            put: |mount, rule| {
                mount.steering.countries = rule.parse()?;
                Ok(())
            },
            show: |mount| mount.steering.countries.to_string(),
        },
    },
    admitting::LISTENER_AUTH,
    admitting::MAX_PER_ACCOUNT,
    admitting::TOKEN_SERIES,
    relaying::RELAY,
    relaying::IMPORTED_FROM,
    transcoding::TRANSCODE_FROM,
    transcoding::CODEC,
    transcoding::BITRATE,
    transcoding::SAMPLE_RATE,
    transcoding::CHANNELS,
    transcoding::QUALITY,
    transcoding::ON_DEMAND,
];

/// A text of the station, for players and directories.
const fn caption(
    key: &'static str,
    help: &'static str,
    put: fn(&mut MountSpec, &str) -> Result<(), Mistake>,
    show: fn(&MountSpec) -> String,
) -> Field<MountSpec> {
    Field {
        key,
        help,
        required: false,
        kind: FieldKind::Text {
            word: "TEXT",
            clears: false,
            read: read_caption,
            put,
            show,
        },
    }
}

/// Reads the name of a file in a folder that is known; it may be empty.
fn read_file_name(name: &str) -> Result<String, Mistake> {
    check_line(name)?;
    match name.len() <= MAX_FILE_NAME_BYTES && !name.contains('/') && !name.starts_with('.') {
        true => Ok(name.to_owned()),
        false => Err(Mistake::new(
            "must be the name of a file, such as intro.mp3, without a folder",
        )),
    }
}

fn read_overflow(url: &str) -> Result<String, Mistake> {
    match url {
        "" => Ok(String::new()),
        url => Ok(public_url(url)?),
    }
}
