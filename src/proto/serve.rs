//! What is sent on a link that serves a stream, and in which order: its head, titles, bytes, signs of life, its end.
//!
//! No byte goes through [`Serve`]: it names those to send next, and the driver takes them from the ring.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::logic::relay::follow::HEARTBEAT;
use crate::media::ring::Title;
use crate::model::stream::{EndReason, StreamId};
use crate::proto::pull::Opened;
use crate::wire::frame::{Denial, Frame};

/// A relay begins so far behind the live edge that its first listener gets a full burst: the burst of 5 s, and
/// what is on its way.
pub const RELAY_BURST: Duration = Duration::from_secs(8);

/// The bytes of a stream that a node holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Which stream.
    pub stream_id: StreamId,
    /// The oldest byte that is held.
    pub oldest: u64,
    /// The next byte to come.
    pub next: u64,
    /// Where one begins that asks for whatever is on air.
    pub join_point: u64,
}

impl Window {
    /// The first byte to send to a node that asks for this stream and byte, or for whatever is on air.
    pub fn first_byte(self, resume: Option<(StreamId, u64)>) -> Result<u64, Denial> {
        match resume {
            None => Ok(self.join_point),
            Some((stream_id, from)) if stream_id != self.stream_id || from > self.next => {
                Err(Denial::NotHere)
            }
            Some((_, from)) if from < self.oldest => Err(Denial::Overrun),
            Some((_, from)) => Ok(from),
        }
    }
}

/// What the ring shows at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glance {
    /// The titles from the first byte on that was asked for, in order.
    pub titles: Vec<Title>,
    /// What there is at [`Serve::next`].
    pub found: Found,
    /// The latest sign of life of the node of the source, by its own clock.
    pub beat_ms: u64,
}

/// What there is at the next byte to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// So many bytes, at least one.
    Bytes(u64),
    /// Nothing yet.
    Nothing,
    /// Nothing, and nothing will follow. A reason only if the source has ended the stream: when this node alone has,
    /// because its listeners continue with other bytes, another node may have more.
    Ended(Option<EndReason>),
    /// The bytes are gone. The relay asks again, a node that still has them.
    Overrun,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send a frame that carries no bytes of the stream.
    Say(Frame),
    /// Send the bytes that were found, which begin at this one.
    Send(u64),
    /// Look again when there are news of the stream, at the latest at this time.
    Wait(Instant),
    /// All is said.
    Finish,
}

/// A stream on its way to another node.
///
/// Titles are not told by offset alone: a title is usually set for the next byte to come, of which the relay may
/// already have been told another, and a title that this node itself is told by a third comes for bytes that may have
/// been sent.
#[derive(Debug)]
pub struct Serve {
    from: u64,
    next: u64,
    told: Vec<Title>,
    /// Since when nothing was found, or the time of the last heartbeat after that.
    quiet_since: Option<Instant>,
    /// The sign of life that was told last.
    told_ms: u64,
}

impl Serve {
    /// Begins at a byte, under the title that holds there.
    pub fn begin(opened: Opened, title: Option<Arc<str>>, out: &mut Vec<Output>) -> Self {
        let offset = opened.offset;
        let told: Vec<Title> = title
            .map(|text| Title { offset, text })
            .into_iter()
            .collect();
        out.push(Output::Say(Frame::Opened {
            stream_id: opened.stream_id,
            head: opened.head,
            offset,
        }));
        out.extend(told.iter().map(say_title));
        Self {
            from: offset,
            next: offset,
            told,
            quiet_since: None,
            told_ms: 0,
        }
    }

    /// The first byte that was asked for.
    pub fn from(&self) -> u64 {
        self.from
    }

    /// The next byte to send.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Takes in what the ring shows now.
    pub fn handle(&mut self, glance: Glance, now: Instant, out: &mut Vec<Output>) {
        // Before the bytes, so that what is on air changes at the same byte on the other node.
        self.tell_titles(glance.titles, out);
        match glance.found {
            Found::Bytes(bytes) => {
                out.push(Output::Send(self.next));
                self.next += bytes;
                self.quiet_since = None;
            }
            Found::Nothing => self.wait(glance.beat_ms, now, out),
            Found::Ended(reason) => {
                let offset = self.next;
                let end = reason.map(|reason| Output::Say(Frame::End { offset, reason }));
                out.extend(end.into_iter().chain([Output::Finish]));
            }
            Found::Overrun => out.push(Output::Finish),
        }
    }

    /// Tells the titles that the relay does not know yet, in order.
    fn tell_titles(&mut self, titles: Vec<Title>, out: &mut Vec<Output>) {
        let news = titles.iter().filter(|title| !self.told.contains(title));
        out.extend(news.map(say_title));
        self.told = titles;
    }

    /// Waits for news. When there are none it hands on that the stream lives, if it is known to have lived later
    /// than at the beat that the other node was told last: two relays that each believed the other because the
    /// other believed them would wait for ever.
    fn wait(&mut self, beat_ms: u64, now: Instant, out: &mut Vec<Output>) {
        let since = *self.quiet_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= HEARTBEAT {
            self.quiet_since = Some(now);
            if beat_ms > self.told_ms {
                self.told_ms = beat_ms;
                out.push(Output::Say(Frame::Alive { beat_ms }));
            }
        }
        let since = self.quiet_since.unwrap_or(now);
        out.push(Output::Wait(since + HEARTBEAT));
    }
}

