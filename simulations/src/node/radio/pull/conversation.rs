//! The conversation of a pull with one upstream: a question, an answer, then the bytes.

use std::time::Instant;

use antiphon::io::feed::Feed;
use antiphon::logic::relay::follow::{ANSWER_TIMEOUT, STALL};
use antiphon::media::ring::{Append, Ring};
use antiphon::model::node::NodeName;
use antiphon::model::stream::{EndReason, StreamHead, StreamId};
use antiphon::proto::view::precedence;
use antiphon::service::streams::card_of;
use antiphon::wire::frame::{Denial, Frame};
use antiphon::wire::gossip::Origin;

use super::super::super::{Deed, TalkId};
use super::super::{RadioNews, show_taken};
use super::{Wanted, Work};

/// What one upstream led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The source has gone, or another stream has precedence.
    Finished,
    /// It has nothing of what was wanted, or nothing more.
    Failed,
    /// It has the stream, and no longer the byte.
    Overrun,
    /// Nobody here wants the mount any more.
    NotWanted,
}

/// How far it has come.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// The answer is awaited to the question for this byte, or for any.
    Asked(Option<(StreamId, u64)>),
    /// Its bytes fill this feed.
    Taking(Feed),
}

/// The conversation with one upstream.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) talk: TalkId,
    pub(super) upstream: NodeName,
    heard_at: Instant,
    pub(super) stage: Stage,
}

impl Work<'_, '_> {
    pub(super) fn ask(&mut self, upstream: NodeName, resume: Option<(StreamId, u64)>) {
        let talk = self.desk.talks.next();
        let mount = self.mount.clone();
        let question = Frame::Subscribe { mount, resume };
        let open = Deed::Open(talk, upstream.clone(), question);
        self.desk.out.extend([open, Deed::Finish(talk)]);
        let heard_at = self.now();
        if let Some(round) = self.round() {
            round.conversation = Some(Conversation {
                talk,
                upstream,
                heard_at,
                stage: Stage::Asked(resume),
            });
        }
    }

    /// Leaves an upstream that was silent for too long.
    pub(super) fn lose_patience(&mut self) -> Option<EndReason> {
        let conversation = self.pull.conversation()?;
        let patience = match conversation.stage {
            Stage::Asked(_) => ANSWER_TIMEOUT,
            Stage::Taking(_) => STALL,
        };
        let silent = self.now().duration_since(conversation.heard_at);
        (silent >= patience)
            .then(|| self.upstream_is_over())
            .flatten()
    }

    /// Takes the next frame of the upstream.
    pub(super) fn hear(&mut self, frame: Frame) -> Option<EndReason> {
        let now = self.now();
        let conversation = self.round()?.conversation.as_mut()?;
        conversation.heard_at = now;
        match (conversation.stage.clone(), frame) {
            (Stage::Taking(feed), frame) => self.take(&feed, frame),
            (
                Stage::Asked(_),
                Frame::Opened {
                    stream_id,
                    head,
                    offset,
                },
            ) => self.opened(stream_id, head, offset),
            (Stage::Asked(_), Frame::Denied(Denial::Overrun)) => {
                self.not_to_be_had(Outcome::Overrun)
            }
            (Stage::Asked(_), _) => self.not_to_be_had(Outcome::Failed),
        }
    }

    fn opened(&mut self, stream_id: StreamId, head: StreamHead, offset: u64) -> Option<EndReason> {
        let upstream = self.pull.conversation()?.upstream.clone();
        let wanted = self.round()?.wanted;
        if matches!(wanted, Wanted::Other(other) if other != stream_id) {
            return self.end_conversation(Outcome::Failed); // somebody else has what is wanted
        }
        let feed = self.pull.feed.as_ref();
        let left_at = feed.and_then(|feed| feed.left_at(stream_id));
        if left_at.is_some_and(|left_at| offset < left_at) {
            return self.end_conversation(Outcome::Failed); // it would be heard a second time
        }
        let Some(feed) = self.open_feed(&upstream, (stream_id, head, offset)) else {
            return self.end_conversation(Outcome::Failed);
        };
        let news = RadioNews::Relaying(self.mount.clone(), upstream, stream_id, offset);
        self.desk.out.push(Deed::Radio(news));
        if let Some(conversation) = &mut self.round()?.conversation {
            conversation.stage = Stage::Taking(feed);
        }
        None
    }

