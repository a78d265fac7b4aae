//! Serves a stream to another node, from the byte that it asks for.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::debug;

use crate::io::feed::Feed;
use crate::io::link::{Exchange, ExchangeError};
use crate::logic::relay::follow::HEARTBEAT;
use crate::media::ring::{Read, Title};
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
        Ok((held, from)) => {
            let _reading = held.read_by(Reader::Link);
            debug!(%to, %mount, from, "serving a relay");
            let stream = Served {
                streams,
                mount: &mount,
                feed: &held.feed,
            };
            stream.send(from, &mut exchange).await
        }
        Err(denial) => exchange.send(&Frame::Denied(denial)).await,
    };
    match served {
        Ok(()) => exchange.finish(),
        Err(error) => debug!(%to, %mount, %error, "relay gone"),
    }
}

/// The stream that is asked for, and where to begin.
fn find(
    streams: &Streams,
    mount: &MountName,
    resume: Option<(StreamId, u64)>,
) -> Result<(Held, u64), Denial> {
    let held = streams.get(mount).ok_or(Denial::NotHere)?;
    let Some((stream_id, from)) = resume else {
        let from = held.feed.join_point(RELAY_BURST);
        return Ok((held, from));
    };
    if held.feed.stream_id() != stream_id || from > held.feed.next() {
        return Err(Denial::NotHere);
    }
    if from < held.feed.oldest() {
        return Err(Denial::Overrun);
    }
    Ok((held, from))
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
        let (mut announcer, mut told_ms) = (Announcer::after(from), 0);
        loop {
            // Before the bytes, so that what is on air changes at the same byte on the other node.
            for title in announcer.news(feed) {
                send_title(exchange, title.offset, &title.text).await?;
            }
            match feed.read(next, MAX_DATA_BYTES) {
                Read::Bytes(chunks) => {
                    for bytes in chunks {
                        let offset = next;
                        next += bytes.len() as u64;
                        exchange.send(&Frame::Data { offset, bytes }).await?;
                    }
                }
                Read::Wait if feed.finished().is_none() => {
                    self.heartbeat((next, &mut told_ms), exchange).await?;
                }
                Read::Wait | Read::Ended => return say_end(feed, next, exchange).await,
                Read::Overrun { .. } => return Ok(()), // the relay asks again, somebody who still has it
            }
        }
    }

    /// Waits for news. When there are none it hands on that the stream lives, if it is known to have lived later
    /// than at the beat that the other node was told last: two relays that each believed the other because the
    /// other believed them would wait for ever.
    async fn heartbeat(
        &self,
        (next, told_ms): (u64, &mut u64),
        exchange: &mut Exchange,
    ) -> Result<(), ExchangeError> {
        let news = timeout(HEARTBEAT, self.feed.wait_beyond(next)).await;
        let beat_ms = self.beat_ms();
        if news.is_err() && beat_ms > *told_ms {
            *told_ms = beat_ms;
            exchange.send(&Frame::Alive { beat_ms }).await?;
        }
        Ok(())
    }

    /// The latest beat of the node of the source; it is now if this is the one.
    fn beat_ms(&self) -> u64 {
        let held = self.streams.get(self.mount);
        let source =
            held.is_some_and(|held| held.origin == Origin::Source && held.feed.is_same(self.feed));
        if !source {
            return self.feed.beat_ms();
        }
        let now = Instant::now().into_std();
        let age = now.saturating_duration_since(self.feed.began());
        age.as_millis().try_into().unwrap_or(u64::MAX)
    }
}

/// Knows which titles of a stream a relay has been told.
///
/// Not by offset alone: a title is usually set for the next byte to come, of which this relay may
/// already have been told another, and a title that we ourselves are told by a third node comes for
/// bytes that may have gone out.
struct Announcer {
    from: u64,
    changes_seen: u64,
    told: Vec<Title>,
}

impl Announcer {
    /// For a relay that begins at `from` and knows the title there.
    fn after(from: u64) -> Self {
        Self {
            from,
            changes_seen: 0,
            told: Vec::new(),
        }
    }

    /// The titles that the relay does not know yet, in order.
    fn news(&mut self, feed: &Feed) -> Vec<Title> {
        let changes = feed.subscribe().borrow().title_changes;
        if changes == self.changes_seen {
            return Vec::new();
        }
        self.changes_seen = changes;
        let all = feed.title_changes_between(self.from, u64::MAX);
        let known = std::mem::replace(&mut self.told, all.clone());
        all.into_iter()
            .filter(|title| !known.contains(title))
            .collect()
    }
}

/// Says that no byte will follow, if that is so. It is not when this node alone has ended the stream, because it
/// goes on with other bytes: then the relay asks somebody else.
async fn say_end(feed: &Feed, next: u64, exchange: &mut Exchange) -> Result<(), ExchangeError> {
    let Some(reason) = feed.finished() else {
        return Ok(());
    };
    let offset = next;
    exchange.send(&Frame::End { offset, reason }).await
}

async fn send_title(exchange: &mut Exchange, offset: u64, text: &str) -> Result<(), ExchangeError> {
    let text = text.to_owned();
    exchange.send(&Frame::Title { offset, text }).await
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::media::ring::samples::ring;

    fn texts(news: Vec<Title>) -> Vec<(u64, String)> {
        let pairs = news
            .into_iter()
            .map(|title| (title.offset, title.text.to_string()));
        pairs.collect()
    }

    #[test]
    fn a_relay_is_told_each_title_once_even_those_for_bytes_it_has() {
        let feed = Feed::new(ring("audio/mpeg"));
        let mut announcer = Announcer::after(0);
        feed.append(0, &[0; 100], Instant::now().into_std());
        assert_eq!(texts(announcer.news(&feed)), []);
        feed.set_title(100, "at the live edge");
        assert_eq!(
            texts(announcer.news(&feed)),
            [(100, "at the live edge".to_owned())]
        );
        feed.set_title(100, "at once another");
        assert_eq!(
            texts(announcer.news(&feed)),
            [(100, "at once another".to_owned())]
        );
        assert_eq!(texts(announcer.news(&feed)), []);
        feed.append(100, &[0; 100], Instant::now().into_std());
        feed.set_title(50, "heard late");
        assert_eq!(
            texts(announcer.news(&feed)),
            [(50, "heard late".to_owned())]
        );
    }
}
