//! The operator's own files, such as a web player: sent to whoever asks for a path that is nothing else.
//!
//! A file is read and sent piece by piece, so a download costs one piece of memory whatever its length. A client that
//! does not take a piece in time loses its connection.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, SeekFrom};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{debug, warn};

use super::ingest::answer_and_drain;
use super::listen;
use super::listen::After;
use crate::io::answer;
use crate::io::door::Visitor;
use crate::io::door_stream::DoorStream;
use crate::io::tasks::Tasks;
use crate::io::web_root::{Opened, WebFile, WebRoot};
use crate::wire::http::file_head::{FileAnswer, FileFacts};
use crate::wire::http::file_type;
use crate::wire::http::head::Head;
use crate::wire::http::reply::{Persistence, Reply};

/// The most files that are sent at the same time: each is a file descriptor beside that of its connection, and the
/// descriptors that the node keeps back from connections are some hundred.
const MAX_DOWNLOADS: usize = 64;
/// How much of a file is read and sent at once. A client has ten seconds for each piece, so its line must carry 50 kbit/s.
const PIECE_BYTES: usize = 64 << 10;
/// When a client that finds too many downloads may come again, seconds: a page's pictures are sent by then.
const RETRY_AFTER_S: u32 = 5;

/// A cheap, cloneable way to the files.
#[derive(Clone, Debug)]
pub struct Files(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    root: WebRoot,
    downloads: Arc<Semaphore>,
    tasks: Tasks,
}

/// The answer to a client that asked for a file.
#[derive(Debug)]
pub enum FoundFile {
    /// The file.
    File(WebFile, OwnedSemaphorePermit),
    /// The address of a folder, with its slash.
    Folder(String),
    /// Too many files are being sent.
    Busy,
}

impl Files {
    /// The files below a folder, or none. Downloads end with these tasks.
    pub fn new(folder: Option<PathBuf>, tasks: Tasks) -> Self {
        if let Some(folder) = folder.as_ref().filter(|folder| !folder.is_dir()) {
            let web_root = folder.display();
            warn!(%web_root, "there is no such folder: no files are sent until it is there");
        }
        Self(folder.map(|folder| {
            Arc::new(Shared {
                root: WebRoot::new(folder),
                downloads: Arc::new(Semaphore::new(MAX_DOWNLOADS)),
                tasks,
            })
        }))
    }

    /// Looks for the file at the path of a request.
    pub async fn find(&self, head: &Head) -> Option<FoundFile> {
        let shared = self.0.as_ref()?;
        let (root, path) = (shared.root.clone(), head.path().to_owned());
        let opened = shared.tasks.spawn_blocking(move || root.open(&path)).await;
        match opened.unwrap_or(Opened::Nothing) {
            Opened::File(file) => match shared.downloads.clone().try_acquire_owned() {
                Ok(permit) => Some(FoundFile::File(file, permit)),
                Err(_) => Some(FoundFile::Busy),
            },
            Opened::Folder => Some(FoundFile::Folder(format!("{}/", head.path()))),
            Opened::Nothing => None,
        }
    }

    /// Answers a request with what was found.
    pub async fn send(
        &self,
        visitor: Visitor,
        found: FoundFile,
        head: &Head,
        reply: &Reply,
    ) -> After {
        match found {
            FoundFile::File(file, _permit) => self.send_file(visitor, file, head, reply).await,
            FoundFile::Folder(address) => {
                listen::send(visitor, &reply.redirect(&address), reply).await
            }
            FoundFile::Busy => {
                let why = "too many files are being sent, please try again in a moment";
                let answer = reply.unavailable(why, RETRY_AFTER_S);
                listen::send(visitor, &answer, reply).await
            }
        }
    }

    async fn send_file(
        &self,
        mut visitor: Visitor,
        file: WebFile,
        head: &Head,
        reply: &Reply,
    ) -> After {
        let Some(shared) = &self.0 else {
            return After::Over;
        };
        let answer = reply.file(
            head,
            &FileFacts {
                content_type: file_type::of_file_name(&file.name),
                bytes: file.bytes,
                modified: file.modified,
            },
        );
        let sending = send_part(&mut visitor.stream, file.file, answer);
        match shared.tasks.until_end(sending).await {
            Some(Ok(())) if reply.persistence() == Persistence::KeepAlive => After::Next(visitor),
            Some(Ok(())) => {
                answer_and_drain(&mut visitor.stream, b"").await;
                After::Over
            }
            Some(Err(error)) => {
                debug!(peer = %visitor.peer, %error, path = head.path(), "a file did not arrive");
                After::Over
            }
            None => After::Over,
        }
    }
}

/// Sends the head of an answer and its part of the file.
async fn send_part(
    stream: &mut DoorStream,
    file: std::fs::File,
    answer: FileAnswer,
) -> io::Result<()> {
    let FileAnswer { head, body } = answer;
    if body.is_empty() {
        return answer::send(stream, &head).await;
    }
    let mut file = File::from_std(file);
    file.set_max_buf_size(PIECE_BYTES);
    file.seek(SeekFrom::Start(body.start)).await?;
    let mut rest = file.take(body.end - body.start);
    let mut piece = BytesMut::with_capacity(head.len() + PIECE_BYTES);
    piece.extend_from_slice(&head);
    while rest.limit() > 0 {
        if rest.read_buf(&mut piece).await? == 0 {
            // What was promised cannot be sent: the connection is closed before its end.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        answer::send(stream, &piece).await?;
        piece.clear();
    }
    Ok(())
}