    /// The ring to fill: the one there is, or a new one, into which the old one's listeners go on.
    fn open_feed(
        &mut self,
        upstream: &NodeName,
        (stream_id, head, offset): (StreamId, StreamHead, u64),
    ) -> Option<Feed> {
        let origin = Origin::Relay(Some(upstream.clone()));
        let follows = |feed: &&Feed| feed.stream_id() == stream_id && offset <= feed.next();
        if let Some(feed) = self.pull.feed.as_ref().filter(follows) {
            self.streams.set_origin(self.mount, feed, origin);
            return Some(feed.clone());
        }
        let ring = Ring::new(stream_id, head, offset, self.now());
        let feed = Feed::new(ring);
        let held = self.streams.hold(self.mount, feed.clone(), origin).ok()?;
        let pulled = self.pull.feed.replace(feed.clone());
        for old in pulled.into_iter().chain(held.map(|held| held.feed)) {
            old.go_on_with(&feed);
        }
        Some(feed)
    }

    fn take(&mut self, feed: &Feed, frame: Frame) -> Option<EndReason> {
        match frame {
            Frame::Data { offset, bytes } => {
                let before = feed.next();
                let append = feed.append(offset, &bytes, self.now());
                show_taken(self.mount, feed, before, self.desk.out);
                if matches!(append, Append::Gap { .. }) {
                    return self.end_conversation(Outcome::Failed);
                }
            }
            Frame::Alive { beat_ms } => feed.note_beat(beat_ms, self.now()),
            Frame::Title { offset, text } => drop(feed.set_title(offset, &text)),
            Frame::End { offset, reason } if offset == feed.next() => {
                let stream = feed.stream_id();
                self.desk.mesh.note_ended(stream, self.desk.moment.now);
                feed.finish(reason);
                return self.end_conversation(Outcome::Finished);
            }
            _ => return self.end_conversation(Outcome::Failed),
        }
        if self.is_unwanted(feed) {
            return self.end_conversation(Outcome::NotWanted);
        }
        if self.has_lost(feed) {
            return self.end_conversation(Outcome::Finished);
        }
        None
    }

    /// Another stream of the mount has precedence: two sources have met after a partition.
    fn has_lost(&self, feed: &Feed) -> bool {
        let source = self.desk.mesh.view().source(self.mount);
        let own = precedence(&card_of(feed, Origin::Relay(None)));
        source.is_some_and(|(_, card)| precedence(card) < own)
    }

    /// The upstream says nothing more.
    pub(super) fn upstream_is_over(&mut self) -> Option<EndReason> {
        match self.pull.conversation()?.stage {
            Stage::Asked(_) => self.not_to_be_had(Outcome::Failed),
            Stage::Taking(_) => self.end_conversation(Outcome::Failed),
        }
    }

    /// The upstream has not what it was asked for; from wherever it can give it may do as well.
    fn not_to_be_had(&mut self, outcome: Outcome) -> Option<EndReason> {
        let is_other = self.round()?.wanted != Wanted::Next;
        let conversation = self.pull.conversation()?;
        let (talk, upstream) = (conversation.talk, conversation.upstream.clone());
        if let Stage::Asked(Some((_, from))) = conversation.stage
            && (is_other || from == 0)
        {
            self.desk.out.push(Deed::Abort(talk));
            self.ask(upstream, None);
            return None;
        }
        self.end_conversation(outcome)
    }

    fn end_conversation(&mut self, outcome: Outcome) -> Option<EndReason> {
        let over = self.round()?.conversation.take()?;
        let left = RadioNews::Left(self.mount.clone(), over.upstream.clone());
        let deeds = [Deed::Abort(over.talk), Deed::Radio(left)];
        self.desk.out.extend(deeds);
        if let Stage::Taking(feed) = over.stage {
            self.streams
                .set_origin(self.mount, &feed, Origin::Relay(None));
        }
        self.go_on_after(outcome, over.upstream)
    }
}
