//! How long a message is on the wire, by chitchat's encoding, before any compression.

use super::{Digest, Gossiped, NodeDelta, Said};

/// Magic number, protocol version and kind.
const HEAD_BYTES: usize = 4;
/// The name of the cluster with its length.
const CLUSTER_BYTES: usize = 2 + "antiphon".len();
/// A node's name, as long as those of the measurements that the model is compared with.
const NAME_BYTES: usize = 14;
/// A node's id: its name with a length, its generation, and its IPv4 address and port.
const ID_BYTES: usize = 2 + NAME_BYTES + 8 + 7;
/// Heartbeat, last collected version, greatest version.
const SUMMARY_BYTES: usize = 24;

/// The bytes of a message.
pub fn message_bytes(message: &Gossiped) -> usize {
    HEAD_BYTES
        + match message {
            Gossiped::Syn(digest) => CLUSTER_BYTES + digest_bytes(digest),
            Gossiped::SynAck(digest, delta) => digest_bytes(digest) + delta_bytes(delta),
            Gossiped::Ack(delta) => delta_bytes(delta),
        }
}

fn digest_bytes(digest: &Digest) -> usize {
    2 + digest.iter().flatten().count() * (ID_BYTES + SUMMARY_BYTES)
}

fn delta_bytes(delta: &[NodeDelta]) -> usize {
    let node = |about: &NodeDelta| {
        let entries = about.entries.iter().map(|(_, said)| entry_bytes(said));
        1 + ID_BYTES + 16 + entries.sum::<usize>()
    };
    1 + delta.iter().map(node).sum::<usize>()
}

/// A tag, both texts with their lengths, the version, and whether it was taken back.
fn entry_bytes((key, value): &Said) -> usize {
    1 + 2 + key.len() + 2 + value.as_ref().map_or(0, |value| value.len()) + 8 + 1
}
