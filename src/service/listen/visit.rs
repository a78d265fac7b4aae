//! Serving a listener here: its head, its entry in the register, and what is noted when it leaves.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::admission::{LetIn, NotLetIn, turn_away};
use super::engine::{Engine, Heard, weaves_titles};
use super::{After, Entrance, Listening, MountRequest, no_source, probes, send, unavailable};
use crate::io::channel::ChannelReader;
use crate::io::clock;
use crate::io::door::{DoorPlace, Visitor};
use crate::io::logs::AccessRecord;
use crate::io::pacer::{Left, Listener, ListenerSocket};
use crate::media::icy::METAINT;
use crate::media::intro::Intro;
use crate::model::mount::{MountName, MountSpec};
use crate::proto::listener::prospect::Prospect;
use crate::proto::table::Sender;
use crate::service::audience::{Admission, Attendance, Newcomer};
use crate::service::icecast::FeedHold;
use crate::service::streams::{Held, IntroTrouble, Reader};
use crate::wire::http::head::Head;
use crate::wire::http::reply::Reply;
use crate::wire::icecast::passthrough::Passage;

/// The part of the stream that a new listener gets at once: it fills any player's buffer, and covers a failover.
pub const BURST: Duration = Duration::from_secs(5);

/// How long a HEAD waits for the first word of a stream that another node holds: a round trip of a slow line. Longer it
/// only waits for a source that has just left.
const HEAD_PATIENCE: Duration = Duration::from_millis(300);

/// A request that is served here.
pub(super) struct Visit<'a> {
    pub(super) visitor: Visitor,
    pub(super) head: &'a Head,
    pub(super) mount: MountName,
    pub(super) entrance: Entrance,
    pub(super) let_in: &'a LetIn,
}

/// The room and the stream that a listener gets before it is entered in the register.
struct Welcome {
    admission: Admission,
    held: Held,
    heard: Heard,
}

/// Why there is no room for a listener that was to be served here.
enum NoRoom {
    /// The node has as many listeners as it can serve.
    Node,
    /// The mount has as many listeners of this address here as it may have.
    Address,
    /// The account has as many listeners of the mount here as it may have.
    Account,
}

/// All that a listener holds while it listens.
struct Guest {
    attendance: Attendance,
    place: DoorPlace,
    /// Has the mount fed to Icecast, where that serves it.
    hold: Option<FeedHold>,
    /// The request, for the log.
    record: Option<Box<AccessRecord>>,
    span: tracing::Span,
}

impl Guest {
    fn leave(self, why: Left, sent_bytes: u64) {
        let Self {
            attendance,
            place,
            hold,
            record,
            span,
        } = self;
        let attendee = attendance.attendee().clone();
        if why == Left::TooSlow {
            attendee.note_slow();
        }
        drop((place, attendance, hold));
        if let Some(record) = record {
            record.end_stream(sent_bytes);
        }
        let (seconds, agent) = (attendee.listens_for().as_secs(), attendee.agent());
        span.in_scope(|| info!(?why, seconds, sent_bytes, agent, "listener gone"));
    }
}

impl Listening {
    /// Answers a HEAD: as a listener would be answered, but without its stream.
    pub(super) async fn show_head(
        &self,
        visitor: Visitor,
        head: &Head,
        mount: &MountName,
        reply: Reply,
    ) -> After {
        let answer = match self.on_air(mount).await {
            Some(held) => {
                let spec = self.0.config.mesh.documents.mount(mount);
                let stream = held.feed.head();
                let icy = weaves_titles(head, stream);
                reply.stream(stream, spec.as_ref(), icy.then_some(METAINT))
            }
            None => no_source(&reply, mount),
        };
        send(visitor, &answer, &reply).await
    }

