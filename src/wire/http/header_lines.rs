//! The header lines of a request: which are headers, which are ignored, and which make the request invalid.
//!
//! Encoders put into a head all that a user has typed: a description of several lines, and bytes of any kind. A radio
//! must not be kept off the air for that. But a line that one reader could take for the length of the body or for a
//! login, and another for noise, is refused: two servers behind each other would see two different requests.

use std::fmt;

use super::error::HeadError;
use super::text::{is_token, text_of};

/// The headers that say where a request ends, to which host it goes and who asks, as their letters alone.
const GUARDED: [&str; 6] = [
    "contentlength",
    "transferencoding",
    "host",
    "authorization",
    "expect",
    "connection",
];

/// The headers of a request.
#[derive(Debug, Default)]
pub(super) struct HeaderLines {
    /// Names in lower case, and values, in the order in which they came.
    pub(super) headers: Vec<(String, String)>,
    /// The places of the headers whose bytes are not UTF-8, so that each of their letters stands for one byte.
    pub(super) not_utf8: Vec<usize>,
    /// The lines that were ignored.
    pub(super) skipped: Option<Skipped>,
    /// Whether the last line was a guarded header, which must not continue in the next line.
    after_guarded: bool,
}

/// Lines that are not valid headers and do no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The number of lines.
    pub lines: usize,
    /// The oddity of the first of them.
    pub first: Oddity,
}

/// A fault of a line of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// The line continues the one before, which HTTP no longer allows. Left out.
    Folded,
    /// The line has no colon. Left out.
    NoColon,
    /// The text before the colon is not a name. Left out.
    BadName,
    /// The value has control bytes. Each is replaced by a blank.
    ControlByte,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = match self.first {
            Oddity::Folded => "goes on with the line before",
            Oddity::NoColon => "has no colon",
            Oddity::BadName => "has no proper name before its colon",
            Oddity::ControlByte => "holds control bytes",
        };
        write!(f, "{} in all, the first {first}", self.lines)
    }
}

impl HeaderLines {
    /// Reads lines without their ends, up to the empty one.
    pub(super) fn read<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Result<Self, HeadError> {
        let mut read = Self::default();
        for line in lines.take_while(|line| !line.is_empty()) {
            read.take(line)?;
        }
        Ok(read)
    }

    fn take(&mut self, line: &[u8]) -> Result<(), HeadError> {
        let found = oddity(line);
        if found == Some(Oddity::Folded) && self.after_guarded {
            return Err(HeadError::BadHeader);
        }
        if let Some(oddity) = found {
            // Each part that another reader might see as a line of its own.
            if line.split(u8::is_ascii_control).any(is_guarded) {
                return Err(HeadError::BadHeader);
            }
            let skipped = self.skipped.get_or_insert(Skipped {
                lines: 0,
                first: oddity,
            });
            skipped.lines += 1;
        }
        self.after_guarded = is_guarded(line);
        if matches!(found, None | Some(Oddity::ControlByte)) {
            self.add(line);
        }
        Ok(())
    }

    fn add(&mut self, line: &[u8]) {
        let mut parts = line.splitn(2, |&byte| byte == b':');
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let value = parts.next().unwrap_or_default().trim_ascii();
        let plain = |&byte: &u8| if is_control(byte) { b' ' } else { byte };
        let value: Vec<u8> = value.iter().map(plain).collect();
        if str::from_utf8(&value).is_err() {
            self.not_utf8.push(self.headers.len());
        }
        self.headers.push((text_of(&name), text_of(&value)));
    }
}

fn oddity(line: &[u8]) -> Option<Oddity> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Some(Oddity::Folded);
    }
    let Some(colon) = line.iter().position(|&byte| byte == b':') else {
        return Some(Oddity::NoColon);
    };
    let (name, value) = line.split_at(colon);
    if name.is_empty() || !name.iter().copied().all(is_token) {
        return Some(Oddity::BadName);
    }
    value
        .iter()
        .copied()
        .any(is_control)
        .then_some(Oddity::ControlByte)
}

/// Whether a byte is a control byte that a value must not have; a tab is allowed.
fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}

/// Whether the letters before the colon, ignoring all other bytes, are the name of a guarded header.
fn is_guarded(line: &[u8]) -> bool {
    let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
    // A name with an underscore is a different name, and common software knows it as one.
    let letters = name
        .iter()
        .filter(|byte| byte.is_ascii_alphanumeric() || **byte == b'_');
    let letters = letters.map(u8::to_ascii_lowercase);
    GUARDED
        .iter()
        .any(|guarded| letters.clone().eq(guarded.bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&[u8]]) -> Result<HeaderLines, HeadError> {
        HeaderLines::read(lines.iter().copied())
    }

    #[test]
    fn any_description_leaves_a_readable_head() {
        let lines: &[&[u8]] = &[
            b"ice-name: \xd0\xf3\xf1",
            b"ice-description: The first line",
            b"and the second",
            b"  folded: yes",
            b"\tContent",
            b"another one : with a colon",
            b"na\xefve: v",
            b": nothing",
            b"ice-genre: a\x0bb\x7fc\0d\x1b[0m",
            b"ice-url:\thttp://u",
        ];
        let read = read(lines).unwrap();
        let expected = [
            ("ice-name", "\u{d0}\u{f3}\u{f1}"),
            ("ice-description", "The first line"),
            ("ice-genre", "a b c d [0m"),
            ("ice-url", "http://u"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(read.headers, expected);
        assert_eq!(read.not_utf8, [0]);
        let skipped = read.skipped.unwrap();
        assert_eq!(
            skipped,
            Skipped {
                lines: 7,
                first: Oddity::NoColon
            }
        );
        assert_eq!(skipped.to_string(), "7 in all, the first has no colon");
    }

    #[test]
    fn smuggled_headers_are_refused_in_every_disguise() {
        for name in [
            "Content-Length",
            "TRANSFER-encoding",
            "Host",
            "Authorization",
            "expect",
            "Connection",
        ] {
            for disguise in [
                format!("{name} : 5"),
                format!("{name}\t: 5"),
                format!(" {name}: 5"),
                format!("\t{name}: 5"),
                format!("\x0b{name}: 5"),
                format!("{name}\u{a0}: 5"),
                format!("\u{feff}{name}: 5"),
                format!("\"{name}\": 5"),
                format!("({name}): 5"),
                format!("{name}: 5\x01"),
                format!("{name}: 5\0"),
                format!("X: y\0{name}: 5"),
                format!("{name}: \x7f5"),
                format!("X\x0b{name}: 5"),
                format!("X: y\r{name}: 5"),
                format!("X: y\x0c{name}: 5"),
                format!("no colon\r{name}: 5"),
                name.to_owned(),
            ] {
                let refused = read(&[disguise.as_bytes()]).map(|read| read.headers);
                assert_eq!(refused, Err(HeadError::BadHeader), "{disguise:?}");
            }
            let folded = [format!("{name}: 5"), " 6".to_owned()];
            let folded = read(&folded.each_ref().map(|line| line.as_bytes()));
            assert_eq!(
                folded.map(|read| read.headers),
                Err(HeadError::BadHeader),
                "{name}"
            );
        }
    }
}
