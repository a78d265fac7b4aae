//! The part of a web address that names a machine, and its port.

use std::net::{IpAddr, Ipv6Addr};

/// Whether a text is `HOST`, `HOST:PORT`, `[IPv6]` or `[IPv6]:PORT`.
pub fn is_host_and_port(text: &str) -> bool {
    let (host_is_good, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((ip, port)) => (ip.parse::<Ipv6Addr>().is_ok(), port),
            None => return false,
        },
        None => {
            let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            let letters = host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
            (letters && !host.is_empty(), port)
        }
    };
    let port_is_good = match port.strip_prefix(':') {
        None => port.is_empty(),
        Some(digits) => {
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            plain && digits.parse::<u16>().is_ok_and(|port| port > 0)
        }
    };
    host_is_good && port_is_good
}

/// The host and port of `HOST[:PORT]`, of HTTPS or not; an address of IPv6 in its brackets.
pub fn host_and_port(authority: &str, is_https: bool) -> (&str, u16) {
    let usual = if is_https { 443 } else { 80 };
    let port = authority.rsplit_once(':').and_then(|(host, port)| {
        let port = port.parse().ok()?;
        Some((host, port))
    });
    port.unwrap_or((authority, usual))
}

/// The host and port of a URL that has no login.
pub fn host_and_port_of(url: &str) -> (&str, u16) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    host_and_port(authority, scheme == "https")
}

/// The address that a host is, with or without the brackets of a URL; `None`: it is a name.
pub fn address_of(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    bare.unwrap_or(host).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_host_and_a_port() {
        for (url, host, port) in [
            ("http://a", "a", 80),
            ("https://a.example/x:1?y:2", "a.example", 443),
            ("https://a:8443?b", "a", 8443),
            ("http://[2001:db8::1]/", "[2001:db8::1]", 80),
            ("https://[::1]:8000", "[::1]", 8000),
        ] {
            assert_eq!(host_and_port_of(url), (host, port), "{url}");
        }
    }

    #[test]
    fn a_machine_is_named_with_or_without_a_port() {
        for good in [
            "a",
            "a.example:8000",
            "192.0.2.7:1",
            "[2001:db8::1]:80",
            "[::1]",
        ] {
            assert!(is_host_and_port(good), "{good}");
        }
        for bad in [
            "", ":80", "a:", "a:0", "a:+1", "a b", "u@a", "[::1", "[x]", "é",
        ] {
            assert!(!is_host_and_port(bad), "{bad}");
        }
    }
}
