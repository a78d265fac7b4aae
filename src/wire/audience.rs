//! The questions of nodes about each other's listeners, and the pages of the answers.

use serde::{Deserialize, Serialize};

use crate::model::listener::ListenerFacts;
use crate::model::mount::MountName;

/// The most listeners of one page: with the longest mount and player each takes some 550 bytes, and the page little
/// more than half of what a frame may hold.
const PAGE_LISTENERS: usize = 256;

/// A question about the listeners of the receiver, for an operator. Sent only to nodes whose card says that they
/// answer it: an older node does not know the frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AudienceQuestion {
    /// The listeners of a mount, or all. Answered by pages, one at least.
    List {
        /// The mount; `None`: all.
        mount: Option<MountName>,
        /// The most listeners that the asking node has room for.
        most: u32,
    },
    /// Ends the listener of this number. Answered by DONE, or by DENIED if there is no such listener.
    Kill(u64),
}

/// A part of the listeners of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerPage {
    /// The facts about each listener, with its number at that node, the oldest first.
    pub listeners: Vec<(u64, ListenerFacts)>,
    /// The number of all that were asked for, on other pages and left out too.
    pub total: u64,
}

impl ListenerPage {
    /// The same in pages that fit into frames, one at least.
    pub fn split(mut self) -> Vec<Self> {
        let mut pages = Vec::new();
        while self.listeners.len() > PAGE_LISTENERS {
            let rest = self.listeners.split_off(PAGE_LISTENERS);
            let listeners = std::mem::replace(&mut self.listeners, rest);
            let total = self.total;
            pages.push(Self { listeners, total });
        }
        pages.push(self);
        pages
    }

    /// Adds the next page, as far as there is room for so many listeners in all.
    pub fn append(&mut self, next: Self, most: usize) {
        let room = most.saturating_sub(self.listeners.len());
        self.listeners.extend(next.listeners.into_iter().take(room));
        self.total = next.total;
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv6Addr};

    use super::*;
    use crate::wire::frame::{self, Frame};

    fn page(listeners: usize) -> ListenerPage {
        let longest = format!("/{}", ["x"; 4].map(|it| it.repeat(64)).join("/"));
        let facts = ListenerFacts {
            mount: longest.parse().unwrap(),
            ip: IpAddr::V6(Ipv6Addr::LOCALHOST),
            user_agent: "x".repeat(256),
            connected_s: u64::MAX,
            sent_bytes: u64::MAX,
        };
        let listeners = (0..listeners).map(|number| (u64::MAX - number as u64, facts.clone()));
        ListenerPage {
            listeners: listeners.collect(),
            total: u64::MAX,
        }
    }

    #[test]
    fn a_full_page_of_long_names_fits_into_a_frame() {
        for page in page(2 * PAGE_LISTENERS + 1).split() {
            let frame = Frame::Listeners(page);
            let bytes = frame::encode(&frame).unwrap();
            assert_eq!(frame::decode(&bytes[frame::HEADER_BYTES..]).unwrap(), frame);
        }
    }

    #[test]
    fn pages_give_the_whole_again() {
        for (listeners, pages) in [(0, 1), (1, 1), (256, 1), (257, 2), (1_000, 4)] {
            let whole = page(listeners);
            let split = whole.clone().split();
            assert_eq!(split.len(), pages);
            let mut read = ListenerPage::default();
            split.into_iter().for_each(|page| read.append(page, 1_000));
            assert_eq!(read, whole);
        }
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let mut read = ListenerPage::default();
        for _ in 0..9 {
            read.append(page(256), 300);
        }
        assert_eq!((read.listeners.len(), read.total), (300, u64::MAX));
    }
}
