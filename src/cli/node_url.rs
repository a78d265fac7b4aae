//! The URL of a node as an operator names it: by HTTP or HTTPS, or no more than host and port.

use std::fmt;
use std::str::FromStr;

use crate::settings::{BadValue, PublicHttpsUrl, PublicUrl};

/// The URL of a node to ask: `http://host[:port]` or `https://host[:port]`, and nothing after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NodeUrl(String);

/// Why a text names no node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}, or only HOST:PORT")]
pub(super) struct BadNodeUrl(BadValue);

impl NodeUrl {
    /// The scheme, and host and port.
    pub(super) fn parts(&self) -> (&str, &str) {
        let parts = self.0.split_once("://");
        parts.expect("the URL begins with its scheme")
    }
}

impl FromStr for NodeUrl {
    type Err = BadNodeUrl;

    fn from_str(text: &str) -> Result<Self, BadNodeUrl> {
        let has_port = text.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
        });
        let scheme = text.split_once("://").map(|(scheme, _)| scheme);
        let url = match scheme {
            Some(scheme) if scheme.eq_ignore_ascii_case("https") => {
                text.parse::<PublicHttpsUrl>().map(String::from)
            }
            None if has_port => format!("http://{text}")
                .parse()
                .map(|url: PublicUrl| url.to_string()),
            _ => text.parse().map(|url: PublicUrl| url.to_string()),
        };
        url.map(Self).map_err(BadNodeUrl)
    }
}

impl fmt::Display for NodeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_named_by_its_url_or_by_host_and_port() {
        for (text, url) in [
            ("http://h:1", "http://h:1"),
            ("http://h", "http://h"),
            ("HTTPS://H/", "https://h"),
            ("https://h:1", "https://h:1"),
            ("h:1", "http://h:1"),
            ("[::1]:8000", "http://[::1]:8000"),
        ] {
            assert_eq!(text.parse::<NodeUrl>().unwrap().to_string(), url);
        }
        for bad in ["h", "h:", ":1", "ftp://h:1", "http://h:1/x", "https://h/x"] {
            let error = bad.parse::<NodeUrl>().unwrap_err().to_string();
            assert!(error.contains("HOST:PORT"), "{error}");
        }
    }
}
