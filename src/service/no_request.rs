//! The answer to a client that has connected and brought no request that could be read.

use std::io;
use std::net::SocketAddr;

use bytes::BytesMut;
use tracing::{debug, info};

use super::ingest::answer_and_drain;
use crate::io::clock;
use crate::io::door::{NoHead, Visitor};
use crate::io::https::handshake::NoTls;
use crate::wire::http::reply;
use crate::wire::http::reply::Reply;
use crate::wire::http::status::HttpStatus;

/// The first byte of a TLS connection.
const TLS_RECORD: u8 = 0x16;

/// Tells a client without TLS that this port speaks nothing else.
pub(super) async fn refuse_plain(visitor: &mut Visitor) {
    info!(peer = %visitor.peer, status = 400, "refused: it asks by HTTP, and listen_https speaks HTTPS only");
    let why = "this port speaks HTTPS only: write https:// in front of its address";
    let reply = Reply::without_head(b"", clock::unix_s());
    let answer = reply.message(HttpStatus::BadRequest, why, &[]);
    answer_and_drain(&mut visitor.stream, &answer).await;
}

/// Tells the log of a handshake that came to nothing, and lets the client read the alert.
pub(super) async fn note_no_tls(peer: SocketAddr, failed: NoTls) {
    match failed.why.kind() {
        io::ErrorKind::InvalidData => info!(%peer, "refused: {failed}"),
        _ => debug!(%peer, "{failed}"), // it has left
    }
    if let Some(socket) = failed.socket {
        answer_and_drain(&mut socket.into(), b"").await;
    }
}

/// Tells a client what is wrong with what it has begun to send.
pub(super) async fn refuse(visitor: &mut Visitor, error: NoHead, begun: &BytesMut) {
    match &error {
        NoHead::Refused(why) => {
            let status = why.status().map(HttpStatus::code);
            let hint = match begun.first() {
                Some(&TLS_RECORD) => ": it begins like HTTPS, and this port speaks HTTP",
                _ => "",
            };
            info!(peer = %visitor.peer, status, "refused: {why}{hint}");
        }
        NoHead::TooSlow if !begun.is_empty() => {
            info!(peer = %visitor.peer, bytes = begun.len(), "closed: the request, or the login, took too long");
        }
        error => debug!(peer = %visitor.peer, %error, "no request"),
    }
    let has_left = matches!(error, NoHead::Left);
    let unix_s = clock::unix_s();
    let answer = match error {
        NoHead::Refused(error) => reply::head_refused(error, begun, unix_s),
        NoHead::TooSlow if !begun.is_empty() => {
            let reply = Reply::without_head(begun, unix_s);
            Some(reply.message(HttpStatus::RequestTimeout, "the request took too long", &[]))
        }
        NoHead::TooSlow | NoHead::Left => None,
    };
    match answer {
        Some(answer) => answer_and_drain(&mut visitor.stream, &answer).await,
        // By TLS a client is told of the end, or would take it for an attack.
        None if visitor.stream.is_tls() && !has_left => {
            answer_and_drain(&mut visitor.stream, b"").await;
        }
        None => {}
    }
}
