//! Answers that go on for as long as their client listens: each second they say what has changed.
//!
//! Nothing waits in a queue for a slow client: it is asked for the next part only when it has taken the one before, and what has
//! happened meanwhile is in that one. A client that does not read is closed as with any answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Frame;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::Admin;
use super::declined::Declined;
use super::reply;
use super::reply::Body;
use crate::io::tasks::Tasks;

/// The most feeds of a node at once: a few programs that watch it, each of which has it look at the whole mesh every second.
const MAX_FEEDS: usize = 16;
/// The time between two looks. Gossip tells of other nodes no faster.
const ROUND: Duration = Duration::from_secs(1);
/// After so many looks in which nothing has changed something is said nevertheless: by that the node notices a client that
/// has gone, and a proxy that it has not.
const QUIET_ROUNDS: u32 = 15;

/// The room for such answers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Feeds {
    places: Arc<Semaphore>,
    tasks: Tasks,
}

impl Feeds {
    /// Feeds that end when these tasks do.
    pub fn new(tasks: Tasks) -> Self {
        Self {
            places: Arc::new(Semaphore::new(MAX_FEEDS)),
            tasks,
        }
    }
}

/// One feed: what it says depends on what it has said.
pub(super) trait Teller: Send + 'static {
    /// The news since the last call, as the client reads them; at the first call all there is.
    fn news(&mut self, admin: &Admin) -> String;

    /// The words for nothing.
    fn quiet(&mut self) -> String;
}

/// Answers with a feed, if there is room for one.
pub(super) fn answer<T: Teller>(
    admin: &Admin,
    content_type: &'static str,
    teller: T,
) -> Result<Response<Body>, Declined> {
    let feeds = &admin.0.feeds;
    let full = || {
        let why = format!("this node has {MAX_FEEDS} feeds already: end one, or ask another node");
        Declined::new(StatusCode::SERVICE_UNAVAILABLE, why)
    };
    let place = feeds.places.clone().try_acquire_owned();
    let mut rounds = interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let feed = LiveFeed {
        admin: admin.clone(),
        tasks: feeds.tasks.clone(),
        teller: Box::new(teller),
        rounds,
        quiet_rounds: 0,
        _place: place.map_err(|_| full())?,
    };
    let mut answer = reply::text(StatusCode::OK, "");
    *answer.body_mut() = feed.boxed_unsync();
    let content_type = HeaderValue::from_static(content_type);
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    Ok(answer)
}

struct LiveFeed {
    admin: Admin,
    tasks: Tasks,
    teller: Box<dyn Teller>,
    rounds: Interval,
    quiet_rounds: u32,
    _place: OwnedSemaphorePermit,
}

impl hyper::body::Body for LiveFeed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let feed = &mut *self;
        while feed.rounds.poll_tick(cx).is_ready() {
            if feed.tasks.are_ending() {
                return Poll::Ready(None);
            }
            let mut news = feed.teller.news(&feed.admin);
            feed.quiet_rounds += 1;
            if news.is_empty() && feed.quiet_rounds >= QUIET_ROUNDS {
                news = feed.teller.quiet();
            }
            if !news.is_empty() {
                feed.quiet_rounds = 0;
                return Poll::Ready(Some(Ok(Frame::data(news.into()))));
            }
        }
        Poll::Pending
    }
}
