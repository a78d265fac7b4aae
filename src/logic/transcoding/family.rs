//! A family of mounts: one with an encoder, and those that are transcoded from it. Its name is the path of the first one
//! without the ending: `/radio` is the family of `/radio.mp3`.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::codecs::usual_kbps;
use super::lineage::origin;
use super::order::{Amount, order};
use crate::model::mount::{MountName, MountSpec};
use crate::model::transcoding::{TargetBitrate, TargetCodec};

/// A member of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant<'a> {
    /// The mount.
    pub spec: &'a MountSpec,
    /// The audio that is made for it; `None` for the mount with the encoder.
    pub made: Option<Made>,
}

/// The audio of a transcoded mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// The codec.
    pub codec: TargetCodec,
    /// The bitrate, where it is set; by quality it depends on what is heard.
    pub bitrate: Option<TargetBitrate>,
    /// About how many kbit/s that is.
    pub about_kbps: u32,
}

/// The members of the family of this name that anybody may know, best first: what the encoder sends, then what loses
/// nothing, then by bitrate. Empty if nothing is transcoded.
pub fn family<'a>(
    name: &MountName,
    mounts: &'a BTreeMap<MountName, MountSpec>,
) -> Vec<Variant<'a>> {
    let is_of = |spec: &&MountSpec| {
        let (origin, _ending) = origin(spec, mounts)
            .as_str()
            .rsplit_once('.')
            .unwrap_or_default();
        origin == name.as_str() && !spec.hidden
    };
    let members = mounts.values().filter(is_of);
    let mut members: Vec<Variant<'_>> = members.filter_map(variant).collect();
    if members.iter().all(|member| member.made.is_none()) {
        return Vec::new();
    }
    members.sort_by_key(|member| (member.made.is_some(), Reverse(rank(member.made))));
    members
}

/// A mount as a member; `None` if it cannot be made.
fn variant(spec: &MountSpec) -> Option<Variant<'_>> {
    let made = order(&spec.transcode).ok()?.map(|order| Made {
        codec: order.audio.codec,
        bitrate: match order.amount {
            Amount::Bitrate(bitrate) => Some(bitrate),
            Amount::Quality(_) => None,
        },
        about_kbps: match order.amount {
            Amount::Bitrate(bitrate) => bitrate.kbps(),
            Amount::Quality(quality) => usual_kbps(order.audio.codec, quality),
        },
    });
    Some(Variant { spec, made })
}

/// How good a variant is.
fn rank(made: Option<Made>) -> (bool, u32) {
    let is_lossless = made.is_some_and(|it| it.codec == TargetCodec::Flac);
    (is_lossless, made.map_or(0, |it| it.about_kbps))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(path: &str, settings: Option<(&str, TargetCodec, Option<u32>)>) -> MountSpec {
        let mut spec = MountSpec::new(path.parse().unwrap());
        if let Some((from, codec, kbps)) = settings {
            spec.transcode.transcode_from = Some(from.parse().unwrap());
            spec.transcode.codec = Some(codec);
            spec.transcode.bitrate = kbps.map(TargetBitrate::from_kbps);
        }
        spec
    }

    fn names(name: &str, mounts: &[MountSpec]) -> Vec<String> {
        let mounts = mounts.iter().map(|spec| (spec.path.clone(), spec.clone()));
        let mounts = mounts.collect();
        let members = family(&name.parse().unwrap(), &mounts);
        members.iter().map(|it| it.spec.path.to_string()).collect()
    }

    #[test]
    fn a_family_is_told_best_first() {
        let of = |codec, kbps| Some(("/radio.mp3", codec, kbps));
        let mut mounts = vec![
            mount("/radio.mp3", None),
            mount("/a-64.opus", of(TargetCodec::Opus, Some(64))),
            mount("/b-128.mp3", of(TargetCodec::Mp3, Some(128))),
            mount("/c.flac", of(TargetCodec::Flac, None)),
            mount(
                "/d-32.mp3",
                Some(("/b-128.mp3", TargetCodec::Mp3, Some(32))),
            ),
            mount("/other.mp3", None),
        ];
        let best_first = [
            "/radio.mp3",
            "/c.flac",
            "/b-128.mp3",
            "/a-64.opus",
            "/d-32.mp3",
        ];
        assert_eq!(names("/radio", &mounts), best_first);
        assert!(names("/other", &mounts).is_empty(), "nothing is transcoded");
        assert!(names("/a-64", &mounts).is_empty(), "not where it begins");
        mounts[0].hidden = true;
        mounts[3].hidden = true;
        assert_eq!(
            names("/radio", &mounts),
            ["/b-128.mp3", "/a-64.opus", "/d-32.mp3"]
        );
    }
}
