//! A line of `access.log`.

use std::fmt::Write as _;

use serde::Serialize;

use super::client::ShownClient;
use super::date::{json_date, log_date};
use super::json::json_line;
use crate::model::access_log::{AccessEntry, LogFormat};
use crate::model::node::NodeName;

/// The line of a request, without its end. The client is shown as the operator wants it.
pub fn access_line(
    entry: &AccessEntry,
    client: &ShownClient,
    format: LogFormat,
    node: &NodeName,
) -> String {
    match format {
        LogFormat::Combined => combined(entry, client),
        LogFormat::Json => json(entry, client, node),
    }
}

/// The combined format of web servers, and the seconds that the request took:
/// `192.0.2.0 - dj [20/Nov/2026:08:22:36 +0000] "GET /a.mp3 HTTP/1.1" 200 68849 "-" "mpv 0.35" 2`.
fn combined(entry: &AccessEntry, client: &ShownClient) -> String {
    let request = &entry.request;
    let word = |text: &Option<String>| match text.as_deref() {
        None | Some("") => "-".to_owned(),
        Some(text) => escaped(text, is_plain),
    };
    // Neither a blank nor the bracket before the time.
    let inside_word = |letter| is_plain(letter) && !matches!(letter, ' ' | '[' | ']');
    let user = match request.user.as_deref() {
        // Else a user of this name could not be told from none.
        None | Some("" | "-") => "-".to_owned(),
        Some(user) => escaped(user, inside_word),
    };
    format!(
        "{client} - {user} [{}] \"{} {} {}\" {} {} \"{}\" \"{}\" {}",
        log_date(entry.ended_unix_s),
        escaped(&request.method, inside_word),
        escaped(&request.path, inside_word),
        request.protocol,
        entry.status,
        entry.sent_bytes,
        word(&request.referer),
        word(&request.agent),
        entry.took.as_secs(),
    )
}

/// Whether a letter stands for itself: a printable one of ASCII that neither ends a text nor escapes.
fn is_plain(letter: char) -> bool {
    matches!(letter, ' '..='~') && letter != '"' && letter != '\\'
}

/// A text in which all other letters are written as their bytes, each as `\xHH`, as nginx does it.
fn escaped(text: &str, is_plain: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_plain(letter) {
            shown.push(letter);
            continue;
        }
        for byte in letter.encode_utf8(&mut [0; 4]).bytes() {
            write!(shown, "\\x{byte:02X}").expect("a text takes all that is written");
        }
    }
    shown
}

/// A line of JSON.
#[derive(Serialize)]
struct JsonAccess<'a> {
    time: String,
    node: &'a str,
    client: Option<String>,
    user: Option<&'a str>,
    method: &'a str,
    path: &'a str,
    protocol: &'static str,
    status: u16,
    bytes: u64,
    referer: Option<&'a str>,
    agent: Option<&'a str>,
    seconds: f64,
}

