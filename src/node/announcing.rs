//! Checks whether others can use the addresses that a node announces.
//!
//! Listeners are sent to the address that a node announces. One with a wrong address loses its share of them, and
//! no other node notices.

use std::net::{IpAddr, SocketAddr};

use tracing::{info, warn};

use crate::model::reach::Reach;
use crate::settings::Settings;
use crate::wire::frame::Hello;

/// The reason to doubt an address for listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AddressDoubt {
    /// Others cannot reach the address, for this reason.
    Unreachable(&'static str),
    /// The address is guessed, because none is set.
    Guessed,
}

/// Warns about an address that others perhaps cannot reach.
pub(super) fn check(settings: &Settings, hello: &Hello, listen: SocketAddr) {
    let url = &hello.public_url;
    match doubt(settings, url, listen) {
        Some(AddressDoubt::Unreachable(why)) => warn!(
            %url, %why,
            "listeners in other networks cannot reach this node at the address to which they are sent: \
             set the right one with --public-url"
        ),
        Some(AddressDoubt::Guessed) => warn!(
            %url,
            "the address at which listeners reach this node is not set, and this one is guessed: \
             set the right one with --public-url"
        ),
        None => info!(%url, "listeners are sent here"),
    }
}

fn doubt(settings: &Settings, url: &str, listen: SocketAddr) -> Option<AddressDoubt> {
    let guessed = settings.public_url.is_none();
    let host = host(url);
    let reach = match host.parse::<IpAddr>() {
        Ok(ip) => Reach::of(ip),
        Err(_) if is_localhost(host) => Reach::Machine,
        Err(_) => Reach::Everybody,
    };
    // A node that listens on the loopback only, and has no proxy in front, is being tried out on one machine.
    let behind_proxy = settings.public_https_url.is_some() || !settings.trusted_proxies.is_empty();
    if reach == Reach::Machine && listen.ip().is_loopback() && !behind_proxy {
        return None;
    }
    match reach.trouble() {
        Some(why) => Some(AddressDoubt::Unreachable(why)),
        None => guessed.then_some(AddressDoubt::Guessed),
    }
}

/// The host in a checked URL, without the brackets of an IPv6 address.
fn host(url: &str) -> &str {
    let authority = url.rsplit('/').next().unwrap_or_default();
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

/// Whether a name always means the machine that asks (RFC 6761).
fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Machine, RunArgs};

    fn doubt_of(args: RunArgs, url: &str) -> Option<AddressDoubt> {
        let machine = Machine::new(&[("HOME", "/h")], "h");
        let public_url = match args.public_url {
            Some(_) => url.parse().ok(),
            None => None,
        };
        let settings = Settings::load(RunArgs { public_url, ..args }, &machine).unwrap();
        doubt(&settings, url, settings.listen)
    }

    fn listening(listen: &str, said: bool) -> RunArgs {
        RunArgs {
            listen: listen.parse().ok(),
            public_url: said.then(|| "http://x".parse().unwrap()),
            ..RunArgs::default()
        }
    }

    #[test]
    fn an_address_that_others_cannot_reach_is_doubted() {
        for (listen, said, url, word) in [
            ("0.0.0.0:8000", false, "http://192.168.1.5:8000", "private"),
            ("0.0.0.0:8000", true, "http://10.0.0.1", "private"),
            ("0.0.0.0:8000", false, "http://127.0.0.1:8000", "leads back"),
            ("0.0.0.0:8000", true, "http://localhost:8000", "leads back"),
            (
                "192.168.1.5:8000",
                false,
                "http://192.168.1.5:8000",
                "private",
            ),
            ("0.0.0.0:8000", false, "http://100.64.3.4:8000", "NAT"),
            ("[::]:8000", false, "http://[fe80::1]:8000", "link-local"),
            ("[::]:8000", true, "http://[::]:8000", "not the address"),
            (
                "0.0.0.0:8000",
                true,
                "http://0.0.0.0:8000",
                "not the address",
            ),
        ] {
            let Some(AddressDoubt::Unreachable(why)) = doubt_of(listening(listen, said), url)
            else {
                panic!("{url} is not doubted");
            };
            assert!(why.contains(word), "{url}: {why}");
        }
        let guessed = doubt_of(listening("0.0.0.0:8000", false), "http://203.0.113.5:8000");
        assert_eq!(guessed, Some(AddressDoubt::Guessed));
    }

    #[test]
    fn a_stated_or_trial_address_is_not_doubted() {
        for (listen, said, url) in [
            ("0.0.0.0:8000", true, "http://203.0.113.5:8000"),
            ("0.0.0.0:8000", true, "http://radio.example"),
            ("[::]:8000", true, "http://[2001:db8::1]:8000"),
            ("127.0.0.1:8000", false, "http://127.0.0.1:8000"),
            ("[::1]:8000", false, "http://[::1]:8000"),
        ] {
            assert_eq!(doubt_of(listening(listen, said), url), None, "{url}");
        }
    }

    #[test]
    fn the_loopback_behind_a_proxy_is_where_no_listener_is() {
        let mut args = listening("127.0.0.1:8000", false);
        args.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
        assert!(doubt_of(args, "http://127.0.0.1:8000").is_some());
    }
}
