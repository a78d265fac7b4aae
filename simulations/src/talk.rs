//! Conversations between nodes: ordered and complete, like QUIC's streams, for as long as the link lives.
//!
//! Loss is delay: what is lost is sent again, and all that follows it waits. A cut holds everything back, until
//! it heals in time or the link dies and the conversation with it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use antiphon::wire::frame::Frame;
use rand::rngs::SmallRng;

use crate::net::{Fate, Net};
use crate::node::TalkId;

/// How long QUIC waits for an acknowledgement before it sends again, in greatest one-way delays.
const RESEND_DELAYS: u32 = 3;
/// The capacity of a line between two nodes, bytes per second: sixteen times the little streams of a world, so
/// that a replay is faster than real time and takes time all the same.
const LINE_BYTES_PER_S: u64 = 16_000;

/// A message in a conversation.
#[derive(Clone, Debug)]
enum Word {
    Frame(Frame),
    /// The end of the conversation.
    End,
    /// The conversation is cut short.
    Abort,
}

/// The next message for one side.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// The first frame; the other side has begun.
    Began(Frame),
    /// A frame.
    Frame(Frame),
    /// The other side has said all.
    Finished,
    /// The conversation was cut short, or the link has died.
    Lost,
}

/// One direction.
#[derive(Debug, Default)]
struct Pipe {
    /// The messages on their way, with the time of their arrival, once that is known.
    words: VecDeque<(Option<Duration>, Word)>,
    last_arrival: Duration,
    /// Nothing is sent before: something was lost.
    held_until: Duration,
    has_begun: bool,
    is_over: bool,
}

/// One conversation; side 0 has begun it.
#[derive(Debug)]
struct Talk {
    nodes: [usize; 2],
    lives: [u32; 2],
    pipes: [Pipe; 2],
    /// Sides that will not be told of it any more.
    is_gone: [bool; 2],
}

/// All conversations of a world.
#[derive(Debug, Default)]
pub struct Talks {
    talks: BTreeMap<TalkId, Talk>,
}

impl Pipe {
    fn say(&mut self, word: Word) {
        if !self.is_over {
            self.is_over = matches!(word, Word::End | Word::Abort);
            self.words.push_back((None, word));
        }
    }

    /// Sends what can be sent now.
    fn transmit(
        &mut self,
        between: (usize, usize),
        net: &mut Net,
        now: Duration,
        rng: &mut SmallRng,
    ) {
        for (arrival, word) in self.words.iter_mut().filter(|(at, _)| at.is_none()) {
            if self.held_until > now {
                return;
            }
            match net.way(between, now, rng) {
                Fate::Lost => {
                    self.held_until = now + net.weather.delay.1 * RESEND_DELAYS;
                    return;
                }
                Fate::Arrives(delay) => {
                    let bytes = match word {
                        Word::Frame(Frame::Data { bytes, .. }) => bytes.len() as u64,
                        _ => 0,
                    };
                    let on_line = Duration::from_micros(bytes * 1_000_000 / LINE_BYTES_PER_S);
                    let at = (now + delay).max(self.last_arrival) + on_line;
                    self.last_arrival = at;
                    *arrival = Some(at);
                }
            }
        }
    }

    fn next(&mut self, now: Duration) -> Option<Word> {
        let (arrival, _) = self.words.front()?;
        arrival.filter(|at| *at <= now)?;
        self.words.pop_front().map(|(_, word)| word)
    }
}

impl Talks {
    /// Begins a conversation between two lives of two nodes.
    pub fn open(&mut self, id: TalkId, (answerer, life): (usize, u32), first: Frame) {
        let mut talk = Talk {
            nodes: [id.opener, answerer],
            lives: [id.life, life],
            pipes: [Pipe::default(), Pipe::default()],
            is_gone: [false; 2],
        };
        talk.pipes[0].say(Word::Frame(first));
        self.talks.insert(id, talk);
    }

    /// A node says something.
    pub fn say(&mut self, id: TalkId, node: usize, frame: Frame) {
        self.put(id, node, Word::Frame(frame));
    }

    /// A node has no more to say.
    pub fn finish(&mut self, id: TalkId, node: usize) {
        self.put(id, node, Word::End);
    }

