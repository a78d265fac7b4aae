//! A source that is on air here: its ring, and what ends its time.

use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::IngestConfig;
use super::filler::{Filler, Offer};
use super::intake::{Intake, Presence, Sink};
use super::lead::RingLead;
use super::silence::SilenceLookout;
use crate::io::clock;
use crate::io::feed::Feed;
use crate::logic::ladder;
use crate::media::format::detect::Format;
use crate::media::format::joining::StreamStart;
use crate::media::ring::{Ring, RingLimits};
use crate::model::format::StreamFormat;
use crate::model::mount::MountName;
use crate::model::seat::Epoch;
use crate::model::stream::{EndReason, StreamHead, StreamId};
use crate::model::title::TitleInfo;
use crate::proto::on_air;
use crate::proto::source::Input;
use crate::service::sources::{Entry, PresenceCheck, SourceFacts};
use crate::service::streams::NotHeld;
use crate::wire::gossip::Origin;
use crate::wire::http::media_type;

/// The media type and the beginning of a source's stream, known when it goes on air.
#[derive(Debug)]
pub(super) struct Opening {
    /// The media type of its first audio, if that was recognised.
    pub(super) media_type: Option<&'static str>,
    /// The format, as far as its first audio tells it.
    pub(super) format: Option<StreamFormat>,
    pub(super) lead: RingLead,
    /// The title that its encoder has sent before its audio.
    pub(super) title: Option<TitleInfo>,
}

/// A source that is on air.
#[derive(Debug)]
pub(super) struct Air {
    feed: Feed,
    entry: Entry,
    silence: SilenceLookout,
    /// The checks that were not answered, because the source was not found: its end answers them.
    unanswered: Vec<PresenceCheck>,
}

impl Air {
    /// Lets a source be heard; its place is this one.
    pub(super) async fn begin(
        ingest: &IngestConfig,
        offer: &Offer,
        opening: Opening,
        stream_id: StreamId,
        epoch: Epoch,
    ) -> Result<Self, NotHeld> {
        let mount = &offer.spec.path;
        // The master's order to the source that has the place here may come later than its verdict on this one.
        ingest.sources.displace(mount).await;
        let mut head = StreamHead {
            started_unix_ms: clock::unix_ms(),
            accept_epoch: epoch,
            ..offer.head.clone()
        };
        let false_type = correct(&mut head, opening.media_type);
        let limits = RingLimits::of(&offer.spec);
        let feed = Feed::new(ring(stream_id, head, &opening.lead).with_limits(limits));
        restore_title(ingest, offer, &feed);
        if let Some(title) = &opening.title {
            info!(title = title.text, "title");
            feed.set_title(0, title);
        }
        warn_those_who_listen(ingest, mount, opening.format);
        let facts = SourceFacts {
            protocol: offer.protocol,
            origin: offer.origin.clone(),
            false_type,
            priority: offer.priority,
        };
        // The stream is told of once it is held, and then it must be known whose it is.
        let entry = ingest.sources.enter(mount, stream_id, facts);
        ingest.streams.hold(mount, feed.clone(), Origin::Source)?;
        let head = feed.head();
        info!(%stream_id, agent = head.user_agent, content_type = head.content_type, "source on air");
        let served_as = media_type::served_as(&head.content_type);
        if !head
            .content_type
            .starts_with(served_as.split(';').next().unwrap_or_default())
        {
            warn!(
                said = head.content_type,
                served_as, "the source's Content-Type is no stream's"
            );
        }
        Ok(Self {
            feed,
            entry,
            silence: SilenceLookout::new(mount, ingest.mesh.documents.watch_mounts()),
            unanswered: Vec::new(),
        })
    }

    /// The stream.
    pub(super) fn stream_id(&self) -> StreamId {
        self.feed.stream_id()
    }

    /// When it went on air.
    pub(super) fn began(&self) -> Instant {
        self.feed.began()
    }

