//! A source asks for its mount. One that finds it taken is not refused before the other source was looked for.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::info;

use super::{Ingest, Source};
use crate::logic::source::place::HEARD;
use crate::model::mount::{MountName, Takeover};
use crate::model::seat::Epoch;
use crate::model::stream::StreamId;
use crate::wire::frame::Denial;
use crate::wire::gossip::Origin;

/// How long the answer is held back while the other source is not found. A node that was killed is known to be dead
/// within 1.3 s; encoders wait for 4 s and more, and many take a refusal for final.
const HOLD_BACK: Duration = Duration::from_secs(2);
/// How long to wait then before asking again.
const AGAIN: Duration = Duration::from_millis(50);
/// How often a source that has sent nothing yet says that its place is still wanted: twice before it would be given to
/// another.
const RENEW: Duration = Duration::from_secs(2);

impl Ingest {
    /// Asks for the mount. While it is taken by a source that does not show that it is there (its node is silent, or
    /// it has just gone), the answer waits for a moment.
    pub(super) async fn ask(
        &self,
        source: &Source<'_>,
        stream_id: StreamId,
    ) -> Result<Epoch, Denial> {
        let until = Instant::now() + HOLD_BACK;
        // Where the newcomer takes over, a dead node could not be told to give way, and its source would have
        // precedence until the death is known.
        while source.spec.takeover == Takeover::Takeover
            && self.is_on_air_elsewhere(&source.mount)
            && Instant::now() < until
            && !self.other_is_there(&source.mount).await
        {
            sleep(AGAIN).await;
        }
        loop {
            match self.ask_for_place(source, stream_id).await {
                Err(Denial::MountInUse) => {}
                decided => return decided,
            }
            if Instant::now() >= until || self.other_is_there(&source.mount).await {
                return Err(Denial::MountInUse);
            }
            sleep(AGAIN).await;
        }
    }

    /// Asks for the mount, unless this very node hears another source of it: after a partition that can be known
    /// before gossip says so, and before the master can be asked.
    pub(super) async fn ask_for_place(
        &self,
        source: &Source<'_>,
        stream_id: StreamId,
    ) -> Result<Epoch, Denial> {
        let held = self.0.streams.get(&source.mount);
        let another = held.is_some_and(|held| {
            let feed = &held.feed;
            let heard = Instant::now()
                .into_std()
                .saturating_duration_since(feed.last_fed());
            held.origin != Origin::Source && feed.finished().is_none() && heard < HEARD
        });
        if another && source.spec.takeover == Takeover::Refuse {
            return Err(Denial::MountInUse);
        }
        self.0.authority.request(&source.mount, stream_id).await
    }

    fn is_on_air_elsewhere(&self, mount: &MountName) -> bool {
        let view = self.0.cluster.view();
        view.source(mount).is_some_and(|(node, _)| *node != view.me)
    }

    /// Whether the source that is on air is connected to its node, as far as that can be found out.
    async fn other_is_there(&self, mount: &MountName) -> bool {
        let here = self.0.streams.get(mount);
        if let Some(here) = here.filter(|held| held.origin == Origin::Source) {
            return self.0.sources.is_there(mount, here.feed.stream_id()).await;
        }
        let view = self.0.cluster.view();
        match view.source(mount) {
            Some((node, card)) if *node != view.me => {
                self.0.authority.is_there(node, mount, card.stream_id).await
            }
            _ => false, // it has been given the place a moment ago, or has just left it
        }
    }

    /// Says again and again that a source still wants the place that it was given. Ends when it has lost it.
    pub(super) async fn keep_place(&self, source: &Source<'_>, stream_id: StreamId) {
        loop {
            sleep(RENEW).await;
            let place = self.0.authority.request(&source.mount, stream_id).await;
            if let Err(why) = place {
                return info!(?why, "the place of a source that has sent nothing is lost");
            }
        }
    }
}
