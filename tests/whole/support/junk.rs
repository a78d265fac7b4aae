//! A source that says MP3 and sends something else, as an encoder does that was set up wrongly.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::node::TestNode;
use super::source::knock_as;

/// How much it sends in a second, and how often.
const SECOND_BYTES: usize = 16_000;
const PIECES_PER_S: usize = 10;

/// The bytes that it sends instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Junk {
    /// The page of a web server.
    Page,
    /// Nothing but zeros.
    Zeros,
    /// Nothing but ones, in which headers of MP3 seem to begin.
    Ones,
    /// Sound that was not encoded: a tone of 440 Hz.
    Samples,
    /// Noise.
    Noise,
    /// AAC with ADTS headers, which is audio.
    Aac,
}

impl Junk {
    /// All that is no audio.
    pub(crate) const ALL: [Self; 5] = [
        Self::Page,
        Self::Zeros,
        Self::Ones,
        Self::Samples,
        Self::Noise,
    ];

    /// The first bytes of it, which are sent again and again.
    fn bytes(self) -> Vec<u8> {
        let bytes = 60 * SECOND_BYTES;
        match self {
            Self::Page => {
                b"<!doctype html><html><body><p>It works!</p></body></html>\n".repeat(20_000)
            }
            Self::Zeros => vec![0; bytes],
            Self::Ones => vec![0xFF; bytes],
            Self::Samples => (0..bytes / 4).flat_map(sample).collect(),
            Self::Noise => noise(bytes),
            Self::Aac => adts_frame().repeat(1_000),
        }
    }
}

/// The sample of both channels at this place of a tone.
fn sample(at: usize) -> [u8; 4] {
    let turns = at as f64 * 440.0 / 44_100.0;
    let level = ((turns * std::f64::consts::TAU).sin() * 12_000.0) as i16;
    let [low, high] = level.to_le_bytes();
    [low, high, low, high]
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

/// A frame of AAC with an ADTS header: 44.1 kHz, stereo.
pub(crate) fn adts_frame() -> Vec<u8> {
    let frame_bytes: u32 = 300;
    let mut frame = vec![0xFF, 0xF1, 0x50, 0x80, 0, 0x1F, 0xFC];
    frame[3] |= (frame_bytes >> 11) as u8;
    frame[4] = (frame_bytes >> 3) as u8;
    frame[5] |= (frame_bytes << 5) as u8;
    frame.resize(frame_bytes as usize, 0);
    frame
}

/// Sends until it is dropped, or closed by its node.
#[derive(Debug)]
pub(crate) struct JunkSource {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl JunkSource {
    /// Logs in so at a node, which must take it, and sends this.
    pub(crate) fn start(
        node: &TestNode,
        mount: &str,
        user: &str,
        password: &str,
        junk: Junk,
    ) -> Self {
        let (mut connection, head) = knock_as(&node.address(), mount, user, password).unwrap();
        assert_eq!(head.status, 200, "{head:?}");
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let stop = stop.clone();
            thread::spawn(move || {
                let (bytes, begun) = (junk.bytes(), Instant::now());
                let pieces = bytes.chunks(SECOND_BYTES / PIECES_PER_S).cycle();
                for (piece, number) in pieces.zip(0_u32..) {
                    let due = begun + Duration::from_secs(1) * number / PIECES_PER_S as u32;
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    if stop.load(Ordering::Relaxed) || connection.send(piece).is_err() {
                        return;
                    }
                }
            })
        };
        Self {
            stop,
            thread: Some(thread),
        }
    }

    /// Whether its node has closed the connection.
    pub(crate) fn is_closed(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for JunkSource {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}
