//! `/admin/eventfeed`: what happens to the streams of the mesh, as Server-Sent Events of the shape that Icecast 2.5 has.

use std::collections::BTreeMap;

use serde_json::json;

use super::Admin;
use super::call::{Answer, Call};
use super::feed::{self, Teller};
use crate::model::mount::MountName;
use crate::model::status::{MountStatus, Status};
use crate::model::stream::StreamId;
use crate::service::status::Viewer;

/// Something that happened to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trigger {
    SourceConnect,
    SourceDisconnect,
    SourceListenersChanged,
    FormatMetadataChanged,
}

impl Trigger {
    /// Icecast's word for it.
    fn word(self) -> &'static str {
        match self {
            Self::SourceConnect => "source-connect",
            Self::SourceDisconnect => "source-disconnect",
            Self::SourceListenersChanged => "source-listeners-changed",
            Self::FormatMetadataChanged => "format-metadata-changed",
        }
    }
}

/// The facts of a stream whose changes are told.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    stream: StreamId,
    listeners: u32,
    title: String,
}

/// The streams on air.
type StreamsSeen = BTreeMap<MountName, Seen>;

/// Answers `/admin/eventfeed`.
pub(super) fn event_feed(admin: &Admin, _call: &Call) -> Answer {
    let seen = seen(&admin.0.statuses.status(Viewer::Operator));
    feed::answer(admin, "text/event-stream", EventTeller { seen })
}

struct EventTeller {
    seen: StreamsSeen,
}

impl Teller for EventTeller {
    fn news(&mut self, admin: &Admin) -> String {
        let now = seen(&admin.0.statuses.status(Viewer::Operator));
        let events = events(&self.seen, &now).into_iter();
        let told = events.map(|(mount, trigger)| event(&mount, trigger, now.get(&mount)));
        let told = told.collect();
        self.seen = now;
        told
    }

    fn quiet(&mut self) -> String {
        ": nothing new\r\n\r\n".to_owned()
    }
}

fn seen(status: &Status) -> StreamsSeen {
    let on_air = |mount: &MountStatus| {
        let seen = Seen {
            stream: mount.source.as_ref()?.stream_id,
            listeners: mount.listeners,
            title: mount.title.clone(),
        };
        Some((mount.path.clone(), seen))
    };
    status.mounts.iter().filter_map(on_air).collect()
}

/// The events between two looks. A source that took the place of another has come, and the other has gone.
fn events(before: &StreamsSeen, now: &StreamsSeen) -> Vec<(MountName, Trigger)> {
    let mut events = Vec::new();
    let mut tell = |mount: &MountName, trigger| events.push((mount.clone(), trigger));
    for (mount, old) in before {
        if now.get(mount).is_none_or(|new| new.stream != old.stream) {
            tell(mount, Trigger::SourceDisconnect);
        }
    }
    for (mount, new) in now {
        let old = before.get(mount);
        let same = old.filter(|old| old.stream == new.stream);
        if same.is_none() {
            tell(mount, Trigger::SourceConnect);
        }
        if same.map_or("", |old| &old.title) != new.title {
            tell(mount, Trigger::FormatMetadataChanged);
        }
        if old.map_or(0, |old| old.listeners) != new.listeners {
            tell(mount, Trigger::SourceListenersChanged);
        }
    }
    events
}

/// An event as it is sent. JSON has no line ends of its own, so none of its texts can begin another one.
fn event(mount: &MountName, trigger: Trigger, seen: Option<&Seen>) -> String {
    let mut crude = json!({"trigger": trigger.word(), "uri": mount});
    if let Some(seen) = seen {
        crude["listeners"] = json!(seen.listeners);
        crude["title"] = json!(seen.title);
    }
    let data = json!({"type": "event", "crude": crude, "mount": mount});
    let id = uuid(rand::random());
    format!("id: {id}\r\ndata: {data}\r\n\r\n")
}

/// A random number as a UUID of version 4.
fn uuid(random: u128) -> String {
    let marked = random & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let digits = format!("{marked:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streams(those: &[(&str, u128, u32, &str)]) -> StreamsSeen {
        let those = those.iter();
        let seen = those.map(|&(mount, stream, listeners, title)| {
            let seen = Seen {
                stream: StreamId(stream),
                listeners,
                title: title.to_owned(),
            };
            (mount.parse().unwrap(), seen)
        });
        seen.collect()
    }

    #[test]
    fn an_id_is_a_uuid() {
        assert_eq!(uuid(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }

    #[test]
    fn changes_between_two_looks_are_events() {
        let before = streams(&[("/a", 1, 0, ""), ("/b", 2, 3, "x"), ("/d", 4, 1, "t")]);
        let now = streams(&[("/b", 9, 3, "x"), ("/c", 3, 1, ""), ("/d", 4, 2, "u")]);
        let told = events(&before, &now);
        let words = told
            .iter()
            .map(|(mount, it)| format!("{mount} {}", it.word()));
        assert_eq!(
            words.collect::<Vec<_>>(),
            [
                "/a source-disconnect",
                "/b source-disconnect",
                "/b source-connect",
                "/b format-metadata-changed",
                "/c source-connect",
                "/c source-listeners-changed",
                "/d format-metadata-changed",
                "/d source-listeners-changed",
            ]
        );
        assert!(events(&now, &now).is_empty());
    }
}
