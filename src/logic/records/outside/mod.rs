//! Outside servers: as records of the document, and what is read from their answers.
//!
//! A record may be half a server, when it was deleted on one node and edited on another at the same time: it is
//! listed as skipped, and no listener is sent there.

mod address;
mod fields;
mod mapping;

use std::collections::BTreeMap;

pub use self::address::{BadAddress, public_url};
pub use self::mapping::BadMapping;
use super::kind::{BadRecord, Kind};
use crate::logic::document::Document;
use crate::model::geo::Whereabouts;
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::outside::OutsideServer;
use crate::model::record::key::RecordKey;
use crate::model::record::{Record, Value};
use crate::model::traits::NodeTraits;

/// The outside servers.
pub static OUTSIDE_KIND: Kind<OutsideServer> = Kind {
    noun: "an outside server",
    prefix: "outside/",
    fields: fields::FIELDS,
    unset: || OutsideServer::new(NodeName::try_from("unset").expect("a plain name")),
};

/// The most servers that are asked and chosen: more than any radio has, and each of them is a seat with an election
/// on every node, which costs 20 µs in each round of a mesh of 30. Further ones, in the order of names, are skipped.
pub const MAX_SERVERS: usize = 256;

/// The servers by name.
pub type Servers = BTreeMap<NodeName, OutsideServer>;

/// Why a text is not the name of an outside server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid name of an outside server {0:?}: write 1 to {most} lower-case letters, digits and hyphens, no hyphen at either end",
    most = OutsideServer::MAX_NAME_BYTES
)]
pub struct BadServerName(String);

/// All outside servers of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerListing {
    /// The servers by name.
    pub servers: Servers,
    /// The records that should be servers and are not, and the reason.
    pub skipped: Vec<(RecordKey, BadRecord)>,
}

/// The name of a server, checked.
pub fn name(text: &str) -> Result<NodeName, BadServerName> {
    let short = text.len() <= OutsideServer::MAX_NAME_BYTES;
    let name = NodeName::try_from(text).ok().filter(|_| short);
    name.ok_or_else(|| BadServerName(text.chars().take(80).collect()))
}

/// The key of a server's record.
pub fn key(name: &NodeName) -> RecordKey {
    OUTSIDE_KIND.key(name.as_str())
}

/// The server that a record describes. Unknown fields are no reason to refuse it.
fn server(name: NodeName, record: &Record) -> Result<OutsideServer, BadRecord> {
    let mut server = OutsideServer::new(name);
    OUTSIDE_KIND.load(&mut server, record)?;
    Ok(with_poll_url(server))
}

fn with_poll_url(mut server: OutsideServer) -> OutsideServer {
    if server.poll_url.is_empty() {
        server.poll_url = server.public_url.clone();
    }
    server
}

/// Whether a record is valid after an edit: the first reason against it is the error.
pub fn check(
    name: &NodeName,
    before: Option<&Record>,
    edit: &BTreeMap<String, Value>,
) -> Result<OutsideServer, BadRecord> {
    let mut server = OutsideServer::new(name.clone());
    OUTSIDE_KIND.load_edited(&mut server, before, edit)?;
    Ok(with_poll_url(server))
}

/// The live servers of a document, and the records that should be servers and are not.
pub fn list(document: &Document) -> ServerListing {
    let mut listing = ServerListing::default();
    for found in OUTSIDE_KIND.records(document) {
        let read = match name(found.name) {
            Ok(_) if listing.servers.len() >= MAX_SERVERS => Err(BadRecord::TooMany(MAX_SERVERS)),
            Ok(name) => server(name, found.record),
            Err(_) => Err(BadRecord::Key(OUTSIDE_KIND.noun)),
        };
        match read {
            Ok(server) => drop(listing.servers.insert(server.name.clone(), server)),
            Err(why) => listing.skipped.push((found.key.clone(), why)),
        }
    }
    listing
}

/// The address for a listener of a mount; `None` if the server does not carry it. The query is the listener's own.
pub fn location(server: &OutsideServer, mount: &MountName, query: Option<&str>) -> Option<String> {
    let (url, theirs) = (&server.public_url, server.mounts.get(mount)?);
    Some(match query {
        Some(query) => format!("{url}{theirs}?{query}"),
        None => format!("{url}{theirs}"),
    })
}

/// The traits of a server for policies, as of a node: its weight. Its name counts as a tag, as a node's does.
pub fn traits(server: &OutsideServer) -> NodeTraits {
    NodeTraits {
        weight_percent: server.weight_percent,
        maintenance: !server.enabled,
        ..NodeTraits::default()
    }
}

