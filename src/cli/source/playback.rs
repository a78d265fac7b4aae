//! When each piece of a file is due, if the file is played over and over.
//!
//! Everything is reckoned from the start of the connection, so that late timers and slow writes do not
//! add up: a stream that drifts by one part in a thousand empties its listeners' buffers within the hour.

use std::time::Duration;

use super::track::Track;

/// How often data is sent, at least. Ten writes a second are cheap and no listener notices the grain.
const GRAIN: Duration = Duration::from_millis(100);

/// How far behind is made up for by sending faster; what is more is left out of the reckoning.
///
/// A short stall of the net is caught up with. After a long one, listeners have waited for real, and a
/// flood would only fill the node's memory.
const MOST_BEHIND: Duration = Duration::from_secs(5);

/// A track that goes round and round.
pub(super) struct Playback {
    track: Track,
    /// The next piece.
    next: usize,
    /// How many times the track has been begun.
    round: u32,
    /// When the next piece is due, from the start of the connection.
    due_at: Duration,
}

impl Playback {
    /// Before its first piece.
    pub(super) fn new(track: Track) -> Self {
        Self {
            track,
            next: 0,
            round: 0,
            due_at: Duration::ZERO,
        }
    }

    /// How long one round lasts.
    pub(super) fn duration(&self) -> Duration {
        self.track.duration()
    }

    /// A connection begins: what is next is due now.
    pub(super) fn begin(&mut self) {
        self.due_at = Duration::ZERO;
        if self.next > 0 && self.track.needs_its_beginning() {
            self.turn();
        }
    }

    /// Appends everything that is due `elapsed` after the start, and gives the time to come back.
    pub(super) fn take_due(&mut self, elapsed: Duration, out: &mut Vec<u8>) -> Duration {
        if elapsed > self.due_at + MOST_BEHIND {
            self.due_at = elapsed;
        }
        while self.due_at <= elapsed {
            self.due_at += self.track.copy_piece(self.next, self.round, out);
            self.next += 1;
            if self.next == self.track.pieces() {
                self.turn();
            }
        }
        self.due_at.max(elapsed + GRAIN)
    }

    fn turn(&mut self) {
        self.next = 0;
        self.round = self.round.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::source::track::tests::{mp3, ogg};

    /// 100 frames of 417 or 418 bytes and 26.122 ms.
    fn playback() -> Playback {
        Playback::new(Track::parse(mp3(100)).unwrap())
    }

    #[test]
    fn real_time_is_kept_whatever_the_rhythm_of_the_calls() {
        for step_ms in [1, 26, 100, 999] {
            let (mut playback, mut sent) = (playback(), Vec::new());
            for ms in (0..=60_000).step_by(step_ms) {
                playback.take_due(Duration::from_millis(ms), &mut sent);
            }
            // 128 kbit/s are 16,000 bytes a second; one frame is sent before its time.
            let surplus = sent.len() as f64 - 60.0 * 16_000.0;
            assert!(
                (-16_000.0..=420.0).contains(&surplus),
                "{step_ms} {surplus}"
            );
        }
    }

    #[test]
    fn the_file_is_sent_again_and_again_without_a_seam() {
        let file = mp3(100);
        let (mut playback, mut sent) = (playback(), Vec::new());
        for s in 0..10 {
            playback.take_due(Duration::from_secs(s), &mut sent);
        }
        let expected: Vec<u8> = file.iter().copied().cycle().take(sent.len()).collect();
        assert!(sent.len() > 2 * file.len());
        assert_eq!(sent, expected);
    }

    #[test]
    fn only_a_short_stall_is_made_up_for() {
        let (mut playback, mut sent) = (playback(), Vec::new());
        playback.take_due(Duration::ZERO, &mut sent);
        sent.clear();
        playback.take_due(Duration::from_secs(4), &mut sent);
        assert!(sent.len() > 60_000, "{}", sent.len());
        sent.clear();
        playback.take_due(Duration::from_secs(3_600), &mut sent);
        assert!(sent.len() < 1_000, "{}", sent.len());
    }

    #[test]
    fn the_time_to_return_is_at_least_a_grain_away() {
        let (mut playback, mut sent) = (playback(), Vec::new());
        let now = Duration::from_millis(1_000);
        assert_eq!(playback.take_due(now, &mut sent), now + GRAIN);
        let mut long = Playback::new(Track::parse(ogg(&[1, 2])).unwrap());
        let back = long.take_due(Duration::ZERO, &mut sent);
        assert_eq!(back, Duration::from_secs(1));
    }

    #[test]
    fn a_new_connection_begins_where_a_decoder_can() {
        let (mut mp3, mut sent) = (playback(), Vec::new());
        mp3.take_due(Duration::from_secs(1), &mut sent);
        let reached = mp3.next;
        mp3.begin();
        assert_eq!((mp3.next, mp3.due_at), (reached, Duration::ZERO));
        let mut ogg = Playback::new(Track::parse(ogg(&[1, 2, 3])).unwrap());
        ogg.take_due(Duration::from_secs(1), &mut sent);
        assert_ne!(ogg.next, 0);
        ogg.begin();
        assert_eq!((ogg.next, ogg.round), (0, 1));
    }
}
