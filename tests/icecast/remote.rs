//! A server that somebody has named.
//!
//! `ANTIPHON_CONFORMANCE_TARGET=HOST:PORT` names it, `ANTIPHON_CONFORMANCE_SOURCE=USER:PASSWORD` is the login of its sources,
//! `ANTIPHON_CONFORMANCE_ADMIN=USER:PASSWORD` that of its admin, `ANTIPHON_CONFORMANCE_RELAY=USER:PASSWORD` that of its slaves, and `ANTIPHON_CONFORMANCE_SHOUTCAST=HOST:PORT` its port for
//! Shoutcast sources, whose mount has to be [`SHOUTCAST_MOUNT`](crate::server::SHOUTCAST_MOUNT). An antiphon gets the mounts of rows by its API, if the login of its admin is named.

use std::env;
use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::server::{Login, Mounts, SOURCE, Server};
use crate::socket::RawSocket;

/// The server that is named, if one is.
pub(crate) fn named() -> Option<Server> {
    let address = word("TARGET")?;
    let source = login("SOURCE").unwrap_or_else(|| Login::new(SOURCE[0], SOURCE[1]));
    let admin = login("ADMIN");
    let by_api = admin.as_ref().map(|login| {
        let pair = format!("{}:{}", login.user, login.password);
        format!("Basic {}", STANDARD.encode(pair))
    });
    let by_api = by_api.filter(|authorization| is_antiphon(&address, authorization));
    Some(Server {
        source,
        admin,
        relay: login("RELAY"),
        shoutcast: word("SHOUTCAST"),
        head_limit: None,
        mounts: by_api.map_or(Mounts::Any, Mounts::Api),
        has_files: false,
        process: None,
        shoutcast_turn: Mutex::new(()),
        address,
    })
}

fn word(name: &str) -> Option<String> {
    let value = env::var(format!("ANTIPHON_CONFORMANCE_{name}"));
    value.ok().filter(|value| !value.is_empty())
}

fn login(name: &str) -> Option<Login> {
    let pair = word(name)?;
    let parts = pair.split_once(':');
    let (user, password) = parts.expect("a login is USER:PASSWORD");
    Some(Login::new(user, password))
}

fn is_antiphon(address: &str, authorization: &str) -> bool {
    let asked = RawSocket::open(address).and_then(|mut socket| {
        socket.send(format!(
            "GET /api/v1/mounts HTTP/1.1\r\nHost: {address}\r\nAuthorization: {authorization}\r\nConnection: close\r\n\r\n"
        ))?;
        socket.head()
    });
    asked.is_ok_and(|head| head.status == 200)
}
