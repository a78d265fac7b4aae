//! The kind of value that each key of the settings file wants, so that the error for a wrong one shows a right one.

use toml::de::DeValue;

/// The keys of the table `[dns]`.
pub(super) const DNS_KEYS: [&str; 7] = [
    "zone",
    "listen",
    "ns",
    "contact",
    "answers",
    "answers_per_s",
    "caa",
];

/// The keys of the table `[icecast]`.
pub(super) const ICECAST_KEYS: [&str; 6] = [
    "program",
    "user",
    "port",
    "folder",
    "adopt",
    "reload_command",
];

/// The keys of the table `[logs]`.
pub(super) const LOGS_KEYS: [&str; 7] = [
    "folder",
    "access",
    "playlist",
    "format",
    "address_privacy",
    "max_mib",
    "keep",
];

/// The kind of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// A text, with an example in quotes.
    Text(&'static str),
    /// A mail address, which is not yes or no.
    Contact,
    /// A whole number, with an example and the greatest one.
    Number(&'static str, u64),
    /// Yes or no.
    Flag,
    /// A list of texts.
    List(&'static str),
    /// A text, or a list of texts.
    TextOrList(&'static str),
    /// A number or a text; checked where it is read.
    NumberOrText,
    /// A table of its own.
    Table(&'static str),
}

/// The kind of value for a key of the file.
fn wanted(key: &str) -> Wanted {
    match key {
        "max_listeners" | "max_sources" => Wanted::Number("1000", u32::MAX.into()),
        // The greatest integer that TOML knows.
        "rank" => Wanted::Number("100", i64::MAX.cast_unsigned()),
        "max_bandwidth" | "quorum" | "shoutcast_listen" | "listen_http" | "listen_https" => {
            Wanted::NumberOrText
        }
        "max_transcoders" => Wanted::Number("4", u32::MAX.into()),
        "transcode_memory_mib" => Wanted::Number("512", u32::MAX.into()),
        "found" | "transcode" => Wanted::Flag,
        "join" => Wanted::List(r#"["b.example:8000"]"#),
        "trusted_proxies" => Wanted::List(r#"["127.0.0.1", "10.0.0.0/8"]"#),
        "http_headers" => Wanted::List(r#"["X-Robots-Tag: noindex"]"#),
        "https_redirect" => Wanted::Text("pages"),
        "require_tls_for" => Wanted::List(r#"["admin", "source"]"#),
        "addresses" => Wanted::List(r#"["203.0.113.5"]"#),
        "dns" => Wanted::Table("[dns], and zone = \"radio.example\" below it"),
        "icecast" => Wanted::Table("[icecast], and user = \"icecast2\" below it"),
        "logs" => Wanted::Table("[logs], and access = false below it"),
        "engine" => Wanted::Text("icecast"),
        "name" => Wanted::Text("studio"),
        "listen" => Wanted::Text("0.0.0.0:8000"),
        "tls_cert" => Wanted::Text("/etc/ssl/radio.pem"),
        "tls_key" => Wanted::Text("/etc/ssl/private/radio.key"),
        "shoutcast_mount" => Wanted::Text("/radio.mp3"),
        "public_url" => Wanted::Text("http://radio1.example:8000"),
        "public_https_url" => Wanted::Text("https://radio1.example"),
        "mesh_address" => Wanted::Text("203.0.113.5:8000"),
        "country" => Wanted::Text("DE"),
        "position" => Wanted::Text("52.5,13.4"),
        "media_dir" => Wanted::Text("/srv/radio/media"),
        "web_root" => Wanted::Text("/srv/radio"),
        "admin" => Wanted::Text("radio@example.org"),
        "location" => Wanted::Text("Graz"),
        "https" => Wanted::Contact,
        "transcode_engine" => Wanted::Text("auto"),
        "transcode_user" => Wanted::Text("nobody"),
        "log" => Wanted::Text("info"),
        _ => Wanted::Text("/etc/antiphon/secret"),
    }
}

/// The kind of value for a key of `[dns]`.
fn wanted_of_dns(key: &str) -> Wanted {
    match key {
        "listen" => Wanted::TextOrList(r#""0.0.0.0:53""#),
        "ns" => Wanted::List(r#"["ns1.radio.example"]"#),
        "caa" => Wanted::List(r#"["issue letsencrypt.org"]"#),
        "answers" => Wanted::Number("4", u32::MAX.into()),
        "answers_per_s" => Wanted::Number("50", u32::MAX.into()),
        "contact" => Wanted::Text("hostmaster@radio.example"),
        _ => Wanted::Text("radio.example"),
    }
}

/// The kind of value for a key of `[icecast]`.
fn wanted_of_icecast(key: &str) -> Wanted {
    match key {
        "program" => Wanted::Text("/usr/bin/icecast2"),
        "port" => Wanted::Number("8500", u16::MAX.into()),
        "folder" => Wanted::Text("/etc/icecast2"),
        "adopt" => Wanted::Flag,
        "reload_command" => Wanted::List(r#"["systemctl", "reload", "icecast2"]"#),
        _ => Wanted::Text("icecast2"),
    }
}

/// The kind of value for a key of `[logs]`.
fn wanted_of_logs(key: &str) -> Wanted {
    match key {
        "access" | "playlist" => Wanted::Flag,
        "format" => Wanted::Text("json"),
        "address_privacy" => Wanted::Text("truncated"),
        "max_mib" => Wanted::Number("32", u32::MAX.into()),
        "keep" => Wanted::Number("4", u32::MAX.into()),
        _ => Wanted::Text("/var/log/antiphon"),
    }
}

/// A complaint about the kind of a value in the file; its content is checked later.
pub(super) fn complaint(key: &str, value: &DeValue<'_>) -> Option<String> {
    complain(key, wanted(key), value)
}

/// The same for a value in the table `[dns]`.
pub(super) fn complaint_of_dns(key: &str, value: &DeValue<'_>) -> Option<String> {
    complain(key, wanted_of_dns(key), value)
}

/// The same for a value in the table `[icecast]`.
pub(super) fn complaint_of_icecast(key: &str, value: &DeValue<'_>) -> Option<String> {
    complain(key, wanted_of_icecast(key), value)
}

/// The same for a value in the table `[logs]`.
pub(super) fn complaint_of_logs(key: &str, value: &DeValue<'_>) -> Option<String> {
    complain(key, wanted_of_logs(key), value)
}

fn complain(key: &str, wanted: Wanted, value: &DeValue<'_>) -> Option<String> {
    let texts = |value: &DeValue<'_>| {
        let list = value.as_array();
        list.is_some_and(|list| list.iter().all(|one| one.get_ref().is_str()))
    };
    let (right, words) = match wanted {
        Wanted::NumberOrText => return None,
        Wanted::Text(example) => (
            value.is_str(),
            format!("a text in quotes, such as {example:?}"),
        ),
        Wanted::Contact => (
            value.as_str().is_some_and(|text| text.contains('@')),
            "the mail address to which the authority of certificates writes, such as \"mail@radio.example\", and HTTPS is on by \
             it (antiphon cert enable turns it on without one)"
                .to_owned(),
        ),
        Wanted::Number(example, most) => (
            number(value).is_some_and(|number| number <= most),
            format!("a number, such as {example}"),
        ),
        Wanted::Flag => (value.as_bool().is_some(), "true or false".to_owned()),
        Wanted::List(example) => (texts(value), format!("a list: {example}")),
        Wanted::TextOrList(example) => (
            value.is_str() || texts(value),
            format!("a text in quotes, such as {example}, or a list of them"),
        ),
        Wanted::Table(example) => (value.is_table(), format!("a table: {example}")),
    };
    (!right).then(|| format!("{key} is {words}; not {}", found(value, wanted)))
}

/// A whole number from 0, as digits; `None` if the value is not one.
fn number(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// The value that was found, in a word or two.
fn found(value: &DeValue<'_>, wanted: Wanted) -> String {
    match value {
        DeValue::String(text) if wanted == Wanted::Contact => format!("{text:?}"),
        DeValue::String(_) => "a text".to_owned(),
        DeValue::Integer(number) if matches!(wanted, Wanted::Number(..)) => number.to_string(),
        DeValue::Integer(_) => "a number".to_owned(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) if matches!(wanted, Wanted::List(_) | Wanted::TextOrList(_)) => {
            "a list of other things than texts".to_owned()
        }
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
