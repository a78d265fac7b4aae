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
                if let Some(reason) = reason {
                    self.beat(ring.beat_ms, out);
                    let offset = self.next;
                    out.push(Output::SendFrame(Frame::End { offset, reason }));
                }
                out.push(Output::Finish);
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
            self.beat(beat_ms, out);
        }
        let since = self.quiet_since.unwrap_or(now);
        out.push(Output::Wait(since + HEARTBEAT));
    }

    /// Sends a heartbeat, if it is a later one. Before the end of a stream it tells how old the stream is, and so how much
    /// of it is still to be heard.
    fn beat(&mut self, beat_ms: u64, out: &mut Vec<Output>) {
        if beat_ms > self.sent_beat_ms {
            self.sent_beat_ms = beat_ms;
            out.push(Output::SendFrame(Frame::Alive { beat_ms }));
        }
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
mod tests;
