//! A player: it asks for a mount, and takes the audio and the titles apart.

use std::time::{Duration, Instant};

use crate::media::frames::{MP3_BYTES, frames_among};
use crate::row::{Fault, deviates};
use crate::socket::{Arrival, PATIENCE, RawSocket, ReplyHead};
use crate::target::Target;

/// The header of a player that wants titles.
pub(crate) const WANTS_TITLES: &str = "Icy-MetaData: 1\r\n";
/// How many blocks may come before one that has to.
const MOST_BLOCKS: usize = 40;

/// How long a listener is followed until it hears another source.
const FOLLOWED: Duration = Duration::from_secs(20);

/// A listener that has been answered with a stream.
#[derive(Debug)]
pub(crate) struct Player {
    /// The head of the answer.
    pub(crate) head: ReplyHead,
    socket: RawSocket,
    /// The bytes of audio between two blocks, if there are blocks.
    interval: Option<usize>,
    until_block: usize,
}

impl Player {
    /// Listens to the row's mount, without titles.
    pub(crate) fn plain(target: &Target<'_>) -> Result<Self, Fault> {
        Self::tune_in(target, &target.mount(), "")
    }

    /// Listens to the row's mount, with titles.
    pub(crate) fn with_titles(target: &Target<'_>) -> Result<Self, Fault> {
        let player = Self::tune_in(target, &target.mount(), WANTS_TITLES)?;
        match player.interval {
            Some(_) => Ok(player),
            None => Err(deviates(format!("no icy-metaint in {:?}", player.head))),
        }
    }

    /// Asks for a stream with these headers.
    pub(crate) fn tune_in(target: &Target<'_>, asked: &str, headers: &str) -> Result<Self, Fault> {
        let mut socket = target.open()?;
        let host = target.host();
        socket.send(format!(
            "GET {asked} HTTP/1.0\r\nHost: {host}\r\n{headers}\r\n"
        ))?;
        let head = socket.head()?;
        head.want(200)?;
        let interval = head.header("icy-metaint").map(|it| {
            let bytes = it.parse().ok().filter(|&bytes| bytes > 0);
            bytes.ok_or_else(|| deviates(format!("icy-metaint is {it:?}")))
        });
        let interval = interval.transpose()?;
        Ok(Self {
            head,
            socket,
            interval,
            until_block: interval.unwrap_or(0),
        })
    }

    /// Whether titles come with the audio.
    pub(crate) fn has_titles(&self) -> bool {
        self.interval.is_some()
    }

    /// The next bytes of audio. Blocks among them are skipped.
    pub(crate) fn audio(&mut self, bytes: usize) -> Result<Vec<u8>, Fault> {
        let mut audio = Vec::new();
        while audio.len() < bytes {
            let wanted = bytes - audio.len();
            match self.interval {
                None => audio.extend(self.socket.take(wanted)?),
                Some(_) if self.until_block == 0 => drop(self.block()?),
                Some(_) => {
                    let part = wanted.min(self.until_block);
                    audio.extend(self.socket.take(part)?);
                    self.until_block -= part;
                }
            }
        }
        Ok(audio)
    }

    /// The next block, with its length byte; the audio before it is skipped.
    pub(crate) fn block(&mut self) -> Result<Vec<u8>, Fault> {
        let interval = self.interval.ok_or_else(|| deviates("no icy-metaint"))?;
        self.socket.take(self.until_block)?;
        self.until_block = interval;
        let mut block = self.socket.take(1)?;
        let length = usize::from(block[0]) * 16;
        block.extend(self.socket.take(length)?);
        Ok(block)
    }

    /// The text of the next block that is not empty.
    pub(crate) fn text(&mut self) -> Result<Vec<u8>, Fault> {
        for _ in 0..MOST_BLOCKS {
            let block = self.block()?;
            if block.len() > 1 {
                let text = block[1..].iter().rposition(|&byte| byte != 0);
                return Ok(block[1..text.map_or(1, |last| last + 2)].to_vec());
            }
        }
        Err(deviates(format!("{MOST_BLOCKS} blocks in a row are empty")))
    }

    /// Checks that the next block that is not empty says this title.
    pub(crate) fn want_title(&mut self, title: &[u8]) -> Result<(), Fault> {
        let expected = [b"StreamTitle='", title, b"';"].concat();
        let text = self.text()?;
        let (seen, wanted) = (
            String::from_utf8_lossy(&text),
            String::from_utf8_lossy(&expected),
        );
        match text.starts_with(&expected) {
            true => Ok(()),
            false => Err(deviates(format!("the block is {seen:?}, not {wanted:?}"))),
        }
    }

    /// Listens until a frame of this number, or a later one, is heard; the longest time without audio until then.
    ///
    /// For streams of MP3 frames, asked for without titles. Where one source follows another a server may cut a frame,
    /// so what is no frame is passed over.
    pub(crate) fn wait_frame_from(&mut self, first: u64) -> Result<Duration, Fault> {
        let (mut heard, mut longest, begun) = (Vec::new(), Duration::ZERO, Instant::now());
        while begun.elapsed() < FOLLOWED {
            let waited = Instant::now();
            if self.wait()? != Arrival::Bytes {
                return Err(deviates("the listener is ended"));
            }
            longest = longest.max(waited.elapsed());
            heard.extend(self.taken()?);
            if frames_among(&heard).any(|number| number >= first) {
                return Ok(longest);
            }
            let kept = heard.len().saturating_sub(2 * MP3_BYTES);
            heard.drain(..kept);
        }
        Err(deviates(format!("frame {first} is never heard")))
    }

    /// All that comes within so long, blocks included.
    pub(crate) fn gather(&mut self, span: Duration) -> Result<Vec<u8>, Fault> {
        self.socket.gather(span)
    }

    /// All bytes until the server ends the stream, which it must in time.
    pub(crate) fn rest(&mut self, limit: Duration) -> Result<Vec<u8>, Fault> {
        self.socket.rest(limit)
    }

    /// Waits for bytes, and says how that went.
    pub(crate) fn wait(&mut self) -> Result<Arrival, Fault> {
        self.socket.wait(PATIENCE)
    }

    /// Takes what has come and nothing else.
    pub(crate) fn taken(&mut self) -> Result<Vec<u8>, Fault> {
        self.socket.gather(Duration::ZERO)
    }
}
