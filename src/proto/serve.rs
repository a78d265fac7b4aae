//! The frames of a stream that a node serves to another node, in their order: head, titles, bytes, heartbeats, end.
//!
//! No byte goes through [`Serve`]: it says which bytes to send next, and the driver reads them from the ring.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::logic::relay::follow::HEARTBEAT;
use crate::media::format::joining::StreamStart;
use crate::media::ring::Title;
use crate::model::stream::{EndReason, StreamId};
use crate::model::title::TitleInfo;
use crate::proto::prologue::{self, PrologueSupport};
use crate::proto::pull::Opened;
use crate::wire::frame::{Denial, Frame};

/// How far behind the live edge a relay begins, so that its first listener gets a full burst: 5 s, and what is in
/// transit.
pub const RELAY_BURST: Duration = Duration::from_secs(8);

/// The bytes of a stream that a node holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The number of the stream.
    pub stream_id: StreamId,
    /// The oldest byte.
    pub oldest: u64,
    /// The next byte to come.
    pub next: u64,
    /// The byte at which a relay begins that asks for what is on air.
    pub join_point: u64,
}

impl Window {
    /// The first byte to send to a node that asks for this stream and byte, or for what is on air.
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

/// The state of the stream at the first byte that is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstByte {
    /// The title.
    pub title: Option<Arc<TitleInfo>>,
    /// How the stream stands there, if that is known.
    pub start: Option<StreamStart>,
    /// Whether decoders cannot begin there, and have to wait.
    pub is_midway: bool,
    /// The frames that the other node reads.
    pub reads: Reads,
}

/// The frames of a stream that a node reads, and not every version does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reads {
    /// PROLOGUE, and perhaps LONG-PROLOGUE.
    pub prologues: PrologueSupport,
    /// CAPTION.
    pub captions: bool,
    /// MIDWAY.
    pub midway: bool,
}

/// The ring at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingView {
    /// The titles from [`Serve::from`] on, in order.
    pub titles: Vec<Title>,
    /// The bytes that can be read at [`Serve::next`].
    pub available: Available,
    /// The latest heartbeat of the source's node, by that node's clock.
    pub beat_ms: u64,
}

/// The bytes that can be read from the next one to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Available {
    /// A number of bytes, at least one.
    Bytes(u64),
    /// Nothing yet.
    Nothing,
    /// Nothing, and nothing will follow. There is a reason only if the source has ended the stream. Otherwise this
    /// node alone has ended it, and another node may have more.
    Ended(Option<EndReason>),
    /// The bytes are gone. The relay asks another node.
    Overrun,
}

/// A task of the driver.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send a frame that carries no bytes of the stream.
    SendFrame(Frame),
    /// Send the available bytes, which begin at this one.
    SendBytes(u64),
    /// Read the ring again when it changes, at the latest at this time.
    Wait(Instant),
    /// Finish: nothing more will be sent.
    Finish,
}

/// One stream that is served to another node.
///
/// Whether a title was sent is not decided by its offset alone: a title is usually set for the next byte, for which the
/// relay may have got another one already; and a title from an upstream may arrive after its bytes were sent.
#[derive(Debug)]
pub struct Serve {
    from: u64,
    next: u64,
    sent_titles: Vec<Title>,
    /// Whether titles are sent with their parts.
    sends_captions: bool,
    /// Since when there is nothing to send, or the time of the last heartbeat after that.
    quiet_since: Option<Instant>,
    /// The last heartbeat that was sent.
    sent_beat_ms: u64,
}

