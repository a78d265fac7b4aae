//! Turns the answer of an outside server into a report; there are three ways to ask, and one result.
//!
//! Invalid numbers are read in the only sensible way: `unlimited`, `NaN` and a missing number mean no limit, and a
//! negative number of free slots is 0. One odd number is no reason to give a server up.

mod admin_stats;
mod load_page;
mod status_json;

use std::collections::BTreeMap;

use roxmltree::{Document, Node, ParsingOptions};

use crate::model::outside::{OutsideReport, OutsideServer, Slots, Via};

pub use self::load_page::{LoadPage, written};

/// The longest answer that is read: a hundred mounts with all their texts take a tenth of it.
pub const MAX_ANSWER_BYTES: usize = 1024 * 1024;
/// The most mounts of a server that are read; Icecast itself rarely has more than some hundred.
const MAX_MOUNTS_READ: usize = 4_096;
/// The most places that are capped of a server whose `max_listeners` the operator has not set: with 128 kbit/s each
/// they fill a line of a gigabit. For a greater server the operator sets the limit.
pub const MAX_BELIEVED: u32 = 7_500;
/// The most parts of an XML answer: what fits into [`MAX_ANSWER_BYTES`] in any sensible shape, and a bound on memory.
const MAX_XML_NODES: u32 = 200_000;

/// Why an answer cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAnswer {
    /// The answer is not XML.
    #[error("its answer is not XML: {0}")]
    Xml(String),
    /// The answer is XML of another page.
    #[error("its answer is another page: there is no <{0}> in it")]
    OtherPage(&'static str),
    /// The answer is neither valid JSON nor the invalid JSON of old Icecasts.
    #[error("its answer is not the status of an Icecast")]
    Json,
}

/// All that a server says about load, by its own names of its mounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct ServerLoad {
    server: Slots,
    mounts: BTreeMap<String, Slots>,
}

/// Reads the answer of a server to question `number`; of its mounts only those that it carries for the mesh.
pub fn read(server: &OutsideServer, number: u64, body: &[u8]) -> Result<OutsideReport, BadAnswer> {
    // Titles may be in any encoding; the parts that matter are ASCII, and a title with an invalid letter must not take
    // the server out of use.
    let text = String::from_utf8_lossy(body);
    let load = match server.via {
        Via::StatusJson => status_json::read(&text)?,
        Via::LoadXsl => load_page::read(&text)?,
        Via::AdminStats => admin_stats::read(&text)?,
    };
    let most = server.max_listeners;
    let on_air = |(ours, theirs)| {
        let slots = load.mounts.get(AsRef::<str>::as_ref(theirs))?;
        Some((ours, capped(*slots, most)))
    };
    let names = server.mounts.iter();
    let mounts = names.map(|(ours, theirs)| (ours.clone(), theirs.as_str()));
    let all = capped(load.server, most);
    Ok(OutsideReport {
        number,
        server: Slots {
            max_listeners: all.max_listeners.or(most),
            ..all
        },
        mounts: mounts.filter_map(on_air).collect(),
    })
}

/// The part of a server's claim that is believed: no more room than its operator counts on. Without a bound, a wrong
/// claim would attract all listeners.
fn capped(claimed: Slots, most: Option<u32>) -> Slots {
    let most = most.unwrap_or(MAX_BELIEVED);
    Slots {
        max_listeners: claimed.max_listeners.map(|claim| claim.min(most)),
        ..claimed
    }
}

/// A number of listeners; 0 if it is missing, invalid or negative.
fn count(text: &str) -> u32 {
    // `as` turns NaN and negative numbers into 0, and too large ones into the largest.
    text.trim().parse::<f64>().map_or(0, |number| number as u32)
}

/// A limit; `None` for `unlimited`, `NaN` or any other text that is not a number.
fn limit(text: &str) -> Option<u32> {
    let number = text.trim().parse::<f64>().ok()?;
    number.is_finite().then_some(number as u32)
}

/// Parses XML without a document type: own entities could fill the memory.
pub(super) fn parse(text: &str) -> Result<Document<'_>, BadAnswer> {
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: MAX_XML_NODES,
        ..ParsingOptions::default()
    };
    let text = text.trim_start_matches('\u{feff}').trim_start();
    Document::parse_with_options(text, options).map_err(|error| BadAnswer::Xml(error.to_string()))
}

