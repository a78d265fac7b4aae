//! The part of a web address that names a machine.

use std::net::Ipv6Addr;

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

#[cfg(test)]
mod tests {
    use super::*;

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
