//! Settles differences with peers over the links: drives [`crate::proto::settle`].

use std::sync::Arc;

use tokio::time::{interval, timeout};
use tracing::{debug, info, warn};

use super::Inner;
use crate::io::clock;
use crate::io::link::{Exchange, ExchangeError};
use crate::io::tasks::Tasks;
use crate::logic::document::Document;
use crate::model::node::NodeName;
use crate::proto::settle::{AnsweringSide, Input, LOOK_INTERVAL, Output, SETTLE_TIMEOUT, Settling};
use crate::wire::frame::Frame;

/// Whether a conversation goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Receive,
    Over,
}

pub(super) async fn run(inner: Arc<Inner>, set_aside: Option<Document>, tasks: Tasks) {
    let mut settling = Settling::new(set_aside, clock::now());
    let mut looks = interval(LOOK_INTERVAL);
    loop {
        tokio::select! {
            () = tasks.asked_to_end() => return,
            _ = looks.tick() => {}
        }
        let (view, mut out) = (inner.cluster.view(), Vec::new());
        settling.compare(&inner.lock(), &view, clock::now(), &mut out);
        for output in out {
            match output {
                Output::Open(peer, first) => ask(&inner, &mut settling, &peer, &first).await,
                Output::Restore(old) => inner.restore(&old),
                // All other outputs belong to a conversation, which is over by now.
                _ => {}
            }
        }
    }
}

/// Asks a peer.
async fn ask(inner: &Inner, settling: &mut Settling, peer: &NodeName, first: &Frame) {
    let asked = timeout(SETTLE_TIMEOUT, ask_all(inner, settling, peer, first)).await;
    match asked {
        Ok(Ok(())) => return info!(with = %peer, "document settled"),
        Ok(Err(error)) => debug!(with = %peer, %error, "not settled yet"),
        Err(_) => warn!(with = %peer, "settling takes too long"),
    }
    let mut ignored = Vec::new();
    settling.handle(Input::Lost, &inner.lock(), clock::now(), &mut ignored);
}

async fn ask_all(
    inner: &Inner,
    settling: &mut Settling,
    peer: &NodeName,
    first: &Frame,
) -> Result<(), ExchangeError> {
    let mut exchange = inner.links.open(peer, first).await?;
    loop {
        let (input, mut out) = (received(exchange.receive().await?), Vec::new());
        settling.handle(input, &inner.lock(), clock::now(), &mut out);
        if carry_out(inner, peer, out, &mut exchange).await? == Progress::Over {
            return Ok(());
        }
    }
}

/// Answers a peer that asks.
pub(super) async fn answer(inner: &Inner, from: &NodeName, first: Frame, mut exchange: Exchange) {
    let answering = answer_all(inner, from, first, &mut exchange);
    match timeout(SETTLE_TIMEOUT, answering).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(with = %from, %error, "settling was cut short"),
        Err(_) => warn!(with = %from, "settling takes too long"),
    }
}

async fn answer_all(
    inner: &Inner,
    from: &NodeName,
    first: Frame,
    exchange: &mut Exchange,
) -> Result<(), ExchangeError> {
    let mut answering = AnsweringSide::new(clock::now());
    let mut input = Input::Received(first);
    loop {
        let mut out = Vec::new();
        answering.handle(input, &inner.lock(), &mut out);
        if carry_out(inner, from, out, exchange).await? == Progress::Over {
            return Ok(());
        }
        input = received(exchange.receive().await?);
    }
}

fn received(frame: Option<Frame>) -> Input {
    frame.map_or(Input::Finished, Input::Received)
}

async fn carry_out(
    inner: &Inner,
    peer: &NodeName,
    out: Vec<Output>,
    exchange: &mut Exchange,
) -> Result<Progress, ExchangeError> {
    for output in out {
        match output {
            Output::Send(frame) => exchange.send(&frame).await?,
            Output::Apply(records) => inner.apply(peer, records),
            Output::Finish => exchange.finish(),
            Output::Over => return Ok(Progress::Over),
            Output::HangUp => return Err(ExchangeError::Unexpected),
            // Outputs of a comparison only.
            Output::Open(..) | Output::Restore(_) => {}
        }
    }
    Ok(Progress::Receive)
}

impl Inner {
    /// No peer has a document for this node: applies its own old one.
    fn restore(&self, old: &Document) {
        warn!("no peer has a document; going on with the old one of this node");
        let records = old.saved(clock::unix_ms()).records;
        self.apply(&self.links.hello().name.clone(), records);
    }
}
