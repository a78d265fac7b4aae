//! A usual family of transcoded mounts: the same stream in other sizes and codecs, for all players and lines.

use std::collections::BTreeMap;

use super::order::order;
use crate::logic::mount_names::hint;
use crate::model::mount::{BadMountName, MountName, MountSpec, TranscodeSpec};
use crate::model::transcoding::{TargetBitrate, TargetCodec};

/// The variants, the largest first: MP3 for old players, Opus for slow lines, AAC for telephones.
const VARIANTS: [(TargetCodec, u32); 4] = [
    (TargetCodec::Mp3, 128),
    (TargetCodec::Mp3, 64),
    (TargetCodec::Opus, 64),
    (TargetCodec::Aac, 96),
];

/// The endings of streams, which a variant's own ending replaces. Another one, as in `/radio.fm`, is part of the name.
const ENDINGS: [&str; 16] = [
    "aac", "aacp", "flac", "m4a", "mka", "mkv", "mp2", "mp3", "mpeg", "mpga", "oga", "ogg", "ogv",
    "opus", "ts", "webm",
];

/// One mount of a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The path of the mount.
    pub path: MountName,
    /// The codec that is made.
    pub codec: TargetCodec,
    /// The bitrate that is made.
    pub bitrate: TargetBitrate,
    /// Whether the mount is there already, with these settings.
    pub is_there: bool,
}

/// Why there can be no family. Nothing has been created.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadVariants {
    /// The mount from which all are made is not there.
    #[error("there is no mount {0}{1}")]
    NoSource(MountName, String),
    /// The name of the mount leaves no room for those of its variants.
    #[error("{name} cannot be the name of a variant: {why}")]
    Name {
        /// The name that a variant would have.
        name: String,
        /// The rule of names that it breaks.
        why: BadMountName,
    },
    /// Another mount has the name of a variant.
    #[error(
        "{path} is another mount already, and not {wanted}: delete it, or create the variants one by one under other \
         names; nothing was created"
    )]
    Taken {
        /// The path of the mount.
        path: MountName,
        /// The variant that it would be.
        wanted: String,
    },
}

/// The family of a mount, and which of it is there already.
pub fn variants(
    source: &MountName,
    mounts: &BTreeMap<MountName, MountSpec>,
) -> Result<Vec<Variant>, BadVariants> {
    if !mounts.contains_key(source) {
        return Err(BadVariants::NoSource(source.clone(), hint(source, mounts)));
    }
    let variants = VARIANTS.into_iter();
    let variants = variants.map(|(codec, kbps)| {
        let bitrate = TargetBitrate::from_kbps(kbps);
        let path = name(source, codec, kbps)?;
        let is_there = match mounts.get(&path) {
            None => false,
            Some(mount) if is_variant(mount, source, codec, bitrate) => true,
            Some(_) => {
                let wanted = format!("{source} as {codec} of {bitrate}");
                return Err(BadVariants::Taken { path, wanted });
            }
        };
        Ok(Variant {
            path,
            codec,
            bitrate,
            is_there,
        })
    });
    variants.collect()
}

/// The name of a variant: `/radio-64.opus` for `/radio.mp3`.
fn name(source: &MountName, codec: TargetCodec, kbps: u32) -> Result<MountName, BadVariants> {
    let path = source.as_str();
    let stem = match path.rsplit_once('.') {
        Some((stem, ending)) if ENDINGS.contains(&ending) && !stem.ends_with('/') => stem,
        _ => path,
    };
    let name = format!("{stem}-{kbps}.{codec}");
    MountName::try_from(name.as_str()).map_err(|why| BadVariants::Name { name, why })
}

