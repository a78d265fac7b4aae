//! The settings of a mount that is transcoded from another one.
//!
//! Each value is checked alone here. Whether a codec has a bitrate, and whether the other mount is there, is found out
//! when an edit is made ([`crate::logic::transcoding`]).

use std::collections::BTreeMap;

use crate::logic::records::field::{Field, FieldKind, FlagWords};
use crate::logic::records::texts::read_as;
use crate::model::mount::{MountName, MountSpec};
use crate::model::record::Value;
use crate::model::transcoding::{TargetBitrate, TargetCodec};

/// The sample rates of any codec, Hz.
const SAMPLE_RATES: [u32; 2] = [8_000, 48_000];
/// Qualities of any codec.
const QUALITIES: [u32; 2] = [0, 10];
/// The word for what a codec has if nothing is set.
const USUAL: &str = "usual";

/// The fields below that mean nothing to an ordinary mount.
const DEPENDENT: [&Field<MountSpec>; 6] = [
    &CODEC,
    &BITRATE,
    &SAMPLE_RATE,
    &CHANNELS,
    &QUALITY,
    &ON_DEMAND,
];

pub(super) const TRANSCODE_FROM: Field<MountSpec> = Field {
    key: "transcode_from",
    help: "the mount from whose stream that of this one is made, such as `/radio.mp3`, by one of the nodes with \
           `transcode = true`; encoders are refused then. Empty: the stream comes from an encoder",
    required: false,
    kind: FieldKind::Text {
        word: "MOUNT",
        clears: true,
        read: read_as::<MountName>,
        // A name that only newer nodes allow must not take the mount off the air: other nodes transcode it.
        put: |mount, name| {
            mount.transcode.transcode_from = name.parse().ok();
            Ok(())
        },
        show: |mount| shown(mount.transcode.transcode_from.as_ref()),
    },
};

pub(super) const CODEC: Field<MountSpec> = Field {
    key: "codec",
    help: "the codec that is made, which a transcoded mount needs: `mp3`, `aac` (LC) or `he-aac` in ADTS, or `vorbis`, \
           `opus` and `flac` in Ogg",
    required: false,
    kind: FieldKind::Choice {
        words: &["mp3", "aac", "he-aac", "vorbis", "opus", "flac"],
        clears: true,
        // The same for a codec.
        put: |mount, word| {
            mount.transcode.codec = word.parse().ok();
            Ok(())
        },
        show: |mount| mount.transcode.codec.map_or("", TargetCodec::word),
    },
};

pub(super) const BITRATE: Field<MountSpec> = Field {
    key: "bitrate",
    help: "the bitrate that is made, such as `64k` or `64000`, if the codec has it at that sample rate; empty: 128k for mp3, \
           48k for he-aac, 96k for aac, vorbis and opus",
    required: false,
    kind: FieldKind::Text {
        word: "RATE",
        clears: true,
        read: read_as::<TargetBitrate>,
        put: |mount, rate| {
            mount.transcode.bitrate = rate.parse().ok();
            Ok(())
        },
        show: |mount| shown(mount.transcode.bitrate.as_ref()),
    },
};

pub(super) const SAMPLE_RATE: Field<MountSpec> = Field {
    key: "sample_rate",
    help: "samples per second that are made, if the codec has that rate, whatever the other mount has; `usual`: 44100, and \
           48000 for opus",
    required: false,
    kind: FieldKind::Optional {
        bounds: SAMPLE_RATES,
        example: 44_100,
        none: USUAL,
        put: |mount, rate| mount.transcode.sample_rate = rate,
        get: |mount| mount.transcode.sample_rate,
    },
};

pub(super) const CHANNELS: Field<MountSpec> = Field {
    key: "channels",
    help: "channels that are made: 1 or 2; `usual`: 2",
    required: false,
    kind: FieldKind::Optional {
        bounds: [1, 2],
        example: 1,
        none: USUAL,
        put: |mount, channels| mount.transcode.channels = channels,
        get: |mount| mount.transcode.channels,
    },
};

pub(super) const QUALITY: Field<MountSpec> = Field {
    key: "quality",
    help: "a quality instead of a bitrate, on the codec's own scale: mp3 from 0, the best, to 9; vorbis from 0 to 10, the \
           best; flac from 0 to 8, the most work for the fewest bytes; `usual`: a bitrate, and 5 for flac",
    required: false,
    kind: FieldKind::Optional {
        bounds: QUALITIES,
        example: 5,
        none: USUAL,
        put: |mount, quality| mount.transcode.quality = quality,
        get: |mount| mount.transcode.quality,
    },
};

pub(super) const ON_DEMAND: Field<MountSpec> = Field {
    key: "on_demand",
    help: "`true` transcodes, or has the outside relay get the stream, only while somebody listens, which delays the first \
           listener by some seconds, or by about one; `false` transcodes whenever the other mount is on air, and relays always",
    required: false,
    kind: FieldKind::Flag {
        words: FlagWords::TrueFalse,
        put: |mount, flag| mount.transcode.on_demand = flag,
        get: |mount| mount.transcode.on_demand,
    },
};

/// Whether an edit says from which mount another one is transcoded, or how.
pub fn is_about_transcoding(edit: &BTreeMap<String, Value>) -> bool {
    names_source(edit) || DEPENDENT.iter().any(|field| edit.contains_key(field.key))
}

