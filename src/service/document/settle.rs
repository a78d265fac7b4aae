//! Settles differences: two nodes exchange what they have by hash, and then only what differs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::Inner;
use crate::io::clock;
use crate::io::link::{Exchange, ExchangeError};
use crate::logic::document::differing::{Differing, Own};
use crate::model::node::NodeName;
use crate::model::record::Record;
use crate::model::record::key::RecordKey;
use crate::model::record::summary::Summary;
use crate::proto::view::MeshView;
use crate::wire::frame::{Frame, MAX_BODY_BYTES};

/// How often the digests are compared.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// How long settling with one peer may take, so that a stuck one does not keep the others waiting.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(20);
/// A bundle of records leaves this much of a frame to its framing.
const BUNDLE_BYTES: usize = MAX_BODY_BYTES - 64;
/// How long a node that was told of peers waits for one of them before it believes its own old document.
pub(super) const ALONE_AFTER: Duration = Duration::from_secs(30);

pub(super) async fn run(inner: Arc<Inner>, cancel: CancellationToken) {
    let started = Instant::now();
    let mut looks = interval(LOOK_INTERVAL);
    let mut differing = Differing::default();
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = looks.tick() => {}
        }
        if started.elapsed() > ALONE_AFTER {
            inner.restore_set_aside();
        }
        let Some(peer) = next_to_settle(&inner, &mut differing) else {
            continue;
        };
        let asked = timeout(SETTLE_TIMEOUT, ask(&inner, &peer)).await;
        let now = Instant::now().into_std();
        match asked {
            Ok(Ok(())) => {
                let ours = inner.lock().digest().to_string();
                differing.note_settled(&peer, ours, now);
                continue;
            }
            Ok(Err(error)) => debug!(with = %peer, %error, "not settled yet"),
            Err(_) => warn!(with = %peer, "settling takes too long"),
        }
        differing.note_failure(&peer, now);
    }
}

/// A live peer whose document has differed from ours for a while; at once if ours is still empty.
fn next_to_settle(inner: &Inner, differing: &mut Differing) -> Option<NodeName> {
    let view = inner.cluster.view();
    let (ours, own) = {
        let document = inner.lock();
        let own = match document.is_empty() {
            true => Own::Empty,
            false => Own::Filled,
        };
        (document.digest().to_string(), own)
    };
    let theirs = other_digests(&view, &ours);
    differing.next((&ours, own), theirs, Instant::now().into_std())
}

fn other_digests(view: &MeshView, ours: &str) -> BTreeMap<NodeName, String> {
    let peers = view
        .nodes
        .iter()
        .filter(|(name, node)| **name != view.me && node.is_up());
    let digests = peers.filter_map(|(name, node)| Some((name.clone(), node.document.clone()?)));
    digests.filter(|(_, digest)| digest != ours).collect()
}

/// Our side of it, when we begin.
async fn ask(inner: &Inner, peer: &NodeName) -> Result<(), ExchangeError> {
    let summaries = inner.lock().summaries();
    let mut summaries = summaries.into_iter();
    let first = summaries
        .next()
        .expect("even an empty document has one summary");
    let mut exchange = inner.links.open(peer, &Frame::Summary(first)).await?;
    loop {
        take_and_give(inner, peer, &mut exchange).await?;
        match summaries.next() {
            Some(summary) => exchange.send(&Frame::Summary(summary)).await?,
            None => break,
        }
    }
    exchange.finish();
    inner.forget_set_aside();
    info!(with = %peer, "document settled");
    Ok(())
}

/// Takes what the peer has that we lack, and gives what it asks for.
async fn take_and_give(
    inner: &Inner,
    peer: &NodeName,
    exchange: &mut Exchange,
) -> Result<(), ExchangeError> {
    loop {
        match exchange.receive().await? {
            Some(Frame::Records(records)) => inner.take(peer, records),
            Some(Frame::Ask(keys)) => {
                give(inner, exchange, &keys).await?;
                return exchange.send(&Frame::Done).await;
            }
            _ => return Err(ExchangeError::Unexpected),
        }
    }
}

async fn give(
    inner: &Inner,
    exchange: &mut Exchange,
    keys: &[RecordKey],
) -> Result<(), ExchangeError> {
    let bundles: Vec<BTreeMap<RecordKey, Record>> = inner.lock().bundles(keys, BUNDLE_BYTES);
    for bundle in bundles {
        exchange.send(&Frame::Records(bundle)).await?;
    }
    Ok(())
}

/// Our side of it, when the peer begins.
pub(super) async fn answer(inner: &Inner, from: &NodeName, first: Frame, mut exchange: Exchange) {
    let answered = timeout(
        SETTLE_TIMEOUT,
        answer_all(inner, from, first, &mut exchange),
    )
    .await;
    match answered {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(with = %from, %error, "settling broke off"),
        Err(_) => warn!(with = %from, "settling takes too long"),
    }
}

async fn answer_all(
    inner: &Inner,
    from: &NodeName,
    first: Frame,
    exchange: &mut Exchange,
) -> Result<(), ExchangeError> {
    let mut next = Some(first);
    while let Some(frame) = next {
        let Frame::Summary(summary) = frame else {
            return Err(ExchangeError::Unexpected);
        };
        answer_one(inner, from, &summary, exchange).await?;
        next = exchange.receive().await?;
    }
    exchange.finish();
    Ok(())
}

async fn answer_one(
    inner: &Inner,
    from: &NodeName,
    summary: &Summary,
    exchange: &mut Exchange,
) -> Result<(), ExchangeError> {
    let difference = inner.lock().difference(summary);
    give(inner, exchange, &difference.send).await?;
    exchange.send(&Frame::Ask(difference.ask)).await?;
    loop {
        match exchange.receive().await? {
            Some(Frame::Records(records)) => inner.take(from, records),
            Some(Frame::Done) => return Ok(()),
            _ => return Err(ExchangeError::Unexpected),
        }
    }
}

impl Inner {
    /// A peer's document is ours now, so the one that was too old is of no use any more.
    fn forget_set_aside(&self) {
        self.set_aside().take();
    }

    /// Nobody has a document for us: the old one is better than none.
    fn restore_set_aside(&self) {
        let Some(old) = self.set_aside().take() else {
            return;
        };
        if !self.lock().is_empty() {
            return;
        }
        warn!("no peer has a document; going on with the old one of this node");
        let records = old.saved(clock::unix_ms()).records;
        self.take(&self.links.hello().name.clone(), records);
    }

    fn set_aside(&self) -> std::sync::MutexGuard<'_, Option<crate::logic::document::Document>> {
        // It is only ever taken as a whole.
        self.set_aside
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
