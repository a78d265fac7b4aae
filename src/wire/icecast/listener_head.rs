//! The head of a stream, as a listener gets it.
//!
//! Always HTTP/1.0, without a length and never chunked: the oldest radios understand nothing else,
//! and the newest understand it too. A request for a range of a stream gets the stream.

use bytes::Bytes;

use crate::model::http_date::http_date;
use crate::model::mount::MountSpec;
use crate::model::stream::StreamHead;
use crate::wire::http::media_type::served_as;
use crate::wire::http::reply::{CORS_RESPONSE_HEADERS, NO_PAGE, Reply};
use crate::wire::http::status::HttpStatus;
use crate::wire::http::writer::HeadWriter;
use crate::wire::web_address::is_web_address;

/// A date in the past, for caches that know HTTP/1.0 only: the one that Icecast sends.
const LONG_AGO: &str = "Mon, 26 Jul 1997 05:00:00 GMT";

impl Reply {
    /// 200 with the head of a stream, to `GET` and `HEAD` alike; the audio follows, or nothing.
    ///
    /// The operator's settings of the mount go before what its source says. `metaint_bytes` is
    /// the distance of the titles, for a listener that asked for them.
    pub fn stream(
        &self,
        stream: &StreamHead,
        spec: Option<&MountSpec>,
        metaint_bytes: Option<usize>,
    ) -> Bytes {
        let status = HttpStatus::Ok;
        let extra = self.extra(status);
        let mut head = HeadWriter::new("HTTP/1.0", status, status.reason(), extra);
        head.header("Connection", "close");
        head.header("Date", &http_date(self.unix_s));
        head.header("Content-Type", &served_as(&stream.content_type));
        for (name, value) in NO_PAGE {
            head.header(name, value);
        }
        head.header("Cache-Control", "no-cache, no-store");
        head.header("Expires", LONG_AGO);
        head.header("Pragma", "no-cache");
        head.header("Access-Control-Allow-Origin", "*");
        head.header("Access-Control-Expose-Headers", CORS_RESPONSE_HEADERS);
        let told_by_spec = spec.map(headers_of).unwrap_or_default();
        for (name, value) in &told_by_spec {
            head.header_without_space(&format!("icy-{name}"), value);
        }
        for (name, value) in &stream.icy {
            let overridden = told_by_spec.iter().any(|(other, _)| other == name);
            match name.as_str() {
                // Set by the node, and only below.
                "metaint" => {}
                // The one header that keeps its older prefix in answers.
                "audio-info" => head.header("ice-audio-info", value),
                _ if overridden => {}
                // From a node of another version, perhaps.
                "url" if !is_web_address(value) => {}
                _ => head.header_without_space(&format!("icy-{name}"), value),
            }
        }
        if let Some(bytes) = metaint_bytes {
            head.header_without_space("icy-metaint", &bytes.to_string());
        }
        head.finish(b"")
    }
}

