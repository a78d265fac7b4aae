//! The mount that a source sends to: `http://USER:PASSWORD@HOST[:PORT]/MOUNT`.

use std::fmt;
use std::str::FromStr;

use hyper::Uri;
use percent_encoding::percent_decode_str;

use crate::model::mount::{BadMountName, MountName};
use crate::wire::http::credentials::basic_of;

/// A mount on a node, and the right to feed it. `Debug` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Target {
    host: String,
    port: u16,
    /// The mount.
    pub(super) mount: MountName,
    user: String,
    password: String,
}

/// Why a text is no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadTarget {
    /// The text has another form.
    #[error("write http://source:PASSWORD@HOST:PORT/MOUNT")]
    Form,
    /// The text asks for TLS.
    #[error(
        "antiphon source speaks no TLS: send to a node on this machine, by http://, or use another encoder, such as ffmpeg -tls 1"
    )]
    Tls,
    /// A mount is fed only with its password.
    #[error("the password is missing: write http://source:PASSWORD@HOST:PORT/MOUNT")]
    NoPassword,
    /// The text behind the host is no mount.
    #[error(transparent)]
    Mount(#[from] BadMountName),
}

impl Target {
    /// `HOST:PORT`.
    pub(super) fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The value of the `Authorization` header.
    pub(super) fn authorization(&self) -> String {
        basic_of(&format!("{}:{}", self.user, self.password))
    }
}

impl FromStr for Target {
    type Err = BadTarget;

    fn from_str(text: &str) -> Result<Self, BadTarget> {
        let url: Uri = text.parse().map_err(|_| BadTarget::Form)?;
        if url.scheme_str() == Some("https") {
            return Err(BadTarget::Tls);
        }
        let (Some("http"), Some(authority)) = (url.scheme_str(), url.authority()) else {
            return Err(BadTarget::Form);
        };
        let credentials = authority.as_str().rsplit_once('@').map(|(it, _)| it);
        let pair = credentials.and_then(|pair| pair.split_once(':'));
        let (user, password) = pair.ok_or(BadTarget::NoPassword)?;
        let decoded = |text| {
            let decoded = percent_decode_str(text).decode_utf8();
            decoded.map(String::from).map_err(|_| BadTarget::Form)
        };
        // Icecast's own name for the user that feeds a mount.
        let user = if user.is_empty() { "source" } else { user };
        let (user, password) = (decoded(user)?, decoded(password)?);
        if password.is_empty() {
            return Err(BadTarget::NoPassword);
        }
        if url.query().is_some() || authority.host().is_empty() {
            return Err(BadTarget::Form);
        }
        Ok(Self {
            host: authority.host().to_owned(),
            port: authority.port_u16().unwrap_or(80),
            mount: MountName::from_request_path(url.path())?,
            user,
            password,
        })
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "http://{}:***@{}{}",
            self.user,
            self.address(),
            self.mount
        )
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn a_target_is_read_from_a_url() {
        let target: Target = "http://source:p%40ss@radio.example:8000/live.mp3"
            .parse()
            .unwrap();
        assert_eq!(target.address(), "radio.example:8000");
        assert_eq!(target.mount.as_str(), "/live.mp3");
        let encoded = STANDARD.encode("source:p@ss");
        assert_eq!(target.authorization(), format!("Basic {encoded}"));
        assert!(!format!("{target:?}").contains("p@ss"), "{target:?}");
        let target: Target = "http://:pw@[::1]/a/b".parse().unwrap();
        assert_eq!(target.address(), "[::1]:80");
        assert_eq!(target.user, "source");
    }

    #[test]
    fn a_bad_target_says_what_is_missing() {
        let read = |text: &str| text.parse::<Target>().unwrap_err();
        for bad in [
            "",
            "x",
            "ftp://source:pw@h/m",
            "http://source:pw@h/m?x",
            "http://a:b@/m",
        ] {
            assert_eq!(read(bad), BadTarget::Form, "{bad}");
        }
        assert_eq!(read("https://source:pw@h/m"), BadTarget::Tls);
        for bad in ["http://h:8000/m", "http://source@h/m", "http://source:@h/m"] {
            assert_eq!(read(bad), BadTarget::NoPassword, "{bad}");
        }
        for bad in ["http://a:b@h", "http://a:b@h/", "http://a:b@h/admin/x"] {
            assert!(matches!(read(bad), BadTarget::Mount(_)), "{bad}");
        }
    }
}
