//! antiphon's API, by which rows get their mounts there.

use serde_json::{Map, Value, json};

use crate::row::{Fault, deviates};
use crate::server::{Server, filler};
use crate::socket::{RawSocket, Reply};

/// The result of creating a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Creation {
    /// The mount is new.
    New,
    /// One of that name was there before.
    Exists,
}

/// Creates a mount with these settings, by this value of `Authorization`.
pub(crate) fn create(
    server: &Server,
    authorization: &str,
    mount: &str,
    settings: &[(&str, &str)],
) -> Result<Creation, Fault> {
    for (_, value) in settings {
        if let Some(name) = value.strip_prefix("file:") {
            let asked = format!("PUT /api/v1/files/{name}");
            ask(server, authorization, &asked, &filler())?
                .head
                .want(200)?;
        }
    }
    let mut fields = Map::new();
    fields.insert("path".to_owned(), json!(mount));
    fields.insert("password".to_owned(), json!(server.source.password));
    // An Icecast keeps the accounts of listeners in a file, which the setting names.
    let settings = settings.iter().map(|&pair| match pair {
        ("htpasswd", _) => ("listener_auth", "htpasswd"),
        pair => pair,
    });
    fields.extend(settings.map(|(name, text)| (name.to_owned(), value(text))));
    let body = Value::Object(fields).to_string();
    let reply = ask(
        server,
        authorization,
        "POST /api/v1/mounts",
        body.as_bytes(),
    )?;
    match reply.head.status {
        201 => Ok(Creation::New),
        409 => Ok(Creation::Exists),
        _ => Err(deviates(format!(
            "{mount} cannot be made: {}",
            reply.text().trim()
        ))),
    }
}

/// Deletes a mount.
pub(crate) fn delete(server: &Server, authorization: &str, mount: &str) -> Result<(), Fault> {
    let asked = format!("DELETE /api/v1/mounts{mount}");
    ask(server, authorization, &asked, &[])?.head.want(204)
}

fn ask(server: &Server, authorization: &str, asked: &str, body: &[u8]) -> Result<Reply, Fault> {
    let (host, length) = (&server.address, body.len());
    let mut socket = RawSocket::open(host)?;
    let head = format!(
        "{asked} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {authorization}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    socket.send([head.as_bytes(), body].concat())?;
    socket.reply()
}

/// A setting as JSON: numbers and flags are not texts there.
fn value(text: &str) -> Value {
    match (text.parse::<u64>(), text) {
        (Ok(number), _) => json!(number),
        (_, "true" | "false") => json!(text == "true"),
        _ => json!(text),
    }
}
