//! The settings of a node whose listeners are served by an Icecast.

use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;

use super::Line;

/// The server that writes to the listeners of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum ServingEngine {
    /// The node itself.
    #[default]
    Embedded,
    /// An Icecast on the same machine.
    Icecast,
}

/// Why a text names no engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown engine {0:?}: write embedded (the node itself, which is usual) or icecast")]
pub struct BadEngine(String);

/// Why an Icecast cannot be adopted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "adopt = true in [icecast] also needs {0}: the node writes icecast.xml into folder, has it read by reload_command, \
     and finds that Icecast at port"
)]
pub struct BadAdoption(&'static str);

/// The table `[icecast]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IcecastSettings {
    /// The file of the program; `None`: `icecast2` or `icecast`, in the folders of programs.
    pub program: Option<PathBuf>,
    /// The user that it runs as; `None`: the node's own.
    pub user: Option<Line>,
    /// The port at which it listens on the loopback; `None`: one that is free.
    pub port: Option<u16>,
    /// The folder of `icecast.xml` and of its access log, into which its user must get; `None`: one of the node's choice.
    pub folder: Option<PathBuf>,
    /// Whether somebody else, such as systemd, starts and stops it.
    pub adopt: bool,
    /// The command that has an adopted one read `icecast.xml` again: a program and its arguments.
    pub reload_command: Vec<String>,
}

impl IcecastSettings {
    /// Checks what only makes sense together.
    pub(super) fn check(&self) -> Result<(), BadAdoption> {
        let missing = match self {
            Self { adopt: false, .. } => return Ok(()),
            Self { port: None, .. } => "port",
            Self { folder: None, .. } => "folder",
            it if it.reload_command.is_empty() => "reload_command",
            _ => return Ok(()),
        };
        Err(BadAdoption(missing))
    }
}

impl FromStr for ServingEngine {
    type Err = BadEngine;

    fn from_str(text: &str) -> Result<Self, BadEngine> {
        match text {
            "embedded" => Ok(Self::Embedded),
            "icecast" => Ok(Self::Icecast),
            _ => Err(BadEngine(text.to_owned())),
        }
    }
}

impl TryFrom<String> for ServingEngine {
    type Error = BadEngine;

    fn try_from(text: String) -> Result<Self, BadEngine> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_engine_is_answered_with_the_known_ones() {
        assert_eq!("icecast".parse(), Ok(ServingEngine::Icecast));
        assert_eq!("embedded".parse(), Ok(ServingEngine::Embedded));
        let error = "Icecast2".parse::<ServingEngine>().unwrap_err().to_string();
        assert!(
            error.contains("embedded (") && error.contains("or icecast"),
            "{error}"
        );
    }

    #[test]
    fn an_adopted_icecast_has_a_port_a_folder_and_a_command() {
        let mut settings = IcecastSettings {
            adopt: true,
            ..IcecastSettings::default()
        };
        let missing = |settings: &IcecastSettings| settings.check().map_err(|it| it.0);
        assert_eq!(missing(&settings), Err("port"));
        settings.port = Some(8_500);
        assert_eq!(missing(&settings), Err("folder"));
        settings.folder = Some("/etc/icecast2".into());
        assert_eq!(missing(&settings), Err("reload_command"));
        settings.reload_command = vec!["true".to_owned()];
        assert_eq!(missing(&settings), Ok(()));
        assert_eq!(missing(&IcecastSettings::default()), Ok(()));
    }
}
