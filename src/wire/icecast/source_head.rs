//! The words of a source's request on its stream.
//!
//! Three generations of encoders name the same things differently: `ice-name`, `icy-name` and
//! `x-audiocast-name` mean the same, and the first that has a value counts, in this order.

use std::num::NonZeroUsize;

use percent_encoding::percent_decode_str;

use crate::model::caption::caption;
use crate::model::charset::Charset;
use crate::model::seat::Epoch;
use crate::model::stream::StreamHead;
use crate::wire::http::head::Head;
use crate::wire::web_address::is_web_address;

/// The most `icy-…` headers that a source can hand to listeners; encoders send fewer than a dozen.
pub const MAX_ICY_HEADERS: usize = 32;

/// The longest value of such a header, and of all other texts from a source.
///
/// A quarter of what a whole head may be in Icecast 2.4, so that the longest description in use fits.
pub const MAX_VALUE_BYTES: usize = 1024;

/// The longest name of a header that is passed on; ten times the usual length.
const MAX_NAME_BYTES: usize = 64;

/// The type of a stream without a `Content-Type`: most sources that forget it send MP3.
const DEFAULT_CONTENT_TYPE: &str = "audio/mpeg";

/// The name of each fact here, and the headers that tell it, the best first.
const LADDERS: [(&str, &[&str]); 6] = [
    ("name", &["ice-name", "icy-name", "x-audiocast-name"]),
    (
        "description",
        &[
            "ice-description",
            "icy-description",
            "x-audiocast-description",
        ],
    ),
    ("genre", &["ice-genre", "icy-genre", "x-audiocast-genre"]),
    ("url", &["ice-url", "icy-url", "x-audiocast-url"]),
    ("br", &["ice-bitrate", "icy-br", "x-audiocast-bitrate"]),
    (
        "pub",
        &["ice-public", "icy-pub", "x-audiocast-public", "icy-public"],
    ),
];

/// Headers of these names, without their prefix, are for the node and not for listeners: a password, the
/// distance of the titles in the source's own bytes, and that ffmpeg could take titles itself.
const NOT_HANDED_ON: [&str; 3] = ["password", "metaint", "metadata"];

/// Reads what a source says of its stream, which began at `started_unix_ms` (unix milliseconds) and was
/// accepted by the master of `accept_epoch`. Texts that are not UTF-8 are read in this `charset`.
pub fn stream_head(
    head: &Head,
    charset: Charset,
    started_unix_ms: u64,
    accept_epoch: Epoch,
) -> StreamHead {
    let text = |header: &str| text_of(head, charset, header);
    let mut icy = Vec::new();
    for (name, ladder) in LADDERS {
        let mut told = ladder.iter().filter_map(|header| text(header));
        let value = match name {
            "url" => told.find(|url| is_web_address(url)),
            "br" => stated_bitrate(head),
            _ => told.next(),
        };
        icy.extend(value.map(|value| (name.to_owned(), value)));
    }
    add_others(head, charset, &mut icy);
    StreamHead {
        content_type: content_type(head),
        icy,
        user_agent: text("user-agent").unwrap_or_default(),
        started_unix_ms,
        accept_epoch,
    }
}

/// Adds the `ice-…` and `icy-…` headers that are in no ladder, in the order in which they came.
fn add_others(head: &Head, charset: Charset, icy: &mut Vec<(String, String)>) {
    let on_ladder = |header: &str| LADDERS.iter().any(|(_, names)| names.contains(&header));
    for (header, _) in head.headers() {
        let prefixed = header.strip_prefix("ice-");
        let Some(name) = prefixed.or_else(|| header.strip_prefix("icy-")) else {
            continue;
        };
        let ours = NOT_HANDED_ON.contains(&name) || on_ladder(header);
        let known = icy.iter().any(|(other, _)| other == name);
        let fits = (1..=MAX_NAME_BYTES).contains(&name.len()) && icy.len() < MAX_ICY_HEADERS;
        if ours || known || !fits {
            continue;
        }
        let text = |header: &str| text_of(head, charset, header);
        let value = text(&format!("ice-{name}")).or_else(|| text(header));
        icy.extend(value.map(|value| (name.to_owned(), value)));
    }
}