    /// The stream of a mount that can be heard now. A source that may come back is not waited for.
    async fn on_air(&self, mount: &MountName) -> Option<Held> {
        let (relays, ladders) = (&self.0.config.relays, &self.0.config.ladders);
        if ladders.has_ladder(mount) {
            let fetched = timeout(HEAD_PATIENCE, ladders.fetch(mount)).await;
            return fetched.ok()?.ok();
        }
        match relays.prospect(mount) {
            Prospect::Join => relays.playing(mount),
            Prospect::Nothing => None,
            // This node's own ring has nothing that could be heard.
            Prospect::Linger if relays.listeners_here(mount).is_some() => None,
            Prospect::Linger | Prospect::Fetch => {
                let fetched = timeout(HEAD_PATIENCE, relays.fetch(mount)).await;
                fetched.ok()?.ok()
            }
        }
    }

    /// Serves a listener here: fetches the stream if need be, and hands the connection to the pacer.
    pub(super) async fn begin(&self, visit: Visit<'_>, reply: Reply) -> After {
        let Visit {
            visitor,
            head,
            mount,
            entrance,
            let_in,
        } = visit;
        let asking = MountRequest {
            mount: &mount,
            entrance: &entrance,
            head,
            client: visitor.client,
            let_in,
        };
        let admission = match self.admit(&asking) {
            Ok(admission) => admission,
            Err(NoRoom::Node) => {
                info!("refused: this node is full");
                return send(visitor, &unavailable(&reply), &reply).await;
            }
            Err(NoRoom::Address) => {
                info!("refused: its address has max_per_address listeners of the mount here");
                let answer = reply.forbidden("too many connections from your address");
                return send(visitor, &answer, &reply).await;
            }
            Err(NoRoom::Account) => {
                info!("refused: its account has max_per_account listeners of the mount here");
                return turn_away(visitor, &reply, NotLetIn::Unknown).await;
            }
        };
        let Some(held) = self.fetch(&mount).await else {
            return send(visitor, &no_source(&reply, &mount), &reply).await;
        };
        let Some(heard) = self.hear(&asking, &held).await else {
            return send(visitor, &unavailable(&reply), &reply).await;
        };
        let welcome = Welcome {
            admission,
            held,
            heard,
        };
        self.take_in(visitor, asking, welcome, &reply);
        After::Over
    }

    /// The stream of a mount; one that is made on demand is waited for.
    async fn fetch(&self, mount: &MountName) -> Option<Held> {
        let ladders = &self.0.config.ladders;
        match ladders.fetch(mount).await {
            Ok(held) => Some(held),
            Err(_) if self.is_worth_waiting(mount) && self.wait_for_source(mount).await => {
                ladders.fetch(mount).await.ok()
            }
            Err(_) => None,
        }
    }

    /// The stream as this node's engine gives it; `None` if the engine does not.
    async fn hear(&self, asking: &MountRequest<'_>, held: &Held) -> Option<Heard> {
        let (mount, head) = (asking.mount, asking.head);
        match &self.0.config.engine {
            Engine::Embedded => {
                let unheard = held.feed.unheard(clock::now());
                let reader = held.channel.join(BURST.max(unheard));
                let intro = self.intro_before(mount, held, &reader).await;
                Some(Heard::of_ring(reader, intro, head))
            }
            Engine::Icecast(icecast) => match Heard::by_icecast(icecast, mount, held, head).await {
                Ok(heard) => Some(heard),
                Err(why) => {
                    info!(%why, "refused");
                    None
                }
            },
        }
    }

    /// The intro that a listener of a mount hears before its stream. If there should be one and is none, that is said.
    async fn intro_before(
        &self,
        mount: &MountName,
        held: &Held,
        reader: &ChannelReader,
    ) -> Option<Arc<Intro>> {
        let config = &self.0.config;
        let file = config.mesh.documents.mount(mount)?.intro;
        let found = match file.as_str() {
            "" => Ok(None),
            file => config.intros.before(file, reader.feed()).await.map(Some),
        };
        let trouble = found.as_ref().err().map(|why| IntroTrouble {
            file: file.clone(),
            why: why.to_string(),
        });
        if held.note_intro(trouble) {
            match &found {
                Err(why) => warn!(file, %why, "listeners hear no intro"),
                Ok(_) => info!(file, "no intro is missing any more"),
            }
        }
        found.unwrap_or_default()
    }

