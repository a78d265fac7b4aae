//! The heads of answers to requests for files: all of a file, a part of it, or that it has not changed.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use super::head::Head;
use super::range::FileRange;
use super::reply::Reply;
use super::status::HttpStatus;
use crate::model::http_date::{http_date, read_http_date};

/// A file, as far as its answer depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// The media type.
    pub content_type: &'static str,
    /// The length.
    pub bytes: u64,
    /// When the file was changed last, since 1970.
    pub modified: Duration,
}

/// The answer to a request for a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileAnswer {
    /// The head.
    pub head: Bytes,
    /// The bytes of the file that follow; empty if none do.
    pub body: Range<u64>,
}

impl FileFacts {
    /// A name for what the file holds now. The time is in nanoseconds, so two edits of one second differ.
    fn tag(&self) -> String {
        format!("\"{:x}-{:x}\"", self.modified.as_nanos(), self.bytes)
    }

    fn date(&self) -> String {
        http_date(self.modified.as_secs())
    }

    /// Whether the client has the file as it is now. A tag goes before a date (RFC 9110, 13.2.2).
    fn is_known(&self, head: &Head) -> bool {
        if let Some(tags) = head.header("if-none-match") {
            let tag = self.tag();
            let mut tags = tags.split(',').map(str::trim);
            return tags.any(|it| it == "*" || it.trim_start_matches("W/") == tag);
        }
        let since = head.header("if-modified-since");
        let since = since.and_then(read_http_date);
        since.is_some_and(|since| self.modified.as_secs() <= since.as_secs())
    }

    /// Whether a part is wanted of the file as it is now, and not of an earlier one.
    fn is_of_now(&self, head: &Head) -> bool {
        let wanted = head.header("if-range");
        wanted.is_none_or(|wanted| wanted == self.tag() || wanted == self.date())
    }
}

impl Reply {
    /// 200, 206, 304 or 416 to a request for a file.
    pub fn file(&self, head: &Head, facts: &FileFacts) -> FileAnswer {
        if facts.is_known(head) {
            return FileAnswer {
                head: self.file_head(HttpStatus::NotModified, facts, &[]),
                body: 0..0,
            };
        }
        let range = match facts.is_of_now(head) {
            true => FileRange::of(head.header("range"), facts.bytes),
            false => FileRange::Whole,
        };
        let (status, body, place) = match range {
            FileRange::Whole => (HttpStatus::Ok, 0..facts.bytes, None),
            FileRange::Part(part) => {
                let place = format!("bytes {}-{}/{}", part.start, part.end - 1, facts.bytes);
                (HttpStatus::PartialContent, part, Some(place))
            }
            FileRange::Unsatisfiable => {
                let place = format!("bytes */{}", facts.bytes);
                (HttpStatus::RangeNotSatisfiable, 0..0, Some(place))
            }
        };
        let length = (body.end - body.start).to_string();
        let mut more = vec![
            ("Content-Type", facts.content_type),
            ("Content-Length", &length),
        ];
        more.extend(place.as_deref().map(|place| ("Content-Range", place)));
        FileAnswer {
            head: self.file_head(status, facts, &more),
            body: if self.shows_body() { body } else { 0..0 },
        }
    }

    fn file_head(&self, status: HttpStatus, facts: &FileFacts, more: &[(&str, &str)]) -> Bytes {
        let mut head = self.open(status, status.reason());
        // A browser asks each time whether the file is still the same.
        head.header("Cache-Control", "no-cache");
        head.header("X-Content-Type-Options", "nosniff");
        head.header("Accept-Ranges", "bytes");
        head.header("ETag", &facts.tag());
        head.header("Last-Modified", &facts.date());
        for (name, value) in more {
            head.header(name, value);
        }
        head.finish(b"")
    }
}

#[cfg(test)]
mod tests {
    use super::super::reader::{Parsed, parse};
    use super::*;

    fn jingle() -> FileFacts {
        FileFacts {
            content_type: "audio/mpeg",
            bytes: 17,
            modified: Duration::new(1_795_162_475, 7),
        }
    }

    /// The status, the head and the bytes that follow.
    fn answer(method: &str, more: &str) -> (u16, String, Range<u64>) {
        let request = format!("{method} /a.mp3 HTTP/1.1\r\nHost: h\r\n{more}\r\n");
        let Ok(Parsed::Complete { head, .. }) = parse(request.as_bytes()) else {
            panic!("no head: {request}");
        };
        let FileAnswer { head, body } = Reply::to(&head, 0).file(&head, &jingle());
        let head = String::from_utf8(head.to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head, body)
    }

    #[test]
    fn a_file_is_sent_whole_or_in_part() {
        let (status, head, body) = answer("GET", "");
        assert_eq!((status, body), (200, 0..17));
        for line in [
            "Content-Type: audio/mpeg",
            "Content-Length: 17",
            "Accept-Ranges: bytes",
            "Connection: keep-alive",
            "Access-Control-Allow-Origin: *",
            "Last-Modified: Fri, 20 Nov 2026 08:14:35 GMT",
        ] {
            assert!(head.contains(&format!("\r\n{line}\r\n")), "{line}: {head}");
        }
        assert!(!head.contains("Content-Range") && !head.contains("no-store"));
        for (range, status, part, place) in [
            ("6-8", 206, 6..9, "bytes 6-8/17"),
            ("-4", 206, 13..17, "bytes 13-16/17"),
            ("4000-", 416, 0..0, "bytes */17"),
        ] {
            let (said, head, body) = answer("GET", &format!("Range: bytes={range}\r\n"));
            assert_eq!((said, &body), (status, &part), "{range}");
            let length = format!("\r\nContent-Length: {}\r\n", body.end - body.start);
            let place = format!("\r\nContent-Range: {place}\r\n");
            assert!(head.contains(&length) && head.contains(&place), "{head}");
        }
        let (status, head, body) = answer("HEAD", "Range: bytes=6-8\r\n");
        assert_eq!((status, body), (206, 0..0));
        assert!(head.contains("\r\nContent-Length: 3\r\n"));
    }

    #[test]
    fn what_a_client_has_is_not_sent_again() {
        let tag = jingle().tag();
        let date = "Fri, 20 Nov 2026 08:14:35 GMT";
        for (more, status) in [
            (format!("If-None-Match: {tag}\r\n"), 304),
            (format!("If-None-Match: \"x\", W/{tag}\r\n"), 304),
            ("If-None-Match: *\r\n".to_owned(), 304),
            (
                format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {date}\r\n"),
                200,
            ),
            (format!("If-Modified-Since: {date}\r\n"), 304),
            (
                "If-Modified-Since: Fri, 20 Nov 2026 08:14:34 GMT\r\n".to_owned(),
                200,
            ),
            ("If-Modified-Since: yesterday\r\n".to_owned(), 200),
            (format!("If-Range: {tag}\r\nRange: bytes=0-1\r\n"), 206),
            (format!("If-Range: {date}\r\nRange: bytes=0-1\r\n"), 206),
            ("If-Range: \"x\"\r\nRange: bytes=0-1\r\n".to_owned(), 200),
        ] {
            let (said, head, body) = answer("GET", &more);
            assert_eq!(said, status, "{more}");
            assert!(head.contains(&format!("\r\nETag: {tag}\r\n")), "{head}");
            if status == 304 {
                assert_eq!(body, 0..0);
                assert!(!head.contains("Content-Length"), "{head}");
            }
        }
    }
}
