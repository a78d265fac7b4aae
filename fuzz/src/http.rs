//! Requests: heads, bodies, the headers of proxies, logins.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use antiphon::model::charset::Charset;
use antiphon::model::seat::Epoch;
use antiphon::wire::http::body::{BodyDecoder, BodyState};
use antiphon::wire::http::credentials::{basic, bearer};
use antiphon::wire::http::forwarded;
use antiphon::wire::http::head::BodyKind;
use antiphon::wire::http::reader::{HeadReader, MAX_HEAD_BYTES, Parsed};
use antiphon::wire::icecast::shoutcast::{FirstLine, PortUse};
use antiphon::wire::icecast::source_head;
use bytes::BytesMut;

use crate::cuts;

/// However a head is cut, it is the same head or the same error.
pub fn head(data: &[u8]) {
    let (lengths, bytes) = cuts::take(data);
    let whole = HeadReader::new().read(bytes);
    let (mut reader, mut buffer) = (HeadReader::new(), Vec::new());
    let mut cut = reader.read(&[]);
    for piece in cuts::pieces(lengths, bytes) {
        buffer.extend_from_slice(piece);
        cut = reader.read(&buffer);
        if cut != Ok(Parsed::Incomplete) {
            break;
        }
    }
    assert_eq!(whole, cut);
    let Ok(Parsed::Complete { head, len }) = whole else {
        return;
    };
    assert!(len <= bytes.len() && len <= MAX_HEAD_BYTES);
    let stream = source_head::stream_head(&head, Charset::default(), 0, Epoch(0));
    for (_, value) in &stream.icy {
        assert!(!value.contains(['\r', '\n', '\0']), "{value:?}");
    }
    body(BodyDecoder::after(&head), &bytes[len..], lengths);
}

/// However a body is cut, the same audio comes out of it.
pub fn chunked(data: &[u8]) {
    let (lengths, bytes) = cuts::take(data);
    for kind in [
        BodyKind::Chunked,
        BodyKind::Length(100),
        BodyKind::UntilClose,
    ] {
        let whole = body(BodyDecoder::new(kind), bytes, &[]);
        let cut = body(BodyDecoder::new(kind), bytes, lengths);
        assert_eq!(whole, cut);
    }
}

/// The audio of a body, and whether it was in order to its end.
fn body(mut decoder: BodyDecoder, bytes: &[u8], lengths: &[u8]) -> (BytesMut, bool) {
    let (mut input, mut out) = (BytesMut::new(), BytesMut::new());
    for piece in cuts::pieces(lengths, bytes) {
        input.extend_from_slice(piece);
        match decoder.decode(&mut input, &mut out) {
            Ok(BodyState::More) => {}
            Ok(BodyState::End) => return (out, true),
            Err(_) => return (out, false),
        }
        assert!(input.len() <= 1, "{} bytes are held back", input.len());
    }
    assert!(out.len() <= bytes.len());
    (out, true)
}

/// Headers of proxies and logins are texts of anybody.
pub fn logins(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Some(login) = basic(text) {
        assert!(login.user.len() + login.password.len() <= 2 * text.len());
    }
    let _token = bearer(text);
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let trusted = ["127.0.0.0/8".parse().expect("a network")];
    let names = ["X-Forwarded-For", "X-Forwarded-Proto"];
    let headers = text
        .lines()
        .zip(names.iter().cycle())
        .map(|(value, name)| (*name, value));
    let client = forwarded::client(peer, false, &trusted, headers);
    assert_eq!(client.ip, client.ip.to_canonical());
}

/// The first line of a Shoutcast source: more bytes never change a verdict.
pub fn shoutcast(data: &[u8]) {
    for port in [PortUse::Http, PortUse::Shoutcast, PortUse::Https] {
        let mut verdict = FirstLine::More;
        for length in 0..=data.len().min(1_000) {
            let now = FirstLine::read(&data[..length], port);
            assert!(
                verdict == FirstLine::More || verdict == now,
                "{verdict:?}, then {now:?}"
            );
            verdict = now;
        }
        if let FirstLine::Login { login, len } = verdict {
            assert!(len <= data.len());
            assert!(login.readings(&BTreeMap::new(), None).is_empty());
        }
    }
}
