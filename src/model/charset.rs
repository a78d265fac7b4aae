//! The charsets of texts that are not UTF-8, by the names that the web knows.

use std::fmt;
use std::str::FromStr;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use serde::{Deserialize, Serialize};

/// A charset. The default, windows-1252, is Latin-1 with the quotation marks and dashes that people really type.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Charset(&'static Encoding);

/// Why a word is not the name of a charset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be the name of a charset, such as utf-8, windows-1251, iso-8859-2, koi8-r or shift_jis"
)]
pub struct BadCharset;

impl Charset {
    /// The usual name of the charset.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Reads bytes whose charset is not told: as UTF-8 if they are valid UTF-8, otherwise in this charset.
    pub fn read(self, bytes: &[u8]) -> String {
        match str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => self.0.decode_with_bom_removal(bytes).0.into_owned(),
        }
    }

    /// Reads bytes that are said to be of the charset `named`. Bytes said to be UTF-8 that are not valid are read in
    /// this one.
    pub fn read_as(self, named: Charset, bytes: &[u8]) -> String {
        match named.0 == UTF_8 {
            true => self.read(bytes),
            false => named.0.decode_with_bom_removal(bytes).0.into_owned(),
        }
    }
}

impl Default for Charset {
    fn default() -> Self {
        Self(WINDOWS_1252)
    }
}

impl FromStr for Charset {
    type Err = BadCharset;

    /// Reads a name in upper or lower case, and the other names of a charset.
    fn from_str(name: &str) -> Result<Self, BadCharset> {
        let known = Encoding::for_label_no_replacement(name.as_bytes());
        known.map(Self).ok_or(BadCharset)
    }
}

impl fmt::Display for Charset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Charset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Charset {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Charset {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charset(name: &str) -> Charset {
        name.parse().unwrap()
    }

    #[test]
    fn a_charset_is_known_by_all_its_names() {
        for (name, known) in [
            ("windows-1251", "windows-1251"),
            ("CP1251", "windows-1251"),
            ("ISO-8859-1", "windows-1252"),
            ("latin2", "ISO-8859-2"),
            (" utf8 ", "UTF-8"),
            ("sjis", "Shift_JIS"),
        ] {
            assert_eq!(charset(name).name(), known);
        }
        for bad in ["", "klingon", "utf-7", "iso-2022-kr", "windows 1251"] {
            assert_eq!(bad.parse::<Charset>(), Err(BadCharset), "{bad}");
        }
    }

    #[test]
    fn valid_utf_8_is_read_so_unless_named_otherwise() {
        let russian = charset("windows-1251");
        assert_eq!(russian.read(b"\xcf\xf0\xe8\xe2\xe5\xf2"), "Привет");
        assert_eq!(russian.read("Привет".as_bytes()), "Привет");
        let usual = Charset::default();
        assert_eq!(usual.read(b"\x93caf\xe9\x94"), "“café”");
        assert_eq!(
            usual.read_as(russian, b"\xcf\xf0\xe8\xe2\xe5\xf2"),
            "Привет"
        );
        assert_eq!(usual.read_as(charset("koi8-r"), b"\xf0\xd2\xc9"), "При");
        assert_eq!(
            usual.read_as(charset("iso-8859-2"), b"\xb3\xf3d\xbc"),
            "łódź"
        );
        assert_eq!(
            usual.read_as(charset("shift_jis"), b"\x93\xfa\x96\x7b"),
            "日本"
        );
        assert_eq!(russian.read_as(charset("utf-8"), b"\xcf\xf0\xe8"), "При");
        assert_eq!(usual.read_as(charset("iso-8859-1"), "é".as_bytes()), "Ã©");
    }
}
