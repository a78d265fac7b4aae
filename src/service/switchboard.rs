//! Hands what arrives over the links to the service that it is for.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::authority::Authority;
use super::cluster::{Cluster, Event};
use super::document::Documents;
use super::relay;
use super::streams::Streams;
use super::titles::Titles;
use crate::io::link::Exchange;
use crate::model::node::NodeName;
use crate::wire::frame::Frame;

/// What has come over the links and waits.
#[derive(Debug)]
pub struct Arrivals {
    /// Single frames.
    pub messages: mpsc::Receiver<(NodeName, Frame)>,
    /// Conversations, with their first frame.
    pub exchanges: mpsc::Receiver<(NodeName, Frame, Exchange)>,
}

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
        Arrivals {
            mut messages,
            mut exchanges,
        }: Arrivals,
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
