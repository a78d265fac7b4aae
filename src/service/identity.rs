//! The identity of a node, kept in its data directory: its secret, its token, its lives and epochs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use crate::io::clock;
use crate::io::disk::DataDir;
use crate::io::disk::private::{self, SecretError};
use crate::io::disk::{LoadError, Loaded, SaveError};
use crate::io::tls::{BadSecret, ClusterSecret};
use crate::logic::election::Start;
use crate::model::node::Generation;
use crate::model::seat::Epoch;

/// The file of the cluster's secret, if no other is named.
pub const SECRET_FILE: &str = "secret";
/// The file of the token that authorises the command line on this machine.
pub const TOKEN_FILE: &str = "token";
/// The file of generation and epoch.
const NODE_FILE: &str = "node";
/// How far to skip ahead when the file was damaged: more lives and elections than can have been lost with it.
const SKIP: u64 = 1_000;

/// The facts that are remembered from life to life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    generation: Generation,
    max_epoch: Epoch,
}

/// The present life of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThisLife {
    /// Greater than that of any life before.
    pub generation: Generation,
    /// The highest epoch that any life has seen.
    pub max_epoch: Epoch,
}

/// Why the node cannot take on its identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The secret's file cannot be read.
    #[error(transparent)]
    Unreadable(#[from] SecretError),
    /// The file holds no valid secret.
    #[error("{0} does not hold the secret of a mesh: {1}")]
    Bad(PathBuf, #[source] BadSecret),
    /// A node that joins a mesh must have the secret of that mesh.
    #[error(
        "to join a mesh this node needs its secret: copy the file `secret` from the data directory of a node there to {0}, or name it with --secret-file"
    )]
    Missing(PathBuf),
    /// The named file is not there.
    #[error(
        "there is no file {0} for the secret: copy that of another node, or make one for a new mesh by \
         `antiphon secret generate --out {0}`"
    )]
    NamedMissing(PathBuf),
    /// A file could not be written.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// A file could not be read.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// The cluster's secret: from the named file, or the data directory; the first node of all makes it.
pub fn secret(
    data_dir: &DataDir,
    named: Option<&Path>,
    start: Start,
) -> Result<ClusterSecret, IdentityError> {
    let path = named.map_or_else(|| data_dir.path_of(SECRET_FILE), Path::to_owned);
    if named.is_none() && !path.exists() {
        if start == Start::Joining {
            return Err(IdentityError::Missing(path));
        }
        let text = format!(
            "# The secret of this antiphon mesh: whoever has it is a member.\n{}\n",
            random_hex()
        );
        data_dir.write_private(SECRET_FILE, text.as_bytes())?;
        info!(path = %path.display(), "a new secret was made; other nodes need a copy of it");
    }
    let text = match private::read_secret(&path) {
        Err(SecretError::Missing(path)) => return Err(IdentityError::NamedMissing(path)),
        read => read?,
    };
    ClusterSecret::parse(text.reveal()).map_err(|error| IdentityError::Bad(path, error))
}

