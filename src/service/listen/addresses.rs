//! The addresses that listeners are given: in redirects, in playlists, and to programs that choose themselves.
//!
//! That of a redirect is used once, now, and says which node has sent the listener. All others are plain: they may be
//! kept.

use std::net::Ipv6Addr;

use bytes::Bytes;
use serde::Serialize;

use super::{Listening, MountRequest, NOT_IN_COUNTRY};
use crate::logic::policy::explain::Explanation;
use crate::logic::transcoding::family::{Variant, family};
use crate::logic::transcoding::lineage;
use crate::model::format::CodecName;
use crate::model::geo::Whereabouts;
use crate::model::mount::{MountName, MountSpec};
use crate::model::node::NodeName;
use crate::model::status::NodeState;
use crate::model::transcoding::TargetBitrate;
use crate::proto::listener::{self, Destination, ListenerQuestion, Reserve, Verdict};
use crate::proto::table::Ask;
use crate::proto::view::MeshNode;
use crate::wire::http::forwarded::Client;
use crate::wire::http::reply::Reply;
use crate::wire::icecast::passthrough::{Minted, Passage, Passthrough};
use crate::wire::icecast::playlist::{Playlist, PlaylistEntry};
use crate::wire::icecast::token;

/// How many nodes a playlist names: a player tries them one after the other, and three are rarely all gone.
const PLAYLIST_NODES: usize = 3;
/// The most candidates in one answer.
pub const MAX_CANDIDATES: usize = 20;

/// A place to which a listener may go, for programs that choose themselves.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alternative {
    /// The node, or the row of an outside server.
    pub node: NodeName,
    /// The address of the stream there.
    pub url: String,
    /// The country and position, as far as they are known.
    #[serde(flatten)]
    pub place: Whereabouts,
}

/// The reasons for which a listener is sent where it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explained {
    /// The answer that the next such listener would get, in words.
    pub answer: String,
    /// The opinion of the policy about each node.
    #[serde(flatten)]
    pub explanation: Explanation,
}

/// A mount in the playlist of its family.
struct FamilyEntry {
    url: String,
    title: String,
}

impl FamilyEntry {
    fn entry(&self) -> PlaylistEntry<'_> {
        PlaylistEntry {
            url: &self.url,
            title: &self.title,
        }
    }
}

/// A question for a playlist.
#[derive(Clone, Copy, Debug)]
pub struct PlaylistRequest<'a> {
    /// The format.
    pub kind: Playlist,
    /// The mount.
    pub mount: &'a MountName,
    /// The client that asks.
    pub client: Client,
    /// The host that it has asked, if it says so.
    pub host: Option<&'a str>,
    /// The query of its address, or empty: a token in it is carried into the addresses.
    pub query: &'a str,
}

impl Listening {
    /// The address to which a verdict sends the listener, with its query. `None`: it is sent nowhere, or the chosen node
    /// has just gone.
    pub(super) fn location(&self, verdict: &Verdict, asking: MountRequest<'_>) -> Option<String> {
        let (to, reserved) = match verdict {
            Verdict::Redirect(Destination::Row(to, reserved)) => (to, *reserved),
            Verdict::Redirect(Destination::Overflow(url)) => return Some(url.clone()),
            _ => return None,
        };
        let load = &self.0.config.load;
        if let Some(outside) = load.outside_location(to, asking.mount, asking.head.query()) {
            return Some(outside);
        }
        let address = self.address_at(to, reserved, asking)?;
        let query = self.query_to_carry(asking);
        Some(with_query(address, query.as_deref()))
    }

    /// The passthrough address of a mount at a node of ours.
    fn address_at(
        &self,
        to: &NodeName,
        reserved: Option<Minted>,
        asking: MountRequest<'_>,
    ) -> Option<String> {
        let (config, mount) = (&self.0.config, asking.mount);
        let view = config.mesh.cluster.view();
        let base = base(view.nodes.get(to)?, asking.client)?;
        let Some(minted) = reserved else {
            let path = Passthrough::untagged_path(&view.me, mount);
            return Some(format!("{base}{path}"));
        };
        let passage = Passage {
            from: &view.me,
            to,
            mount,
        };
        let path = config.tag_key.path(passage, minted);
        Some(format!("{base}{path}"))
    }