    /// The sink of its bytes.
    pub(super) fn sink(&self) -> Sink<'_> {
        Sink::Ring(&self.feed)
    }

    /// Carries the source's bytes until something happens. A check of its presence is answered meanwhile.
    pub(super) async fn carry<F: Filler>(
        &mut self,
        ingest: &IngestConfig,
        offer: &Offer,
        intake: &mut Intake<F>,
    ) -> Input {
        let (mount, documents) = (&offer.spec.path, &ingest.mesh.documents);
        let mut mounts = documents.watch_mounts();
        loop {
            let check = tokio::select! {
                () = ingest.visitors.asked_to_end() => return Input::NodeStops,
                () = self.entry.give_way.cancelled() => return Input::GiveWay,
                () = self.entry.dismissed.cancelled() => return Input::Dismissed,
                _ = mounts.wait_for(|mounts| !mounts.contains_key(mount)) => return Input::Tick,
                () = offer.is_out_of_place(documents) => return Input::Ended(EndReason::SourceLeft),
                reason = intake.copy(Sink::Ring(&self.feed)) => return Input::Ended(reason),
                Some(check) = self.entry.checks.recv() => check,
                never = self.silence.follow(&self.feed, &ingest.sources) => match never {},
            };
            match intake.find(&self.feed, check.is_for_same_origin).await {
                Presence::There => {
                    let _left = check.answer.send(()); // the asker may have left meanwhile
                }
                Presence::Left => self.unanswered.push(check),
                Presence::Dead => {
                    self.unanswered.push(check);
                    info!(
                        "the encoder is back, and this connection of it is dead: it gives its place back"
                    );
                    return Input::Ended(EndReason::SourceLeft);
                }
            }
        }
    }

    /// The end of its stream: other nodes are told at once; listeners here wait for the mount's next one.
    pub(super) fn leave(self, ingest: &IngestConfig, mount: &MountName, reason: EndReason) {
        let feed = &self.feed;
        info!(?reason, bytes = feed.next(), "source off air");
        // With its age the other nodes know how much of it is still to be heard.
        let now = clock::now();
        feed.note_beat(feed.own_beat_ms(now), now);
        feed.finish(reason);
        if reason == EndReason::MountDeleted {
            ingest.streams.release(mount, feed);
            feed.end(reason);
        } else {
            ingest.relays.linger(mount, feed.clone());
        }
    }
}

/// The serial numbers in the last link of what the mount's listeners may hear right before or behind a stream of it, where
/// that is Ogg: its last stream, and those of the mounts with which it shares a ladder.
pub(super) fn taken_serials(ingest: &IngestConfig, mount: &MountName) -> Vec<u32> {
    let (mounts, view) = (ingest.mesh.documents.mounts(), ingest.mesh.cluster.view());
    let mut taken = Vec::new();
    for mount in ladder::neighbours(mount, &mounts) {
        let here = ingest.streams.get(&mount).map(|held| held.feed.serials());
        let elsewhere = view.about(&mount).map(|about| about.serials.clone());
        taken.extend([here, elsewhere].into_iter().flatten().flatten());
    }
    taken
}

/// A ring that can be decoded from its first byte, also if the source has waited on standby.
fn ring(stream_id: StreamId, head: StreamHead, lead: &RingLead) -> Ring {
    let now = clock::now();
    let mut ring = Ring::new(stream_id, head, 0, now).hears_titles();
    ring.start(&StreamStart {
        offset: 0,
        media_time: Duration::ZERO,
        prologue: lead.prologue.clone(),
    });
    ring.append(0, &lead.audio, now);
    ring
}

/// A source that comes back goes on under the title that was on air, until it says another. What its stream says itself
/// counts from the beginning. That of a source of another order is not its own.
fn restore_title(ingest: &IngestConfig, offer: &Offer, feed: &Feed) {
    let (mount, view) = (&offer.spec.path, ingest.mesh.cluster.view());
    let before = view.about(mount).map(|about| about.priority);
    if feed.title().is_some() || before.is_some_and(|it| it != offer.priority) {
        return;
    }
    let here = ingest.streams.get(mount);
    let here = here.and_then(|held| held.feed.title());
    let elsewhere = || {
        let titled = view.holders(mount).map(|(_, card)| card);
        let titled: Vec<_> = titled.filter(|card| !card.title.is_empty()).collect();
        // Relays know the line only.
        let best = titled.iter().find(|card| card.now_playing.is_some());
        best.or(titled.first()).map(|card| card.title_info())
    };
    let title = here.map(|title| (*title.info).clone()).or_else(elsewhere);
    if let Some(title) = title {
        feed.set_title(0, &title);
    }
}

/// Says that those who hear a fallback are about to be ended, because they cannot go on with the mount's own source.
fn warn_those_who_listen(ingest: &IngestConfig, mount: &MountName, own: Option<StreamFormat>) {
    let (mounts, view) = (ingest.mesh.documents.mounts(), ingest.mesh.cluster.view());
    let heard = own.and_then(|own| on_air::heard_in_another_format(mount, own, &mounts, &view));
    if let (Some((fallback, heard)), Some(own)) = (heard, own) {
        warn!(
            %fallback,
            heard = heard.in_words(),
            own = own.in_words(),
            "the source sends another format than listeners hear of the fallback: they are ended, and their players have to ask again; \
             let it send the same, or choose a fallback of its format"
        );
    }
}

/// The media type is that of the first bytes, not what the source says of them: its listeners' players go by it. Returns
/// what was said, if it was another.
fn correct(head: &mut StreamHead, recognised: Option<&'static str>) -> Option<String> {
    let found = recognised?;
    if Format::of_media_type(&head.content_type) == Format::of_media_type(found) {
        return None;
    }
    let stated = std::mem::replace(&mut head.content_type, found.to_owned());
    warn!(
        stated,
        found, "the source sends something else than it says; listeners are told what it is"
    );
    Some(stated)
}
