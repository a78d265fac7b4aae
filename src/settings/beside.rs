//! A port beside the one at which a node listens for all.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// A further port of a node: `[IP:]PORT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortBeside {
    /// `None`: where the node listens for all others.
    ip: Option<IpAddr>,
    port: u16,
}

/// Why a text is not a port to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not [IP:]PORT, such as 8001 or 0.0.0.0:8001")]
pub struct BadPortBeside;

impl PortBeside {
    /// The address to listen on, for a node that listens at `door` for all others.
    pub fn beside(self, door: SocketAddr) -> SocketAddr {
        SocketAddr::new(self.ip.unwrap_or(door.ip()), self.port)
    }

    /// Whether this is the very port at which a node listens for all others.
    pub fn is_of_all(self, door: SocketAddr) -> bool {
        let own = self.beside(door);
        let is_one =
            own.ip() == door.ip() || own.ip().is_unspecified() || door.ip().is_unspecified();
        is_one && own.is_ipv4() == door.is_ipv4() && own.port() == door.port() && own.port() != 0
    }
}

impl FromStr for PortBeside {
    type Err = BadPortBeside;

    fn from_str(text: &str) -> Result<Self, BadPortBeside> {
        // `u16` would accept a leading plus.
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let port = text.parse().map_err(|_| BadPortBeside)?;
            return Ok(Self { ip: None, port });
        }
        let address: SocketAddr = text.parse().map_err(|_| BadPortBeside)?;
        Ok(Self {
            ip: Some(address.ip()),
            port: address.port(),
        })
    }
}

impl<'de> Deserialize<'de> for PortBeside {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "a port is a number such as 8001, or a text such as \"0.0.0.0:8001\""
        )]
        enum Written {
            Number(u16),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(port) => Ok(Self { ip: None, port }),
            Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_all_others_is_not_a_further_one() {
        for (own, door, is_same) in [
            ("8000", "127.0.0.1:8000", true),
            ("127.0.0.1:8000", "0.0.0.0:8000", true),
            ("0.0.0.0:8000", "127.0.0.1:8000", true),
            ("127.0.0.2:8000", "127.0.0.1:8000", false),
            ("[::1]:8000", "127.0.0.1:8000", false),
            ("8001", "127.0.0.1:8000", false),
            ("0", "127.0.0.1:0", false),
        ] {
            let own: PortBeside = own.parse().unwrap();
            assert_eq!(
                own.is_of_all(door.parse().unwrap()),
                is_same,
                "{own:?} {door}"
            );
        }
    }

    #[test]
    fn a_port_may_have_an_address() {
        let door: SocketAddr = "192.0.2.7:8000".parse().unwrap();
        let beside = |text: &str| text.parse::<PortBeside>().unwrap().beside(door);
        assert_eq!(beside("8001").to_string(), "192.0.2.7:8001");
        assert_eq!(beside("0.0.0.0:8001").to_string(), "0.0.0.0:8001");
        assert_eq!(beside("[::1]:8001").to_string(), "[::1]:8001");
        for bad in ["", ":8001", "+8001", "65536", "localhost:8001", "0.0.0.0"] {
            assert_eq!(bad.parse::<PortBeside>(), Err(BadPortBeside), "{bad}");
        }
    }

    #[test]
    fn in_the_file_a_port_is_a_number_or_a_text() {
        #[derive(Deserialize)]
        struct File {
            port: PortBeside,
        }
        let read = |line: &str| toml::from_str::<File>(line).map(|file| file.port);
        assert_eq!(read("port = 8001").unwrap(), "8001".parse().unwrap());
        assert!(read("port = '[::]:8001'").is_ok());
        let refused = read("port = 80_000").unwrap_err().to_string();
        assert!(refused.contains("8001"), "{refused}");
    }
}