/// The value of a header, clean and bounded; `None` if nothing is left of it.
fn value_of(head: &Head, header: &str) -> Option<String> {
    clean(head.header(header)?)
}

/// The value of a header, which may be in any language.
fn text_of(head: &Head, charset: Charset, header: &str) -> Option<String> {
    clean(&head.header_in(header, charset)?)
}

/// Text in one line, not longer than [`MAX_VALUE_BYTES`].
fn clean(text: &str) -> Option<String> {
    let mut clean = caption(text);
    clean.truncate(clean.floor_char_boundary(MAX_VALUE_BYTES));
    let trimmed = clean.trim();
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

/// The bitrate in a list such as `ice-samplerate=44100;ice-bitrate=64;ice-channels=2`.
fn bitrate_of_audio_info(head: &Head) -> Option<String> {
    let info = head.header("ice-audio-info")?;
    let mut pairs = info.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| matches!(key.trim(), "ice-bitrate" | "bitrate"))?;
    clean(&percent_decode_str(value).decode_utf8_lossy())
}

/// The bitrate that a source states, in bits per second; 0 if it states none.
pub fn stated_bps(head: &Head) -> u64 {
    let kbps = stated_bitrate(head).and_then(|kbps| kbps.parse::<u64>().ok());
    kbps.unwrap_or(0).saturating_mul(1_000)
}

/// After how many bytes of audio the source weaves a block with a title into its bytes; `None` if it weaves none.
pub fn metadata_interval(head: &Head) -> Option<NonZeroUsize> {
    let told = head.header("icy-metaint")?;
    told.trim().parse().ok()
}

/// The text of the headers that tell the bitrate, kbit/s.
fn stated_bitrate(head: &Head) -> Option<String> {
    let ladder = LADDERS.iter().find(|(name, _)| *name == "br");
    let mut told = ladder.iter().flat_map(|(_, headers)| headers.iter());
    told.find_map(|header| value_of(head, header))
        .or_else(|| bitrate_of_audio_info(head))
}

