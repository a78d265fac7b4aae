//! A request whose client would rather be answered by TLS, on the same connection (RFC 2817): libshout asks so before it
//! says a password, unless it is told otherwise.

use super::head::{BodyKind, Head, HttpVersion};

/// The answer after which the client shakes hands. By the name that libshout knows; which version is spoken, the
/// handshake decides.
pub const SWITCHING_TO_TLS: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: TLS/1.0, HTTP/1.1\r\nConnection: Upgrade\r\n\r\n";

/// Whether a client asks to go on by TLS. Only with a request that has no body: what came first would have to be read in
/// plain.
pub fn asks_for_tls(head: &Head) -> bool {
    let has = |header: &str, is_it: fn(&str) -> bool| {
        let words = head.header(header).unwrap_or_default().split(',');
        words.map(str::trim).any(is_it)
    };
    let is_upgrade = |word: &str| word.eq_ignore_ascii_case("upgrade");
    let is_tls = |word: &str| {
        let family = word.split('/').next().unwrap_or_default();
        family.eq_ignore_ascii_case("TLS")
    };
    head.version() == HttpVersion::Http11
        && head.body_kind() == BodyKind::Length(0)
        && has("connection", is_upgrade)
        && has("upgrade", is_tls)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http::reader::{Parsed, parse};

    #[test]
    fn a_client_that_asks_for_tls_is_known() {
        let asks = |text: &str| match parse(format!("{text}\r\n").as_bytes()) {
            Ok(Parsed::Complete { head, .. }) => asks_for_tls(&head),
            other => panic!("{text}: {other:?}"),
        };
        let libshout = "Connection: Upgrade\r\nUpgrade: TLS/1.0, HTTP/1.1\r\n";
        assert!(asks(&format!("OPTIONS * HTTP/1.1\r\n{libshout}")));
        let any_case = "connection: keep-alive, upgrade\r\nupgrade: tls/1.2\r\n";
        assert!(asks(&format!("GET / HTTP/1.1\r\n{any_case}")));
        for other in [
            &format!("OPTIONS * HTTP/1.0\r\n{libshout}"),
            &format!("PUT /a HTTP/1.1\r\n{libshout}"),
            &format!("POST /a HTTP/1.1\r\nContent-Length: 1\r\n{libshout}"),
            "OPTIONS * HTTP/1.1\r\nUpgrade: TLS/1.0\r\n",
            "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
            "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: TLSX\r\n",
        ] {
            assert!(!asks(other), "{other}");
        }
    }
}
