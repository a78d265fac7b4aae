//! The register of the listeners of this node.
//!
//! A listener is entered when the pacer is about to get it, and struck out when it has left. The map is locked then and
//! for lists, never while bytes are sent: what a listener was sent is counted in its own [`Control`].

mod everywhere;
mod eviction;
mod places;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

pub use self::everywhere::{MeshAudience, NotKilled};
pub use self::places::{AccountPlace, AddressPlace};
use self::places::{MountAccount, MountAddress, PlaceCounts};
use super::load::CapacityShare;
use super::streams::Reading;
use crate::io::clock;
use crate::io::pacer::{Control, Left};
use crate::model::caption::caption;
use crate::model::listener::ListenerFacts;
use crate::model::mount::MountName;
use crate::wire::audience::ListenerPage;

/// The longest name of a player that is kept, in bytes. Browsers, which have the longest, need up to 200; a client may
/// send 64 KiB, and each listener's is in memory and in lists.
const MAX_AGENT_BYTES: usize = 256;

/// The name of a player as it is kept: one line, cut, and in no more memory than it needs.
pub fn kept_agent(agent: &str) -> Box<str> {
    let agent = caption(agent);
    agent[..agent.floor_char_boundary(MAX_AGENT_BYTES)].into()
}

/// A cheap, cloneable way to the register.
///
/// Bounded by the node's `max_listeners`: each entry has a share of its capacity, and one that has handed that over
/// leaves with its next visit.
#[derive(Clone, Debug, Default)]
pub struct Audience {
    register: Arc<Mutex<Register>>,
    addresses: PlaceCounts<MountAddress>,
    accounts: PlaceCounts<MountAccount>,
}

#[derive(Debug, Default)]
struct Register {
    /// The number of the last listener. Numbers begin anew with each life of the node, and stay short to type.
    last_number: u64,
    attendees: BTreeMap<u64, Arc<Attendee>>,
}

/// A client that is about to listen.
#[derive(Debug)]
pub struct Newcomer {
    /// The mount.
    pub mount: MountName,
    /// The address of the client, which a trusted proxy may have told.
    pub ip: IpAddr,
    /// The name of its player, as the client sent it.
    pub agent: String,
    /// The room that was made for it.
    pub admission: Admission,
    /// Counts the listener into the number of its mount.
    pub reading: Reading,
}

/// The room for one listener at this node.
#[derive(Debug)]
pub struct Admission {
    /// Counts the listener into the load of the node.
    pub share: CapacityShare,
    /// Counts the listener among those of its address.
    pub address: AddressPlace,
    /// Counts the listener among those of its account, if it was let in by one.
    pub account: Option<AccountPlace>,
}

/// One listener of this node.
#[derive(Debug)]
pub struct Attendee {
    number: u64,
    mount: MountName,
    ip: IpAddr,
    agent: Box<str>,
    since: Instant,
    control: Arc<Control>,
    counted: Mutex<Option<Counted>>,
}

/// Counts a listener into the numbers of the node and of its mount until it is dropped.
#[derive(Debug)]
struct Counted {
    admission: Admission,
    reading: Reading,
}

/// Keeps a listener in the register until it is dropped.
#[derive(Debug)]
pub struct Attendance {
    audience: Audience,
    attendee: Arc<Attendee>,
}

impl Audience {
    /// A place for one more listener of a mount at an address; `None` if it has as many there as it may have.
    pub fn place(&self, mount: &MountName, ip: IpAddr, most: Option<u32>) -> Option<AddressPlace> {
        self.addresses.enter(MountAddress::new(mount, ip), most)
    }

    /// A place for one more listener of a mount by an account; `None` if it has as many as it may have.
    pub fn account_place(
        &self,
        mount: &MountName,
        name: &str,
        most: Option<u32>,
    ) -> Option<AccountPlace> {
        self.accounts.enter(MountAccount::new(mount, name), most)
    }

    /// Enters a listener, under a number that no other has.
    pub fn enter(&self, newcomer: Newcomer) -> Attendance {
        let counted = Counted {
            admission: newcomer.admission,
            reading: newcomer.reading,
        };
        let mut register = self.register.lock();
        register.last_number += 1;
        let attendee = Arc::new(Attendee {
            number: register.last_number,
            mount: newcomer.mount,
            ip: newcomer.ip,
            agent: kept_agent(&newcomer.agent),
            since: clock::now(),
            control: Arc::default(),
            counted: Mutex::new(Some(counted)),
        });
        let entry = attendee.clone();
        register.attendees.insert(attendee.number, entry);
        drop(register);
        Attendance {
            audience: self.clone(),
            attendee,
        }
    }

    /// The listeners of a mount, or all, and at most so many. One that has been ended is no longer listed.
    fn list(&self, mount: Option<&MountName>, most: usize) -> ListenerPage {
        let register = self.register.lock();
        let attendees = register.attendees.values();
        let asked = attendees.filter(|it| {
            it.control.ended().is_none() && mount.is_none_or(|mount| it.mount == *mount)
        });
        let mut asked: Vec<Arc<Attendee>> = asked.cloned().collect();
        drop(register);
        let total = asked.len() as u64;
        asked.truncate(most);
        let listeners = asked.iter().map(|it| (it.number, it.facts())).collect();
        ListenerPage { listeners, total }
    }

    /// Ends the listener of this number, and returns it if there is one.
    fn kill(&self, number: u64) -> Option<Arc<Attendee>> {
        let attendee = self.register.lock().attendees.get(&number).cloned()?;
        attendee.control.ended().is_none().then(|| {
            attendee.control.end(Left::Killed);
            attendee
        })
    }
}

impl Attendee {
    /// The name of the player: one line without control characters, perhaps cut.
    pub fn agent(&self) -> &str {
        &self.agent
    }

    /// The time since the entry.
    pub fn listens_for(&self) -> Duration {
        clock::now().saturating_duration_since(self.since)
    }

    fn facts(&self) -> ListenerFacts {
        ListenerFacts {
            mount: self.mount.clone(),
            ip: self.ip,
            user_agent: self.agent.to_string(),
            connected_s: self.listens_for().as_secs(),
            sent_bytes: self.control.sent_bytes(),
        }
    }

    /// The counter and the switch that the pacer looks at.
    pub fn control(&self) -> &Arc<Control> {
        &self.control
    }

    /// Counts the listener among those of its mount that were dropped because they were too slow.
    pub fn note_slow(&self) {
        if let Some(counted) = &*self.counted.lock() {
            counted.reading.note_slow();
        }
    }

    /// Gives the listener's room to the next request of the same player, and ends the listener. `None` if it was given
    /// before.
    pub fn hand_over(&self) -> Option<Admission> {
        let counted = self.counted.lock().take()?;
        self.control.end(Left::Replaced);
        Some(counted.admission)
    }
}

impl Attendance {
    /// The listener.
    pub fn attendee(&self) -> &Arc<Attendee> {
        &self.attendee
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        let number = self.attendee.number;
        self.audience.register.lock().attendees.remove(&number);
        // Counted out now, though a list may still hold the attendee.
        let counted = self.attendee.counted.lock().take();
        drop(counted);
    }
}

#[cfg(test)]
pub(super) mod tests;
