//! The way on air, with fillers in memory.

mod formats;
mod presence;

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::filler::{Backlog, Filler};
use super::*;
use crate::io::channel::Channel;
use crate::io::clock;
use crate::io::feed::Feed;
use crate::io::password::{Passwords, Secret};
use crate::logic::records::mounts::MOUNT_KIND;
use crate::media::format::mpeg::samples::frames;
use crate::media::format::ogg::page::samples::{opus, opus_heads};
use crate::media::ring::Read;
use crate::model::node::Generation;
use crate::model::seat::Epoch;
use crate::model::source_priority::SourcePriority;
use crate::model::status::NodeState;
use crate::model::stream::{EndReason, StreamHead, StreamId};
use crate::proto::ended::Ended;
use crate::proto::source::RefusalReason;
use crate::proto::view::MeshNode;
use crate::service::audience::Audience;
use crate::service::authority::AuthorityConfig;
use crate::service::document::Deletion;
use crate::service::drain::DrainConfig;
use crate::service::mesh::samples::SampleMesh;
use crate::service::sources::DoubtedSource;
use crate::wire::gossip::Origin;

/// Far longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(600);
/// How much a filler's sender can have sent that was not read.
const PIPE_BYTES: usize = 1 << 20;

/// The messages to a filler, and its answers.
#[derive(Default)]
struct Notes {
    accepted: AtomicU32,
    is_dismissed: AtomicBool,
    has_left: AtomicBool,
    /// How often it was looked for behind its backlog.
    searches: AtomicU32,
    /// How often it was sent a byte.
    probes: AtomicU32,
    is_unreachable: AtomicBool,
}

/// A filler in memory.
struct Piped {
    audio: DuplexStream,
    notes: Arc<Notes>,
}

impl AsyncRead for Piped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.audio).poll_read(cx, to)
    }
}

/// A reader that says nothing of its sender.
impl Filler for DuplexStream {}

