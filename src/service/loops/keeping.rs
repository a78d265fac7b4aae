//! Files that operators put into the mesh.

use bytes::Bytes;
use tokio::sync::SemaphorePermit;

use super::Loops;
use super::file::{self, hash_of};
use crate::io::clock;
use crate::io::disk::SaveError;
use crate::media::looped::NoLoop;
use crate::model::file_name::FileName;
use crate::model::format::StreamFormat;
use crate::model::kept_file::{KeptFile, MAX_FILE_BYTES};
use crate::model::mount::MountName;
use crate::proto::fitting::{Fitting, RungFormat};
use crate::service::document::ChangeError;

/// Why a file is not put.
#[derive(Debug, thiserror::Error)]
pub enum NotPut {
    /// The file cannot be played again and again.
    #[error(transparent)]
    Unfit(#[from] NoLoop),
    /// The listeners of a mount that plays it could not go on with it.
    #[error(
        "{mount} plays {name} and {}, but this file is {theirs}: its listeners could not go on with it; encode it in that \
         format, or put it all the same by --force (in the API by ?force=true)",
        in_words(.mount, .beside)
    )]
    OtherFormat {
        /// The file.
        name: FileName,
        /// The mount.
        mount: MountName,
        /// The rung of the mount that has another format.
        beside: Box<RungFormat>,
        /// The format of the file, in words.
        theirs: String,
    },
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

/// Whether a file that is put has to fit the mounts that play it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatCheck {
    /// As far as their formats are known.
    Players,
    /// An operator wants it all the same.
    None,
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
    ///
    /// One that the listeners of a mount could not go on with which plays it is refused, unless that is forced.
    pub async fn put(
        &self,
        name: FileName,
        bytes: Bytes,
        check: FormatCheck,
        _turn: PutTurn<'_>,
    ) -> Result<KeptFile, NotPut> {
        let reading = {
            let (shelf, loops) = (self.0.shelf.clone(), self.clone());
            move || {
                let read = file::prepare(&bytes)?;
                if check == FormatCheck::Players {
                    loops.check_players(&name, read.facts.format)?;
                }
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

    /// Refuses a file that does not fit what else the listeners of a mount that plays its name may hear.
    fn check_players(&self, name: &FileName, theirs: StreamFormat) -> Result<(), NotPut> {
        let mesh = &self.0.mesh;
        let (mounts, view) = (mesh.documents.mounts(), mesh.cluster.view());
        let files = mesh.documents.files();
        let fitting = Fitting {
            mounts: &mounts,
            files: &files,
            view: &view,
        };
        let now = clock::unix_s();
        let other = mounts.values().find_map(|spec| {
            let beside = Box::new(fitting.file_misfit(now, spec, name, theirs)?);
            Some(NotPut::OtherFormat {
                name: name.clone(),
                mount: spec.path.clone(),
                beside,
                theirs: theirs.in_words(),
            })
        });
        other.map_or(Ok(()), Err)
    }
}

/// A rung of a mount and its format, behind the words on that mount.
fn in_words(mount: &MountName, beside: &RungFormat) -> String {
    let RungFormat { rung, words, .. } = beside;
    match rung.is_mount(mount) {
        true => format!("is {words}"),
        false => format!("{rung}, which is {words}"),
    }
}