    /// Calls `list` with a listener's question to the table, if such a listener would not be refused for what it is; the
    /// verdict otherwise. No node is told to expect the listener.
    fn with_ask<T>(
        &self,
        question: &ListenerQuestion<'_>,
        list: impl FnOnce(&MountSpec, &Ask<'_>) -> T,
    ) -> Result<T, Verdict> {
        let load = &self.0.config.load;
        self.with_context(question.mount, |context| {
            let verdict = load.answer(question, context, Reserve::No);
            match (context.mounts.get(question.mount), verdict) {
                (None, verdict) | (Some(_), verdict @ Verdict::NotInCountry) => Err(verdict),
                (Some(spec), _) => Ok(list(spec, &listener::ask(question, spec, context))),
            }
        })
    }

    /// The nodes for such a listener, the best first; none where it may not listen, and while nothing is on air.
    pub fn candidates(&self, mount: &MountName, client: Client, most: usize) -> Vec<Alternative> {
        let (load, most) = (&self.0.config.load, most.min(MAX_CANDIDATES));
        let ranked = self.with_ask(&self.question(mount, client), |_, ask| load.rank(ask, most));
        let candidates = ranked.unwrap_or_default().into_iter();
        candidates
            .filter_map(|node| self.candidate(node, mount, client))
            .collect()
    }

    fn candidate(&self, node: NodeName, mount: &MountName, client: Client) -> Option<Alternative> {
        let config = &self.0.config;
        let url = self.kept_address(&node, mount, client)?;
        let view = config.mesh.cluster.view();
        let place = view.nodes.get(&node).map(|known| known.card.place);
        let place = place.unwrap_or_default();
        Some(Alternative { node, url, place })
    }

    /// The answer to the next such listener, and the reasons; `None` if there is no such mount. A node that drains is sent
    /// nobody, and serves the listeners that no other node may take.
    pub fn explain(&self, mount: &MountName, client: Client) -> Option<Explained> {
        let (question, load) = (self.question(mount, client), &self.0.config.load);
        self.with_context(mount, |context| {
            let spec = context.mounts.get(mount)?;
            let ask = listener::ask(&question, spec, context);
            let verdict = load.answer(&question, context, Reserve::No);
            let own = context.view.nodes.get(&context.view.me);
            let drains = own.is_some_and(|own| own.state == NodeState::Draining);
            let though = match (&verdict, drains) {
                (Verdict::Serve(_), true) => ", though the node drains",
                _ => "",
            };
            Some(Explained {
                answer: verdict.in_words() + though,
                explanation: load.explain(&ask),
            })
        })
    }

    /// A playlist of plain addresses, which players and directories may keep for ever: the mount at the best nodes,
    /// the best first, and last on this node. The node that is asked may still redirect.
    pub fn playlist(&self, asked: PlaylistRequest<'_>, reply: &Reply) -> Bytes {
        let PlaylistRequest {
            kind,
            mount,
            client,
            host,
            query,
        } = asked;
        let carried = token::of_query(query).filter(|it| token::is_shaped(it));
        let carried = carried.map(|it| token::with_token("", &it));
        let carried = carried.as_deref();
        let host_url = self.front(client, host);
        let mut family = self.family(mount, &host_url);
        for entry in &mut family {
            entry.url = with_query(std::mem::take(&mut entry.url), carried);
        }
        if !family.is_empty() {
            let entries: Vec<PlaylistEntry<'_>> = family.iter().map(FamilyEntry::entry).collect();
            return reply.content(kind.content_type(), &kind.write(&entries));
        }
        let front = format!("{host_url}{mount}");
        let entries = self.with_ask(&self.question(mount, client), |spec, ask| {
            let title = match self.0.config.mesh.cluster.view().station_name(spec) {
                "" => mount.as_str().to_owned(),
                name => name.to_owned(),
            };
            (title, self.direct_urls(spec, ask, client))
        });
        let (title, mut urls) = match entries {
            Ok(entries) => entries,
            Err(Verdict::NotInCountry) => return reply.forbidden(NOT_IN_COUNTRY),
            Err(_) => return reply.not_found(),
        };
        urls.retain(|url| *url != front);
        urls.push(front);
        let urls = urls.into_iter().map(|url| with_query(url, carried));
        let urls: Vec<String> = urls.collect();
        let title = title.as_str();
        let entries: Vec<PlaylistEntry<'_>> = urls
            .iter()
            .map(|url| PlaylistEntry { url, title })
            .collect();
        reply.content(kind.content_type(), &kind.write(&entries))
    }

    /// The members of the family of this name, best first; none if a mount has the name, or there is no such family.
    fn family(&self, name: &MountName, host_url: &str) -> Vec<FamilyEntry> {
        let mesh = &self.0.config.mesh;
        let (mounts, view) = (mesh.documents.mounts(), mesh.cluster.view());
        if mounts.contains_key(name) {
            return Vec::new();
        }
        let members = family(name, &mounts).into_iter();
        let entry = |member: Variant<'_>| {
            let spec = member.spec;
            let bitrate = |kbps: u32| format!("{kbps} kbit/s");
            let words = match (member.made, view.source(&spec.path)) {
                (Some(made), _) => {
                    let codec = CodecName::from(made.codec).title().to_owned();
                    let kbps = made.bitrate.map(TargetBitrate::kbps);
                    [codec, kbps.map(bitrate).unwrap_or_default()]
                }
                (None, Some((_, card))) => {
                    let kbps = u32::try_from(card.bitrate_bps / 1_000).unwrap_or(u32::MAX);
                    let codec = card.format.map(|format| format.codec.title());
                    [codec.unwrap_or_default().to_owned(), bitrate(kbps)]
                }
                (None, None) => Default::default(),
            };
            // A stream that is not on air has no name but that of its encoder's mount.
            let origin = mounts.get(lineage::origin(spec, &mounts));
            let origin = origin.filter(|origin| !origin.hidden).unwrap_or(spec);
            let names = [view.station_name(spec), view.station_name(origin)];
            let name = names.into_iter().find(|name| !name.is_empty());
            let name = name.unwrap_or(spec.path.as_str());
            let mut title = vec![name];
            title.extend(words.iter().map(String::as_str).filter(|it| !it.is_empty()));
            FamilyEntry {
                url: format!("{host_url}{}", spec.path),
                title: title.join(", "),
            }
        };
        members.map(entry).collect()
    }