impl Serve {
    /// Begins at a byte, as the ring says of it.
    pub fn begin(opened: Opened, first: FirstByte, out: &mut Vec<Output>) -> Self {
        let offset = opened.offset;
        let FirstByte {
            title,
            start,
            is_midway,
            reads,
        } = first;
        let sent_titles: Vec<Title> = title
            .map(|info| Title { offset, info })
            .into_iter()
            .collect();
        out.push(Output::SendFrame(Frame::Opened {
            stream_id: opened.stream_id,
            head: opened.head,
            offset,
        }));
        // From the beginning on the bytes themselves tell all, unless the source has waited on standby.
        let is_needed = |start: &StreamStart| offset > 0 || !start.prologue.is_empty();
        let start =
            start.filter(|start| is_needed(start) && reads.prologues.reads(&start.prologue));
        let start = start.into_iter().flat_map(prologue::frames);
        out.extend(start.map(Output::SendFrame));
        if is_midway && reads.midway {
            out.push(Output::SendFrame(Frame::Midway));
        }
        let sends_captions = reads.captions;
        let titles = sent_titles.iter();
        out.extend(titles.map(|title| title_frame(title, sends_captions)));
        Self {
            from: offset,
            next: offset,
            sent_titles,
            sends_captions,
            quiet_since: None,
            sent_beat_ms: 0,
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

    /// Handles a new look at the ring.
    pub fn handle(&mut self, ring: RingView, now: Instant, out: &mut Vec<Output>) {
        // Before the bytes, so that the title changes at the same byte on the other node.
        self.send_titles(ring.titles, out);
        match ring.available {
            Available::Bytes(bytes) => {
                out.push(Output::SendBytes(self.next));
                self.next += bytes;
                self.quiet_since = None;
            }
            Available::Nothing => self.wait(ring.beat_ms, now, out),
            Available::Ended(reason) => {
                let offset = self.next;
                let end = reason.map(|reason| Output::SendFrame(Frame::End { offset, reason }));
                out.extend(end.into_iter().chain([Output::Finish]));
            }
            Available::Overrun => out.push(Output::Finish),
        }
    }

    /// Sends the titles that the relay does not have yet, in order.
    fn send_titles(&mut self, titles: Vec<Title>, out: &mut Vec<Output>) {
        let news = titles
            .iter()
            .filter(|title| !self.sent_titles.contains(title));
        out.extend(news.map(|title| title_frame(title, self.sends_captions)));
        self.sent_titles = titles;
    }

    /// Waits for a change. Meanwhile it passes heartbeats on, but only a later one than the last that was sent:
    /// otherwise two relays that serve each other would keep a dead stream alive without end.
    fn wait(&mut self, beat_ms: u64, now: Instant, out: &mut Vec<Output>) {
        let since = *self.quiet_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= HEARTBEAT {
            self.quiet_since = Some(now);
            if beat_ms > self.sent_beat_ms {
                self.sent_beat_ms = beat_ms;
                out.push(Output::SendFrame(Frame::Alive { beat_ms }));
            }
        }
        let since = self.quiet_since.unwrap_or(now);
        out.push(Output::Wait(since + HEARTBEAT));
    }
}

fn title_frame(title: &Title, with_parts: bool) -> Output {
    let offset = title.offset;
    Output::SendFrame(match with_parts {
        true => Frame::Caption {
            offset,
            title: (*title.info).clone(),
        },
        false => Frame::Title {
            offset,
            text: title.info.text.clone(),
        },
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::model::seat::Epoch;
    use crate::model::stream::StreamHead;

    const STREAM: StreamId = StreamId(1);

    fn title(offset: u64, text: &str) -> Title {
        Title {
            offset,
            info: TitleInfo::plain(text).into(),
        }
    }

    fn said(offset: u64, text: &str) -> Output {
        title_frame(&title(offset, text), true)
    }

    const NEW: Reads = Reads {
        prologues: PrologueSupport::Long,
        captions: true,
        midway: true,
    };

    fn begun(from: u64, title: Option<&str>) -> (Serve, Vec<Output>) {
        let first = FirstByte {
            title: title.map(|text| TitleInfo::plain(text).into()),
            start: None,
            is_midway: false,
            reads: NEW,
        };
        begun_with(from, first)
    }

    fn begun_with(from: u64, first: FirstByte) -> (Serve, Vec<Output>) {
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
        let serve = Serve::begin(opened, first, &mut out);
        (serve, out)
    }

    fn look(
        serve: &mut Serve,
        titles: &[Title],
        available: Available,
        now: Instant,
    ) -> Vec<Output> {
        beating(serve, titles, (available, 0), now)
    }

    fn beating(
        serve: &mut Serve,
        titles: &[Title],
        seen: (Available, u64),
        now: Instant,
    ) -> Vec<Output> {
        let ring = RingView {
            titles: titles.to_vec(),
            available: seen.0,
            beat_ms: seen.1,
        };
        let mut out = Vec::new();
        serve.handle(ring, now, &mut out);
        out
    }

    #[test]
    fn a_missing_byte_is_denied_with_a_reason() {
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
            Output::SendFrame(Frame::Opened { offset: 100, .. })
        ));
        assert_eq!(out[1..], [said(100, "a")]);
        let titles = [title(100, "a"), title(150, "b")];
        let out = look(&mut serve, &titles, Available::Bytes(100), now);
        assert_eq!(out, [said(150, "b"), Output::SendBytes(100)]);
        let out = look(&mut serve, &titles, Available::Bytes(7), now);
        assert_eq!(out, [Output::SendBytes(200)]);
        assert_eq!(serve.next(), 207);
    }

    fn sent(from: u64, heads: &[u8], prologues: PrologueSupport) -> Vec<Output> {
        let first = FirstByte {
            title: Some(TitleInfo::plain("a").into()),
            start: Some(StreamStart {
                offset: from,
                media_time: Duration::from_millis(1_500),
                prologue: Bytes::copy_from_slice(heads),
            }),
            is_midway: false,
            reads: Reads { prologues, ..NEW },
        };
        begun_with(from, first).1
    }

    #[test]
    fn only_nodes_that_read_and_need_prologues_get_them() {
        let prologue = |offset, heads: &'static [u8]| {
            Output::SendFrame(Frame::Prologue {
                offset,
                media_time_us: 1_500_000,
                bytes: heads.into(),
            })
        };
        for (from, heads) in [(100, &b"heads"[..]), (100, b""), (0, b"heads")] {
            for reads in [PrologueSupport::Whole, PrologueSupport::Long] {
                let begun = sent(from, heads, reads);
                assert_eq!(begun[1..], [prologue(from, heads), said(from, "a")]);
            }
            assert_eq!(
                sent(from, heads, PrologueSupport::None)[1..],
                [said(from, "a")]
            );
        }
        assert_eq!(sent(0, b"", PrologueSupport::Long)[1..], [said(0, "a")]);
    }

    #[test]
    fn a_node_that_reads_it_is_told_that_it_begins_midway() {
        let sent = |is_midway, midway| {
            let first = FirstByte {
                title: None,
                start: None,
                is_midway,
                reads: Reads { midway, ..NEW },
            };
            begun_with(7, first).1.split_off(1)
        };
        assert_eq!(sent(true, true), [Output::SendFrame(Frame::Midway)]);
        assert_eq!((sent(true, false), sent(false, true)), (vec![], vec![]));
    }

    #[test]
    fn older_nodes_get_the_line_of_a_title_only() {
        let info = Arc::new(TitleInfo::joined("A", "T").with_url("u"));
        let sent = |captions| {
            let first = FirstByte {
                title: Some(info.clone()),
                start: None,
                is_midway: false,
                reads: Reads { captions, ..NEW },
            };
            let (mut serve, mut out) = begun_with(7, first);
            let title = Title {
                offset: 9,
                info: TitleInfo::joined("", "Next").into(),
            };
            out.extend(look(
                &mut serve,
                &[title],
                Available::Bytes(1),
                Instant::now(),
            ));
            out
        };
        let (new, old) = (sent(true), sent(false));
        let text = "A - T".to_owned();
        assert_eq!(old[1], Output::SendFrame(Frame::Title { offset: 7, text }));
        let title = (*info).clone();
        assert_eq!(
            new[1],
            Output::SendFrame(Frame::Caption { offset: 7, title })
        );
        let text = "Next".to_owned();
        assert_eq!(old[2], Output::SendFrame(Frame::Title { offset: 9, text }));
    }

    #[test]
    fn each_title_is_sent_once_even_a_late_one() {
        let now = Instant::now();
        let (mut serve, _) = begun(0, None);
        look(&mut serve, &[], Available::Bytes(100), now);
        let mut titles = vec![title(100, "at the live edge")];
        let wait = Output::Wait(now + HEARTBEAT);
        let mut tell = |titles: &[Title]| {
            let mut out = look(&mut serve, titles, Available::Nothing, now);
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
    fn only_a_later_heartbeat_is_passed_on() {
        let mut now = Instant::now();
        let (mut serve, _) = begun(0, None);
        let mut quiet = |beat_ms| {
            let out = beating(&mut serve, &[], (Available::Nothing, beat_ms), now);
            now += HEARTBEAT;
            out.into_iter()
                .any(|it| matches!(it, Output::SendFrame(Frame::Alive { .. })))
        };
        assert!(!quiet(100), "it has only begun to be quiet");
        assert!(quiet(100));
        assert!(!quiet(100), "the relay knows that one");
        assert!(quiet(200));
    }

    #[test]
    fn bytes_delay_the_heartbeat() {
        let now = Instant::now();
        let (mut serve, _) = begun(0, None);
        look(&mut serve, &[], Available::Nothing, now);
        look(&mut serve, &[], Available::Bytes(1), now + HEARTBEAT);
        let out = beating(&mut serve, &[], (Available::Nothing, 9), now + HEARTBEAT);
        assert_eq!(out, [Output::Wait(now + 2 * HEARTBEAT)]);
    }

    #[test]
    fn an_end_is_sent_only_if_the_source_has_gone() {
        let now = Instant::now();
        let (mut serve, _) = begun(10, None);
        let reason = EndReason::SourceLeft;
        let out = look(&mut serve, &[], Available::Ended(Some(reason)), now);
        let end = Frame::End { offset: 10, reason };
        assert_eq!(out, [Output::SendFrame(end), Output::Finish]);
        for available in [Available::Ended(None), Available::Overrun] {
            assert_eq!(
                look(&mut begun(10, None).0, &[], available, now),
                [Output::Finish]
            );
        }
    }
}
