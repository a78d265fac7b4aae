//! The requests by plain HTTP that a node sends to HTTPS, or refuses.

use std::collections::BTreeSet;

use serde::Deserialize;

/// The requests by plain HTTP that are sent to HTTPS, if the node can be reached by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HttpsRedirect {
    /// None.
    Off,
    /// The pages of the node, which people open in browsers.
    Pages,
    /// Streams and playlists, too. Players of old that know no HTTPS hear nothing then.
    All,
}

/// The logins that need TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsUse {
    /// Operators: the pages and the API with which the mesh is managed.
    Admin,
    /// Encoders: streams, and the titles that are told beside them.
    Source,
}

impl TlsUse {
    /// The word for it in the settings file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Source => "source",
        }
    }
}

/// The rules for requests by plain HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlainHttpSettings {
    /// The requests that are sent to HTTPS; `None`: pages, if the node has a certificate of its own.
    pub redirect: Option<HttpsRedirect>,
    /// The logins that are refused.
    pub refused: BTreeSet<TlsUse>,
}