impl Filler for Piped {
    async fn accept(&mut self) -> io::Result<()> {
        self.notes.accepted.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn has_left(&mut self) -> bool {
        self.notes.has_left.load(Ordering::Relaxed)
    }

    async fn is_behind_backlog(&mut self) -> bool {
        self.notes.searches.fetch_add(1, Ordering::Relaxed);
        true
    }

    async fn is_reachable(&mut self, _backlog: Backlog) -> bool {
        self.notes.probes.fetch_add(1, Ordering::Relaxed);
        !self.notes.is_unreachable.load(Ordering::Relaxed)
    }

    async fn dismiss(&mut self) -> io::Result<()> {
        self.notes.is_dismissed.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// A filler that was offered, and how its time at the mount ends.
struct Offered {
    sender: DuplexStream,
    notes: Arc<Notes>,
    time: JoinHandle<Result<(), RefusalReason>>,
}

impl Offered {
    /// Waits until its time is over.
    async fn over(self) -> Result<(), RefusalReason> {
        let over = timeout(PATIENCE, self.time).await;
        over.expect("its time ends").unwrap()
    }
}

/// A node with one mount.
struct Bench {
    node: SampleMesh,
    ingest: Arc<IngestConfig>,
}

fn mount() -> MountName {
    MountName::try_from("/live.mp3").unwrap()
}

impl Bench {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let node = SampleMesh::start().await;
        let hash = (
            "password",
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
        );
        let settings = settings.iter().copied().chain([hash]);
        let changes = MOUNT_KIND.changes(settings).unwrap();
        let documents = &node.mesh.documents;
        documents.create_mount(&mount(), changes).await.unwrap();
        let ingest = Arc::new(ingest_config(&node.mesh));
        Self { node, ingest }
    }

    /// Offers a filler of MP3.
    fn offer(&self) -> Offered {
        self.offer_as("audio/mpeg")
    }

    /// Offers a filler that states this media type.
    fn offer_as(&self, stated: &str) -> Offered {
        let (sender, audio) = duplex(PIPE_BYTES);
        let notes = Arc::new(Notes::default());
        let piped = Piped {
            audio,
            notes: notes.clone(),
        };
        let time = self.spawn(piped, stated);
        Offered {
            sender,
            notes,
            time,
        }
    }

    /// Offers a filler, whatever it is.
    fn spawn(
        &self,
        filler: impl Filler + 'static,
        stated: &str,
    ) -> JoinHandle<Result<(), RefusalReason>> {
        let offer = Offer {
            spec: self.node.mesh.documents.mount(&mount()).unwrap(),
            head: StreamHead {
                content_type: stated.into(),
                icy: Vec::new(),
                user_agent: "test".into(),
                started_unix_ms: 0,
                accept_epoch: Epoch::default(),
            },
            stated_bps: 0,
            metadata_interval: None,
            protocol: SourceProtocol::Http,
            priority: SourcePriority::FIRST,
            origin: SourceOrigin::sample(1),
        };
        let ingest = self.ingest.clone();
        self.node.mesh.tasks.spawn(async move {
            let broadcast = Broadcast::begin(&ingest, offer).await?;
            broadcast.run(filler).await;
            Ok(())
        })
    }

    /// Offers a filler, lets it send so much, and waits until it is on air.
    async fn put_on_air(&self, frame_count: u32) -> (Offered, Feed) {
        let mut offered = self.offer();
        offered
            .sender
            .write_all(&frames(frame_count))
            .await
            .unwrap();
        let feed = self.on_air(None).await;
        (offered, feed)
    }

    /// The stream on air, once it is another than this one.
    async fn on_air(&self, other_than: Option<StreamId>) -> Feed {
        let mut streams = self.ingest.streams.watch();
        let held = streams.wait_for(|map| {
            map.get(&mount())
                .is_some_and(|held| Some(held.feed.stream_id()) != other_than)
        });
        let held = timeout(PATIENCE, held).await.expect("it is on air");
        held.unwrap().get(&mount()).unwrap().feed.clone()
    }

    /// Waits until a stream has all these bytes.
    async fn holds(&self, feed: &Feed, bytes: &[u8]) {
        let news = timeout(PATIENCE, feed.wait_beyond(bytes.len() as u64 - 1)).await;
        news.expect("its bytes come");
        let Read::Bytes(pieces) = feed.read(0, bytes.len()) else {
            panic!("there are bytes");
        };
        assert_eq!(pieces.concat(), bytes);
    }

    /// Lets the mesh see what is on air here.
    fn gossip(&self) {
        let mut node = MeshNode::unheard(Generation(1), clock::now());
        node.state = NodeState::Alive;
        let streams = self.ingest.streams.all().into_iter();
        node.streams = streams.map(|it| (it.0, it.1.card())).collect();
        self.node.view.send_modify(|view| {
            let view = Arc::make_mut(view);
            view.nodes.insert(view.me.clone(), node);
        });
    }

    async fn is_there(&self, stream_id: StreamId) -> bool {
        self.is_there_for(stream_id, None).await
    }

    /// Whether a source is there when another one of this origin wants its place.
    async fn is_there_for(&self, stream_id: StreamId, claimant: Option<SourceOrigin>) -> bool {
        let doubted = DoubtedSource {
            mount: &mount(),
            stream_id,
            claimant: claimant.as_ref(),
        };
        self.ingest.sources.is_there(doubted).await
    }
}

fn ingest_config(mesh: &Mesh) -> IngestConfig {
    let (streams, sources, ended) = (Streams::default(), Sources::default(), Ended::default());
    let authority = AuthorityConfig {
        mesh: mesh.clone(),
        sources: sources.clone(),
        ended: ended.clone(),
    };
    let drain = DrainConfig {
        mesh: mesh.clone(),
        sources: sources.clone(),
        audience: Audience::default(),
    };
    let passwords = Passwords::new(mesh.tasks.clone(), &[]);
    IngestConfig {
        authority: MountAuthority::new(authority, Epoch::default()),
        relays: Relays::new(mesh.clone(), streams.clone(), ended),
        drain: Drain::new(drain),
        logins: Logins::new(mesh.documents.clone(), passwords, Secret::from("")),
        max_sources: 1,
        shoutcast_mount: None,
        logs: Logs::silent(),
        visitors: mesh.tasks.group(),
        mesh: mesh.clone(),
        streams,
        sources,
    }
}

#[tokio::test(start_paused = true)]
async fn a_filler_is_on_air_until_it_ends() {
    let bench = Bench::start(&[]).await;
    let (mut offered, feed) = bench.put_on_air(20).await;
    offered.sender.write_all(b"and more").await.unwrap();
    let sent = [&frames(20)[..], b"and more"].concat();
    bench.holds(&feed, &sent).await;
    let on_air = bench.ingest.sources.on_air();
    assert_eq!(on_air, [(mount(), feed.stream_id())]);
    assert!(offered.notes.accepted.load(Ordering::Relaxed) > 0);
    offered.sender.shutdown().await.unwrap();
    assert_eq!(offered.over().await, Ok(()));
    assert_eq!(feed.finished(), Some(EndReason::SourceLeft));
    assert_eq!(feed.ended(), None, "its listeners wait");
    assert_eq!(bench.ingest.sources.on_air(), []);
    let held = bench.ingest.streams.get(&mount()).unwrap();
    assert_eq!(held.origin, Origin::Relay(None));
}

#[tokio::test(start_paused = true)]
async fn the_first_bytes_count_and_not_what_is_said() {
    let bench = Bench::start(&[]).await;
    let mut offered = bench.offer();
    offered.sender.write_all(&opus_heads(4)).await.unwrap();
    let feed = bench.on_air(None).await;
    assert_eq!(feed.head().content_type, "application/ogg");
}

#[tokio::test(start_paused = true)]
async fn a_filler_gives_way_with_all_that_it_has_sent() {
    let bench = Bench::start(&[]).await;
    let (mut offered, feed) = bench.put_on_air(20).await;
    offered.sender.write_all(b"the rest").await.unwrap();
    let stream_id = feed.stream_id();
    bench.ingest.sources.give_way(&mount(), StreamId(7)).await;
    assert_eq!(feed.finished(), None, "another stream was meant");
    bench.ingest.sources.give_way(&mount(), stream_id).await;
    assert_eq!(feed.finished(), Some(EndReason::Replaced));
    assert!(offered.notes.is_dismissed.load(Ordering::Relaxed));
    let sent = [&frames(20)[..], b"the rest"].concat();
    bench.holds(&feed, &sent).await;
    assert_eq!(offered.over().await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_mount_keeps_no_stream() {
    let bench = Bench::start(&[]).await;
    let (offered, feed) = bench.put_on_air(20).await;
    bench
        .node
        .mesh
        .documents
        .delete_mount(&mount(), Deletion::IfUnused)
        .await
        .unwrap();
    assert_eq!(offered.over().await, Ok(()));
    assert_eq!(feed.ended(), Some(EndReason::MountDeleted));
    assert!(bench.ingest.streams.get(&mount()).is_none());
}

#[tokio::test(start_paused = true)]
async fn another_takes_over_with_its_first_audio() {
    let bench = Bench::start(&[("takeover", "takeover")]).await;
    let (first, old) = bench.put_on_air(20).await;
    let mut second = bench.offer();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(old.finished(), None, "the other has sent nothing yet");
    bench.gossip();
    second.sender.write_all(&frames(20)).await.unwrap();
    let new = bench.on_air(Some(old.stream_id())).await;
    assert_eq!(first.over().await, Ok(()));
    assert_eq!(old.finished(), Some(EndReason::Replaced));
    bench.holds(&new, &frames(20)).await;
    let on_air = bench.ingest.sources.on_air();
    assert_eq!(on_air, [(mount(), new.stream_id())]);
}

#[tokio::test(start_paused = true)]
async fn a_second_filler_is_refused_or_waits_for_its_turn() {
    let bench = Bench::start(&[]).await;
    let (_first, feed) = bench.put_on_air(20).await;
    assert_eq!(bench.offer().over().await, Err(RefusalReason::InUse));
    assert_eq!(feed.finished(), None);

    let bench = Bench::start(&[("standby", "true")]).await;
    let (mut first, old) = bench.put_on_air(20).await;
    let mut second = bench.offer();
    second.sender.write_all(b"not heard").await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let waiting: Vec<MountName> = bench.ingest.sources.standby().into_keys().collect();
    assert_eq!(waiting, [mount()]);
    first.sender.shutdown().await.unwrap();
    assert_eq!(first.over().await, Ok(()));
    while !bench.ingest.sources.standby().is_empty() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    second.sender.write_all(&frames(20)).await.unwrap();
    let new = bench.on_air(Some(old.stream_id())).await;
    bench.holds(&new, &frames(20)).await;
}

#[tokio::test(start_paused = true)]
async fn ogg_that_waited_on_standby_begins_with_its_header_pages() {
    let bench = Bench::start(&[("standby", "true")]).await;
    let (mut first, mut second) = (bench.offer(), bench.offer());
    first.sender.write_all(&opus(4, &[1, 2])).await.unwrap();
    let old = bench.on_air(None).await;
    let channel = Channel::new(old.clone());
    let mut spliced = channel.join(Duration::ZERO);
    let waited = opus(5, &[1, 2, 3, 4]);
    second.sender.write_all(&waited).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let waiting: Vec<MountName> = bench.ingest.sources.standby().into_keys().collect();
    assert_eq!(waiting, [mount()]);
    first.sender.shutdown().await.unwrap();
    assert_eq!(first.over().await, Ok(()));
    while !bench.ingest.sources.standby().is_empty() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let more = opus(5, &[5, 6]).split_off(opus_heads(5).len());
    second.sender.write_all(&more).await.unwrap();
    let new = bench.on_air(Some(old.stream_id())).await;
    // The last page that was certain, and the one that came last, are heard too.
    let rest = opus(5, &[3, 4, 5, 6]).split_off(opus_heads(5).len());
    bench.holds(&new, &rest).await;
    assert_eq!(new.prologue_at(0), opus_heads(5));
    assert_eq!(new.splice_point(), Some(0));
    channel.switch_to(&new);
    let Read::Bytes(heard) = spliced.read(usize::MAX) else {
        panic!("there is a page of the first source");
    };
    spliced.advance(heard.concat().len() as u64);
    let _of_the_first = spliced.take_prologue();
    let mut late = Channel::new(new.clone()).join(Duration::ZERO);
    for (reader, listener) in [(&mut spliced, "spliced"), (&mut late, "late")] {
        let Read::Bytes(pieces) = reader.read(usize::MAX) else {
            panic!("the {listener} listener gets bytes");
        };
        assert_eq!(reader.take_prologue(), opus_heads(5), "{listener}");
        assert!(rest.ends_with(&pieces.concat()), "{listener}");
        assert!(pieces.concat().starts_with(b"OggS"), "{listener}");
    }
    assert!(new.ahead(clock::now()) < Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_stream_and_keeps_one_from_beginning() {
    let bench = Bench::start(&[]).await;
    let begun = Instant::now();
    let silent = bench.offer();
    assert_eq!(silent.over().await, Ok(()));
    assert_eq!(begun.elapsed().as_secs(), 10);
    assert!(bench.ingest.streams.get(&mount()).is_none());

    for (settings, limit_s) in [(&[][..], 10), (&[("source_timeout_s", "6")], 6)] {
        let bench = Bench::start(settings).await;
        let begun = Instant::now();
        let (offered, feed) = bench.put_on_air(20).await;
        assert_eq!(offered.over().await, Ok(()));
        assert_eq!(begun.elapsed().as_secs(), limit_s);
        assert_eq!(feed.finished(), Some(EndReason::SourceSilent));
    }
}

#[tokio::test(start_paused = true)]
async fn long_pages_and_a_clock_that_stands_still_are_no_silence() {
    let long_pages: Vec<u64> = (1..=8).map(|at| at * 9).collect();
    for ends_s in [&long_pages[..], &[0; 8]] {
        let bench = Bench::start(&[]).await;
        let (stream, heads) = (opus(1, ends_s), opus_heads(1));
        let mut offered = bench.offer();
        offered.sender.write_all(&heads).await.unwrap();
        let feed = bench.on_air(None).await;
        for page in stream[heads.len()..].chunks(329) {
            tokio::time::sleep(Duration::from_secs(9)).await;
            offered.sender.write_all(page).await.unwrap();
        }
        offered.sender.shutdown().await.unwrap();
        assert_eq!(offered.over().await, Ok(()));
        assert_eq!(feed.finished(), Some(EndReason::SourceLeft));
        assert_eq!(feed.next(), stream.len() as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_stops_ends_its_fillers() {
    let bench = Bench::start(&[]).await;
    let (offered, feed) = bench.put_on_air(20).await;
    bench.ingest.visitors.end();
    assert_eq!(offered.over().await, Ok(()));
    assert_eq!(feed.finished(), Some(EndReason::NodeStops));
}

#[tokio::test(start_paused = true)]
async fn a_plain_reader_goes_on_air_and_ends() {
    let bench = Bench::start(&[]).await;
    let (mut sender, reader) = duplex(PIPE_BYTES);
    let time = bench.spawn(reader, "audio/mpeg");
    sender.write_all(&frames(10)).await.unwrap();
    let feed = bench.on_air(None).await;
    bench.holds(&feed, &frames(10)).await;
    drop(sender);
    let over = timeout(PATIENCE, time).await;
    over.expect("its time ends").unwrap().unwrap();
    assert_eq!(feed.finished(), Some(EndReason::SourceLeft));
}
