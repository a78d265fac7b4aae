//! The output of a program, looked at now and then.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::io::Errno;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe;
use tokio::time::{Instant, Sleep, sleep};

/// The output of a program that is read in this period only. A program writes each frame by itself, and to be woken for
/// each of them costs far more than its bytes.
#[derive(Debug)]
pub struct PacedOutput {
    /// Does not block, and wakes nobody.
    stdout: OwnedFd,
    period: Duration,
    next_look: Pin<Box<Sleep>>,
}

impl PacedOutput {
    /// Reads on from here, in this period.
    pub fn new(stdout: pipe::Receiver, period: Duration) -> io::Result<Self> {
        Ok(Self {
            stdout: stdout.into_nonblocking_fd()?,
            period,
            next_look: Box::pin(sleep(period)),
        })
    }

    fn put_off(&mut self) {
        let at = Instant::now() + self.period;
        self.next_look.as_mut().reset(at);
    }
}

impl AsyncRead for PacedOutput {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.next_look.as_mut().poll(cx));
            match rustix::io::read(&self.stdout, buf.initialize_unfilled()) {
                Ok(bytes) => {
                    buf.advance(bytes);
                    self.put_off();
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

    use tokio::io::AsyncReadExt as _;

    use super::*;

    const PERIOD: Duration = Duration::from_millis(100);

    #[tokio::test(start_paused = true)]
    async fn several_writes_are_one_read() {
        let (writer, stdout) = pipe::pipe().unwrap();
        let mut program = File::from(writer.into_blocking_fd().unwrap());
        let mut output = PacedOutput::new(stdout, PERIOD).unwrap();
        let (begun, mut read) = (Instant::now(), [0; 16]);
        for word in [&b"one"[..], b"two"] {
            program.write_all(word).unwrap();
        }
        let length = output.read(&mut read).await.unwrap();
        assert_eq!(&read[..length], b"onetwo");
        assert_eq!(begun.elapsed().as_millis(), PERIOD.as_millis());
        let nothing = tokio::time::timeout(3 * PERIOD, output.read(&mut read));
        assert!(nothing.await.is_err());
        program.write_all(b"end").unwrap();
        drop(program);
        let mut rest = String::new();
        output.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "end");
    }
}
