//! A file that the mesh keeps: its description in the document. The bytes are on each node's disk.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::file_name::FileName;

/// The longest file: ten minutes at 192 kbit/s.
pub const MAX_FILE_BYTES: u32 = 16 << 20;
/// The most bytes of all files together, which each node has on its disk.
pub const MAX_ALL_FILES_BYTES: u64 = 64 << 20;
/// The most files: each costs a key of gossip.
pub const MAX_FILES: usize = 64;

/// The SHA-256 of a file's bytes, by which nodes ask each other for them. Its text has 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FileHash(pub [u8; 32]);

/// Why a text is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash must have 64 hexadecimal digits")]
pub struct BadFileHash;

/// A file that the mesh keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFile {
    /// The name.
    pub name: FileName,
    /// The hash of the bytes.
    pub sha256: FileHash,
    /// The length.
    pub bytes: u32,
    /// How long it plays, milliseconds.
    pub plays_ms: u32,
    /// The format, in words.
    pub format: String,
}

/// The files by name.
pub type KeptFiles = BTreeMap<FileName, KeptFile>;

impl FromStr for FileHash {
    type Err = BadFileHash;

    fn from_str(text: &str) -> Result<Self, BadFileHash> {
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(BadFileHash);
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| BadFileHash)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| BadFileHash)?;
        }
        Ok(Self(hash))
    }
}

impl TryFrom<String> for FileHash {
    type Error = BadFileHash;

    fn try_from(text: String) -> Result<Self, BadFileHash> {
        text.parse()
    }
}

impl From<FileHash> for String {
    fn from(hash: FileHash) -> Self {
        hash.to_string()
    }
}

impl fmt::Display for FileHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for FileHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_as_it_is_shown() {
        let text = "0123456789abcdef".repeat(4);
        let hash: FileHash = text.parse().unwrap();
        assert_eq!(hash.to_string(), text);
        assert_eq!(hash.0[..2], [1, 0x23]);
        for bad in [
            "",
            "01",
            &text[1..],
            &text.replace('0', "+"),
            &"é".repeat(32),
        ] {
            assert_eq!(bad.parse::<FileHash>(), Err(BadFileHash), "{bad}");
        }
    }
}
