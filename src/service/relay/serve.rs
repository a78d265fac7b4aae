//! Serves a stream to another node, from the byte that it asks for.

use tokio::time::timeout_at;
use tracing::debug;

use super::serving::{NextStep, Serving, Subscription};
use crate::io::clock;
use crate::io::link::{Exchange, ExchangeError};
use crate::model::node::NodeName;
use crate::service::streams::Streams;
use crate::wire::frame::{Frame, MAX_DATA_BYTES};

/// Answers a SUBSCRIBE until the stream ends or the other node hangs up.
pub async fn serve(
    streams: &Streams,
    to: &NodeName,
    subscription: Subscription,
    mut exchange: Exchange,
) {
    let (mount, mut first) = (subscription.mount.clone(), Vec::new());
    let served = match Serving::begin(streams, subscription, clock::now(), &mut first) {
        Ok(serving) => {
            debug!(%to, %mount, from = serving.next(), "serving a relay");
            send(serving, first, &mut exchange).await
        }
        Err(denial) => exchange.send(&Frame::Denied(denial)).await,
    };
    match served {
        Ok(()) => exchange.finish(),
        Err(error) => debug!(%to, %mount, %error, "relay gone"),
    }
}

/// Sends the first frames, and what follows.
async fn send(
    mut serving: Serving,
    mut frames: Vec<Frame>,
    exchange: &mut Exchange,
) -> Result<(), ExchangeError> {
    let mut next_step = NextStep::LookAgain;
    loop {
        for frame in frames.drain(..) {
            exchange.send(&frame).await?;
        }
        match next_step {
            NextStep::LookAgain => {}
            NextStep::Wait(until) => {
                let news = serving.feed().wait_beyond(serving.next());
                // Without news it looks again too, to tell the relay that the stream is alive.
                drop(timeout_at(until.into(), news).await);
            }
            NextStep::Finish => return Ok(()),
        }
        next_step = serving.step(MAX_DATA_BYTES, clock::now(), &mut frames);
    }
}
