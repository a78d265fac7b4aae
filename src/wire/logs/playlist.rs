//! A line of `playlist.log`.

use serde::Serialize;

use super::date::{json_date, log_date};
use super::json::json_line;
use crate::model::access_log::{LogFormat, TitleEntry};
use crate::model::caption::caption;
use crate::model::node::NodeName;

/// The line of a title, without its end.
pub fn playlist_line(entry: &TitleEntry, format: LogFormat, node: &NodeName) -> String {
    match format {
        LogFormat::Combined => piped(entry),
        LogFormat::Json => json(entry, node),
    }
}

/// As Icecast writes it: `20/Nov/2026:08:26:15 +0000|/radio.mp3|12|Artist - Title`. The title is last, and may hold the sign
/// between the fields; no mount does.
fn piped(entry: &TitleEntry) -> String {
    let (date, mount) = (log_date(entry.unix_s), entry.mount.as_str());
    let mount = mount.replace('|', "%7C");
    let title = caption(&entry.title.text);
    format!("{date}|{mount}|{}|{title}", entry.listeners)
}

/// A line of JSON. What is not known apart is left out.
#[derive(Serialize)]
struct JsonTitle<'a> {
    time: String,
    node: &'a str,
    mount: &'a str,
    listeners: u32,
    title: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    artist: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    piece: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    album: &'a str,
}

fn json(entry: &TitleEntry, node: &NodeName) -> String {
    let line = JsonTitle {
        time: json_date(entry.unix_s),
        node: node.as_str(),
        mount: entry.mount.as_str(),
        listeners: entry.listeners,
        title: &entry.title.text,
        artist: &entry.title.artist,
        piece: &entry.title.title,
        album: &entry.title.album,
    };
    json_line(&line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::model::title::TitleInfo;

    fn entry(title: TitleInfo) -> TitleEntry {
        TitleEntry {
            unix_s: 1_795_162_475,
            mount: "/radio.mp3".parse().unwrap(),
            listeners: 12,
            title,
        }
    }

    fn line(title: TitleInfo, format: LogFormat) -> String {
        playlist_line(&entry(title), format, &"n1".parse().unwrap())
    }

    #[test]
    fn a_title_is_a_line_as_icecast_writes_it() {
        let title = TitleInfo::plain("Ar|tist - T\u{ef}tle");
        assert_eq!(
            line(title, LogFormat::Combined),
            "20/Nov/2026:08:14:35 +0000|/radio.mp3|12|Ar|tist - T\u{ef}tle"
        );
    }

    #[test]
    fn json_has_the_parts_of_a_title_that_are_known() {
        let both = line(TitleInfo::joined("A", "B"), LogFormat::Json);
        let read: Value = serde_json::from_str(&both).unwrap();
        assert_eq!(
            (&read["artist"], &read["piece"]),
            (&"A".into(), &"B".into())
        );
        assert_eq!(
            (&read["title"], &read["listeners"]),
            (&"A - B".into(), &12.into())
        );
        assert!(!line(TitleInfo::plain("A"), LogFormat::Json).contains("artist"));
    }

    proptest! {
        #[test]
        fn every_title_is_one_line(text: String) {
            // Not cleaned, as titles are where they come in.
            let title = TitleInfo { text, ..TitleInfo::default() };
            for format in [LogFormat::Combined, LogFormat::Json] {
                let line = line(title.clone(), format);
                prop_assert!(!line.contains(char::is_control), "{line:?}");
            }
        }
    }
}
