//! The words of the node to the Icecast that serves its listeners, as their source and in the place of each of them.

use std::fmt::Write as _;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::model::mount::MountName;
use crate::model::stream::StreamHead;
use crate::model::title::TitleInfo;
use crate::wire::http::credentials::basic_of;

/// The longest head of an answer that is read.
pub const MAX_ANSWER_HEAD_BYTES: usize = 16 << 10;
/// More headers than any Icecast sends.
const MAX_HEADERS: usize = 64;

/// The head of an answer of Icecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalAnswer {
    /// The status code.
    pub status: u16,
    /// The distance of titles in the stream behind the head.
    pub metaint: Option<usize>,
    /// How long the head is.
    pub head_bytes: usize,
}

/// The head with which the node logs in as the source of a mount.
pub fn source_head(mount: &MountName, stream: &StreamHead, login: &str) -> Vec<u8> {
    let mut head = format!("SOURCE {mount} HTTP/1.0\r\n");
    let mut line = |name: &str, value: &str| {
        let value: String = value.chars().filter(|it| !it.is_control()).collect();
        // Writing to a text does not fail.
        let _ = write!(head, "{name}: {value}\r\n");
    };
    line("Authorization", &basic_of(login));
    line(
        "User-Agent",
        concat!("antiphon/", env!("CARGO_PKG_VERSION")),
    );
    line("Content-Type", &stream.content_type);
    line("ice-public", "0");
    for name in ["name", "description", "genre", "url"] {
        if let Some(value) = stream.icy(name) {
            line(&format!("ice-{name}"), value);
        }
    }
    head += "\r\n";
    head.into_bytes()
}

/// The head with which the node asks for a mount in the place of a listener.
pub fn listener_request(mount: &MountName, wants_titles: bool) -> Vec<u8> {
    let titles = match wants_titles {
        true => "Icy-MetaData: 1\r\n",
        false => "",
    };
    format!("GET {mount} HTTP/1.0\r\nHost: localhost\r\nUser-Agent: antiphon\r\n{titles}\r\n")
        .into_bytes()
}

/// The path with which the title of a mount is set.
pub fn title_path(mount: &MountName, title: &TitleInfo) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let (path, song) = (encoded(&mount.to_string()), encoded(&title.text));
    format!("/admin/metadata?mode=updinfo&charset=UTF-8&mount={path}&song={song}")
}

/// Reads the head of an answer; `None`: more has to come. Nonsense is an answer of status 0.
pub fn read_answer(bytes: &[u8]) -> Option<LocalAnswer> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let nonsense = LocalAnswer {
        status: 0,
        metaint: None,
        head_bytes: 0,
    };
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(head_bytes)) => {
            let interval = response.headers.iter();
            let mut interval = interval.filter(|it| it.name.eq_ignore_ascii_case("icy-metaint"));
            let interval = interval
                .next()
                .and_then(|it| std::str::from_utf8(it.value).ok());
            Some(LocalAnswer {
                status: response.code.unwrap_or(0),
                metaint: interval
                    .and_then(|it| it.trim().parse().ok())
                    .filter(|bytes| *bytes > 0),
                head_bytes,
            })
        }
        Ok(httparse::Status::Partial) if bytes.len() < MAX_ANSWER_HEAD_BYTES => None,
        _ => Some(nonsense),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::seat::Epoch;

    #[test]
    fn a_source_says_what_it_is_in_one_line_each() {
        let stream = StreamHead {
            content_type: "audio/mpeg".to_owned(),
            icy: [("name".to_owned(), "a\r\nX: b".to_owned())].into(),
            user_agent: String::new(),
            started_unix_ms: 0,
            accept_epoch: Epoch(0),
        };
        let head = source_head(&"/a.mp3".parse().unwrap(), &stream, "source:pw");
        let head = String::from_utf8(head).unwrap();
        assert!(
            head.starts_with("SOURCE /a.mp3 HTTP/1.0\r\nAuthorization: Basic c291cmNlOnB3\r\n"),
            "{head}"
        );
        assert!(head.contains("Content-Type: audio/mpeg\r\n"));
        assert!(
            head.contains("ice-name: aX: b\r\n") && head.ends_with("\r\n\r\n"),
            "{head}"
        );
    }

    #[test]
    fn an_answer_is_read_when_its_head_is_whole() {
        let answer = b"HTTP/1.0 200 OK\r\nServer: Icecast 2.4.4\r\nicy-metaint:16000\r\n\r\naudio";
        assert_eq!(read_answer(&answer[..30]), None);
        let whole = LocalAnswer {
            status: 200,
            metaint: Some(16_000),
            head_bytes: answer.len() - 5,
        };
        assert_eq!(read_answer(answer), Some(whole));
        let denied = read_answer(b"HTTP/1.0 401 Authentication Required\r\n\r\n").unwrap();
        assert_eq!((denied.status, denied.metaint), (401, None));
        assert_eq!(read_answer(b"\x16\x03\x01").unwrap().status, 0);
        assert_eq!(
            read_answer(&[b'H'; MAX_ANSWER_HEAD_BYTES]).unwrap().status,
            0
        );
    }

    #[test]
    fn a_listener_asks_for_titles_only_if_it_wants_them() {
        let asked =
            |titles| String::from_utf8(listener_request(&"/a".parse().unwrap(), titles)).unwrap();
        assert!(asked(true).contains("\r\nIcy-MetaData: 1\r\n\r\n"));
        assert!(!asked(false).contains("Icy") && asked(false).ends_with("\r\n\r\n"));
    }

    #[test]
    fn a_title_is_encoded() {
        let path = title_path(&"/a.mp3".parse().unwrap(), &TitleInfo::plain("hé & b"));
        assert!(
            path.ends_with("&mount=%2Fa%2Emp3&song=h%C3%A9%20%26%20b"),
            "{path}"
        );
    }
}
