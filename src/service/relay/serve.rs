//! Serves a stream to another node, from the byte that it asks for.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;
use tracing::debug;

use super::HEARTBEAT;
use crate::io::feed::Feed;
use crate::io::link::{Exchange, ExchangeError};
use crate::media::ring::Read;
use crate::model::mount::MountName;
use crate::model::node::NodeName;
use crate::model::stream::StreamId;
use crate::service::streams::{Held, Reader, Streams};
use crate::wire::frame::{Denial, Frame, MAX_DATA_BYTES};

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
            send(&held, from, &mut exchange).await
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

async fn send(held: &Held, from: u64, exchange: &mut Exchange) -> Result<(), ExchangeError> {
    let feed = &held.feed;
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
            Read::Wait => heartbeat(feed, next, exchange).await?,
            Read::Overrun { .. } => return Ok(()), // the relay asks again, somebody who still has it
            Read::Ended => break,
        }
        // A title may be set for the next byte before that byte is there.
        for title in feed.title_changes_between(titles_up_to, next + 1) {
            send_title(exchange, title.offset, &title.text).await?;
        }
        titles_up_to = titles_up_to.max(next + 1);
    }
    let reason = feed.ended().ok_or(ExchangeError::Unexpected)?;
    exchange
        .send(&Frame::End {
            offset: next,
            reason,
        })
        .await
}

async fn send_title(exchange: &mut Exchange, offset: u64, text: &str) -> Result<(), ExchangeError> {
    let text = text.to_owned();
    exchange.send(&Frame::Title { offset, text }).await
}

/// Waits for news; shows that we live when there are none.
async fn heartbeat(feed: &Feed, next: u64, exchange: &mut Exchange) -> Result<(), ExchangeError> {
    if timeout(HEARTBEAT, feed.wait_beyond(next)).await.is_err() {
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