/// The text of the first child of that name.
pub(super) fn child<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    Some(child_node(node, name)?.text().unwrap_or_default())
}

/// The first child of that name.
pub(super) fn child_node<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.has_tag_name(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::mount::MountName;
    use crate::model::node::NodeName;

    pub(super) fn slots(listeners: u32, max_listeners: Option<u32>) -> Slots {
        Slots {
            listeners,
            max_listeners,
        }
    }

    fn server(via: Via) -> OutsideServer {
        let mount = |path: &str| MountName::try_from(path).unwrap();
        OutsideServer {
            public_url: "http://r".into(),
            poll_url: "http://r".into(),
            via,
            max_listeners: Some(50),
            mounts: BTreeMap::from([
                (mount("/radio.mp3"), mount("/stream")),
                (mount("/jazz.ogg"), mount("/jazz.ogg")),
            ]),
            ..OutsideServer::new(NodeName::try_from("r").unwrap())
        }
    }

    #[test]
    fn a_report_names_our_mounts_and_only_those_on_air() {
        let body = br#"{"icestats":{"source":[
            {"listeners":3,"listenurl":"http://h:8000/stream"},
            {"listeners":4,"listenurl":"http://h:8000/radio.mp3"}]}}"#;
        let report = read(&server(Via::StatusJson), 7, body).unwrap();
        let ours = MountName::try_from("/radio.mp3").unwrap();
        assert_eq!(report.mounts, BTreeMap::from([(ours, slots(3, None))]));
        assert_eq!(report.server, slots(7, Some(50)), "the operator's limit");
        assert_eq!(report.number, 7);
    }

    #[test]
    fn the_smaller_of_two_limits_holds_and_claims_are_bounded() {
        let claim = |most: &str| {
            format!(
                "<load listeners=\"1\" max_listeners=\"{most}\"><mount name=\"/stream\" listeners=\"1\" \
                 max_listeners=\"{most}\"/></load>"
            )
        };
        let mut server = server(Via::LoadXsl);
        for (set, claimed, capped) in [
            (Some(50), "9", Some(9)),
            (Some(50), "4294967295", Some(50)),
            (Some(50), "1e99", Some(50)),
            (Some(50_000), "4294967295", Some(50_000)),
            (None, "4294967295", Some(MAX_BELIEVED)),
            (None, "9", Some(9)),
            (None, "unlimited", None),
        ] {
            server.max_listeners = set;
            let report = read(&server, 1, claim(claimed).as_bytes()).unwrap();
            assert_eq!(report.server, slots(1, capped), "{set:?} {claimed}");
            let mount = report.mounts.values().next().copied();
            assert_eq!(mount, Some(slots(1, capped)), "{set:?} {claimed}");
        }
    }

    #[test]
    fn odd_numbers_have_one_meaning_each() {
        assert_eq!(
            ["3", " 3 ", "3.0", "-3", "NaN", "", "x"].map(count),
            [3, 3, 3, 0, 0, 0, 0]
        );
        assert_eq!(limit("12"), Some(12));
        assert_eq!(limit("-5"), Some(0));
        assert_eq!(limit("1e99"), Some(u32::MAX));
        for none in ["unlimited", "NaN", "", "inf", "-", "Infinity"] {
            assert_eq!(limit(none), None, "{none}");
        }
    }

    #[test]
    fn a_document_type_is_refused() {
        let bomb = "<!DOCTYPE a [<!ENTITY b \"bbbb\">]><load>&b;</load>";
        assert!(matches!(parse(bomb), Err(BadAnswer::Xml(_))));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(body: Vec<u8>, text in "[<>/a-z\"=:{}\\[\\], 0-9.-]{0,200}") {
            for via in Via::ALL {
                let _ = read(&server(via), 1, &body);
                let _ = read(&server(via), 1, text.as_bytes());
                let around = format!("{{\"icestats\":{{\"source\":{text}}}}}<load>{text}</load>");
                let _ = read(&server(via), 1, around.as_bytes());
            }
        }
    }
}
