//! Writes the head of an answer. No text that is added can begin a line of its own.

use std::io::Write as _;

use bytes::Bytes;

use super::status::HttpStatus;
use crate::model::http_header::ExtraHeader;

/// The product and the version that every answer names.
const SERVER: &str = concat!("antiphon/", env!("CARGO_PKG_VERSION"));

/// An answer that is being written.
#[derive(Debug)]
pub(in crate::wire) struct HeadWriter<'a> {
    bytes: Vec<u8>,
    /// The operator's headers. A header of ours of the same name is left out.
    extra: Vec<&'a ExtraHeader>,
}

impl<'a> HeadWriter<'a> {
    /// Room for the head of a listener's stream, which is the longest of the usual ones.
    const USUAL_BYTES: usize = 1024;

    /// Begins with the status line; `reason` replaces the status's own words.
    pub(in crate::wire) fn new(
        protocol: &str,
        status: HttpStatus,
        reason: &str,
        extra: Vec<&'a ExtraHeader>,
    ) -> Self {
        let mut bytes = Vec::with_capacity(Self::USUAL_BYTES);
        bytes.extend_from_slice(protocol.as_bytes());
        write!(bytes, " {} ", status.code()).expect("a vector takes everything");
        push_clean(&mut bytes, reason);
        bytes.extend_from_slice(b"\r\n");
        let mut head = Self { bytes, extra };
        head.header("Server", SERVER);
        head
    }

    /// Adds a header.
    pub(in crate::wire) fn header(&mut self, name: &str, value: &str) {
        self.line(name, ": ", value);
    }

    /// Adds a header without a space after the colon, as Icecast writes those of a stream:
    /// old players were written for that.
    pub(in crate::wire) fn header_without_space(&mut self, name: &str, value: &str) {
        self.line(name, ":", value);
    }

    /// The answer, with its body.
    pub(in crate::wire) fn finish(mut self, body: &[u8]) -> Bytes {
        for header in std::mem::take(&mut self.extra) {
            self.line(header.name(), ": ", header.value());
        }
        self.bytes.extend_from_slice(b"\r\n");
        self.bytes.extend_from_slice(body);
        Bytes::from(self.bytes)
    }

    fn line(&mut self, name: &str, colon: &str, value: &str) {
        let mut extra = self.extra.iter();
        if extra.any(|header| header.name().eq_ignore_ascii_case(name)) {
            return;
        }
        let is_token = |byte: &u8| super::text::is_token(*byte);
        if name.as_bytes().iter().all(is_token) {
            self.bytes.extend_from_slice(name.as_bytes());
        } else {
            let letters = name.bytes().filter(is_token);
            self.bytes.extend(letters);
        }
        self.bytes.extend_from_slice(colon.as_bytes());
        push_clean(&mut self.bytes, value);
        self.bytes.extend_from_slice(b"\r\n");
    }
}

/// Appends text without its control characters, line ends included. Most texts have none: the parts between them
/// are copied as a whole.
fn push_clean(bytes: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return bytes.extend_from_slice(text.as_bytes());
    }
    for part in text.split(char::is_control) {
        bytes.extend_from_slice(part.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_adds_a_line(
            reason in "[\\x00-\\x1f\\x7f-\\x9fa: é]{0,20}",
            name in "[\\x00-\\x1f\\x7f-\\x9fa: é]{0,20}",
            value in "(?s:.{0,20})",
        ) {
            let mut head = HeadWriter::new("HTTP/1.0", HttpStatus::Ok, &reason, Vec::new());
            head.header(&name, &value);
            head.header_without_space("icy-name", "a\r\n\r\nb");
            let bytes = head.finish(b"");
            let text = str::from_utf8(&bytes).unwrap();
            prop_assert_eq!(text.lines().count(), 5);
            prop_assert_eq!(text.matches(char::is_control).count(), 10);
            prop_assert!(text.ends_with("icy-name:ab\r\n\r\n"));
        }
    }
}
