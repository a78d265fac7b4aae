//! How fast a source may send, and how little it may send before it counts as silent.
//!
//! Both are measured in what is sent, never in packets: a byte each nine seconds is silence, and a file that is
//! sent as fast as the network goes is slowed down, whatever its format.

use std::time::{Duration, Instant};

/// Bytes beyond the allowed rate that are accepted at once: a minute of 128 kbit/s, more than any encoder sends when it
/// connects, and an eighth of what a ring holds.
pub const BURST_BYTES: u64 = 1 << 20;
/// How much faster than it states a source may send: a varying bitrate is often stated as its mean.
const MULTIPLE: u64 = 4;
/// The rate that every source may have, bytes per second: 2 Mbit/s, more than lossless stereo needs, so that a wrong
/// statement slows down no audio.
const LEAST_RATE: u64 = 256 << 10;
/// The rate of a source that states none: 16 Mbit/s, more than any picture that radios send.
const UNSTATED_RATE: u64 = 2 << 20;
/// The rate that no source may have, whatever it states: it would replace a whole ring each second.
const MOST_RATE: u64 = 8_000_000;

/// How far a source may be ahead of the clock before its bytes are left where they are: more than any encoder
/// sends at once when it connects, and less than the ring's window, out of which listeners would fall.
pub const MOST_AHEAD: Duration = Duration::from_secs(15);

/// Until when the audio of a stream sounds, which was so old when this was last known, at `at`, and has so much audio.
/// Never later than a source may be ahead: times in a stream may be wrong.
pub fn sounds_until(audio: Duration, age: Duration, at: Instant) -> Instant {
    at + audio.saturating_sub(age).min(MOST_AHEAD)
}

/// How many bytes a source may send, where the format does not tell its time.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    bytes_per_s: u64,
    /// The bytes sent beyond those that the time that has passed allows.
    owed_bytes: f64,
    at: Instant,
}

impl Allowance {
    /// For a source that states this bitrate, in bits per second; 0 if it states none.
    pub fn new(stated_bps: u64, now: Instant) -> Self {
        let bytes_per_s = match stated_bps / 8 {
            0 => UNSTATED_RATE,
            stated => stated.saturating_mul(MULTIPLE).clamp(LEAST_RATE, MOST_RATE),
        };
        Self {
            bytes_per_s,
            owed_bytes: 0.0,
            at: now,
        }
    }

    /// Counts bytes that were sent.
    pub fn take(&mut self, bytes: usize, now: Instant) {
        self.owed_bytes = self.owed(now) + bytes as f64;
        self.at = now;
    }

    /// How long the source has to wait before it may continue.
    pub fn wait(&self, now: Instant) -> Duration {
        let over_bytes = (self.owed(now) - BURST_BYTES as f64).max(0.0);
        Duration::from_secs_f64(over_bytes / self.bytes_per_s as f64)
    }

    fn owed(&self, now: Instant) -> f64 {
        let passed_s = now.saturating_duration_since(self.at).as_secs_f64();
        (self.owed_bytes - passed_s * self.bytes_per_s as f64).max(0.0)
    }
}

/// A source that sends less than this part of its audio time is silent.
const LEAST_PART: u32 = 10;
/// The least bytes per second that a source must send where its time does not show silence. Silent Opus sends 33 in its
/// Ogg pages, and all others more.
const LEAST_BYTES_PER_S: f64 = 25.0;

/// How much was received of a source since it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceivedAudio {
    /// So much audio time.
    Time(Duration),
    /// So many bytes: the format does not tell the time, or only at longer intervals.
    Bytes(u64),
}

/// Watches whether a source sends enough.
#[derive(Clone, Copy, Debug)]
pub struct Pulse {
    heard: ReceivedAudio,
    /// The bytes of tags of which it was told.
    tag_bytes: u64,
    since: Instant,
    /// How long the source may be silent.
    limit: Duration,
}

impl Pulse {
    /// Begins to watch a source that has sent nothing yet, and may be silent for so long.
    pub fn new(now: Instant, limit: Duration) -> Self {
        Self {
            heard: ReceivedAudio::Bytes(0),
            tag_bytes: 0,
            since: now,
            limit,
        }
    }

    /// Notes how much was received by now.
    pub fn note(&mut self, heard: ReceivedAudio, now: Instant) {
        let enough = match (self.heard, heard) {
            (ReceivedAudio::Time(before), ReceivedAudio::Time(now)) => {
                now < before || now - before >= self.limit / LEAST_PART // Less than before: another stream has begun.
            }
            (ReceivedAudio::Bytes(before), ReceivedAudio::Bytes(now)) => {
                now.saturating_sub(before) >= self.least_bytes()
            }
            // The measure has changed, which it does once in a stream.
            _ => true,
        };
        if enough {
            (self.heard, self.since) = (heard, now);
        }
    }

    /// Notes how many bytes of tags were received by now. They are no audio, but a source that sends a cover picture over
    /// a slow line is not silent: 10 MB take minutes.
    pub fn note_tags(&mut self, tag_bytes: u64, now: Instant) {
        if tag_bytes.saturating_sub(self.tag_bytes) >= self.least_bytes() {
            (self.tag_bytes, self.since) = (tag_bytes, now);
        }
    }

