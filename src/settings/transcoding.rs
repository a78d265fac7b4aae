//! The settings of a node that say whether it transcodes, with which program and within which bounds.

use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;

use super::values::{BadValue, whole_number};
use super::{Machine, RunArgs};
use crate::model::system_user::SystemUser;
use crate::model::transcoding::TranscodeEngine;

/// Memory of one transcoder, MiB: Liquidsoap maps some 300, ffmpeg far less.
const DEFAULT_MEMORY_MIB: u32 = 512;
/// MiB: below that not even ffmpeg starts.
const LEAST_MEMORY_MIB: u32 = 64;
/// MiB: more than any of the codecs could use, so a larger number has the wrong unit.
const MOST_MEMORY_MIB: u32 = 65_536;

/// Whether a node transcodes, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcoding {
    /// Whether the node transcodes at all.
    pub is_on: bool,
    /// The program; `None`: what is installed, Liquidsoap first.
    pub engine: Option<TranscodeEngine>,
    /// The user that transcoders run as; `None`: that of the node, which must not be root then.
    pub user: Option<SystemUser>,
    /// The most transcoders at once.
    pub most: u32,
    /// The most memory of each, MiB.
    pub memory_mib: u32,
}

/// Why transcoders cannot run as the user that was named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTranscodeUser {
    /// The machine has no such user.
    #[error(
        "transcode_user is {0:?}, and this machine has no such user: make it, name another one such as nobody, or write \
         UID:GID"
    )]
    Unknown(String),
    /// The user is root: strangers' bytes are decoded there, so it must not be able to do everything.
    #[error("transcode_user is {0:?}, which is root: name another user, such as nobody")]
    Root(String),
    /// Only root can start a program as somebody else.
    #[error(
        "transcode_user is {0:?}, which only a node of root can use: leave it out, and transcoders run as the node's own \
         user"
    )]
    NotRoot(String),
}

impl Transcoding {
    /// The settings, checked against the users of the machine.
    pub(super) fn of(args: &RunArgs, machine: &Machine) -> Result<Self, BadTranscodeUser> {
        let named = args.transcode_user.as_deref();
        Ok(Self {
            is_on: args.transcode.unwrap_or(false),
            engine: args.transcode_engine.and_then(|choice| choice.0),
            user: named.map(|name| user(name, machine)).transpose()?,
            most: args.max_transcoders.unwrap_or(machine.processors()),
            memory_mib: args
                .transcode_memory_mib
                .map_or(DEFAULT_MEMORY_MIB, |memory| memory.0),
        })
    }
}

/// The user of this name, or `UID:GID`, if transcoders can run as that.
fn user(name: &str, machine: &Machine) -> Result<SystemUser, BadTranscodeUser> {
    let found = numbers(name).or_else(|| machine.user_named(name));
    let user = found.ok_or_else(|| BadTranscodeUser::Unknown(name.to_owned()))?;
    if user.uid == 0 || user.gid == 0 {
        return Err(BadTranscodeUser::Root(name.to_owned()));
    }
    match machine.can_run_as(user.uid) {
        true => Ok(user),
        false => Err(BadTranscodeUser::NotRoot(name.to_owned())),
    }
}

/// Reads `UID:GID`, for machines whose users are not listed in a file.
fn numbers(text: &str) -> Option<SystemUser> {
    let (uid, gid) = text.split_once(':')?;
    let read = whole_number::<u32>(0..=u32::MAX.into(), 1_000);
    Some(SystemUser {
        name: text.to_owned(),
        uid: read(uid).ok()?,
        gid: read(gid).ok()?,
        home: PathBuf::new(),
    })
}

/// Reads a number of transcoders.
pub(super) fn transcoders(text: &str) -> Result<u32, BadValue> {
    whole_number(1..=u32::MAX.into(), 4)(text)
}

/// A program, or whichever is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct EngineChoice(Option<TranscodeEngine>);

impl EngineChoice {
    /// The word for what is installed.
    const AUTO: &'static str = "auto";
}

impl FromStr for EngineChoice {
    type Err = BadValue;

