//! `/status-json.xsl`: one source is an object, several are a list, and with none the key is missing.
//!
//! Icecast writes it with a stylesheet that does not know JSON: a text that looks like a number loses its quotes, and
//! in old versions a title can make the whole invalid. Then the two values that matter are searched in the text.

use serde_json::Value;

use super::{BadAnswer, MAX_MOUNTS_READ, ServerLoad, count};
use crate::model::outside::Slots;

pub(super) fn read(text: &str) -> Result<ServerLoad, BadAnswer> {
    match serde_json::from_str::<Value>(text) {
        Ok(status) => sources(&status).ok_or(BadAnswer::Json),
        Err(_) => find_in_broken_json(text).ok_or(BadAnswer::Json),
    }
}

fn sources(status: &Value) -> Option<ServerLoad> {
    let stats = status.get("icestats")?.as_object()?;
    let sources = match stats.get("source") {
        Some(Value::Array(sources)) => sources.as_slice(),
        Some(source @ Value::Object(_)) => std::slice::from_ref(source),
        _ => &[],
    };
    let mut load = ServerLoad::default();
    for source in sources.iter().take(MAX_MOUNTS_READ) {
        let listeners = source.get("listeners").map_or(0, listeners);
        let url = source.get("listenurl").and_then(Value::as_str);
        load.add(url.and_then(mount), listeners);
    }
    Some(load)
}

fn listeners(value: &Value) -> u32 {
    match value {
        Value::Number(number) => count(&number.to_string()),
        Value::String(text) => count(text),
        _ => 0,
    }
}

/// The path of an address: Icecast tells the name of a mount only in this way.
fn mount(url: &str) -> Option<&str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map(|slash| &rest[slash..])
}

/// Finds each `listenurl`, and the last `listeners` before it: Icecast sorts by name, so that titles, which strangers
/// write, come after both.
fn find_in_broken_json(text: &str) -> Option<ServerLoad> {
    const LISTENURL: &str = "\"listenurl\":";
    const LISTENERS: &str = "\"listeners\":";
    if !text.trim_start().starts_with('{') || !text.contains("\"icestats\"") {
        return None;
    }
    let mut load = ServerLoad::default();
    let mut rest = text;
    for _ in 0..MAX_MOUNTS_READ {
        let Some((before, behind)) = rest.split_once(LISTENURL) else {
            break;
        };
        let counted = before.rsplit_once(LISTENERS).map(|(_, value)| value);
        let value = counted.and_then(|value| value.split([',', '}']).next());
        let listeners = value.map_or(0, |value| count(value.trim().trim_matches('"')));
        let quoted = behind.trim_start().strip_prefix('"');
        let url = quoted.and_then(|url| url.split('"').next());
        // JSON may write a slash as `\/`.
        let url = url.map(|url| url.replace('\\', ""));
        load.add(url.as_deref().and_then(mount), listeners);
        rest = behind;
    }
    Some(load)
}

impl ServerLoad {
    fn add(&mut self, mount: Option<&str>, listeners: u32) {
        self.server.listeners = self.server.listeners.saturating_add(listeners);
        if let Some(mount) = mount {
            let slots = Slots {
                listeners,
                max_listeners: None,
            };
            self.mounts.insert(mount.to_owned(), slots);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::slots;
    use super::*;

    #[test]
    fn one_source_several_and_none_are_all_read() {
        let one = r#"{"icestats":{"source":{"listeners":3,"listenurl":"http://h:8000/a/b.mp3"},"dummy":null}}"#;
        let load = read(one).unwrap();
        assert_eq!(load.mounts["/a/b.mp3"], slots(3, None));
        let two = r#"{"icestats":{"source":[{"listeners":"3","listenurl":"http://[::1]:8000/a"},
            {"listenurl":"https://h/b"},{"listeners":-2,"listenurl":"nothing"},7]}}"#;
        let load = read(two).unwrap();
        assert_eq!(load.mounts["/a"], slots(3, None), "a number as text");
        assert_eq!(load.mounts["/b"], slots(0, None), "no number at all");
        assert_eq!((load.mounts.len(), load.server.listeners), (2, 3));
        assert_eq!(
            read(r#"{"icestats":{"dummy":null}}"#).unwrap(),
            ServerLoad::default()
        );
    }

    #[test]
    fn broken_json_of_an_old_icecast_is_read() {
        let broken = r#"{"icestats":{"source":[
            {"genre":-,"listener_peak":9,"listeners":3,"listenurl":"http:\/\/h:8000\/a","title":"The "Best" of"},
            {"listeners":4,"listenurl":"http://h:8000/b","title":"x","listeners":99},
            {"listeners":5,"listenurl":"http://h:8000/c","server_name":007,}]}}"#;
        assert!(serde_json::from_str::<Value>(broken).is_err());
        let load = read(broken).unwrap();
        assert_eq!(load.mounts["/a"], slots(3, None));
        assert_eq!(load.mounts["/b"], slots(4, None));
        assert_eq!(load.mounts["/c"], slots(5, None));
        assert_eq!(load.server.listeners, 12);
    }

    #[test]
    fn a_foreign_page_is_no_status() {
        for other in [
            "",
            "[]",
            "{}",
            "<html>\"icestats\"",
            "{\"a\":1",
            "{\"icestats\":5}",
        ] {
            assert_eq!(read(other), Err(BadAnswer::Json), "{other}");
        }
    }
}