/// The token of this node, made at its first start, and again when it is damaged: what is left of a token could be
/// guessed, and a token manages the mesh.
pub fn token(data_dir: &DataDir) -> Result<String, IdentityError> {
    let path = data_dir.path_of(TOKEN_FILE);
    match private::read_own_secret(&path) {
        Ok(text) if is_token(text.reveal().trim()) => return Ok(text.reveal().trim().to_owned()),
        Ok(_)
        | Err(SecretError::NotText(_) | SecretError::TooLarge(_) | SecretError::NotAFile(_)) => {
            warn!(path = %path.display(), "the token was damaged: a new one is made");
        }
        Err(SecretError::Exposed { .. }) => {
            warn!(path = %path.display(), "every user of this machine could read the token: a new one is made");
        }
        Err(SecretError::Missing(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let token = random_hex();
    match data_dir.write_private(TOKEN_FILE, format!("{token}\n").as_bytes()) {
        Ok(()) => {}
        Err(error) if error.is_disk_trouble() => {
            warn!(%error, "no token for the command line of this machine");
        }
        Err(error) => return Err(error.into()),
    }
    Ok(token)
}

/// Whether a text is what [`random_hex`] makes.
fn is_token(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Begins a new life: with a generation above all before, written down before any peer hears of it.
pub fn begin_life(data_dir: &DataDir) -> Result<ThisLife, IdentityError> {
    let before = remembered(data_dir)?;
    let generation = Generation(clock::unix_ms().max(before.generation.0 + 1));
    let max_epoch = before.max_epoch;
    let text = text_of(Remembered {
        generation,
        max_epoch,
    });
    match data_dir.save(NODE_FILE, &text) {
        Ok(()) => {}
        // The clock makes the next life greater, and without a disk this one claims no seat.
        Err(error) if error.is_disk_trouble() => {
            warn!(%error, "starting all the same: this node serves, refuses edits that no other node saves, and is no candidate for a seat");
        }
        Err(error) => return Err(error.into()),
    }
    Ok(ThisLife {
        generation,
        max_epoch,
    })
}

fn remembered(data_dir: &DataDir) -> Result<Remembered, IdentityError> {
    let (bytes, damaged) = match data_dir.load(NODE_FILE)? {
        Loaded::Fresh => return Ok(Remembered::default()),
        Loaded::Current(bytes) => (bytes, None),
        Loaded::Previous { bytes, why } => (bytes, Some(why)),
        Loaded::Lost { why } => {
            warn!(%why, "the file `node` is lost: epochs begin anew");
            return Ok(Remembered::default());
        }
    };
    let mut remembered: Remembered = serde_json::from_slice(&bytes).unwrap_or_else(|error| {
        warn!(%error, "the file `node` is unusable: epochs begin anew");
        Remembered::default()
    });
    if let Some(why) = damaged {
        warn!(%why, "the file `node` is damaged: an earlier one is used, and skipped ahead");
        remembered.generation.0 += SKIP;
        remembered.max_epoch.0 += SKIP;
    }
    Ok(remembered)
}

/// Writes down the highest epoch, before any peer hears of it.
pub async fn save_epoch(
    data_dir: Arc<DataDir>,
    generation: Generation,
    max_epoch: Epoch,
) -> Result<(), SaveError> {
    let text = text_of(Remembered {
        generation,
        max_epoch,
    });
    let saved = spawn_blocking(move || data_dir.save(NODE_FILE, &text));
    saved.await.expect("saving a file does not panic")
}

fn text_of(remembered: Remembered) -> Vec<u8> {
    serde_json::to_vec(&remembered).expect("two numbers have a text")
}

/// 32 random bytes, as 64 hexadecimal digits.
pub fn random_hex() -> String {
    let bytes: [u8; 32] = rand::random();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn data_dir() -> (tempfile::TempDir, DataDir) {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(&folder.path().join("data")).unwrap();
        (folder, data_dir)
    }

    #[test]
    fn the_first_node_makes_a_secret_and_keeps_it() {
        let (_folder, data_dir) = data_dir();
        let made = secret(&data_dir, None, Start::Founding).unwrap();
        assert_eq!(secret(&data_dir, None, Start::Joining).unwrap(), made);
    }

    #[test]
    fn a_joining_node_is_told_where_its_secret_belongs() {
        let (_folder, data_dir) = data_dir();
        let error = secret(&data_dir, None, Start::Joining).unwrap_err();
        assert!(error.to_string().contains("--secret-file"), "{error}");
    }

    #[test]
    fn a_damaged_token_is_made_again() {
        let (_folder, data_dir) = data_dir();
        let first = token(&data_dir).unwrap();
        assert_eq!(token(&data_dir).unwrap(), first);
        let (short, long) = (&first.as_bytes()[1..], vec![b'a'; 100_000]);
        let damaged: [&[u8]; 6] = [b"", b"a", short, b"\xc3\x28", &long, &[b'g'; 64]];
        for bytes in damaged {
            data_dir.write_private(TOKEN_FILE, bytes).unwrap();
            let made = token(&data_dir).unwrap();
            assert!(is_token(&made) && made != first);
            assert_eq!(token(&data_dir).unwrap(), made, "it is kept");
        }
        let path = data_dir.path_of(TOKEN_FILE);
        let exposed = token(&data_dir).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_ne!(token(&data_dir).unwrap(), exposed, "whoever read it is out");
        fs::remove_file(&path).unwrap();
        UnixListener::bind(&path).unwrap();
        assert!(is_token(&token(&data_dir).unwrap()), "in place of a socket");
        data_dir
            .write_private(TOKEN_FILE, format!("\u{feff}{first}\r\n").as_bytes())
            .unwrap();
        assert_eq!(token(&data_dir).unwrap(), first);
    }

    #[test]
    fn lives_grow_even_if_the_clock_goes_back() {
        let (_folder, data_dir) = data_dir();
        let future = Remembered {
            generation: Generation(u64::MAX / 2),
            max_epoch: Epoch(7),
        };
        data_dir.save(NODE_FILE, &text_of(future)).unwrap();
        let life = begin_life(&data_dir).unwrap();
        assert_eq!(life.generation, Generation(u64::MAX / 2 + 1));
        assert_eq!(life.max_epoch, Epoch(7));
        assert!(begin_life(&data_dir).unwrap().generation > life.generation);
    }
}
