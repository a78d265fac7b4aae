//! A server as one row sees it: with mounts of its own.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::api::{self, Creation};
use crate::encoder::eventually;
use crate::row::{Fault, Outcome, Prepared, Relay, Row, deviates, want};
use crate::server::{Login, Mounts, SHOUTCAST_MOUNT, Server};
use crate::socket::{PATIENCE, RawSocket, Reply};
use crate::upstreams::Upstreams;

/// A server as one row sees it. Dropping it deletes what was made on a server that somebody has named.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    /// The server.
    pub(crate) server: &'a Server,
    number: u8,
    upstreams: Option<&'a Upstreams>,
    /// The mounts that were made for the row.
    made: Vec<String>,
}

impl<'a> Target<'a> {
    /// The server for a row, with the row's mounts.
    pub(crate) fn prepared(
        server: &'a Server,
        row: &Row,
        upstreams: Option<&'a Upstreams>,
    ) -> Result<Self, Fault> {
        let mut target = Self {
            server,
            number: row.number,
            upstreams,
            made: Vec::new(),
        };
        for (letter, settings) in row.needs.others {
            target.make(target.other(letter), settings)?;
        }
        for relay in row.needs.relays {
            target.make_relay(relay)?;
        }
        if row.needs.relays.is_empty() {
            target.make(target.mount(), row.needs.mount)?;
        }
        if row.needs.server == Prepared::Shoutcast && server.process.is_some() {
            target.make(SHOUTCAST_MOUNT.to_owned(), &[])?;
        }
        Ok(target)
    }

