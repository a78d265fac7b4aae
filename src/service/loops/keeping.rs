//! Files that operators put into the mesh.

use bytes::Bytes;
use tokio::sync::SemaphorePermit;

use super::Loops;
use super::file::{self, hash_of};
use crate::io::disk::SaveError;
use crate::media::looped::NoLoop;
use crate::model::file_name::FileName;
use crate::model::kept_file::{KeptFile, MAX_FILE_BYTES};
use crate::service::document::ChangeError;

/// Why a file is not put.
#[derive(Debug, thiserror::Error)]
pub enum NotPut {
    /// The file cannot be played again and again.
    #[error(transparent)]
    Unfit(#[from] NoLoop),
    /// The document does not take it.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The disk does not take it.
    #[error("nothing was changed: {0}; make room, or ask another node")]
    Disk(#[from] SaveError),
    /// The node stops.
    #[error("nothing was changed: this node stops; ask another one")]
    Stopping,
}

/// The right to put one file. The file is in memory then, so one is put at a time.
#[derive(Debug)]
pub struct PutTurn<'a> {
    _permit: SemaphorePermit<'a>,
}

impl Loops {
    /// Waits for the turn to put a file.
    pub async fn put_turn(&self) -> PutTurn<'_> {
        let permit = self.0.putting.acquire().await;
        PutTurn {
            _permit: permit.expect("the turns are never closed"),
        }
    }

    /// Keeps a file on all nodes, in the place of one that has its name. When it returns, this node has it on disk.
    pub async fn put(
        &self,
        name: FileName,
        bytes: Bytes,
        _turn: PutTurn<'_>,
    ) -> Result<KeptFile, NotPut> {
        let reading = {
            let (shelf, loops) = (self.0.shelf.clone(), self.clone());
            move || {
                let read = file::prepare(&bytes)?;
                let hash = hash_of(&bytes);
                let kept = KeptFile {
                    name,
                    sha256: hash,
                    bytes: u32::try_from(bytes.len()).unwrap_or(MAX_FILE_BYTES),
                    plays_ms: u32::try_from(read.facts.length.as_millis()).unwrap_or(u32::MAX),
                    format: read.facts.format.in_words(),
                };
                // Not an orphan while the document does not name it yet.
                *loops.0.coming.lock() = Some(hash);
                shelf.keep(&hash, &bytes)?;
                Ok::<_, NotPut>(kept)
            }
        };
        let kept = self.0.mesh.tasks.spawn_blocking(reading).await;
        let kept = kept.unwrap_or(Err(NotPut::Stopping));
        let put = async {
            let kept = kept?;
            self.0.mesh.documents.put_file(kept.clone()).await?;
            Ok(kept)
        };
        let put = put.await;
        *self.0.coming.lock() = None;
        self.0.changed.notify_one();
        put
    }
}
