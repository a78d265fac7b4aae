//! Certificates and keys as text (RFC 7468), read so that what is wrong has a line.
//!
//! Text around the sections is passed over, as tools write it there. A line that must have been part of a section
//! is not: half a file would be taken for a whole one.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A section: what stands between a line `-----BEGIN LABEL-----` and its end.
#[derive(Clone, PartialEq, Eq)]
pub struct PemSection {
    /// The kind of thing that it says to be, such as `CERTIFICATE`.
    pub label: String,
    /// The line of its beginning, from 1.
    pub line: usize,
    /// Whether lines in front of the data say that it is encrypted (RFC 1421).
    pub is_encrypted: bool,
    /// The bytes; none where they are encrypted.
    pub der: Vec<u8>,
}

impl fmt::Debug for PemSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of line {}", self.label, self.line) // its bytes may be a secret
    }
}

impl PemSection {
    /// Whether it says to be a certificate. Old programs have another word for that.
    pub fn is_certificate(&self) -> bool {
        matches!(&self.label[..], "CERTIFICATE" | "X509 CERTIFICATE")
    }
}

/// Why a text is not PEM, and in which line, from 1. It repeats nothing of the data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPem {
    /// No section is in it.
    #[error("there is no line -----BEGIN ...-----: it is not a PEM file")]
    NoSection,
    /// A line begins with hyphens and is no beginning, or the wrong end.
    #[error("a line -----BEGIN ...----- or -----END ...----- is misspelt or does not belong here")]
    Marker(usize),
    /// A section has no end.
    #[error("the section that begins here has no line -----END ...-----: the file is cut off")]
    NoEnd(usize),
    /// Data outside of a section.
    #[error("there is data before a line -----BEGIN ...-----")]
    Outside(usize),
    /// A line of a section is not base64.
    #[error("this is not base64, as the lines of a section are")]
    NotBase64(usize),
}

impl BadPem {
    /// The line in question.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::NoSection => None,
            Self::Marker(line)
            | Self::NoEnd(line)
            | Self::Outside(line)
            | Self::NotBase64(line) => Some(*line),
        }
    }
}

/// As many base64 digits in one line as no explanation has in one word: sections have 64 in each of theirs.
const DATA_DIGITS: usize = 48;

/// The sections of a text, in their order; at least one.
pub fn sections(text: &str) -> Result<Vec<PemSection>, BadPem> {
    let mut lines = (1..).zip(text.lines().map(plain));
    let mut found = Vec::new();
    while let Some((line, content)) = lines.next() {
        match label(content, "-----BEGIN ") {
            Some(label) => found.push(section(label, line, &mut lines)?),
            None if content.starts_with("--") => return Err(BadPem::Marker(line)),
            None if is_data(content) => return Err(BadPem::Outside(line)),
            None => (),
        }
    }
    if found.is_empty() {
        return Err(BadPem::NoSection);
    }
    Ok(found)
}

/// A line without what stands around it. Some editors begin a file with a byte order mark, which may so stand between two
/// files that were put together.
fn plain(line: &str) -> &str {
    line.trim_start_matches('\u{feff}').trim()
}

/// Reads the section whose beginning has just been read.
fn section<'a>(
    label_of_section: &str,
    begun: usize,
    lines: &mut impl Iterator<Item = (usize, &'a str)>,
) -> Result<PemSection, BadPem> {
    let mut read = PemSection {
        label: label_of_section.to_owned(),
        line: begun,
        is_encrypted: false,
        der: Vec::new(),
    };
    let mut digits = String::new();
    let mut starts = Vec::new();
    for (line, content) in lines {
        if content.starts_with('-') {
            if label(content, "-----END ") != Some(label_of_section) {
                return Err(BadPem::Marker(line));
            }
            if !read.is_encrypted {
                read.der = decode(&digits, &starts)?;
            }
            return Ok(read);
        }
        if content.contains(':') {
            read.is_encrypted |= content.contains("ENCRYPTED"); // Proc-Type: 4,ENCRYPTED
            continue;
        }
        starts.push((digits.len(), line));
        digits.push_str(content);
    }
    Err(BadPem::NoEnd(begun))
}