    /// The source was kept from sending until now: that silence does not count.
    pub fn excuse(&mut self, now: Instant) {
        self.since = now;
    }

    /// When the source counts as silent, unless enough is received before.
    pub fn deadline(&self) -> Instant {
        self.since + self.limit
    }

    fn least_bytes(&self) -> u64 {
        (self.limit.as_secs_f64() * LEAST_BYTES_PER_S) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes a source that sends all it may gets through in so long.
    fn taken(stated_bps: u64, time: Duration) -> u64 {
        let began = Instant::now();
        let (mut allowance, mut now, mut bytes) = (Allowance::new(stated_bps, began), began, 0);
        while now < began + time {
            if allowance.wait(now).is_zero() {
                allowance.take(16 << 10, now);
                bytes += 16 << 10;
            } else {
                now += allowance.wait(now).max(Duration::from_millis(1));
            }
        }
        bytes
    }

    #[test]
    fn audio_that_was_sent_ahead_sounds_for_the_rest_of_its_time() {
        let (at, seconds) = (Instant::now(), Duration::from_secs);
        for (audio_s, age_s, more_s) in [(60, 50, 10), (50, 50, 0), (50, 60, 0), (9_000, 1, 15)] {
            let until = sounds_until(seconds(audio_s), seconds(age_s), at);
            assert_eq!(until, at + seconds(more_s), "{audio_s} after {age_s}");
        }
    }

    #[test]
    fn a_flood_is_held_to_a_burst_and_a_rate() {
        let time = Duration::from_secs(10);
        for (stated_kbps, rate) in [
            (0, UNSTATED_RATE),
            (64, LEAST_RATE),
            (1_411, 4 * 1_411_000 / 8),
            (100_000, MOST_RATE),
            (u64::MAX / 1_000, MOST_RATE),
        ] {
            let bytes = taken(stated_kbps * 1_000, time) as f64;
            let expected = (BURST_BYTES + 10 * rate) as f64;
            assert!(
                (bytes / expected - 1.0).abs() < 0.05,
                "{stated_kbps}: {bytes}"
            );
        }
    }

    #[test]
    fn a_sender_within_its_pace_never_waits() {
        let began = Instant::now();
        let mut allowance = Allowance::new(128_000, began);
        allowance.take(BURST_BYTES as usize, began); // a burst at the beginning
        for second in 1..100 {
            let now = began + Duration::from_secs(second);
            assert_eq!(allowance.wait(now), Duration::ZERO);
            allowance.take(200_000, now); // lossless, whatever it says
        }
    }

    #[test]
    fn a_byte_now_and_then_is_silence() {
        let began = Instant::now();
        let after = |s: u64| began + Duration::from_secs(s);
        let mut pulse = Pulse::new(began, Duration::from_secs(10));
        pulse.note(ReceivedAudio::Bytes(1), after(9));
        assert_eq!(pulse.deadline(), after(10));
        pulse.note(ReceivedAudio::Bytes(250), after(9));
        assert_eq!(pulse.deadline(), after(19));
        pulse.note(ReceivedAudio::Bytes(300), after(18));
        assert_eq!(pulse.deadline(), after(19));
    }

    #[test]
    fn a_mount_may_allow_more_or_less_silence() {
        let began = Instant::now();
        let after = |s: u64| began + Duration::from_secs(s);
        let mut pulse = Pulse::new(began, Duration::from_secs(2));
        assert_eq!(pulse.deadline(), after(2));
        pulse.note(ReceivedAudio::Bytes(49), after(1));
        assert_eq!(pulse.deadline(), after(2));
        pulse.note(ReceivedAudio::Bytes(50), after(1));
        assert_eq!(pulse.deadline(), after(3));
        pulse.note(ReceivedAudio::Time(Duration::from_secs(1)), after(1));
        pulse.note(ReceivedAudio::Time(Duration::from_millis(1_200)), after(2));
        assert_eq!(pulse.deadline(), after(4));
    }

    #[test]
    fn a_long_tag_is_no_silence() {
        let began = Instant::now();
        let after = |s: u64| began + Duration::from_secs(s);
        let mut pulse = Pulse::new(began, Duration::from_secs(10));
        pulse.note_tags(249, after(9));
        assert_eq!(pulse.deadline(), after(10), "too little of one");
        pulse.note_tags(250, after(9));
        assert_eq!(pulse.deadline(), after(19));
        pulse.note_tags(250, after(18));
        assert_eq!(pulse.deadline(), after(19), "no more has come");
    }

    #[test]
    fn where_the_time_is_known_it_counts() {
        let began = Instant::now();
        let after = |s: u64| began + Duration::from_secs(s);
        let time = |ms: u64| ReceivedAudio::Time(Duration::from_millis(ms));
        let mut pulse = Pulse::new(began, Duration::from_secs(10));
        pulse.note(time(26), after(1));
        for frame in 2..10 {
            pulse.note(time(26 * frame), after(frame));
        }
        assert_eq!(
            pulse.deadline(),
            after(11),
            "a frame each second is not enough"
        );
        pulse.note(time(1_100), after(10));
        assert_eq!(pulse.deadline(), after(20));
        pulse.excuse(after(40));
        assert_eq!(pulse.deadline(), after(50));
        pulse.note(time(10), after(45));
        assert_eq!(pulse.deadline(), after(55), "another stream has begun");
    }
}