    /// A node cuts it short, and hears no more of it.
    pub fn abort(&mut self, id: TalkId, node: usize) {
        if let Some(talk) = self.talks.get_mut(&id) {
            let side = talk.side(node);
            talk.is_gone[side] = true;
            // Also after it had said all: the other side must learn that nobody listens any more.
            talk.pipes[side].is_over = true;
            talk.pipes[side].words.push_back((None, Word::Abort));
        }
    }

    fn put(&mut self, id: TalkId, node: usize, word: Word) {
        if let Some(talk) = self.talks.get_mut(&id) {
            let side = talk.side(node);
            talk.pipes[side].say(word);
        }
    }

    /// Sends what the node has said.
    pub fn transmit(&mut self, node: usize, net: &mut Net, now: Duration, rng: &mut SmallRng) {
        for talk in self.talks.values_mut() {
            for side in 0..2 {
                if talk.nodes[side] == node {
                    let between = (node, talk.nodes[1 - side]);
                    talk.pipes[side].transmit(between, net, now, rng);
                }
            }
        }
    }

    /// The arrivals at a node now, and the end of conversations whose link has died; `lives` are those of all nodes.
    pub fn hear(
        &mut self,
        node: usize,
        lives: &[u32],
        (net, now): (&Net, Duration),
    ) -> Vec<(TalkId, Arrival)> {
        let mut heard = Vec::new();
        for (id, talk) in &mut self.talks {
            for side in 0..2 {
                if talk.nodes[side] == node && !talk.is_gone[side] {
                    talk.hear(side, lives, (net, now), |arrival| {
                        heard.push((*id, arrival))
                    });
                }
            }
        }
        self.talks.retain(|_, talk| !talk.is_done());
        heard
    }

    /// The process of a node has ended: of its conversations nobody there knows any more.
    pub fn forget(&mut self, node: usize) {
        for talk in self.talks.values_mut() {
            for side in 0..2 {
                if talk.nodes[side] == node {
                    talk.is_gone[side] = true;
                    talk.pipes[side].words.clear();
                    talk.pipes[side].is_over = true;
                }
            }
        }
    }

    /// How many words wait in all conversations.
    pub fn waiting(&self) -> usize {
        let pipes = self.talks.values().flat_map(|talk| &talk.pipes);
        pipes.map(|pipe| pipe.words.len()).sum()
    }
}

impl Talk {
    fn side(&self, node: usize) -> usize {
        usize::from(self.nodes[0] != node)
    }

    fn hear(
        &mut self,
        side: usize,
        lives: &[u32],
        (net, now): (&Net, Duration),
        mut tell: impl FnMut(Arrival),
    ) {
        while let Some(word) = self.pipes[1 - side].next(now) {
            let begins = side == 1 && !std::mem::replace(&mut self.pipes[0].has_begun, true);
            match word {
                Word::Frame(frame) if begins => tell(Arrival::Began(frame)),
                Word::Frame(frame) => tell(Arrival::Frame(frame)),
                Word::End => tell(Arrival::Finished),
                Word::Abort => {
                    self.is_gone[side] = true;
                    self.pipes[side].words.clear();
                    return tell(Arrival::Lost);
                }
            }
        }
        let (own, other) = (self.nodes[side], self.nodes[1 - side]);
        // A link to a new life of the other node takes the place of the one that this was held over.
        let is_replaced = lives[other] != self.lives[1 - side] && net.is_up(other, own, now);
        if is_replaced || !net.is_up(own, other, now) {
            self.is_gone[side] = true;
            self.pipes[side].words.clear();
            // A link that comes up again is another one: the other side hears of the end of this one too.
            self.pipes[side].words.push_back((Some(now), Word::Abort));
            self.pipes[side].is_over = true;
            tell(Arrival::Lost);
        }
    }

    /// Whether nobody can hear anything of it any more.
    fn is_done(&self) -> bool {
        let deaf = |side: usize| {
            let other = &self.pipes[1 - side];
            self.is_gone[side] || (other.is_over && other.words.is_empty())
        };
        deaf(0) && deaf(1)
    }
}