fn json(entry: &AccessEntry, client: &ShownClient, node: &NodeName) -> String {
    let request = &entry.request;
    let line = JsonAccess {
        time: json_date(entry.ended_unix_s),
        node: node.as_str(),
        client: client.known(),
        user: request.user.as_deref(),
        method: &request.method,
        path: &request.path,
        protocol: request.protocol,
        status: entry.status,
        bytes: entry.sent_bytes,
        referer: request.referer.as_deref(),
        agent: request.agent.as_deref(),
        // Thousandths say enough.
        seconds: entry.took.as_millis() as f64 / 1_000.0,
    };
    json_line(&line)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::model::access_log::{AddressPrivacy, NotedRequest};
    use crate::wire::logs::client::ClientKey;

    fn entry() -> AccessEntry {
        AccessEntry {
            request: NotedRequest {
                client: "192.0.2.17".parse().unwrap(),
                user: Some("dj".to_owned()),
                method: "GET".to_owned(),
                path: "/a.mp3".to_owned(),
                protocol: "HTTP/1.1",
                referer: Some("http://radio.example/".to_owned()),
                agent: Some("mpv 0.35".to_owned()),
            },
            status: 200,
            sent_bytes: 68_849,
            ended_unix_s: 1_795_162_475,
            took: Duration::from_millis(2_999),
        }
    }

    fn line(entry: &AccessEntry, format: LogFormat) -> String {
        let key = ClientKey::new([0; 32]);
        let client = key.shown(entry.request.client, AddressPrivacy::Truncated);
        access_line(entry, &client, format, &"n1".parse().unwrap())
    }

    /// The nine fields of a line in the combined format, taken apart as a strict reader would.
    fn fields(line: &str) -> Vec<&str> {
        let (before, rest) = line.split_once(" [").unwrap();
        let (date, rest) = rest.split_once("] \"").unwrap();
        let quoted: Vec<&str> = rest.split('"').collect();
        let [request, numbers, referer, " ", agent, seconds] = quoted[..] else {
            panic!("{line}");
        };
        let client: Vec<&str> = before.split(' ').collect();
        let numbers: Vec<&str> = numbers.trim().split(' ').collect();
        let [ip, "-", user] = client[..] else {
            panic!("{line}");
        };
        vec![
            ip,
            user,
            date,
            request,
            numbers[0],
            numbers[1],
            referer,
            agent,
            seconds.trim(),
        ]
    }

    #[test]
    fn a_request_is_a_line_as_icecast_writes_it() {
        let both = "192.0.2.0 - dj [20/Nov/2026:08:14:35 +0000] \"GET /a.mp3 HTTP/1.1\" 200 68849 \
                    \"http://radio.example/\" \"mpv 0.35\" 2";
        assert_eq!(line(&entry(), LogFormat::Combined), both);
        let mut silent = entry();
        (silent.request.user, silent.request.referer) = (None, Some(String::new()));
        silent.request.agent = None;
        let line = line(&silent, LogFormat::Combined);
        assert!(line.starts_with("192.0.2.0 - - [") && line.ends_with(" \"-\" \"-\" 2"));
    }

    #[test]
    fn a_request_is_an_object_of_json() {
        let line = line(&entry(), LogFormat::Json);
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["time"], "2026-11-20T08:14:35Z");
        assert_eq!(
            (&read["client"], &read["node"]),
            (&"192.0.2.0".into(), &"n1".into())
        );
        assert_eq!(
            (&read["status"], &read["bytes"]),
            (&200.into(), &68_849.into())
        );
        assert_eq!(read["seconds"], 2.999);
        assert_eq!(read["referer"], "http://radio.example/");
    }

    #[test]
    fn quotes_ends_and_escapes_stay_within_their_field() {
        let mut entry = entry();
        entry.request.agent = Some("a\" 0\r\n1.2.3.4 \\ \u{e9}\u{1b}[31m".to_owned());
        entry.request.user = Some("a b".to_owned());
        let line = line(&entry, LogFormat::Combined);
        assert!(
            line.ends_with("\"a\\x22 0\\x0D\\x0A1.2.3.4 \\x5C \\xC3\\xA9\\x1B[31m\" 2"),
            "{line}"
        );
        assert_eq!(fields(&line)[1], "a\\x20b");
    }

    proptest! {
        #[test]
        fn whatever_clients_send_is_one_line_of_nine_fields(
            texts: (Option<String>, String, String, Option<String>, Option<String>),
            numbers: (u16, u64, u64),
        ) {
            let (user, method, path, referer, agent) = texts;
            let (status, sent_bytes, took_ms) = numbers;
            let all = AccessEntry {
                request: NotedRequest { user, method, path, referer, agent, ..entry().request },
                status,
                sent_bytes,
                ended_unix_s: 0,
                took: Duration::from_millis(took_ms),
            };
            let combined = line(&all, LogFormat::Combined);
            prop_assert!(combined.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{}", combined);
            prop_assert_eq!(fields(&combined).len(), 9);
            let json = line(&all, LogFormat::Json);
            prop_assert!(!json.contains(char::is_control));
            let read: Value = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(read["path"].as_str(), Some(&*all.request.path));
            prop_assert_eq!(read["agent"].as_str(), all.request.agent.as_deref());
        }
    }
}
