//! Streams that this node makes itself: on air as any other, without a connection and a login.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};

use super::Ingest;
use super::broadcast::Broadcast;
use super::filler::{Filler, Offer};
use crate::model::mount::{MountSpec, Takeover};
use crate::model::source::SourceOrigin;
use crate::model::source_priority::SourcePriority;
use crate::model::stream::{EndReason, StreamHead};
use crate::model::title::TitleInfo;
use crate::proto::source::RefusalReason;
use crate::service::sources::{SourceProtocol, StandbyEntry};

/// The origin of what comes from no client: no encoder has it, and so none takes it for its own old connection.
const NO_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The maker of a stream of this node's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// A transcoder, whose mount takes no encoder.
    Transcoder,
    /// An outside relay, which yields its place to any encoder.
    OutsideRelay,
}

/// A stream that this node makes.
#[derive(Debug)]
pub struct OwnStream {
    /// The maker.
    pub maker: Maker,
    /// The mount.
    pub spec: MountSpec,
    /// The head of the stream; when it begins, and under which epoch, is known only once it is on air.
    pub head: StreamHead,
    /// About how many bits it has in a second; 0: that cannot be said before.
    pub stated_bps: u64,
    /// After how many seconds without audio it is taken off air.
    pub timeout_s: u32,
    /// Has it seen to wait until it has the place, if it waits for that.
    pub in_line: Option<StandbyEntry>,
}

/// Why a stream was not put on air.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// The mount was deleted.
    #[error("the mount is gone")]
    NoSuchMount,
    /// The mount has another source.
    #[error("another node still sends to the mount")]
    InUse,
    /// The node drains or stops.
    #[error("this node takes no sources any more")]
    Stopping,
}

impl From<RefusalReason> for NotTaken {
    fn from(reason: RefusalReason) -> Self {
        match reason {
            RefusalReason::NoSuchMount => Self::NoSuchMount,
            RefusalReason::InUse => Self::InUse,
            RefusalReason::Stopping => Self::Stopping,
        }
    }
}

impl Ingest {
    /// Whether this node takes no sources any more.
    pub fn is_stopping(&self) -> bool {
        self.check_taking().is_err()
    }

    /// Puts a stream on air until its audio ends, or it has to give its place back. `titles` is asked for the title of what
    /// is heard next, given how much has been heard before.
    ///
    /// Never waits for a place: who makes the stream elsewhere makes it in vain. Returns why it has left the air.
    pub async fn put_on_air<R, T>(
        &self,
        stream: OwnStream,
        audio: R,
        titles: T,
    ) -> Result<EndReason, NotTaken>
    where
        R: AsyncRead + Send + Unpin,
        T: FnMut(Option<Duration>) -> Option<TitleInfo> + Send + Unpin,
    {
        let spec = MountSpec {
            standby: false,
            takeover: Takeover::Refuse,
            source_timeout_s: stream.timeout_s,
            ..stream.spec
        };
        let offer = Offer {
            origin: SourceOrigin::new(NO_ADDRESS, &spec),
            spec,
            head: stream.head,
            stated_bps: stream.stated_bps,
            metadata_interval: None,
            priority: SourcePriority::FIRST,
            protocol: match stream.maker {
                Maker::Transcoder => SourceProtocol::Own,
                Maker::OutsideRelay => SourceProtocol::OutsideRelay,
            },
        };
        let broadcast = Broadcast::begin(&self.0, offer).await?;
        drop(stream.in_line);
        Ok(broadcast.run(OwnFiller { audio, titles }).await)
    }
}

/// The audio of a stream of this node's own.
struct OwnFiller<R, T> {
    audio: R,
    titles: T,
}

impl<R: AsyncRead + Unpin, T: Unpin> AsyncRead for OwnFiller<R, T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.audio).poll_read(cx, buf)
    }
}

impl<R, T> Filler for OwnFiller<R, T>
where
    R: AsyncRead + Send + Unpin,
    T: FnMut(Option<Duration>) -> Option<TitleInfo> + Send + Unpin,
{
    fn take_title(&mut self, sounded: impl FnOnce() -> Option<Duration>) -> Option<TitleInfo> {
        (self.titles)(sounded())
    }
}
