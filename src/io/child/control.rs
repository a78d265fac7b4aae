//! The socket between the node and a guard: the standard input of the guard, until it becomes the program.
//!
//! Down comes the program's own standard input; up goes what keeps the guard from becoming it. The guard's last copy of
//! the socket closes by itself as the program begins, so the node knows when that was.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// A descriptor travels with a byte at least.
const BYTE: [u8; 1] = *b"i";
/// Said by a guard as its last word, if all goes well.
const READY: char = '+';
/// Stands between the step at which a guard failed and the number of the error.
const PARTING: char = '\t';
/// The longest that a guard says.
const REPORT_BYTES: u64 = 256;

/// The news of a guard.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// The program runs.
    Became,
    /// The guard could not do this, and has ended.
    Failed {
        /// The step, as a guard calls it.
        step: String,
        /// The error's number.
        errno: i32,
    },
    /// The guard has ended and said nothing that makes sense.
    Silent,
}

/// Sends the program's standard input to the guard.
pub(super) fn send_input(socket: &UnixStream, input: BorrowedFd<'_>) -> io::Result<()> {
    let descriptors = [input];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    let bytes = [IoSlice::new(&BYTE)];
    sendmsg(socket, &bytes, &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives it.
pub(super) fn receive_input(socket: &UnixStream) -> io::Result<OwnedFd> {
    let mut byte = BYTE;
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [IoSliceMut::new(&mut byte)];
    recvmsg(
        socket.as_fd(),
        &mut bytes,
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    descriptor.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Says that nothing but the program itself is left to start.
pub(super) fn say_ready(mut socket: &UnixStream) -> io::Result<()> {
    socket.write_all(READY.to_string().as_bytes())
}

/// Says what a guard could not do.
pub(super) fn say_failed(mut socket: &UnixStream, step: &str, error: &io::Error) {
    let errno = error.raw_os_error().unwrap_or_default();
    // If the node is gone, nobody wants to know.
    let _unread = socket.write_all(format!("{step}{PARTING}{errno}").as_bytes());
}

/// Waits for what becomes of the guard, for as long as the socket's time limit.
pub(super) fn report(socket: &UnixStream) -> io::Result<Report> {
    let mut said = Vec::new();
    match socket.take(REPORT_BYTES).read_to_end(&mut said) {
        // Reset by a guard that has ended without taking its input; what it said comes first.
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error),
        _ => Ok(read(&String::from_utf8_lossy(&said))),
    }
}

fn read(said: &str) -> Report {
    let (ready, rest) = match said.strip_prefix(READY) {
        Some(rest) => (true, rest),
        None => (false, said),
    };
    match rest.split_once(PARTING) {
        Some((step, errno)) => match errno.parse() {
            Ok(errno) => Report::Failed {
                step: step.to_owned(),
                errno,
            },
            Err(_) => Report::Silent,
        },
        None if ready && rest.is_empty() => Report::Became,
        None => Report::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_goes_down_and_the_report_comes_up() {
        let (node, guard) = UnixStream::pair().unwrap();
        let (input, mut writer) = io::pipe().unwrap();
        send_input(&node, input.as_fd()).unwrap();
        let received = receive_input(&guard).unwrap();
        drop(input);
        writer.write_all(b"audio").unwrap();
        drop(writer);
        let mut heard = String::new();
        io::PipeReader::from(received)
            .read_to_string(&mut heard)
            .unwrap();
        assert_eq!(heard, "audio");

        say_ready(&guard).unwrap();
        let missing = io::Error::from_raw_os_error(2);
        say_failed(&guard, "run it", &missing);
        drop(guard);
        let failed = Report::Failed {
            step: "run it".to_owned(),
            errno: 2,
        };
        assert_eq!(report(&node).unwrap(), failed);
    }

    #[test]
    fn only_a_guard_that_was_ready_became_the_program() {
        assert_eq!(read("+"), Report::Became);
        for nonsense in ["", "-", "++", "usage", "+usage", "a\tb", "\t"] {
            assert_eq!(read(nonsense), Report::Silent, "{nonsense}");
        }
    }

    #[test]
    fn a_guard_that_ends_at_once_is_silent() {
        let (node, guard) = UnixStream::pair().unwrap();
        send_input(&node, node.as_fd()).unwrap();
        drop(guard);
        assert_eq!(report(&node).unwrap(), Report::Silent);

        let (node, guard) = UnixStream::pair().unwrap();
        send_input(&node, node.as_fd()).unwrap();
        say_failed(&guard, "try", &io::Error::from_raw_os_error(1));
        drop(guard);
        let failed = Report::Failed {
            step: "try".to_owned(),
            errno: 1,
        };
        assert_eq!(report(&node).unwrap(), failed, "it is not lost");
    }
}