    /// The addresses at the best nodes; none where the mount's own address serves as well, because there is one node
    /// only, or because its listeners are served where they ask.
    fn direct_urls(&self, spec: &MountSpec, ask: &Ask<'_>, client: Client) -> Vec<String> {
        let config = &self.0.config;
        let ranked = config.load.rank(ask, PLAYLIST_NODES);
        let me = config.mesh.cluster.view().me.clone();
        if !spec.steering.redirect || ranked.iter().all(|node| *node == me) {
            return Vec::new();
        }
        let ranked = ranked.iter();
        ranked
            .filter_map(|node| self.kept_address(node, &spec.path, client))
            .collect()
    }

    /// The address of a mount at a node or an outside server, for programs that keep addresses: it does not name the node
    /// that has sent the listener, and a node that is asked by it steers as always.
    fn kept_address(&self, node: &NodeName, mount: &MountName, client: Client) -> Option<String> {
        let config = &self.0.config;
        let outside = config.load.outside_location(node, mount, None);
        outside.or_else(|| {
            let view = config.mesh.cluster.view();
            let base = base(view.nodes.get(node)?, client)?;
            Some(format!("{base}{mount}"))
        })
    }

    /// The address by which the client has reached this node.
    fn front(&self, client: Client, host: Option<&str>) -> String {
        let scheme = if client.https { "https" } else { "http" };
        if let Some(host) = host {
            // Some old programs forget the brackets.
            return match host.parse::<Ipv6Addr>() {
                Ok(bare) => format!("{scheme}://[{bare}]"),
                Err(_) => format!("{scheme}://{host}"),
            };
        }
        let view = self.0.config.mesh.cluster.view();
        let own = view.nodes.get(&view.me);
        let url = own.and_then(|own| base(own, client));
        url.unwrap_or_default().to_owned()
    }
}

fn with_query(address: String, query: Option<&str>) -> String {
    match query {
        Some(query) => format!("{address}?{query}"),
        None => address,
    }
}

/// The address at which such a client reaches a node.
fn base(node: &MeshNode, client: Client) -> Option<&str> {
    match client.https {
        true => node.card.https_url.as_deref(),
        false => Some(&node.card.url),
    }
}
