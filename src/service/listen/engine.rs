//! The engine of a node: where the bytes come from that its pacer writes to listeners.

use std::sync::Arc;

use crate::io::channel::ChannelReader;
use crate::io::pacer::{RingSound, Sound, UpstreamSocket};
use crate::media::format::detect::Format;
use crate::media::icy::{Interleaver, METAINT};
use crate::media::intro::Intro;
use crate::model::mount::MountName;
use crate::model::stream::StreamHead;
use crate::service::icecast::{FeedHold, IcecastEngine, NotTuned};
use crate::service::streams::Held;
use crate::wire::http::head::Head;

/// The server that makes a listener's bytes of a stream.
#[derive(Debug)]
pub enum Engine {
    /// The node itself, which reads its rings.
    Embedded,
    /// An Icecast on the same machine, which the node feeds.
    Icecast(IcecastEngine),
}

/// The stream that a listener is about to hear.
pub(super) struct Heard {
    pub(super) sound: Sound,
    /// The head of the stream.
    pub(super) head: Arc<StreamHead>,
    /// The distance of titles in it, if there are any.
    pub(super) metaint: Option<usize>,
    /// Has the mount fed to Icecast for as long as it is kept.
    pub(super) hold: Option<FeedHold>,
}

impl Heard {
    /// A stream of this node's ring.
    pub(super) fn of_ring(reader: ChannelReader, intro: Option<Arc<Intro>>, asked: &Head) -> Self {
        let head = reader.feed().head().clone();
        let icy = weaves_titles(asked, &head);
        Self {
            sound: Sound::Ring(RingSound {
                intro,
                reader,
                icy: icy.then(Interleaver::default),
            }),
            head,
            metaint: icy.then_some(METAINT),
            hold: None,
        }
    }

    /// The same stream by way of an Icecast.
    pub(super) async fn by_icecast(
        icecast: &IcecastEngine,
        mount: &MountName,
        held: &Held,
        asked: &Head,
    ) -> Result<Self, NotTuned> {
        let head = held.feed.head().clone();
        let tuned = icecast.tune_in(mount, weaves_titles(asked, &head)).await?;
        Ok(Self {
            sound: Sound::Upstream(UpstreamSocket {
                socket: tuned.socket,
                begun: tuned.begun,
                bitrate_bps: held.feed.bitrate_bps(),
            }),
            head,
            metaint: tuned.metaint,
            hold: Some(tuned.hold),
        })
    }
}

/// Whether titles are woven into the stream of a listener that asks by this head. Formats that have a place of their own
/// for them are broken by it, except for a player that knows: it says `icy=1` in its query too.
pub(super) fn weaves_titles(head: &Head, stream: &StreamHead) -> bool {
    let format = Format::of_media_type(&stream.content_type);
    let has_own = format.is_some_and(Format::has_own_titles);
    let mut query = head.query().unwrap_or_default().split('&');
    head.wants_icy() && (!has_own || query.any(|pair| pair == "icy=1"))
}