fn say_title(title: &Title) -> Output {
    Output::Say(Frame::Title {
        offset: title.offset,
        text: title.text.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::seat::Epoch;
    use crate::model::stream::StreamHead;

    const STREAM: StreamId = StreamId(1);

    fn title(offset: u64, text: &str) -> Title {
        Title {
            offset,
            text: text.into(),
        }
    }

    fn said(offset: u64, text: &str) -> Output {
        say_title(&title(offset, text))
    }

    fn begun(from: u64, title: Option<&str>) -> (Serve, Vec<Output>) {
        let head = StreamHead {
            content_type: "audio/mpeg".into(),
            icy: Vec::new(),
            user_agent: String::new(),
            started_unix_ms: 0,
            accept_epoch: Epoch(1),
        };
        let opened = Opened {
            stream_id: STREAM,
            head,
            offset: from,
        };
        let mut out = Vec::new();
        let serve = Serve::begin(opened, title.map(Arc::from), &mut out);
        (serve, out)
    }

    fn look(serve: &mut Serve, titles: &[Title], found: Found, now: Instant) -> Vec<Output> {
        beating(serve, titles, (found, 0), now)
    }

    fn beating(
        serve: &mut Serve,
        titles: &[Title],
        seen: (Found, u64),
        now: Instant,
    ) -> Vec<Output> {
        let glance = Glance {
            titles: titles.to_vec(),
            found: seen.0,
            beat_ms: seen.1,
        };
        let mut out = Vec::new();
        serve.handle(glance, now, &mut out);
        out
    }

    #[test]
    fn a_byte_that_is_not_held_is_denied_with_the_reason() {
        let window = Window {
            stream_id: STREAM,
            oldest: 100,
            next: 200,
            join_point: 150,
        };
        assert_eq!(window.first_byte(None), Ok(150));
        let ask = |stream, from| window.first_byte(Some((stream, from)));
        assert_eq!(ask(STREAM, 100), Ok(100));
        assert_eq!(ask(STREAM, 200), Ok(200), "the next one to come");
        assert_eq!(ask(STREAM, 99), Err(Denial::Overrun));
        assert_eq!(ask(STREAM, 201), Err(Denial::NotHere));
        assert_eq!(ask(StreamId(2), 150), Err(Denial::NotHere));
    }

    #[test]
    fn the_head_comes_first_then_the_title_then_the_bytes() {
        let now = Instant::now();
        let (mut serve, out) = begun(100, Some("a"));
        assert!(matches!(
            out[0],
            Output::Say(Frame::Opened { offset: 100, .. })
        ));
        assert_eq!(out[1..], [said(100, "a")]);
        let titles = [title(100, "a"), title(150, "b")];
        let out = look(&mut serve, &titles, Found::Bytes(100), now);
        assert_eq!(out, [said(150, "b"), Output::Send(100)]);
        let out = look(&mut serve, &titles, Found::Bytes(7), now);
        assert_eq!(out, [Output::Send(200)]);
        assert_eq!(serve.next(), 207);
    }

    #[test]
    fn a_relay_is_told_each_title_once_even_those_for_bytes_it_has() {
        let now = Instant::now();
        let (mut serve, _) = begun(0, None);
        look(&mut serve, &[], Found::Bytes(100), now);
        let mut titles = vec![title(100, "at the live edge")];
        let wait = Output::Wait(now + HEARTBEAT);
        let mut tell = |titles: &[Title]| {
            let mut out = look(&mut serve, titles, Found::Nothing, now);
            assert_eq!(out.pop(), Some(wait.clone()));
            out
        };
        assert_eq!(tell(&titles), [said(100, "at the live edge")]);
        titles[0] = title(100, "at once another");
        assert_eq!(tell(&titles), [said(100, "at once another")]);
        assert_eq!(tell(&titles), []);
        titles.insert(0, title(50, "heard late"));
        assert_eq!(tell(&titles), [said(50, "heard late")]);
    }

    #[test]
    fn only_a_later_sign_of_life_is_handed_on() {
        let mut now = Instant::now();
        let (mut serve, _) = begun(0, None);
        let mut quiet = |beat_ms| {
            let out = beating(&mut serve, &[], (Found::Nothing, beat_ms), now);
            now += HEARTBEAT;
            out.into_iter()
                .any(|it| matches!(it, Output::Say(Frame::Alive { .. })))
        };
        assert!(!quiet(100), "it has only begun to be quiet");
        assert!(quiet(100));
        assert!(!quiet(100), "the relay knows that one");
        assert!(quiet(200));
    }

    #[test]
    fn bytes_put_the_heartbeat_off() {
        let now = Instant::now();
        let (mut serve, _) = begun(0, None);
        look(&mut serve, &[], Found::Nothing, now);
        look(&mut serve, &[], Found::Bytes(1), now + HEARTBEAT);
        let out = beating(&mut serve, &[], (Found::Nothing, 9), now + HEARTBEAT);
        assert_eq!(out, [Output::Wait(now + 2 * HEARTBEAT)]);
    }

    #[test]
    fn an_end_is_said_only_if_the_source_has_gone() {
        let now = Instant::now();
        let (mut serve, _) = begun(10, None);
        let reason = EndReason::SourceLeft;
        let out = look(&mut serve, &[], Found::Ended(Some(reason)), now);
        let end = Frame::End { offset: 10, reason };
        assert_eq!(out, [Output::Say(end), Output::Finish]);
        for found in [Found::Ended(None), Found::Overrun] {
            assert_eq!(
                look(&mut begun(10, None).0, &[], found, now),
                [Output::Finish]
            );
        }
    }
}