    /// Another server, as the same row sees it.
    pub(crate) fn at<'b>(&self, server: &'b Server) -> Target<'b> {
        Target {
            server,
            number: self.number,
            upstreams: None,
            made: Vec::new(),
        }
    }

    /// The login of slaves.
    pub(crate) fn relay_login(&self) -> Result<&Login, Fault> {
        let missing = Fault::Skipped("it needs the login of slaves");
        self.server.relay.as_ref().ok_or(missing)
    }

    fn make(&mut self, mount: String, settings: &[(&str, &str)]) -> Outcome {
        let Mounts::Api(authorization) = &self.server.mounts else {
            return Ok(());
        };
        match api::create(self.server, authorization, &mount, settings)? {
            Creation::New => {
                self.made.push(mount);
                Ok(())
            }
            // All rows for Shoutcast share one.
            Creation::Exists if self.server.process.is_some() => Ok(()),
            Creation::Exists => Err(Fault::Skipped("a mount of that name is there already")),
        }
    }

    fn make_relay(&mut self, relay: &Relay) -> Outcome {
        let upstreams = self.upstreams()?;
        let urls = relay.from.iter().map(|&it| upstreams.url(it));
        let urls: Option<Vec<String>> = urls.collect();
        let urls = urls.ok_or(Fault::Skipped("it needs an icecast2 to relay from"))?;
        let on_demand = if relay.on_demand { "true" } else { "false" };
        let settings = [("relay", &*urls.join(",")), ("on_demand", on_demand)];
        self.make(self.other(relay.letter), &settings)
    }

    /// The servers from which mounts are relayed.
    pub(crate) fn upstreams(&self) -> Result<&'a Upstreams, Fault> {
        let missing = Fault::Skipped("it needs servers beside it from which it relays");
        self.upstreams.ok_or(missing)
    }

    /// The row's mount.
    pub(crate) fn mount(&self) -> String {
        first_mount(self.number)
    }

    /// The row's other mount.
    pub(crate) fn second(&self) -> String {
        self.other("b")
    }

    /// The row's other mount with this letter.
    pub(crate) fn other(&self, letter: &str) -> String {
        format!("{}{letter}", self.mount())
    }

    /// A connection to the server.
    pub(crate) fn open(&self) -> Result<RawSocket, Fault> {
        RawSocket::open(&self.server.address)
    }

    /// `HOST:PORT`.
    pub(crate) fn host(&self) -> &str {
        &self.server.address
    }

    /// Sends a request as it is written, and reads the whole answer.
    pub(crate) fn ask(&self, request: impl AsRef<[u8]>) -> Result<Reply, Fault> {
        let mut socket = self.open()?;
        socket.send(request)?;
        socket.reply()
    }

    /// Asks for a target, and wants an answer that ends.
    pub(crate) fn get(&self, target: &str, headers: &str) -> Result<Reply, Fault> {
        let host = self.host();
        self.ask(format!(
            "GET {target} HTTP/1.0\r\nHost: {host}\r\n{headers}\r\n"
        ))
    }

    /// Asks for a mount that must be refused. A stream, which would not end, is not read.
    pub(crate) fn get_refused(&self, mount: &str) -> Result<Reply, Fault> {
        let mut socket = self.open()?;
        let host = self.host();
        socket.send(format!("GET {mount} HTTP/1.0\r\nHost: {host}\r\n\r\n"))?;
        let head = socket.head()?;
        want(head.status != 200, || format!("a stream: {head:?}"))?;
        let body = socket.rest(PATIENCE)?;
        Ok(Reply { head, body })
    }

    /// The header by which sources log in.
    pub(crate) fn login(&self) -> String {
        authorization(&self.server.source)
    }

    /// The header by which the admin logs in.
    pub(crate) fn admin(&self) -> Result<String, Fault> {
        let missing = Fault::Skipped("it needs the login of the admin");
        self.server.admin.as_ref().map(authorization).ok_or(missing)
    }

    /// Says what is on air, as an encoder does: `query` is all behind the mount.
    pub(crate) fn update(&self, mount: &str, query: &str) -> Result<Reply, Fault> {
        let asked = format!("/admin/metadata?mode=updinfo&mount={mount}&{query}");
        self.get(&asked, &self.login())
    }

    /// The same for the row's mount, where it must be taken.
    pub(crate) fn set_title(&self, query: &str) -> Outcome {
        self.update(&self.mount(), query)?.head.want(200)
    }

    /// The fields of the public status about a mount, if the mount is in it.
    pub(crate) fn stats(&self, mount: &str) -> Result<Option<Value>, Fault> {
        let reply = self.get("/status-json.xsl", "")?;
        reply.head.want(200)?;
        let read: Value = serde_json::from_slice(&reply.body)
            .map_err(|error| deviates(format!("status-json is no JSON: {error}")))?;
        let sources = match &read["icestats"]["source"] {
            Value::Array(all) => all.clone(),
            Value::Null => Vec::new(),
            one => vec![one.clone()],
        };
        let is_it = |source: &Value| {
            let url = source["listenurl"].as_str().unwrap_or_default();
            url.ends_with(mount)
        };
        Ok(sources.into_iter().find(is_it))
    }

    /// One field of that as text, whatever its kind; empty if there is none.
    pub(crate) fn stat(&self, mount: &str, field: &str) -> Result<String, Fault> {
        let stats = self.stats(mount)?.unwrap_or_default();
        Ok(match &stats[field] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    }

    /// Waits until the public status says this.
    pub(crate) fn wait_stat(&self, mount: &str, field: &str, value: &str) -> Outcome {
        eventually(|| {
            let seen = self.stat(mount, field)?;
            want(seen == value, || {
                format!("{field} of {mount} is {seen:?}, not {value:?}")
            })
        })
    }

    /// Waits until the mount is in the public status.
    pub(crate) fn wait_on_air(&self, mount: &str) -> Outcome {
        eventually(|| match self.stats(mount)? {
            Some(_) => Ok(()),
            None => Err(deviates(format!("{mount} is not on air"))),
        })
    }
}

impl Drop for Target<'_> {
    fn drop(&mut self) {
        let Mounts::Api(authorization) = &self.server.mounts else {
            return;
        };
        if self.server.process.is_none() {
            for mount in &self.made {
                if let Err(fault) = api::delete(self.server, authorization, mount) {
                    println!("{mount} is left behind: {fault:?}");
                }
            }
        }
    }
}

/// The first mount of the row with this number.
pub(crate) fn first_mount(number: u8) -> String {
    format!("/k{number}")
}

/// The header of this login.
pub(crate) fn authorization(login: &Login) -> String {
    let pair = format!("{}:{}", login.user, login.password);
    format!("Authorization: Basic {}\r\n", STANDARD.encode(pair))
}

/// A span that a machine which is busy with other tests may need for what takes no time.
pub(crate) const MOMENT: Duration = Duration::from_millis(300);
