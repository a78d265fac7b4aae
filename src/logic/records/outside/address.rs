//! The addresses of outside servers: where listeners are sent, and where a server is asked.

use crate::model::host::is_host_and_port;

/// The longest address: far longer than any host and base path, and short enough to gossip about.
const MAX_URL_BYTES: usize = 256;

/// Why a text is not an address of an outside server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// The text is not a web address, or lacks a valid host or port.
    #[error(
        "must be http://HOST[:PORT][/PATH] or https://HOST[:PORT][/PATH], such as http://relay.example:8000"
    )]
    Shape,
    /// The address has a name and password in it.
    #[error("must not have a name or password: use the login")]
    Credentials,
    /// The address has a query or a fragment.
    #[error("must not have a `?` or `#`")]
    Query,
    /// The address is longer than any real one.
    #[error("too long: at most {MAX_URL_BYTES} bytes")]
    Long,
}

/// The address for listeners, or the one for asking: `http` or `https`, scheme and host in lower case, without a
/// slash at the end.
pub fn public_url(text: &str) -> Result<String, BadAddress> {
    if text.len() > MAX_URL_BYTES {
        return Err(BadAddress::Long);
    }
    // Printable ASCII only: the address becomes a header, and a line break there would begin another one.
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BadAddress::Shape);
    }
    let (scheme, rest) = text.split_once("://").ok_or(BadAddress::Shape)?;
    let known = ["http", "https"].into_iter();
    let scheme = known
        .into_iter()
        .find(|known| scheme.eq_ignore_ascii_case(known))
        .ok_or(BadAddress::Shape)?;
    if rest.contains(['?', '#']) {
        return Err(BadAddress::Query);
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err(BadAddress::Credentials);
    }
    if !is_host_and_port(authority) || path.contains(['"', '<', '>', '\\']) {
        return Err(BadAddress::Shape);
    }
    let (authority, path) = (authority.to_ascii_lowercase(), path.trim_end_matches('/'));
    Ok(format!("{scheme}://{authority}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_lowercase_without_a_final_slash() {
        for (given, kept) in [
            ("http://Relay.Example:8000", "http://relay.example:8000"),
            ("HTTPS://a/", "https://a"),
            ("http://192.0.2.7:1/Base//", "http://192.0.2.7:1/Base"),
            ("http://[2001:DB8::1]:80", "http://[2001:db8::1]:80"),
        ] {
            assert_eq!(public_url(given).as_deref(), Ok(kept));
        }
    }

    #[test]
    fn a_bad_address_is_refused_with_the_reason() {
        for (bad, why) in [
            ("", BadAddress::Shape),
            ("relay.example:8000", BadAddress::Shape),
            ("ftp://a", BadAddress::Shape),
            ("javascript://a", BadAddress::Shape),
            ("http://", BadAddress::Shape),
            ("http:///a", BadAddress::Shape),
            ("http://a b", BadAddress::Shape),
            ("http://a\r\nSet-Cookie: x", BadAddress::Shape),
            ("http://é", BadAddress::Shape),
            ("http://a:0", BadAddress::Shape),
            ("http://a:65536", BadAddress::Shape),
            ("http://a:+1", BadAddress::Shape),
            ("http://[::1", BadAddress::Shape),
            ("http://[x]", BadAddress::Shape),
            ("http://a/\"", BadAddress::Shape),
            ("http://u:p@a", BadAddress::Credentials),
            ("http://a/?x", BadAddress::Query),
            ("http://a#x", BadAddress::Query),
        ] {
            assert_eq!(public_url(bad), Err(why), "{bad:?}");
        }
        let long = format!("http://{}", "a".repeat(MAX_URL_BYTES));
        assert_eq!(public_url(&long), Err(BadAddress::Long));
    }
}