    /// Enters a listener in the register, and hands its connection to the pacer.
    fn take_in(
        &self,
        mut visitor: Visitor,
        asking: MountRequest<'_>,
        welcome: Welcome,
        reply: &Reply,
    ) {
        let (mount, head) = (asking.mount, asking.head);
        let Welcome {
            admission,
            held,
            heard,
        } = welcome;
        let spec = self.0.config.mesh.documents.mount(mount);
        if let Some(spec) = &spec {
            self.0.config.geo.warn_if_blind(spec);
        }
        let stream_head = reply.stream(&heard.head, spec.as_ref(), heard.metaint);
        debug!("listener connected");
        let attendance = self.0.config.audience.enter(Newcomer {
            mount: mount.clone(),
            ip: visitor.client.ip,
            agent: head.header("user-agent").unwrap_or_default().to_owned(),
            admission,
            reading: held.read_by(Reader::Listener),
        });
        let attendee = attendance.attendee();
        if probes::is_probe(head) {
            self.0.places.note(&asking, Arc::downgrade(attendee));
        }
        let control = attendee.control().clone();
        let record = visitor.stream.take_request();
        let socket = match ListenerSocket::new(visitor.stream) {
            Ok(socket) => socket,
            Err(error) => {
                debug!(%error, "the connection is gone");
                return;
            }
        };
        let guest = Guest {
            attendance,
            place: visitor.place,
            hold: heard.hold,
            record,
            span: tracing::Span::current(),
        };
        let listener = Listener {
            socket,
            head: stream_head,
            sound: heard.sound,
            until: spec.and_then(|spec| disconnects_at(&spec)),
            control,
            leave: Box::new(move |why, sent_bytes| guest.leave(why, sent_bytes)),
        };
        if self.0.config.pacer.add(listener).is_err() {
            warn!("the pacer takes no more listeners now");
        }
    }

    /// Room for a listener, perhaps what its player got for its probe, a moment ago.
    fn admit(&self, asking: &MountRequest<'_>) -> Result<Admission, NoRoom> {
        let (config, sender) = (&self.0.config, self.sender(asking.entrance));
        let (mount, ip) = (asking.mount, asking.client.ip);
        let probe = self.0.places.take(asking);
        let probe = probe.as_ref().and_then(Weak::upgrade);
        if let Some(admission) = probe.and_then(|attendee| attendee.hand_over()) {
            config.load.note_arrived(sender);
            return Ok(admission);
        }
        let spec = config.mesh.documents.mount(mount);
        let most = spec.as_ref().and_then(|spec| spec.max_per_address);
        let Some(address) = config.audience.place(mount, ip, most) else {
            config.load.note_arrived(sender);
            return Err(NoRoom::Address);
        };
        let most = spec.and_then(|spec| spec.max_per_account);
        let account = match asking.let_in.name() {
            "" => None,
            name => {
                let place = config.audience.account_place(mount, name, most);
                if place.is_none() {
                    config.load.note_arrived(sender);
                    return Err(NoRoom::Account);
                }
                place
            }
        };
        let share = config.load.admit(mount, sender).ok_or(NoRoom::Node)?;
        Ok(Admission {
            share,
            address,
            account,
        })
    }

    /// The node that has sent the listener, and when, if the tag of its address proves it.
    pub(super) fn sender<'a>(&self, entrance: &'a Entrance) -> Option<Sender<'a>> {
        let Entrance::Passthrough(passthrough) = entrance else {
            return None;
        };
        let config = &self.0.config;
        let passage = Passage {
            from: &passthrough.from,
            to: &config.mesh.cluster.view().me,
            mount: &passthrough.mount,
        };
        let minted = config.tag_key.check(passage, passthrough.tag.as_ref()?)?;
        Some(Sender {
            from: &passthrough.from,
            minted,
        })
    }
}

/// When a listener that comes now has to leave, if the mount sets a time.
fn disconnects_at(spec: &MountSpec) -> Option<Instant> {
    let seconds = spec.max_listener_s?;
    Some(clock::now() + Duration::from_secs(seconds.into()))
}