/// Whether an edit says from which mount another one is transcoded.
pub fn names_source(edit: &BTreeMap<String, Value>) -> bool {
    edit.contains_key(TRANSCODE_FROM.key)
}

/// Adds to an edit what follows from it: a mount that becomes an ordinary one forgets how it was transcoded.
pub fn complete(edit: &mut BTreeMap<String, Value>) {
    if edit.get(TRANSCODE_FROM.key) == Some(&Value::Nothing) {
        for field in DEPENDENT {
            edit.entry(field.key.to_owned()).or_insert(Value::Nothing);
        }
    }
}

fn shown(value: Option<&impl ToString>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::records::mounts::MOUNT_KIND;
    use crate::model::mount::TranscodeSpec;

    fn edit(settings: &[(&str, &str)]) -> BTreeMap<String, Value> {
        let changes = MOUNT_KIND.changes(settings.iter().copied());
        changes.unwrap().into_fields()
    }

    fn spec(edit: &BTreeMap<String, Value>) -> MountSpec {
        let mut spec = (MOUNT_KIND.unset)();
        // The password is missing.
        let _missing = MOUNT_KIND.load_edited(&mut spec, None, edit);
        spec
    }

    #[test]
    fn all_settings_find_their_place() {
        let written = edit(&[
            ("transcode_from", "/radio.mp3"),
            ("codec", "opus"),
            ("bitrate", "64000"),
            ("sample_rate", "48000"),
            ("channels", "1"),
            ("quality", "5"),
            ("on_demand", "true"),
        ]);
        assert_eq!(written["bitrate"], Value::Text("64k".to_owned()));
        let spec = spec(&written);
        let expected = TranscodeSpec {
            transcode_from: "/radio.mp3".parse().ok(),
            codec: Some(TargetCodec::Opus),
            bitrate: Some(TargetBitrate::from_kbps(64)),
            sample_rate: Some(48_000),
            channels: Some(1),
            quality: Some(5),
            on_demand: true,
        };
        assert_eq!(spec.transcode, expected);
        let line = MOUNT_KIND.line(&spec);
        let shown = " transcode_from=/radio.mp3 codec=opus bitrate=64k sample_rate=48000 channels=1 quality=5 on_demand=true";
        assert!(line.ends_with(shown), "{line}");
    }

    #[test]
    fn a_bad_value_is_told_what_is_possible() {
        for (field, value, said) in [
            ("transcode_from", "radio.mp3", "must begin with /"),
            ("transcode_from", "/api", "antiphon answers itself"),
            (
                "codec",
                "ogg",
                "`mp3`, `aac`, `he-aac`, `vorbis`, `opus` or `flac`",
            ),
            ("bitrate", "64", "write 64k"),
            ("bitrate", "many", "such as 64k or 64000"),
            (
                "sample_rate",
                "96000",
                "from 8000 to 48000, or empty: usual",
            ),
            ("channels", "3", "from 1 to 2, or empty: usual"),
            ("quality", "-1", "from 0 to 10, or empty: usual"),
            ("on_demand", "yes", "`true` or `false`"),
        ] {
            let changes = MOUNT_KIND.changes([(field, value)]);
            let error = changes.unwrap_err().to_string();
            assert!(error.starts_with(&format!("{field}: ")), "{error}");
            assert!(error.contains(said), "{error}");
        }
        for field in [&TRANSCODE_FROM, &CODEC, &BITRATE, &SAMPLE_RATE, &QUALITY] {
            assert_eq!(field.read(""), Ok(Value::Nothing), "{}", field.key);
        }
    }

    #[test]
    fn words_of_newer_nodes_take_no_mount_off_the_air() {
        let text = |text: &str| Value::Text(text.to_owned());
        let newer = BTreeMap::from([
            ("transcode_from".to_owned(), text("https://a.example/r")),
            ("codec".to_owned(), text("usac")),
            ("bitrate".to_owned(), text("auto")),
        ]);
        let mut loaded = (MOUNT_KIND.unset)();
        let outcome = MOUNT_KIND.load_edited(&mut loaded, None, &newer);
        assert_eq!(outcome.unwrap_err().to_string(), "password_hash: missing");
        assert_eq!(loaded.transcode, TranscodeSpec::default());
    }

    #[test]
    fn a_mount_that_becomes_ordinary_forgets_how_it_was_transcoded() {
        let mut ordinary = edit(&[("transcode_from", ""), ("name", "Radio")]);
        complete(&mut ordinary);
        assert_eq!(ordinary.len(), 2 + DEPENDENT.len());
        assert_eq!(ordinary["on_demand"], Value::Nothing);
        let mut other = edit(&[("transcode_from", "/b"), ("codec", "mp3")]);
        complete(&mut other);
        assert_eq!(other.len(), 2);
        let mut contrary = edit(&[("transcode_from", ""), ("codec", "mp3")]);
        complete(&mut contrary);
        assert_eq!(contrary["codec"], Value::Text("mp3".to_owned()));
        assert!(is_about_transcoding(&edit(&[("codec", "mp3")])));
        assert!(!names_source(&edit(&[("codec", "mp3")])));
        assert!(!is_about_transcoding(&edit(&[("name", "x")])));
    }
}
