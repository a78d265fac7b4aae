//! The addresses that listeners are given: in redirects, in playlists, and to programs that choose themselves.

use std::net::IpAddr;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use serde::Serialize;

use super::{Asking, Listening};
use crate::io::clock;
use crate::logic::policy::explain::Explanation;
use crate::model::geo::Whereabouts;
use crate::model::mount::{MountName, MountSpec};
use crate::model::node::NodeName;
use crate::service::cluster::view::MeshNode;
use crate::service::load::{Among, Ask};
use crate::wire::forwarded::Client;
use crate::wire::passthrough::{Minted, Passage, Passthrough};
use crate::wire::playlist::{Entry, Playlist};
use crate::wire::reply::Reply;

/// How many nodes a playlist names: a player tries them one after the other, and three are rarely all gone.
const PLAYLIST_NODES: usize = 3;
/// The most candidates that are told at once.
pub const MAX_CANDIDATES: usize = 20;

/// Where a listener may go, for programs that choose themselves.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// The node, or the row of an outside server.
    pub node: NodeName,
    /// The address of the stream there.
    pub url: String,
    /// Where that is, as far as is known.
    #[serde(flatten)]
    pub place: Whereabouts,
}

impl Listening {
    /// The address at the chosen node or server for a listener who goes there now, with his query. `None`: he speaks
    /// HTTPS and it does not, or it has just gone.
    pub(super) fn location(&self, to: &NodeName, asking: Asking<'_>) -> Option<String> {
        let config = &self.0.config;
        let query = asking.head.query();
        if let Some(outside) = config.load.outside_location(to, asking.mount, query) {
            let fits = !asking.client.https || outside.starts_with("https://");
            return fits.then_some(outside);
        }
        let view = config.cluster.view();
        let base = base(view.nodes.get(to)?, asking.client)?;
        let passage = Passage {
            from: &view.me,
            to,
            mount: asking.mount,
        };
        let minted = Minted {
            unix_s: (clock::unix_ms() / 1_000) as u32, // wraps in 2106, as tags do
            number: self.0.tags.fetch_add(1, Ordering::Relaxed),
        };
        let path = config.tag_key.path(passage, minted);
        let query = query.map(|query| format!("?{query}"));
        Some(format!("{base}{path}{}", query.unwrap_or_default()))
    }

    /// The nodes for such a listener, the best first. None of them is told to expect him.
    pub fn candidates(&self, mount: &MountName, client: Client, most: usize) -> Vec<Candidate> {
        let config = &self.0.config;
        let view = config.cluster.view();
        let ask = self.ask(mount, config.geo.whereabouts(client.ip));
        let ranked = config.load.rank(&ask, most.min(MAX_CANDIDATES));
        let candidate = |node: NodeName| {
            let known = view.nodes.get(&node);
            let url = match known {
                Some(known) => {
                    let path = Passthrough::untagged_path(&view.me, mount);
                    format!("{}{path}", base(known, client)?)
                }
                None => config.load.outside_location(&node, mount, None)?,
            };
            let place = known.map(|known| known.card.place).unwrap_or_default();
            Some(Candidate { node, url, place })
        };
        ranked.into_iter().filter_map(candidate).collect()
    }

    /// Why the next listener from there would be sent where; `None` if there is no such mount.
    pub fn explain(&self, mount: &MountName, from: Option<IpAddr>) -> Option<Explanation> {
        let config = &self.0.config;
        config.documents.mount(mount)?;
        let place = from.map(|ip| config.geo.whereabouts(ip));
        let ask = self.ask(mount, place.unwrap_or_default());
        Some(config.load.explain(&ask))
    }

    fn ask<'a>(&self, mount: &'a MountName, place: Whereabouts) -> Ask<'a> {
        let config = &self.0.config;
        let is_ours =
            config.cluster.view().holders(mount).next().is_some() || config.relays.holds(mount);
        let only_outside = !is_ours && config.load.is_outside(mount);
        Ask {
            mount,
            place,
            among: if only_outside {
                Among::Outside
            } else {
                Among::All
            },
            full_at: f64::INFINITY,
        }
    }

    /// A playlist that names the best nodes for whoever asks, and after them the mount on this node, which steers
    /// listeners as it always does.
    pub fn playlist(
        &self,
        (kind, mount): (Playlist, &MountName),
        (client, host): (Client, Option<&str>),
        reply: &Reply,
    ) -> Bytes {
        let Some(spec) = self.0.config.documents.mount(mount) else {
            return reply.not_found();
        };
        let front = format!("{}{mount}", self.front(client, host));
        let title = if spec.name.is_empty() {
            mount.as_str()
        } else {
            &spec.name
        };
        let mut urls = self.direct_urls(&spec, client);
        urls.push(front);
        let entries: Vec<Entry<'_>> = urls.iter().map(|url| Entry { url, title }).collect();
        reply.content(kind.content_type(), &kind.write(&entries))
    }

    /// The addresses at the best nodes; none where the mount's own address serves as well, because there is one node
    /// only, or because its listeners are served where they ask.
    fn direct_urls(&self, spec: &MountSpec, client: Client) -> Vec<String> {
        let config = &self.0.config;
        if !spec.steering.redirect {
            return Vec::new();
        }
        let candidates = self.candidates(&spec.path, client, PLAYLIST_NODES);
        let me = &config.cluster.view().me;
        match candidates.as_slice() {
            [only] if only.node == *me => Vec::new(),
            _ => candidates.into_iter().map(|it| it.url).collect(),
        }
    }

    /// Where whoever asks has reached this node.
    fn front(&self, client: Client, host: Option<&str>) -> String {
        let scheme = if client.https { "https" } else { "http" };
        let view = self.0.config.cluster.view();
        let own_url = || view.nodes.get(&view.me).map(|node| node.card.url.clone());
        host.map(|host| format!("{scheme}://{host}"))
            .or_else(own_url)
            .unwrap_or_default()
    }
}

/// Where a node is reached by such a client.
fn base(node: &MeshNode, client: Client) -> Option<&str> {
    match client.https {
        true => node.card.https_url.as_deref(),
        false => Some(&node.card.url),
    }
}
