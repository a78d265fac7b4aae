//! ffmpeg, which decodes what listeners have received, as a player does.

use std::io::{self, Write as _};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use antiphon::media::format::scanner::Scanner;

/// The end of ffmpeg, and whether it has taken all that it was given.
#[derive(Debug)]
pub(crate) struct Decoding {
    pub(crate) output: Output,
    pub(crate) taken: io::Result<()>,
}

/// Runs ffmpeg with these arguments, and gives it these bytes by its standard input: of a file it looks at the end first, and
/// takes a chain for damage.
pub(crate) fn through_ffmpeg(arguments: &str, received: &[u8]) -> Decoding {
    let mut command = Command::new("ffmpeg");
    command.args(arguments.split_ascii_whitespace());
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().expect("its input is a pipe");
    thread::scope(|scope| {
        let writer = scope.spawn(move || stdin.write_all(received));
        let output = child.wait_with_output().unwrap();
        let taken = writer.join().unwrap();
        Decoding { output, taken }
    })
}

/// The part of what a listener received that ends with a whole frame.
pub(crate) fn until_edge<'a>(received: &'a [u8], media_type: &str) -> &'a [u8] {
    let mut scanner = Scanner::for_content_type(media_type, 0);
    scanner.feed(received, Duration::ZERO, |_| ());
    let whole = usize::try_from(scanner.edge()).expect("no longer than what was received");
    &received[..whole]
}
