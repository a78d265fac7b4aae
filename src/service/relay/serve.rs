//! Serves a stream to another node, from the byte that it asks for.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::{HEARTBEAT, STALL};
use crate::io::feed::Feed;
use crate::io::link::{Exchange, ExchangeError};
use crate::media::ring::Read;
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::stream::StreamId;
use crate::service::streams::{Held, Reader, Streams};
use crate::wire::frame::{Denial, Frame, MAX_DATA_BYTES};
use crate::wire::gossip::Origin;

/// A relay begins so far behind the live edge that its first listener gets a full burst: the burst of 5 s, and
/// what is on its way.
const RELAY_BURST: Duration = Duration::from_secs(8);

/// Answers a SUBSCRIBE until the stream ends or the other node hangs up.
pub async fn serve(
    streams: &Streams,
    to: &NodeName,
    (mount, resume): (MountName, Option<(StreamId, u64)>),
    mut exchange: Exchange,
) {
    let served = match find(streams, &mount, resume) {
        Some((held, from)) => {
            let _reading = held.read_by(Reader::Link);
            debug!(%to, %mount, from, "serving a relay");
            let stream = Served {
                streams,
                mount: &mount,
                feed: &held.feed,
            };
            stream.send(from, &mut exchange).await
        }
        None => exchange.send(&Frame::Denied(Denial::NotHere)).await,
    };
    match served {
        Ok(()) => exchange.finish(),
        Err(error) => debug!(%to, %mount, %error, "relay gone"),
    }
}

/// The stream that is asked for, and where to begin; none if it, or the byte, is not here.
fn find(
    streams: &Streams,
    mount: &MountName,
    resume: Option<(StreamId, u64)>,
) -> Option<(Held, u64)> {
    let held = streams.get(mount)?;
    let Some((stream_id, from)) = resume else {
        let from = held.feed.join_point(RELAY_BURST);
        return Some((held, from));
    };
    let here = held.feed.stream_id() == stream_id
        && held.feed.oldest() <= from
        && from <= held.feed.next();
    here.then_some((held, from))
}

/// A stream on its way to another node.
struct Served<'a> {
    streams: &'a Streams,
    mount: &'a MountName,
    feed: &'a Feed,
}

impl Served<'_> {
    async fn send(&self, from: u64, exchange: &mut Exchange) -> Result<(), ExchangeError> {
        let feed = self.feed;
        let opened = Frame::Opened {
            stream_id: feed.stream_id(),
            head: (**feed.head()).clone(),
            offset: from,
        };
        exchange.send(&opened).await?;
        if let Some(text) = feed.title_at(from) {
            send_title(exchange, from, &text).await?;
        }
        let mut next = from;
        let mut titles_up_to = from + 1;
        loop {
            match feed.read(next, MAX_DATA_BYTES) {
                Read::Bytes(chunks) => {
                    for bytes in chunks {
                        let offset = next;
                        next += bytes.len() as u64;
                        exchange.send(&Frame::Data { offset, bytes }).await?;
                    }
                }
                Read::Wait => match feed.finished() {
                    Some(reason) => {
                        return exchange
                            .send(&Frame::End {
                                offset: next,
                                reason,
                            })
                            .await;
                    }
                    None => self.heartbeat(next, exchange).await?,
                },
                Read::Overrun { .. } => return Ok(()), // the relay asks again, somebody who still has it
                Read::Ended => {
                    let reason = feed.finished().ok_or(ExchangeError::Unexpected)?;
                    return exchange
                        .send(&Frame::End {
                            offset: next,
                            reason,
                        })
                        .await;
                }
            }
            // A title may be set for the next byte before that byte is there.
            for title in feed.title_changes_between(titles_up_to, next + 1) {
                send_title(exchange, title.offset, &title.text).await?;
            }
            titles_up_to = titles_up_to.max(next + 1);
        }
    }

    /// Waits for news. When there are none it shows that the stream lives; but not if this node itself does not
    /// hear its upstream: two relays that each believed the other would wait for ever.
    async fn heartbeat(&self, next: u64, exchange: &mut Exchange) -> Result<(), ExchangeError> {
        let news = timeout(HEARTBEAT, self.feed.wait_beyond(next)).await;
        if news.is_err() && self.is_fed() {
            let bytes = Bytes::new();
            exchange
                .send(&Frame::Data {
                    offset: next,
                    bytes,
                })
                .await?;
        }
        Ok(())
    }

    fn is_fed(&self) -> bool {
        let held = self.streams.get(self.mount);
        let source =
            held.is_some_and(|held| held.origin == Origin::Source && held.feed.is_same(self.feed));
        source
            || Instant::now()
                .into_std()
                .saturating_duration_since(self.feed.last_fed())
                < STALL
    }
}

async fn send_title(exchange: &mut Exchange, offset: u64, text: &str) -> Result<(), ExchangeError> {
    let text = text.to_owned();
    exchange.send(&Frame::Title { offset, text }).await
}
