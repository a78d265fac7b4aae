//! The client behind a proxy: `X-Forwarded-For` and `X-Forwarded-Proto`.
//!
//! Any client can write these headers, so they count only on a connection from a proxy that the operator trusts. Each
//! proxy appends the address of its client. Read from the right, the first address that is not a trusted proxy is
//! therefore the last one that a trusted proxy has seen; all addresses left of it are unproven.

use std::net::{IpAddr, SocketAddr};

use super::head::{Head, is_safe_host};
use crate::model::network::Network;

/// The header that each proxy appends an address to.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// The header in which the first proxy tells the protocol of its client.
const FORWARDED_PROTO: &str = "x-forwarded-proto";
/// The header in which the first proxy tells the host that its client has asked.
const FORWARDED_HOST: &str = "x-forwarded-host";

/// A client, as seen through trusted proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The address of the client; never an IPv4 address in IPv6's form.
    pub ip: IpAddr,
    /// Whether the client speaks HTTPS, to the first proxy if there is one, and so must be sent to HTTPS only.
    pub https: bool,
}

/// The client behind a connection from `peer` whose request has these headers, names in any case.
///
/// If one of the addresses is invalid (`unknown`), the client is not known: then the connection's own address counts,
/// which is at least true. The same holds if there is no address at all.
/// `is_tls` is whether the connection itself is by TLS. What a trusted proxy says comes before that.
pub fn client<'a>(
    peer: IpAddr,
    is_tls: bool,
    trusted: &[Network],
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Client {
    let peer = peer.to_canonical();
    let is_trusted = |ip: IpAddr| trusted.iter().any(|network| network.contains(ip));
    let mut client = Client {
        ip: peer,
        https: is_tls,
    };
    if !is_trusted(peer) {
        return client;
    }
    let (mut addresses, mut protocol) = (Vec::new(), "");
    for (name, value) in headers {
        if name.eq_ignore_ascii_case(FORWARDED_FOR) {
            addresses.extend(value.split(','));
        } else if name.eq_ignore_ascii_case(FORWARDED_PROTO) {
            protocol = value;
        }
    }
    client.ip = origin(&addresses, is_trusted).unwrap_or(peer);
    // The first of several is what the client spoke. A client that forges it only misleads itself.
    let said = protocol.split(',').next().unwrap_or_default();
    if !said.trim().is_empty() {
        client.https = said.trim().eq_ignore_ascii_case("https");
    }
    client
}

/// The host and port that the client has asked, as a trusted proxy tells them, or else as the request does.
pub fn host<'a>(peer: IpAddr, trusted: &[Network], head: &'a Head) -> Option<&'a str> {
    let peer = peer.to_canonical();
    let is_trusted = trusted.iter().any(|network| network.contains(peer));
    let told = head.header(FORWARDED_HOST).filter(|_| is_trusted);
    let told = told.and_then(|hosts| hosts.split(',').next());
    let told = told.map(str::trim).filter(|host| is_safe_host(host));
    told.or_else(|| head.host())
}

/// The rightmost address that is not a trusted proxy; the leftmost if all are. `None` if a word before it is no
/// address.
fn origin(addresses: &[&str], is_trusted: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let mut origin = None;
    // Empty elements of a list mean nothing (RFC 9110, 5.6.1).
    let words = addresses.iter().map(|word| word.trim());
    for word in words.rev().filter(|word| !word.is_empty()) {
        let ip = address(word)?;
        origin = Some(ip);
        if !is_trusted(ip) {
            break;
        }
    }
    origin
}