/// Whether a mount is what the variant would be. Whether it is made on demand makes no difference.
fn is_variant(
    mount: &MountSpec,
    source: &MountName,
    codec: TargetCodec,
    bitrate: TargetBitrate,
) -> bool {
    let wanted = TranscodeSpec {
        transcode_from: Some(source.clone()),
        codec: Some(codec),
        bitrate: Some(bitrate),
        ..TranscodeSpec::default()
    };
    order(&mount.transcode) == order(&wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> MountName {
        MountName::try_from(name).unwrap()
    }

    fn mounts(specs: &[MountSpec]) -> BTreeMap<MountName, MountSpec> {
        let pairs = specs.iter().map(|spec| (spec.path.clone(), spec.clone()));
        pairs.collect()
    }

    fn radio() -> MountSpec {
        MountSpec::new(path("/radio.mp3"))
    }

    fn small_opus() -> MountSpec {
        let mut spec = MountSpec::new(path("/radio-64.opus"));
        spec.transcode = TranscodeSpec {
            transcode_from: Some(path("/radio.mp3")),
            codec: Some(TargetCodec::Opus),
            bitrate: "64k".parse().ok(),
            sample_rate: Some(48_000), // which is usual
            on_demand: true,
            ..TranscodeSpec::default()
        };
        spec
    }

    #[test]
    fn a_family_has_names_made_from_that_of_its_source() {
        for (source, stem) in [
            ("/radio.mp3", "/radio"),
            ("/live/radio.ogg", "/live/radio"),
            ("/radio.fm", "/radio.fm"),
            ("/radio", "/radio"),
            ("/.mp3", "/.mp3"),
        ] {
            let family = variants(&path(source), &mounts(&[MountSpec::new(path(source))])).unwrap();
            let names: Vec<&str> = family.iter().map(|it| it.path.as_str()).collect();
            let expected = ["-128.mp3", "-64.mp3", "-64.opus", "-96.aac"];
            assert_eq!(names, expected.map(|ending| format!("{stem}{ending}")));
            assert!(family.iter().all(|it| !it.is_there));
        }
    }

    #[test]
    fn a_variant_that_is_there_is_left() {
        let family = variants(&path("/radio.mp3"), &mounts(&[radio(), small_opus()])).unwrap();
        let there: Vec<bool> = family.iter().map(|it| it.is_there).collect();
        assert_eq!(there, [false, false, true, false]);
    }

    #[test]
    fn another_mount_of_that_name_is_an_error() {
        let ordinary = MountSpec::new(path("/radio-64.opus"));
        let (mut larger, mut quality, mut other) = (small_opus(), small_opus(), small_opus());
        larger.transcode.bitrate = "96k".parse().ok();
        quality.transcode.bitrate = None;
        other.transcode.transcode_from = Some(path("/other.mp3"));
        for mount in [ordinary, larger, quality, other] {
            let said = variants(&path("/radio.mp3"), &mounts(&[radio(), mount]));
            let said = said.unwrap_err().to_string();
            let expected =
                "/radio-64.opus is another mount already, and not /radio.mp3 as opus of 64k: ";
            assert!(said.starts_with(expected), "{said}");
        }
    }

    #[test]
    fn a_family_needs_a_source_and_room_for_its_names() {
        let said = variants(&path("/radoi.mp3"), &mounts(&[radio()])).unwrap_err();
        let expected = "there is no mount /radoi.mp3; did you mean /radio.mp3?";
        assert_eq!(said.to_string(), expected);
        let long = path(&format!("/{}", "x".repeat(MountName::MAX_SEGMENT_BYTES)));
        let said = variants(&long, &mounts(&[MountSpec::new(long.clone())])).unwrap_err();
        assert!(matches!(said, BadVariants::Name { .. }), "{said}");
    }

    #[test]
    fn every_variant_can_be_made() {
        for (codec, kbps) in VARIANTS {
            let spec = TranscodeSpec {
                transcode_from: Some(path("/radio.mp3")),
                codec: Some(codec),
                bitrate: Some(TargetBitrate::from_kbps(kbps)),
                ..TranscodeSpec::default()
            };
            assert!(order(&spec).unwrap().is_some(), "{codec} {kbps}");
        }
    }
}
