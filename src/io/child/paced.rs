//! The output of a program, looked at now and then.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe;

/// A wait for the next look.
pub type NextLook = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The output of a program that is read only when a wait is over. A program writes each frame by itself, and to be woken
/// for each of them costs far more than its bytes.
pub struct PacedOutput {
    /// Does not block, and wakes nobody.
    stdout: OwnedFd,
    wait: Box<dyn FnMut() -> NextLook + Send>,
    /// `None`: at once.
    next_look: Option<NextLook>,
}

impl fmt::Debug for PacedOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacedOutput")
            .field("stdout", &self.stdout)
            .finish_non_exhaustive()
    }
}

impl PacedOutput {
    /// Reads on from here, each time after such a wait.
    pub fn new(
        stdout: pipe::Receiver,
        wait: impl FnMut() -> NextLook + Send + 'static,
    ) -> io::Result<Self> {
        Ok(Self {
            stdout: stdout.into_nonblocking_fd()?,
            wait: Box::new(wait),
            next_look: None,
        })
    }

    fn put_off(&mut self) {
        self.next_look = Some((self.wait)());
    }
}

impl AsyncRead for PacedOutput {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if let Some(look) = &mut self.next_look {
                ready!(look.as_mut().poll(cx));
                self.next_look = None;
            }
            match rustix::io::read(&self.stdout, buf.initialize_unfilled()) {
                Ok(bytes) => {
                    buf.advance(bytes);
                    // If it is full, there may be more; and after the end nothing is waited for.
                    if bytes > 0 && buf.remaining() > 0 {
                        self.put_off();
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(Errno::AGAIN) => self.put_off(),
                Err(Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::io::AsyncReadExt as _;
    use tokio::sync::Notify;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_read_after_each_wait_only() {
        let (writer, stdout) = pipe::pipe().unwrap();
        let mut program = File::from(writer.into_blocking_fd().unwrap());
        let beat = Arc::new(Notify::new());
        let waited_for = beat.clone();
        let wait = move || -> NextLook { Box::pin(waited_for.clone().notified_owned()) };
        let mut output = PacedOutput::new(stdout, wait).unwrap();
        let mut read = [0; 4];
        program.write_all(b"begins").unwrap();
        for part in [&b"begi"[..], b"ns"] {
            let length = output.read(&mut read).await.unwrap();
            assert_eq!(&read[..length], part);
        }
        program.write_all(b"on").unwrap();
        let early = timeout(Duration::from_secs(9), output.read(&mut read));
        assert!(early.await.is_err());
        program.write_all(b"!").unwrap();
        beat.notify_one();
        let length = output.read(&mut read).await.unwrap();
        assert_eq!(&read[..length], b"on!");
        drop(program);
        beat.notify_one();
        assert_eq!(output.read(&mut read).await.unwrap(), 0);
        assert_eq!(output.read(&mut read).await.unwrap(), 0, "it stays so");
    }
}