/// Reads `192.0.2.7`, `192.0.2.7:4711`, `2001:db8::7`, `[2001:db8::7]` or `[2001:db8::7]:4711`.
fn address(word: &str) -> Option<IpAddr> {
    let bracketed = word.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let plain = match bracketed {
        Some(inner) => inner.parse().ok().map(IpAddr::V6),
        None => word.parse().ok(),
    };
    let with_port = || word.parse::<SocketAddr>().ok().map(|it| it.ip());
    plain.or_else(with_port).map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The client seen through a proxy at 10.0.0.1 that is trusted with all of 10.0.0.0/8 and ::1.
    fn through(headers: &[(&str, &str)]) -> Client {
        behind("10.0.0.1", headers)
    }

    fn behind(peer: &str, headers: &[(&str, &str)]) -> Client {
        let trusted = ["10.0.0.0/8", "::1/128"].map(|text| text.parse().unwrap());
        client(
            peer.parse().unwrap(),
            false,
            &trusted,
            headers.iter().copied(),
        )
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_trusted_proxy_tells_which_host_was_asked() {
        use super::super::reader::{Parsed, parse};
        let asked = |peer: &str, told: &str| {
            let request =
                format!("GET / HTTP/1.1\r\nHost: inner:8000\r\nX-Forwarded-Host: {told}\r\n\r\n");
            let Ok(Parsed::Complete { head, .. }) = parse(request.as_bytes()) else {
                panic!("a whole head");
            };
            let trusted = ["10.0.0.0/8".parse().unwrap()];
            host(ip(peer), &trusted, &head).unwrap().to_owned()
        };
        assert_eq!(asked("10.0.0.1", "radio.example"), "radio.example");
        assert_eq!(
            asked("10.0.0.1", "[2001:db8::1]:8443, b"),
            "[2001:db8::1]:8443"
        );
        assert_eq!(asked("10.0.0.1", "a/b"), "inner:8000");
        assert_eq!(asked("192.0.2.7", "radio.example"), "inner:8000");
    }

    #[test]
    fn an_untrusted_peer_is_not_believed() {
        let headers = [
            ("X-Forwarded-For", "198.51.100.1"),
            ("X-Forwarded-Proto", "https"),
        ];
        for peer in ["192.0.2.7", "::ffff:192.0.2.7"] {
            let stranger = Client {
                ip: ip("192.0.2.7"),
                https: false,
            };
            assert_eq!(behind(peer, &headers), stranger);
        }
        let believed = Client {
            ip: ip("198.51.100.1"),
            https: true,
        };
        for peer in ["10.9.9.9", "::1", "::ffff:10.0.0.1"] {
            assert_eq!(behind(peer, &headers), believed, "{peer}");
        }
    }

    #[test]
    fn the_rightmost_address_that_is_no_proxy_counts() {
        for (lines, expected) in [
            (&["198.51.100.1"][..], "198.51.100.1"),
            (&["198.51.100.1, 10.0.0.2"], "198.51.100.1"),
            (
                &["203.0.113.9, 198.51.100.1, 10.0.0.2,10.0.0.3"],
                "198.51.100.1",
            ),
            (&["203.0.113.9", "198.51.100.1", "10.0.0.2"], "198.51.100.1"),
            (&["made up, 198.51.100.1"], "198.51.100.1"),
            (&["198.51.100.1:4711"], "198.51.100.1"),
            (&["2001:db8::7"], "2001:db8::7"),
            (&["[2001:db8::7]"], "2001:db8::7"),
            (&["[2001:db8::7]:4711"], "2001:db8::7"),
            (&["::ffff:198.51.100.1"], "198.51.100.1"),
            (&[" , 198.51.100.1 ,, "], "198.51.100.1"),
            // A client in the proxies' own network.
            (&["10.7.7.7, 10.0.0.2"], "10.7.7.7"),
        ] {
            let lines: Vec<_> = lines.iter().map(|it| ("x-forwarded-for", *it)).collect();
            assert_eq!(through(&lines).ip, ip(expected), "{lines:?}");
        }
    }

    #[test]
    fn a_word_that_is_no_address_leaves_the_connections_own() {
        for bad in [
            "",
            ",",
            "unknown",
            "_hidden",
            "198.51.100.1, unknown",
            "198.51.100.1, unknown, 10.0.0.2",
            "198.51.100.1.",
            "198.51.100.1:x",
            "198.51.100.256",
            "[198.51.100.1]",
            "fe80::1%eth0",
            "198.51.100.1;x",
            "198.51.100.1 10.0.0.2",
        ] {
            assert_eq!(
                through(&[("X-Forwarded-For", bad)]).ip,
                ip("10.0.0.1"),
                "{bad:?}"
            );
        }
        assert_eq!(through(&[]).ip, ip("10.0.0.1"));
    }

    #[test]
    fn https_is_what_the_first_proxy_says() {
        for (said, https) in [
            ("https", true),
            ("HTTPS", true),
            (" https , http", true),
            ("http, https", false),
            ("http", false),
            ("", false),
            ("wss", false),
        ] {
            assert_eq!(
                through(&[("X-Forwarded-Proto", said)]).https,
                https,
                "{said:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_header_is_believed_from_an_untrusted_peer(peer: u32, value: String) {
            let peer = IpAddr::V4(peer.into());
            let trusted: Network = "10.0.0.0/8".parse().unwrap();
            prop_assume!(!trusted.contains(peer));
            let headers = [(FORWARDED_FOR, value.as_str()), (FORWARDED_PROTO, "https")];
            let stranger = Client { ip: peer, https: false };
            prop_assert_eq!(client(peer, false, &[trusted], headers), stranger);
        }

        #[test]
        fn entries_left_of_the_client_do_not_change_it(
            made_up in "[ -~]{0,40}", real: u32, proxies in prop::collection::vec(0u32..0x00ff_ffff, 0..4),
        ) {
            let real = IpAddr::V4(real.into());
            let trusted: Network = "10.0.0.0/8".parse().unwrap();
            prop_assume!(!trusted.contains(real));
            let mut line = format!("{made_up},{real}");
            for proxy in proxies {
                let proxy = IpAddr::V4((0x0a00_0000 | proxy).into());
                line += &format!(", {proxy}");
            }
            let seen = client(ip("10.0.0.1"), false, &[trusted], [(FORWARDED_FOR, line.as_str())]);
            prop_assert_eq!(seen.ip, real);
        }

        #[test]
        fn no_value_breaks_it(value: String) {
            let seen = through(&[("X-Forwarded-For", &value), ("X-Forwarded-Proto", &value)]);
            prop_assert_eq!(seen.ip, seen.ip.to_canonical());
        }
    }
}