/// The bytes of a section; `starts` is where each line of it begins in `digits`.
fn decode(digits: &str, starts: &[(usize, usize)]) -> Result<Vec<u8>, BadPem> {
    STANDARD.decode(digits).map_err(|error| {
        let at = match error {
            base64::DecodeError::InvalidByte(at, _)
            | base64::DecodeError::InvalidLastSymbol(at, _) => at,
            _ => digits.len(), // too few digits: something is missing at the end
        };
        let before = starts.iter().rev().find(|start| start.0 <= at);
        BadPem::NotBase64(before.map_or(0, |start| start.1))
    })
}

/// The label in a line that begins so.
fn label<'a>(line: &'a str, begins: &str) -> Option<&'a str> {
    line.strip_prefix(begins)?.strip_suffix("-----")
}

/// Whether a line can be nothing but a line of a section.
fn is_data(line: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    line.len() >= DATA_DIGITS && line.bytes().all(is_digit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "(-----(BEGIN|END) A-----|[-A=:\n ]|\\PC){0,40}") {
            match sections(&text) {
                Ok(read) => prop_assert!(!read.is_empty()),
                Err(bad) => {
                    let lines = text.lines().count();
                    prop_assert!(bad.line().is_none_or(|line| (1..=lines).contains(&line)), "{bad:?}");
                }
            }
        }
    }

    const TWO: &str = "Bag Attributes\n    friendlyName: radio\n-----BEGIN A-----\nAQID\nBAUG\n-----END A-----\n\
                       subject=radio\r\n-----BEGIN B C-----\r\nBw==\r\n-----END B C-----\r\n";

    #[test]
    fn sections_are_read_with_text_around_them() {
        let read = sections(TWO).unwrap();
        let der: Vec<_> = read.iter().map(|section| &section.der[..]).collect();
        assert_eq!(der, [&[1, 2, 3, 4, 5, 6][..], &[7]]);
        assert_eq!(format!("{read:?}"), "[A of line 3, B C of line 8]");
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        let text = "\u{feff}-----BEGIN A-----\nAQID\n-----END A-----\n";
        let read = sections(&text.repeat(2)).unwrap();
        assert_eq!(format!("{read:?}"), "[A of line 1, A of line 4]");
    }

    #[test]
    fn an_encrypted_section_is_known_by_its_header() {
        let text = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n\
                    ABCD\n-----END RSA PRIVATE KEY-----\n";
        let read = sections(text).unwrap();
        assert!(read[0].is_encrypted && read[0].der.is_empty());
    }

    #[test]
    fn what_is_wrong_has_a_line() {
        let data = "A".repeat(64);
        for (text, wrong) in [
            ("", BadPem::NoSection),
            ("hello\n", BadPem::NoSection),
            ("-----BEGIN A----\n", BadPem::Marker(1)),
            ("\n-----END A-----\n", BadPem::Marker(2)),
            (
                "-----BEGIN A-----\nAQID\n-----END B-----\n",
                BadPem::Marker(3),
            ),
            ("-----BEGIN A-----\n-----BEGIN A-----\n", BadPem::Marker(2)),
            ("\n-----BEGIN A-----\nAQID\n", BadPem::NoEnd(2)),
            (
                "-----BEGIN A-----\nAQID\nA_==\n-----END A-----",
                BadPem::NotBase64(3),
            ),
            (
                "-----BEGIN A-----\nAQID\nAQ\n-----END A-----",
                BadPem::NotBase64(3),
            ),
            (
                "-----BEGIN A-----\nhello you\nAQID\n-----END A-----",
                BadPem::NotBase64(2),
            ),
            (&format!("x\n{data}\n"), BadPem::Outside(2)),
        ] {
            assert_eq!(sections(text), Err(wrong), "{text}");
        }
    }
}
