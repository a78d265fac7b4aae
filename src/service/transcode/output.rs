//! The stream that a program makes: seen to be what was ordered, and then put on air.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::net::unix::pipe;

use super::progress::Progress;
use crate::io::child::{NextLook, PacedOutput};
use crate::io::leftover::hand_on;
use crate::media::format::detect::{self, Format, LOOK_BYTES, Look};

/// How much is read at a time until it is known what it is.
const READ_BYTES: usize = 16 << 10;

/// Why what a program makes is not put on air.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadOutput {
    #[error("it has made nothing")]
    Nothing,
    #[error("what it makes is no {0}")]
    Other(&'static str),
    #[error("what it makes cannot be read: {0}")]
    Unreadable(#[from] io::Error),
}

/// The stream that a program makes.
pub(super) struct Output {
    stdout: PacedOutput,
    progress: Arc<Progress>,
    /// The first bytes, by which it was recognised.
    begun: BytesMut,
}

impl Output {
    /// Waits for the first bytes, and sees that they are of this media type.
    pub(super) async fn open(
        mut stdout: pipe::Receiver,
        media_type: &'static str,
        progress: Arc<Progress>,
    ) -> Result<Self, BadOutput> {
        let mut begun = BytesMut::new();
        let wanted = Format::of_media_type(media_type).map_or(Look::Unknown, Look::Is);
        loop {
            begun.reserve(READ_BYTES);
            let has_ended = stdout.read_buf(&mut begun).await? == 0;
            if begun.is_empty() {
                return Err(BadOutput::Nothing);
            }
            progress.note_output();
            match detect::look(&begun, media_type) {
                look if look == wanted => break,
                Look::More if !has_ended && begun.len() < LOOK_BYTES => {}
                _ => return Err(BadOutput::Other(media_type)),
            }
        }
        let beats = progress.clone();
        let next_look = move || -> NextLook {
            let beats = beats.clone();
            Box::pin(async move { beats.next_beat().await })
        };
        Ok(Self {
            stdout: PacedOutput::new(stdout, next_look)?,
            progress,
            begun,
        })
    }
}

impl AsyncRead for Output {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.begun.is_empty() {
            hand_on(&mut self.begun, buf);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stdout).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.progress.note_output();
        }
        polled
    }
}