/// The settings of the mount as headers.
fn headers_of(spec: &MountSpec) -> Vec<(&'static str, &str)> {
    let all = [
        ("name", spec.name.as_str()),
        ("description", spec.description.as_str()),
        ("genre", spec.genre.as_str()),
        ("url", spec.url.as_str()),
    ];
    all.into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http::reader::{Parsed, parse};

    fn stream() -> StreamHead {
        let icy = [
            ("name", "Source"),
            ("genre", "Jazz"),
            ("br", "128"),
            ("pub", "1"),
            ("audio-info", "ice-bitrate=128"),
            ("metaint", "8192"),
            ("notice\r\nX", "a\r\nb"),
        ];
        StreamHead {
            content_type: "audio/mpeg".to_owned(),
            icy: icy.map(|(name, value)| (name.into(), value.into())).into(),
            user_agent: String::new(),
            started_unix_ms: 0,
            accept_epoch: crate::model::seat::Epoch(0),
        }
    }

    fn spec(name: &str, url: &str) -> MountSpec {
        MountSpec {
            name: name.to_owned(),
            url: url.to_owned(),
            ..MountSpec::new("/a".parse().unwrap())
        }
    }

    fn answer(request: &str, spec: Option<&MountSpec>, metaint_bytes: Option<usize>) -> String {
        let Ok(Parsed::Complete { head, .. }) = parse(request.as_bytes()) else {
            panic!("no head: {request:?}")
        };
        let bytes = Reply::to(&head, 1_795_162_475).stream(&stream(), spec, metaint_bytes);
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn k29_k63_k65_a_listener_gets_what_icecast_sends() {
        let expected = format!(
            "HTTP/1.0 200 OK\r\nServer: antiphon/{}\r\nConnection: close\r\n\
             Date: Fri, 20 Nov 2026 08:14:35 GMT\r\nContent-Type: audio/mpeg\r\n\
             X-Content-Type-Options: nosniff\r\nContent-Security-Policy: sandbox\r\n\
             Cache-Control: no-cache, no-store\r\nExpires: Mon, 26 Jul 1997 05:00:00 GMT\r\n\
             Pragma: no-cache\r\nAccess-Control-Allow-Origin: *\r\n\
             Access-Control-Expose-Headers: {CORS_RESPONSE_HEADERS}\r\n\
             icy-name:Source\r\nicy-genre:Jazz\r\nicy-br:128\r\nicy-pub:1\r\n\
             ice-audio-info: ice-bitrate=128\r\nicy-noticeX:ab\r\n\r\n",
            env!("CARGO_PKG_VERSION"),
        );
        for request in [
            "GET /a HTTP/1.0\r\n\r\n",
            "GET /a HTTP/1.1\r\nConnection: keep-alive\r\n\r\n",
            "HEAD /a HTTP/1.1\r\n\r\n",
            "GET /a HTTP/1.1\r\nRange: bytes=0-\r\n\r\n",
            "GET /a HTTP/1.1\r\nRange: bytes=0-1\r\n\r\n",
        ] {
            assert_eq!(answer(request, None, None), expected, "{request:?}");
        }
    }

    #[test]
    fn only_clients_that_get_titles_are_told_their_distance() {
        let request = "GET /a HTTP/1.0\r\nIcy-MetaData: 1\r\n\r\n";
        let with = answer(request, None, Some(16_000));
        assert!(with.ends_with("\r\nicy-metaint:16000\r\n\r\n"));
        assert_eq!(with.matches("icy-metaint").count(), 1);
        assert!(!answer(request, None, None).contains("icy-metaint"));
    }

    #[test]
    fn k67_the_operators_headers_are_for_their_status() {
        let rules = |text: &str| text.parse().unwrap();
        let reply = Reply::without_head(b"GET ", 0)
            .with_headers(rules("X-Node: 1 | 404 X-Lost: 2 | X-Both: 3"))
            .of_mount(rules(
                "access-control-allow-origin: http://a | x-both: 4 | icy-name: Mine",
            ));
        let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        let stream = text(reply.stream(&stream(), None, None));
        let missing = text(reply.not_found());
        for answer in [&stream, &missing] {
            assert!(answer.contains("\r\nX-Node: 1\r\n"), "{answer}");
            assert!(answer.contains("\r\nx-both: 4\r\n") && !answer.contains("X-Both"));
            let origins = answer.to_ascii_lowercase();
            assert_eq!(origins.matches("access-control-allow-origin:").count(), 1);
            assert!(answer.contains("\r\naccess-control-allow-origin: http://a\r\n"));
        }
        assert!(stream.contains("\r\nicy-name: Mine\r\n") && !stream.contains("Source"));
        assert!(missing.contains("\r\nX-Lost: 2\r\n") && !stream.contains("X-Lost"));
    }

    #[test]
    fn a_stream_is_never_a_page() {
        let mut evil = stream();
        evil.content_type = "text/html".to_owned();
        evil.icy
            .push(("url".to_owned(), "javascript:alert(1)".to_owned()));
        let told = Reply::without_head(b"", 0).stream(&evil, None, None);
        let told = String::from_utf8(told.to_vec()).unwrap();
        assert!(told.contains("\r\nContent-Type: application/octet-stream\r\n"));
        assert!(
            !told.contains("javascript") && !told.contains("html"),
            "{told}"
        );
    }

    #[test]
    fn the_operator_goes_before_the_source() {
        let request = "GET /a HTTP/1.0\r\n\r\n";
        let told = answer(request, Some(&spec("Opérateur", "http://o")), None);
        assert!(told.contains("\r\nicy-name:Opérateur\r\n"));
        assert!(told.contains("\r\nicy-url:http://o\r\n"));
        assert!(told.contains("\r\nicy-genre:Jazz\r\n"));
        assert_eq!(told.matches("icy-name:").count(), 1);
        let silent = answer(request, Some(&spec("", "")), None);
        assert!(silent.contains("\r\nicy-name:Source\r\n") && !silent.contains("icy-url"));
    }
}
