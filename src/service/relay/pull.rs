//! Drives one pull: asks over the links, and hands what comes to the ring.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout_at;
use tracing::{debug, info};

use super::Inner;
use super::filling::Filling;
use crate::io::clock;
use crate::io::feed::Feed;
use crate::io::link::{Exchange, ExchangeError, Links};
use crate::model::mount::MountName;
use crate::model::stream::EndReason;
use crate::proto::pull::{
    Input, Output, PullContext, PullTarget, Request, UpstreamEvent, UpstreamTimeout,
};
use crate::proto::view::MeshView;
use crate::wire::frame::Frame;

/// Pulls until the stream ends, is lost, or nobody wants it any more. Begins with a stream that has finished,
/// if its source was connected here.
pub(super) async fn run(inner: &Inner, mount: &MountName, finished: Option<Feed>) {
    let streams = inner.streams.clone();
    let mut driver = Driver {
        inner,
        mount,
        filling: Filling::new(mount.clone(), streams, finished, clock::now()),
        talk: None,
    };
    let stopped = inner.cancel.run_until_cancelled(driver.run()).await;
    if stopped.is_none() {
        driver.filling.end(EndReason::NodeStops);
    }
}

struct Driver<'a> {
    inner: &'a Inner,
    mount: &'a MountName,
    filling: Filling,
    talk: Option<Talk>,
}

/// The conversation with an upstream.
struct Talk {
    ask: Request,
    /// Once the link has opened it.
    exchange: Option<Exchange>,
}

impl Driver<'_> {
    async fn run(&mut self) {
        let mut view = self.inner.cluster.watch();
        let mut input = Input::Tick;
        loop {
            let is_news = view.has_changed().is_ok_and(|changed| changed);
            let mesh = view.borrow_and_update().clone();
            if is_news {
                self.handle(Input::ViewChanged, &mesh);
            }
            self.handle(input, &mesh);
            input = match self.next(&mut view).await {
                Some(input) => input,
                None => return,
            };
        }
    }

    fn handle(&mut self, input: Input, mesh: &MeshView) {
        let spec = self.inner.documents.mount(self.mount);
        let seen = PullContext {
            mesh,
            linger: spec.map(|spec| Duration::from_secs(spec.linger_s.into())),
            luck: clock::luck(),
            now: clock::now(),
        };
        let mut out = Vec::new();
        self.filling.handle(input, seen, &mut out);
        for output in out {
            match output {
                Output::Request(ask) => self.ask(ask),
                Output::HangUp(silence) => self.hang_up(silence),
                Output::Continue(..) | Output::Open(..) | Output::Over(_) => {}
            }
        }
    }

    fn ask(&mut self, ask: Request) {
        if ask.target == PullTarget::OnAir {
            let upstream = &ask.upstream;
            info!(%upstream, "what follows is held by nobody any more, going on with what is on air");
        }
        let exchange = None;
        self.talk = Some(Talk { ask, exchange });
    }

    fn hang_up(&mut self, silence: Option<UpstreamTimeout>) {
        let next = self.filling.feed().map(Feed::next);
        match silence {
            Some(UpstreamTimeout::Stalled) => info!(next, "upstream stalls"),
            Some(UpstreamTimeout::NoAnswer) => debug!("no answer in time"),
            None => {}
        }
        self.talk = None;
    }

    /// Waits for what happens next; `None`: the pull is over.
    async fn next(&mut self, view: &mut watch::Receiver<Arc<MeshView>>) -> Option<Input> {
        let wake_at = self.filling.pull().wake_at()?.into();
        let Some(talk) = &mut self.talk else {
            tokio::select! {
                () = tokio::time::sleep_until(wake_at) => return Some(Input::Tick),
                // Somebody may have it now who had not before.
                Ok(()) = view.changed() => return Some(Input::ViewChanged),
            }
        };
        let heard = talk.hear(self.mount, &self.inner.links);
        let Ok(heard) = timeout_at(wake_at, heard).await else {
            return Some(Input::Tick);
        };
        let id = talk.ask.id;
        Some(Input::Heard(id, self.answer(heard)))
    }

    fn answer(&mut self, heard: Result<Option<Frame>, ExchangeError>) -> UpstreamEvent {
        let answer = match heard {
            Ok(Some(frame)) => self.filling.take(frame, clock::now()),
            Ok(None) => UpstreamEvent::Lost,
            Err(error) => {
                debug!(%error, "upstream lost");
                UpstreamEvent::Lost
            }
        };
        if answer == UpstreamEvent::Ended
            && let Some(feed) = self.filling.feed()
        {
            self.inner.ended.note(feed.stream_id(), clock::now());
        }
        answer
    }
}

impl Talk {
    /// The next frame. Not to be cancelled but to hang up: it may be in the middle of one.
    async fn hear(
        &mut self,
        mount: &MountName,
        links: &Links,
    ) -> Result<Option<Frame>, ExchangeError> {
        let exchange = match &mut self.exchange {
            Some(exchange) => exchange,
            None => {
                let (mount, resume) = (mount.clone(), self.ask.resume);
                let question = Frame::Subscribe { mount, resume };
                let mut exchange = links.open(&self.ask.upstream, &question).await?;
                exchange.finish();
                self.exchange.insert(exchange)
            }
        };
        exchange.receive().await
    }
}
