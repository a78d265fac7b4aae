//! The words between an outside relay and the server from which it gets a stream: what it asks, and what the answer is.

use super::playlist::Playlist;
use super::source_head;
use crate::wire::http::response::ResponseHead;

/// The header by which a mesh recognises its own request, and refuses it: its value is the mesh's fingerprint, which is no
/// secret.
pub const MESH_HEADER: &str = "antiphon-mesh";

/// The header that asks for titles among the bytes.
pub const TITLES_HEADER: &str = "icy-metadata";

/// The headers of the question. Titles are asked for, in the way of Shoutcast, and one answer on each connection.
pub fn request_headers(fingerprint: &str) -> [(&'static str, String); 5] {
    let agent = concat!("antiphon/", env!("CARGO_PKG_VERSION"));
    [
        ("user-agent", agent.to_owned()),
        ("accept", "*/*".to_owned()),
        (TITLES_HEADER, "1".to_owned()),
        ("connection", "close".to_owned()),
        (MESH_HEADER, fingerprint.to_owned()),
    ]
}

/// An answer, as far as its head tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offered {
    /// The stream follows.
    Stream,
    /// A playlist follows.
    Playlist(Playlist),
    /// The stream is there.
    Elsewhere(String),
}

/// Why there is no stream in an answer: what the server says, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoStream {
    /// The login is missing or wrong.
    #[error(
        "it wants another login ({0}): write it into the address, as http://USER:PASSWORD@HOST/PATH"
    )]
    Login(u16),
    /// The server does not know the path, or its source is off air.
    #[error("it has no such stream now ({0}): look at the path, and whether its source is on air")]
    Missing(u16),
    /// The question has come back to this mesh.
    #[error(
        "the address leads back to this mesh: name the server from which the stream comes in the first place"
    )]
    Loop,
    /// The server is too busy.
    #[error("it has no room or does not work now ({0}): ask its operator if that stays so")]
    Busy(u16),
    /// The redirect says not where to.
    #[error("it redirects without saying where to ({0})")]
    Nowhere(u16),
    /// Another status.
    #[error("it answers with the status {0}, which is no stream")]
    Status(u16),
    /// The body is of another kind.
    #[error(
        "it answers with {0} and not with a stream: look at the address; that of the stream is often another one than that of \
         the station's page"
    )]
    Page(String),
}

/// The answer of a server to a question for this path.
pub fn judge(answer: &ResponseHead, path: &str) -> Result<Offered, NoStream> {
    match answer.status {
        200 => judge_body(answer, path),
        301 | 302 | 303 | 307 | 308 => {
            let location = answer.head.header("location");
            let location = location.filter(|location| !location.is_empty());
            let location = location.ok_or(NoStream::Nowhere(answer.status))?;
            Ok(Offered::Elsewhere(location.to_owned()))
        }
        status @ (401 | 403 | 407) => Err(NoStream::Login(status)),
        status @ (400 | 404 | 410) => Err(NoStream::Missing(status)),
        508 => Err(NoStream::Loop),
        status @ (429 | 500..=599) => Err(NoStream::Busy(status)),
        status => Err(NoStream::Status(status)),
    }
}

fn judge_body(answer: &ResponseHead, path: &str) -> Result<Offered, NoStream> {
    let said = answer.head.header("content-type");
    if let Some(playlist) = Playlist::of_answer(said, path) {
        return Ok(Offered::Playlist(playlist));
    }
    // What is not said is MP3, as with sources.
    let media_type = source_head::content_type(&answer.head);
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    let kind = media_type.split('/').next().unwrap_or_default();
    let is_stream = matches!(kind, "audio" | "video")
        || matches!(media_type, "application/ogg" | "application/octet-stream");
    match is_stream {
        true => Ok(Offered::Stream),
        false if media_type == "text/html" => Err(NoStream::Page("a web page".to_owned())),
        false => Err(NoStream::Page(media_type.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http::response::{ParsedResponse, parse_response};

    fn judged(head: &str) -> Result<Offered, NoStream> {
        let text = format!("HTTP/1.0 {head}\r\n\r\n");
        match parse_response(text.as_bytes()) {
            Ok(ParsedResponse::Complete { head, .. }) => judge(&head, "/x"),
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn streams_and_the_ways_to_them_are_recognised() {
        for stream in [
            "200 OK",
            "200 OK\r\nContent-Type: audio/aacp",
            "200 OK\r\nContent-Type: application/ogg",
            "200 OK\r\nContent-Type: VIDEO/webm; codecs=x",
            "200 OK\r\nContent-Type: application/octet-stream",
        ] {
            assert_eq!(judged(stream), Ok(Offered::Stream), "{stream}");
        }
        let playlist = judged("200 OK\r\nContent-Type: audio/x-scpls");
        assert_eq!(playlist, Ok(Offered::Playlist(Playlist::Pls)));
        let elsewhere = judged("302 Found\r\nLocation: http://b/x");
        assert_eq!(elsewhere, Ok(Offered::Elsewhere("http://b/x".to_owned())));
    }

    #[test]
    fn what_is_no_stream_says_what_to_do() {
        for (head, said) in [
            (
                "200 OK\r\nContent-Type: text/html; charset=utf-8",
                "a web page and not",
            ),
            (
                "200 OK\r\nContent-Type: application/json",
                "application/json and not",
            ),
            ("401 No", "USER:PASSWORD"),
            ("403 No", "USER:PASSWORD"),
            ("404 No", "look at the path"),
            ("302 Found", "without saying where to"),
            ("503 Full", "no room"),
            ("508 Loop", "leads back to this mesh"),
            ("206 Part", "status 206"),
        ] {
            let why = judged(head).unwrap_err().to_string();
            assert!(why.contains(said), "{head}: {why}");
        }
    }

    #[test]
    fn the_question_has_the_mark_of_its_mesh() {
        let headers = request_headers("0f");
        assert!(headers.contains(&(MESH_HEADER, "0f".to_owned())));
    }
}