/// The place of a server for policies.
pub fn whereabouts(server: &OutsideServer) -> Whereabouts {
    Whereabouts {
        country: server.country,
        position: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outside::Via;

    fn node(name: &str) -> NodeName {
        NodeName::try_from(name).unwrap()
    }

    fn mount(path: &str) -> MountName {
        MountName::try_from(path).unwrap()
    }

    fn fields(settings: &[(&str, &str)]) -> BTreeMap<String, Value> {
        let changes = OUTSIDE_KIND.changes(settings.iter().copied());
        changes.unwrap().into_fields()
    }

    fn document(records: &[(&str, &[(&str, &str)])]) -> Document {
        let mut document = Document::new(node("a"));
        for (name, settings) in records {
            let key = RecordKey::try_from(format!("outside/{name}")).unwrap();
            document.edit(&key, fields(settings), 1).unwrap();
        }
        document
    }

    const LEAST: [(&str, &str); 2] = [("public_url", "http://r:8000"), ("mounts", "/a=/b")];

    #[test]
    fn a_server_needs_only_an_address_and_a_mount() {
        let listing = list(&document(&[("r1", &LEAST)]));
        assert_eq!(listing.skipped, []);
        let expected = OutsideServer {
            name: node("r1"),
            public_url: "http://r:8000".into(),
            poll_url: "http://r:8000".into(),
            via: Via::StatusJson,
            login: None,
            weight_percent: 100,
            country: None,
            enabled: true,
            max_listeners: None,
            mounts: BTreeMap::from([(mount("/a"), mount("/b"))]),
        };
        assert_eq!(listing.servers[&node("r1")], expected);
    }

    #[test]
    fn every_setting_survives_its_record() {
        let all = [
            ("public_url", "https://r"),
            ("poll_url", "http://10.0.0.1:8000"),
            ("via", "admin-stats"),
            ("login", "admin:a:b"),
            ("weight", "50"),
            ("country", "DE"),
            ("enabled", "false"),
            ("max_listeners", "90"),
            ("mounts", "/a=/b,/c"),
        ];
        assert_eq!(all.map(|(key, _)| key), *OUTSIDE_KIND.keys());
        let server = list(&document(&[("r1", &all)]))
            .servers
            .remove(&node("r1"))
            .unwrap();
        assert_eq!(server.poll_url, "http://10.0.0.1:8000");
        assert_eq!(server.via, Via::AdminStats);
        assert_eq!(server.login.unwrap().reveal(), "admin:a:b");
        assert_eq!(
            (server.weight_percent, server.max_listeners),
            (50, Some(90))
        );
        assert_eq!(server.country, "de".parse().ok());
        assert!(!server.enabled);
        assert_eq!(server.mounts[&mount("/c")], mount("/c"));
    }

    #[test]
    fn half_a_record_is_skipped_and_the_others_are_listed() {
        let documents = document(&[
            ("r1", &LEAST),
            ("half", &[("weight", "5")]),
            ("mountless", &[("public_url", "http://a")]),
            ("Bad_Name", &LEAST),
        ]);
        let listing = list(&documents);
        assert_eq!(listing.servers.keys().collect::<Vec<_>>(), [&node("r1")]);
        let why: Vec<_> = listing.skipped.into_iter().map(|(_, why)| why).collect();
        let expected = [
            BadRecord::Key("an outside server"),
            BadRecord::Missing("public_url"),
            BadRecord::Missing("mounts"),
        ];
        assert_eq!(why, expected);
    }

    #[test]
    fn an_edit_is_judged_by_what_it_makes() {
        let documents = document(&[("r1", &LEAST)]);
        let (name, record) = (node("r1"), documents.get(&key(&node("r1"))));
        let edit = |key, value| fields(&[(key, value)]);
        let heavy = check(&name, record, &edit("weight", "7")).unwrap();
        assert_eq!((heavy.weight_percent, heavy.mounts.len()), (7, 1));
        let tls = check(&name, record, &edit("public_url", "https://r")).unwrap();
        assert_eq!(tls.poll_url, "https://r");
        let half = check(&name, None, &edit("weight", "7"));
        assert_eq!(half, Err(BadRecord::Missing("public_url")));
    }

    #[test]
    fn servers_have_a_bound() {
        let names: Vec<String> = (0..=MAX_SERVERS).map(|it| format!("r{it:03}")).collect();
        let records: Vec<_> = names.iter().map(|name| (&**name, &LEAST[..])).collect();
        let listing = list(&document(&records));
        assert_eq!(listing.servers.len(), MAX_SERVERS);
        assert_eq!(listing.skipped[0].1, BadRecord::TooMany(MAX_SERVERS));
    }

    #[test]
    fn a_name_leaves_room_for_what_stands_before_it() {
        let longest = "x".repeat(OutsideServer::MAX_NAME_BYTES);
        assert!(name(&longest).is_ok());
        assert!(name(&format!("{longest}x")).is_err());
        assert!(name("").is_err() && name("A").is_err());
    }

    #[test]
    fn a_listener_keeps_its_query_on_the_servers_name() {
        let server = list(&document(&[("r1", &LEAST)]))
            .servers
            .remove(&node("r1"))
            .unwrap();
        let sent = |path, query| location(&server, &mount(path), query);
        assert_eq!(sent("/a", None).as_deref(), Some("http://r:8000/b"));
        assert_eq!(
            sent("/a", Some("t=%20x")).as_deref(),
            Some("http://r:8000/b?t=%20x")
        );
        assert_eq!(sent("/b", None), None, "that is their name, not ours");
    }
}
