//! A head written anew, for a stricter reader.
//!
//! Requests for pages and the API are read by a library. It gets only what was understood here, so it can neither
//! refuse what an encoder may send nor understand it in another way.

use super::head::{BodyKind, Head, HttpVersion};

impl Head {
    /// The head as a careful client would have sent it; the body follows unchanged.
    pub fn rewritten(&self) -> Vec<u8> {
        let version = match self.version() {
            HttpVersion::Http11 => "HTTP/1.1",
            HttpVersion::Ice10 | HttpVersion::Http10 | HttpVersion::Http20 => "HTTP/1.0",
        };
        let query = self.query().map(|query| format!("?{query}"));
        let (path, query) = (self.path(), query.unwrap_or_default());
        let mut head = format!("{} {path}{query} {version}\r\n", self.method().token());
        let known = |name: &str| matches!(name, "content-length" | "transfer-encoding");
        for (name, value) in self.headers.iter().filter(|(name, _)| !known(name)) {
            // Of several the last one counts, here as everywhere.
            let outdated = name == "authorization" && self.header(name) != Some(value);
            if !outdated {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        match self.body_kind() {
            BodyKind::Chunked => head.push_str("transfer-encoding: chunked\r\n"),
            BodyKind::Length(0) | BodyKind::UntilClose => {}
            BodyKind::Length(bytes) => head.push_str(&format!("content-length: {bytes}\r\n")),
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::super::reader::{Parsed, parse};

    fn rewritten(head: &[u8]) -> String {
        match parse(head) {
            Ok(Parsed::Complete { head, .. }) => String::from_utf8(head.rewritten()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_encoders_head_becomes_a_careful_one() {
        let sent = b"get   http://h/admin/metadata?song=<\xe9>\"|^{}#1 ICE/1.0\nAuthorization: a\n folded\n\
                     X : y\nAUTHORIZATION: b\nContent-Length: 3\nContent-Length: 3\n\n";
        // A login that continues in the next line is refused.
        assert!(parse(sent).is_err());
        let sent = sent.to_vec();
        let sent = String::from_utf8_lossy(&sent).replace(" folded\n", "");
        let sent = sent.replace('\u{fffd}', "\u{e9}");
        let expected = "GET /admin/metadata?song=%3C%C3%A9%3E%22%7C%5E%7B%7D%231 HTTP/1.0\r\n\
                        authorization: b\r\ncontent-length: 3\r\n\r\n";
        assert_eq!(rewritten(sent.as_bytes()), expected);
        let put = "PUT / HTTP/1.1\r\nTransfer-Encoding: identity\r\nA: \u{e9}\tb\r\n\r\n";
        assert_eq!(
            rewritten(put.as_bytes()),
            "PUT / HTTP/1.1\r\na: \u{e9}\tb\r\n\r\n"
        );
    }
}
