//! Drives one pull: asks other nodes over the links, and hands their frames to the ring.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout_at;
use tracing::{debug, info};

use super::RelaysInner;
use super::filling::Filling;
use crate::io::clock;
use crate::io::feed::Feed;
use crate::io::link::{Exchange, ExchangeError, Links};
use crate::media::ring::RingLimits;
use crate::model::mount::MountName;
use crate::model::stream::EndReason;
use crate::proto::pull::{
    Input, Output, PullContext, PullTarget, StreamRequest, UpstreamEvent, UpstreamTimeout,
};
use crate::proto::view::MeshView;
use crate::wire::frame::Frame;

/// Pulls until the stream ends, is lost, or has had no reader for a while. Begins with a stream that has finished,
/// if its source was connected here.
pub(super) async fn run(inner: &RelaysInner, mount: &MountName, finished: Option<Feed>) {
    let streams = inner.streams.clone();
    let mut driver = PullDriver {
        inner,
        mount,
        filling: Filling::new(mount.clone(), streams, finished, clock::now()),
        conversation: None,
    };
    let finished = inner.mesh.tasks.until_end(driver.run()).await;
    if finished.is_none() {
        driver.filling.end(EndReason::NodeStops);
    }
}

struct PullDriver<'a> {
    inner: &'a RelaysInner,
    mount: &'a MountName,
    filling: Filling,
    conversation: Option<Conversation>,
}

/// The conversation with an upstream.
struct Conversation {
    request: StreamRequest,
    /// Set once the link has opened it.
    exchange: Option<Exchange>,
}

impl PullDriver<'_> {
    async fn run(&mut self) {
        let mut view = self.inner.mesh.cluster.watch();
        let mut input = Input::Tick;
        loop {
            let has_changed = view.has_changed().is_ok_and(|changed| changed);
            let mesh = view.borrow_and_update().clone();
            if has_changed {
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
        let spec = self.inner.mesh.documents.mount(self.mount);
        if let Some(spec) = &spec {
            self.filling.set_limits(RingLimits::of(spec));
        }
        let context = PullContext {
            mesh,
            linger: spec.map(|spec| Duration::from_secs(spec.linger_s.into())),
            chance: clock::random_share(),
            now: clock::now(),
        };
        let mut out = Vec::new();
        self.filling.handle(input, context, &mut out);
        for output in out {
            match output {
                Output::Request(request) => self.begin(request),
                Output::HangUp(timeout) => self.hang_up(timeout),
                Output::Continue(..) | Output::Open(..) | Output::Over(_) => {}
            }
        }
    }

    fn begin(&mut self, request: StreamRequest) {
        if request.target == PullTarget::OnAir {
            let upstream = &request.upstream;
            info!(%upstream, "no node holds the next bytes any more, continuing with the ones on air");
        }
        self.conversation = Some(Conversation {
            request,
            exchange: None,
        });
    }

    fn hang_up(&mut self, timeout: Option<UpstreamTimeout>) {
        let next = self.filling.feed().map(Feed::next);
        match timeout {
            Some(UpstreamTimeout::Stalled) => info!(next, "upstream stalls"),
            Some(UpstreamTimeout::NoAnswer) => debug!("no answer in time"),
            None => {}
        }
        self.conversation = None;
    }

    /// Waits for the next input; `None`: the pull is over.
    async fn next(&mut self, view: &mut watch::Receiver<Arc<MeshView>>) -> Option<Input> {
        let wake_at = self.filling.pull().wake_at()?.into();
        let Some(conversation) = &mut self.conversation else {
            tokio::select! {
                () = tokio::time::sleep_until(wake_at) => return Some(Input::Tick),
                // A node may hold the stream now that did not before.
                Ok(()) = view.changed() => return Some(Input::ViewChanged),
            }
        };
        let received = conversation.receive(self.mount, &self.inner.mesh.links);
        let Ok(received) = timeout_at(wake_at, received).await else {
            return Some(Input::Tick);
        };
        let id = conversation.request.id;
        Some(Input::Heard(id, self.take(received)))
    }

    /// Hands what was received to the ring, and notes a stream that is over.
    fn take(&mut self, received: Result<Option<Frame>, ExchangeError>) -> UpstreamEvent {
        let event = match received {
            Ok(Some(frame)) => self.filling.take(frame, clock::now()),
            Ok(None) => UpstreamEvent::Lost,
            Err(error) => {
                debug!(%error, "upstream lost");
                UpstreamEvent::Lost
            }
        };
        if event == UpstreamEvent::Ended
            && let Some(feed) = self.filling.feed()
        {
            self.inner.ended.note(feed.stream_id(), clock::now());
        }
        event
    }
}

impl Conversation {
    /// The next frame. Cancel it only to hang up: a frame may have been received in part.
    async fn receive(
        &mut self,
        mount: &MountName,
        links: &Links,
    ) -> Result<Option<Frame>, ExchangeError> {
        let exchange = match &mut self.exchange {
            Some(exchange) => exchange,
            None => {
                let (mount, resume) = (mount.clone(), self.request.resume);
                let question = Frame::Subscribe { mount, resume };
                let mut exchange = links.open(&self.request.upstream, &question).await?;
                exchange.finish();
                self.exchange.insert(exchange)
            }
        };
        exchange.receive().await
    }
}