    fn from_str(word: &str) -> Result<Self, BadValue> {
        let known = TranscodeEngine::ALL.into_iter();
        match known.into_iter().find(|engine| engine.word() == word) {
            None if word == Self::AUTO => Ok(Self(None)),
            None => Err(BadValue::Engine),
            engine => Ok(Self(engine)),
        }
    }
}

impl TryFrom<String> for EngineChoice {
    type Error = BadValue;

    fn try_from(word: String) -> Result<Self, BadValue> {
        word.parse()
    }
}

/// The most memory of a transcoder, MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct TranscodeMemory(u32);

impl FromStr for TranscodeMemory {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let bounds = LEAST_MEMORY_MIB.into()..=MOST_MEMORY_MIB.into();
        whole_number(bounds, DEFAULT_MEMORY_MIB.into())(text).map(Self)
    }
}

impl TryFrom<u32> for TranscodeMemory {
    type Error = BadValue;

    fn try_from(mib: u32) -> Result<Self, BadValue> {
        mib.to_string().parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(args: RunArgs, machine: &Machine) -> Result<Transcoding, String> {
        Transcoding::of(&args, machine).map_err(|error| error.to_string())
    }

    fn with_user(name: &str) -> RunArgs {
        RunArgs {
            transcode_user: Some(name.to_owned()),
            ..RunArgs::default()
        }
    }

    #[test]
    fn a_node_does_not_transcode_unless_it_is_told_to() {
        let machine = Machine::new(&[], "h");
        let expected = Transcoding {
            is_on: false,
            engine: None,
            user: None,
            most: machine.processors(),
            memory_mib: 512,
        };
        assert_eq!(load(RunArgs::default(), &machine), Ok(expected));
        let args = RunArgs {
            transcode: Some(true),
            transcode_engine: "ffmpeg".parse().ok(),
            max_transcoders: Some(9),
            transcode_memory_mib: "64".parse().ok(),
            ..RunArgs::default()
        };
        let found = load(args, &machine).unwrap();
        assert!(found.is_on && found.user.is_none());
        assert_eq!(found.engine, Some(TranscodeEngine::Ffmpeg));
        assert_eq!((found.most, found.memory_mib), (9, 64));
    }

    #[test]
    fn transcoders_run_as_a_user_of_the_machine() {
        let root = Machine::new(&[], "h").of_root();
        let nobody = load(with_user("nobody"), &root).unwrap().user.unwrap();
        let expected = SystemUser {
            name: "nobody".to_owned(),
            uid: 65_534,
            gid: 65_534,
            home: "/".into(),
        };
        assert_eq!(nobody, expected);
        let numbered = load(with_user("1001:1002"), &root).unwrap().user.unwrap();
        assert_eq!((numbered.uid, numbered.gid), (1_001, 1_002));
        for (name, said) in [
            ("nobdy", "has no such user: make it"),
            ("", "has no such user"),
            ("1001", "has no such user"),
            ("1001:", "has no such user"),
            ("-1:1", "has no such user"),
            ("root", "which is root"),
            ("0:0", "which is root"),
            ("1000:0", "which is root"),
        ] {
            let why = load(with_user(name), &root).unwrap_err();
            assert!(why.contains(said), "{name}: {why}");
        }
    }

    #[test]
    fn only_root_starts_programs_as_another_user() {
        let ordinary = Machine::new(&[], "h");
        let own = load(with_user("1000:1000"), &ordinary).unwrap();
        assert!(own.user.is_some());
        let why = load(with_user("nobody"), &ordinary).unwrap_err();
        assert!(why.contains("only a node of root"), "{why}");
    }

    #[test]
    fn a_bad_value_is_told_what_is_possible() {
        for word in ["auto", "liquidsoap", "ffmpeg"] {
            assert!(word.parse::<EngineChoice>().is_ok(), "{word}");
            let why = "gstreamer".parse::<EngineChoice>().unwrap_err().to_string();
            assert!(why.contains(word), "{why}");
        }
        for bad in ["0", "63", "65537", "512M", ""] {
            let why = bad.parse::<TranscodeMemory>().unwrap_err().to_string();
            assert!(why.contains("such as 512, from 64 to 65536"), "{why}");
        }
        assert!(transcoders("0").is_err() && transcoders("1").is_ok());
    }
}
