//! Hands what arrives over the links to the service that it is for.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::authority::Authority;
use super::cluster::{Cluster, Event};
use super::document::Documents;
use super::relay;
use super::streams::Streams;
use super::titles::Titles;
use crate::io::link::{Exchange, Inbox};
use crate::model::node::NodeName;
use crate::wire::frame::Frame;

/// Who takes what.
#[derive(Clone, Debug)]
pub struct Switchboard {
    /// Words of the election, and goodbyes.
    pub cluster: Cluster,
    /// Records and summaries.
    pub documents: Documents,
    /// Questions for a place for a source.
    pub authority: Authority,
    /// Subscriptions.
    pub streams: Streams,
    /// Titles for sources here.
    pub titles: Titles,
    /// Counts the conversations.
    pub tasks: TaskTracker,
}

impl Switchboard {
    /// Hands on until the node stops.
    pub async fn run(
        self,
        (mut messages, mut exchanges): (
            tokio::sync::mpsc::Receiver<(NodeName, Frame)>,
            tokio::sync::mpsc::Receiver<(NodeName, Frame, Exchange)>,
        ),
        cancel: CancellationToken,
    ) {
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                Some((from, frame)) = messages.recv() => self.message(from, frame),
                Some((from, first, exchange)) = exchanges.recv() => {
                    let talk = self.clone().exchange(from, first, exchange);
                    let cancel = cancel.clone();
                    self.tasks.spawn(async move { cancel.run_until_cancelled(talk).await });
                }
                else => return,
            }
        }
    }

    fn message(&self, from: NodeName, frame: Frame) {
        match frame {
            Frame::Seat { message, .. } => self.cluster.tell(Event::Seat(from, message)),
            Frame::Goodbye => self.cluster.tell(Event::Goodbye(from)),
            Frame::Records(records) => self.documents.take(&from, records),
            Frame::Unpublish { mount, stream_id } => self.authority.release(&mount, stream_id),
            frame => warn!(%from, ?frame, "a message that does not belong here"),
        }
    }

    async fn exchange(self, from: NodeName, first: Frame, mut exchange: Exchange) {
        match first {
            Frame::Publish { mount, stream_id } => {
                self.authority
                    .answer(&from, (mount, stream_id), exchange)
                    .await;
            }
            Frame::Subscribe { mount, resume } => {
                relay::serve(&self.streams, &from, (mount, resume), exchange).await;
            }
            Frame::Summary(_) => self.documents.answer(&from, first, exchange).await,
            Frame::Describe { mount, title } => {
                let reply = self.titles.set_here(&mount, &title);
                if let Err(error) = exchange.send(&reply).await {
                    debug!(%from, %error, "the answer did not arrive");
                }
                exchange.finish();
            }
            frame => warn!(%from, ?frame, "a conversation that does not belong here"),
        }
    }
}

/// The two queues of an inbox that the switchboard reads.
pub fn queues(
    inbox: Inbox,
) -> (
    tokio::sync::mpsc::Receiver<(NodeName, Frame)>,
    tokio::sync::mpsc::Receiver<(NodeName, Frame, Exchange)>,
) {
    (inbox.messages, inbox.exchanges)
}