/// The media type that a source states, in lower case, with its parameters.
pub fn content_type(head: &Head) -> String {
    let told = value_of(head, "content-type").unwrap_or_default();
    let media_type = told.split(';').next().unwrap_or_default().trim();
    match media_type.split_once('/') {
        Some((kind, subtype)) if !kind.is_empty() && !subtype.is_empty() => told.to_lowercase(),
        _ => DEFAULT_CONTENT_TYPE.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::http::reader::{Parsed, parse};

    fn head_of(headers: &str) -> Head {
        let request = format!("SOURCE /a HTTP/1.0\r\n{headers}\r\n");
        match parse(request.as_bytes()) {
            Ok(Parsed::Complete { head, .. }) => head,
            other => panic!("{other:?}"),
        }
    }

    fn stream(headers: &str) -> StreamHead {
        stream_head(&head_of(headers), Charset::default(), 7, Epoch(0))
    }

    #[test]
    fn titles_are_woven_in_where_the_source_says_so() {
        let interval = |headers: &str| {
            let head = head_of(headers);
            metadata_interval(&head).map(NonZeroUsize::get)
        };
        assert_eq!(interval("icy-metaint: 8192\r\n"), Some(8_192));
        for none in [
            "",
            "icy-metaint: 0\r\n",
            "icy-metaint: x\r\n",
            "icy-metaint: -1\r\n",
        ] {
            assert_eq!(interval(none), None);
        }
    }

    #[test]
    fn all_generations_of_encoders_say_the_same() {
        for prefix in ["ice", "icy", "x-audiocast"] {
            let (bitrate, public) = match prefix {
                "icy" => ("br", "pub"),
                _ => ("bitrate", "public"),
            };
            let told = stream(&format!(
                "{prefix}-name: N\r\n{prefix}-description: D\r\n{prefix}-genre: G\r\n\
                 {prefix}-url: http://u\r\n{prefix}-{bitrate}: 64\r\n{prefix}-{public}: 1\r\n"
            ));
            let expected = [
                ("name", "N"),
                ("description", "D"),
                ("genre", "G"),
                ("url", "http://u"),
                ("br", "64"),
                ("pub", "1"),
            ];
            let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
            assert_eq!(told.icy, expected, "{prefix}");
        }
        let mixed = stream("icy-name: old\r\nx-audiocast-name: older\r\nice-name: new\r\n");
        assert_eq!(mixed.icy("name"), Some("new"));
        assert_eq!(mixed.icy.len(), 1);
        let script = stream("ice-url: javascript:x\r\nicy-url: http://u\r\n");
        assert_eq!(script.icy("url"), Some("http://u"));
        let empty = stream("ice-name:  \r\nicy-name: old\r\n");
        assert_eq!(empty.icy("name"), Some("old"));
    }

    #[test]
    fn the_bitrate_may_stand_in_the_audio_info() {
        let info = "ice-audio-info: ice-samplerate=44100;ice-bitrate=64%20;ice-channels=2\r\n";
        let told = stream(info);
        assert_eq!(told.icy("br"), Some("64"));
        assert!(told.icy("audio-info").unwrap().ends_with("channels=2"));
        let both = stream(&format!("{info}ice-bitrate: 128\r\n"));
        assert_eq!(both.icy("br"), Some("128"));
    }

    #[test]
    fn other_headers_are_handed_on_and_secrets_are_not() {
        let told = stream(
            "ice-password: p\r\nicy-metaint: 8192\r\nIcy-MetaData: 1\r\nicy-irc: #a\r\n\
             icy-notice1: old\r\nice-notice1: new\r\nX-Other: x\r\nice-: empty\r\n",
        );
        let expected = [("irc", "#a"), ("notice1", "new")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(told.icy, expected);
    }

    #[test]
    fn other_bytes_are_read_in_the_mounts_charset() {
        let raw =
            b"SOURCE /a HTTP/1.0\r\nice-name: \xcf\xf0\xe8\r\nice-genre: \xd0\x9f\xd1\x80\r\n\r\n";
        let Ok(Parsed::Complete { head, .. }) = parse(raw) else {
            panic!("no head")
        };
        let told = |charset: &str| stream_head(&head, charset.parse().unwrap(), 0, Epoch(0));
        assert_eq!(told("windows-1251").icy("name"), Some("При"));
        assert_eq!(told("windows-1251").icy("genre"), Some("Пр"));
        assert_eq!(told("windows-1252").icy("name"), Some("Ïðè"));
    }

    #[test]
    fn text_is_bounded_and_clean() {
        let long = stream(&format!(
            "ice-name: x{}\r\nice-genre: a\tb\r\n",
            "é".repeat(1000)
        ));
        assert_eq!(long.icy("name").map(str::len), Some(MAX_VALUE_BYTES - 1));
        assert_eq!(long.icy("genre"), Some("a b"));
        let many: String = (0..100).map(|at| format!("icy-x{at}: v\r\n")).collect();
        let many = stream(&format!("{many}ice-name: N\r\n"));
        assert_eq!(many.icy.len(), MAX_ICY_HEADERS);
        assert_eq!(many.icy("name"), Some("N"));
        let name = "n".repeat(MAX_NAME_BYTES + 1);
        assert_eq!(stream(&format!("ice-{name}: v\r\n")).icy.len(), 0);
    }

    #[test]
    fn a_stream_has_a_media_type_whatever_its_source_says() {
        assert_eq!(stream("").content_type, "audio/mpeg");
        assert_eq!(stream("Content-Type: mp3\r\n").content_type, "audio/mpeg");
        let opus = stream("Content-Type: Audio/OGG; codecs=opus\r\nUser-Agent: Lavf/59\r\n");
        assert_eq!(opus.content_type, "audio/ogg; codecs=opus");
        assert_eq!(
            (opus.user_agent.as_str(), opus.started_unix_ms),
            ("Lavf/59", 7)
        );
    }

    proptest! {
        #[test]
        fn nothing_that_a_source_says_breaks_the_bounds(
            headers in prop::collection::vec(("ic[ey]-[a-z]{0,80}", "\\PC{0,600}"), 0..60),
        ) {
            let lines: String = headers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
            let told = stream(&lines);
            prop_assert!(told.icy.len() <= MAX_ICY_HEADERS);
            for (name, value) in &told.icy {
                prop_assert!(name.len() <= MAX_NAME_BYTES && value.len() <= MAX_VALUE_BYTES);
                prop_assert!(!value.is_empty() && !value.chars().any(char::is_control));
            }
        }
    }
}
