//! The content type that a stream is served with, whatever its source states.
//!
//! A source states the type of its stream itself, and the stream has the same origin as the API: if it were served as a
//! page, its script could manage the mesh with the password that a browser remembers.

/// The type for all other streams: browsers offer to save it, and players that look at the bytes still play it.
const UNKNOWN: &str = "application/octet-stream";

/// Types of streams that are registered neither as audio nor as video, and that encoders send.
const APPLICATIONS: [&str; 3] = [
    // The name of Ogg before RFC 5334; ices and liquidsoap still use it.
    "application/ogg",
    // The same, before it was registered.
    "application/x-ogg",
    // A source that does not know the type may say so.
    UNKNOWN,
];

/// The longest parameter that is passed on; `codecs` of a film with two tracks has 40 letters.
const MAX_PARAMETER_BYTES: usize = 128;

/// The `Content-Type` for listeners, given what a source states.
pub fn served_as(said: &str) -> String {
    let mut parts = parts(said).map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    if !is_playable(&media_type) || has_several(said) {
        return UNKNOWN.to_owned();
    }
    let parameters = parts.filter(|part| is_parameter(part));
    parameters.fold(media_type, |served, part| served + "; " + part)
}

/// Whether browsers treat a type as sound or film and never as a document: a type that ends in `+xml` is read as one,
/// whatever its beginning.
fn is_playable(media_type: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    match media_type.split_once('/') {
        Some(("audio" | "video", subtype)) => {
            let document = ["xml", "html"].iter().any(|word| subtype.contains(word));
            !subtype.is_empty() && subtype.bytes().all(letter) && !document
        }
        _ => APPLICATIONS.contains(&media_type),
    }
}

/// Whether the text names a second type after a comma: some readers take the first, and some the last.
fn has_several(said: &str) -> bool {
    let mut quoted = false;
    said.bytes().any(|byte| {
        quoted ^= byte == b'"';
        byte == b',' && !quoted
    }) || quoted
}

/// The type and its parameters: the parts between semicolons, except those within quotes.
fn parts(said: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    said.split(move |letter| {
        quoted ^= letter == '"';
        letter == ';' && !quoted
    })
}

/// Whether a text is `name=token` or `name="text"`, and nothing in the text could end it.
fn is_parameter(text: &str) -> bool {
    let token = |part: &str| {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._+".contains(&byte);
        !part.is_empty() && part.bytes().all(letter)
    };
    let quoted = |part: &str| {
        let inner = part.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._+, ".contains(&byte);
        inner.is_some_and(|inner| inner.bytes().all(letter))
    };
    let pair = text.split_once('=');
    text.len() <= MAX_PARAMETER_BYTES
        && pair.is_some_and(|(name, value)| token(name) && (token(value) || quoted(value)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sound_and_film_go_out_as_they_were_called() {
        for (said, served) in [
            ("audio/mpeg", "audio/mpeg"),
            ("Audio/AACP", "audio/aacp"),
            ("audio/x-scpls", "audio/x-scpls"),
            ("video/webm", "video/webm"),
            ("application/ogg", "application/ogg"),
            ("application/octet-stream", "application/octet-stream"),
            ("audio/ogg; codecs=opus", "audio/ogg; codecs=opus"),
            ("audio/ogg;codecs=opus ;", "audio/ogg; codecs=opus"),
            (
                "video/mp4; codecs=\"avc1.42E01E, mp4a.40.2\"",
                "video/mp4; codecs=\"avc1.42E01E, mp4a.40.2\"",
            ),
            (
                "audio/mpeg; junk; <x>=y; rate=44100",
                "audio/mpeg; rate=44100",
            ),
        ] {
            assert_eq!(served_as(said), served, "{said}");
        }
    }

    #[test]
    fn a_type_that_browsers_read_as_pages_does_not_play() {
        for said in [
            "text/html",
            "TEXT/HTML; charset=utf-8",
            "text/plain",
            "text/xml",
            "text/javascript",
            "application/javascript",
            "application/xhtml+xml",
            "application/xml",
            "application/pdf",
            "application/x-shockwave-flash",
            "image/svg+xml",
            "image/png",
            "audio/svg+xml",
            "audio/x+xml; codecs=opus",
            "audio/xml",
            "video/x-html",
            "audio/mpeg, text/html",
            "audio/mpeg; a=b, text/html",
            "audio/mpeg; a=\"b\", text/html",
            "audio/mpeg; a=\"b, text/html",
            "audio/mpeg text/html",
            "audio/mpeg\ttext/html",
            "audio/mpeg/text/html",
            "audio/",
            "audio",
            "audio/*",
            "audio/<b>",
            "multipart/x-mixed-replace; boundary=x",
            "message/rfc822",
            "*/*",
            "",
            ";audio/mpeg",
            "\u{445}udio/mpeg",
        ] {
            assert_eq!(served_as(said), "application/octet-stream", "{said}");
        }
    }

    proptest! {
        #[test]
        fn no_other_type_is_served(said in "[a-zA-Z/+;=\", \\x00-\\x1f\u{e9}]{0,24}", whole: String) {
            for said in [said.as_str(), &format!("audio/{said}"), &format!("audio/ogg;{said}"), &whole] {
                let served = served_as(said);
                let begins = ["audio/", "video/", "application/o", "application/x-ogg"];
                prop_assert!(begins.iter().any(|begin| served.starts_with(begin)), "{}", served);
                let plain = |byte: u8| (b' '..=b'~').contains(&byte) && !b"<>".contains(&byte);
                prop_assert!(served.bytes().all(plain), "{}", served);
                prop_assert!(!has_several(&served) && !served.contains("+xml"), "{}", served);
                prop_assert_eq!(&served_as(&served), &served);
            }
        }
    }
}
