//! The media types of files, by the endings of their names.

/// The type of a file whose ending is unknown: browsers offer to save it.
const UNKNOWN: &str = "application/octet-stream";

/// Endings in lower case, and their types: what pages, players and stations are made of.
const TYPES: [(&str, &str); 40] = [
    ("html", "text/html; charset=utf-8"),
    ("htm", "text/html; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("webmanifest", "application/manifest+json"),
    ("wasm", "application/wasm"),
    ("xml", "application/xml"),
    ("rss", "application/rss+xml"),
    ("txt", "text/plain; charset=utf-8"),
    ("md", "text/plain; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("avif", "image/avif"),
    ("svg", "image/svg+xml"),
    ("ico", "image/x-icon"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("ttf", "font/ttf"),
    ("mp3", "audio/mpeg"),
    ("aac", "audio/aac"),
    ("m4a", "audio/mp4"),
    ("ogg", "audio/ogg"),
    ("oga", "audio/ogg"),
    ("opus", "audio/ogg; codecs=opus"),
    ("flac", "audio/flac"),
    ("wav", "audio/wav"),
    ("weba", "audio/webm"),
    ("webm", "video/webm"),
    ("mp4", "video/mp4"),
    ("m3u", "audio/x-mpegurl"),
    ("pls", "audio/x-scpls"),
    ("xspf", "application/xspf+xml; charset=UTF-8"),
];

/// The media type of a file of this name.
pub fn of_file_name(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let known = TYPES
        .iter()
        .find(|(known, _)| ending.eq_ignore_ascii_case(known));
    known.map_or(UNKNOWN, |(_, media_type)| media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_tells_the_type() {
        for (name, media_type) in [
            ("index.html", "text/html; charset=utf-8"),
            ("JINGLE.MP3", "audio/mpeg"),
            ("a.min.js", "text/javascript; charset=utf-8"),
            ("archive.tar", UNKNOWN),
            ("README", UNKNOWN),
            ("html", UNKNOWN),
            ("", UNKNOWN),
        ] {
            assert_eq!(of_file_name(name), media_type, "{name}");
        }
    }
}
