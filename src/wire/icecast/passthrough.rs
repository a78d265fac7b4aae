//! The address to which a listener is redirected: on the chosen node, marked with the redirector's name.
//!
//! The path is `/_stream/NODE.TAG/mount`. The mark is in the path because players cut queries off. The tag makes the
//! arrival count, once; without a valid one the listener is served all the same.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::model::mount::MountName;
use crate::model::node::NodeName;

/// The prefix of the path of such an address.
pub const PREFIX: &str = "/_stream/";
/// Bytes of a tag: four of time, two of number, six of proof.
const TAG_BYTES: usize = 12;
/// The digits in which a tag is written.
const HEX: &[u8; 16] = b"0123456789abcdef";
/// Bytes of the proof. To guess it, a stranger would have to ask a node 2^47 times within two minutes.
const PROOF_BYTES: usize = 6;

/// The key that every node of a mesh knows, and no stranger: it makes and checks tags.
#[derive(Clone)]
pub struct TagKey([u8; 32]);

impl std::fmt::Debug for TagKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// When a tag was made, and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minted {
    /// Unix seconds by the redirector's clock; they wrap in 2106.
    pub unix_s: u32,
    /// Rises with each tag of a redirector, and wraps.
    pub number: u16,
}

/// One redirect: from which node, to which node, for which mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage<'a> {
    /// The node that redirected.
    pub from: &'a NodeName,
    /// The node that serves.
    pub to: &'a NodeName,
    /// The mount.
    pub mount: &'a MountName,
}

/// Such an address, as a client has asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passthrough {
    /// The node that is said to have redirected.
    pub from: NodeName,
    /// The tag, unchecked.
    pub tag: Option<ArrivalTag>,
    /// The mount.
    pub mount: MountName,
}

/// A tag of a valid form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrivalTag {
    minted: Minted,
    proof: [u8; PROOF_BYTES],
}

impl TagKey {
    /// A key of these bytes, which must be derived from the mesh's secret for this purpose only.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The path of the address for a listener that is redirected there now.
    pub fn path(&self, passage: Passage<'_>, minted: Minted) -> String {
        let mut tag = [0; TAG_BYTES];
        tag[..4].copy_from_slice(&minted.unix_s.to_be_bytes());
        tag[4..6].copy_from_slice(&minted.number.to_be_bytes());
        tag[6..].copy_from_slice(&self.proof(passage, minted));
        let (from, mount) = (passage.from.as_str(), passage.mount.as_str());
        let mut path =
            String::with_capacity(PREFIX.len() + from.len() + 1 + 2 * TAG_BYTES + mount.len());
        path.push_str(PREFIX);
        path.push_str(from);
        path.push('.');
        for digit in tag.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
            path.push(char::from(HEX[usize::from(digit)]));
        }
        path.push_str(mount);
        path
    }

    /// When a tag was made, if it is genuine for this passage.
    pub fn check(&self, passage: Passage<'_>, tag: &ArrivalTag) -> Option<Minted> {
        // A comparison in constant time, as the library does it.
        let proof = self.code(passage, tag.minted);
        let genuine = proof.verify_truncated_left(&tag.proof).is_ok();
        genuine.then_some(tag.minted)
    }

    fn proof(&self, passage: Passage<'_>, minted: Minted) -> [u8; PROOF_BYTES] {
        let whole = self.code(passage, minted).finalize().into_bytes();
        let mut proof = [0; PROOF_BYTES];
        proof.copy_from_slice(&whole[..PROOF_BYTES]);
        proof
    }

    fn code(&self, passage: Passage<'_>, minted: Minted) -> Hmac<Sha256> {
        let mut code =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        // No name has a zero byte, so two passages never give the same bytes.
        for part in [
            passage.from.as_str(),
            passage.to.as_str(),
            passage.mount.as_str(),
        ] {
            code.update(part.as_bytes());
            code.update(&[0]);
        }
        code.update(&minted.unix_s.to_be_bytes());
        code.update(&minted.number.to_be_bytes());
        code
    }
}

impl Passthrough {
    /// The path of an address that counts nothing, for listeners that are not sent there yet: playlists, for example.
    pub fn untagged_path(from: &NodeName, mount: &MountName) -> String {
        format!("{PREFIX}{from}{mount}")
    }

    /// Reads the path of a request; `None` if it is not such an address.
    pub fn of_path(path: &str) -> Option<Self> {
        let (mark, mount) = path.strip_prefix(PREFIX)?.split_once('/')?;
        let (from, tag) = match mark.split_once('.') {
            Some((from, tag)) => (from, ArrivalTag::read(tag)),
            None => (mark, None),
        };
        Some(Self {
            from: NodeName::try_from(from).ok()?,
            tag,
            mount: MountName::from_request_path(&format!("/{mount}")).ok()?,
        })
    }
}

impl ArrivalTag {
    /// Reads a tag; `None` if its form is invalid: the listener is then served without.
    fn read(hex: &str) -> Option<Self> {
        let digits = hex.as_bytes();
        if digits.len() != 2 * TAG_BYTES || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let mut bytes = [0; TAG_BYTES];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).ok()?;
        }
        let [a, b, c, d, e, f, proof @ ..] = bytes;
        Some(Self {
            minted: Minted {
                unix_s: u32::from_be_bytes([a, b, c, d]),
                number: u16::from_be_bytes([e, f]),
            },
            proof,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> NodeName {
        NodeName::try_from(text).unwrap()
    }

    fn mount(path: &str) -> MountName {
        MountName::try_from(path).unwrap()
    }

    const MINTED: Minted = Minted {
        unix_s: 1_790_000_000,
        number: 7,
    };

    #[test]
    fn a_tag_counts_for_its_own_passage_only() {
        let key = TagKey::new([7; 32]);
        let (n1, n2, radio) = (name("n1"), name("n2"), mount("/a/radio.mp3"));
        let passage = Passage {
            from: &n1,
            to: &n2,
            mount: &radio,
        };
        let path = key.path(passage, MINTED);
        let read = Passthrough::of_path(&path).unwrap();
        assert_eq!((&read.from, &read.mount), (&n1, &radio));
        let tag = read.tag.unwrap();
        assert_eq!(key.check(passage, &tag), Some(MINTED));
        let other = mount("/b");
        for wrong in [
            Passage {
                from: &n2,
                ..passage
            },
            Passage { to: &n1, ..passage },
            Passage {
                mount: &other,
                ..passage
            },
        ] {
            assert_eq!(key.check(wrong, &tag), None);
        }
        assert_eq!(TagKey::new([8; 32]).check(passage, &tag), None);
    }

    #[test]
    fn an_address_without_a_good_tag_still_works() {
        let untagged = Passthrough::untagged_path(&name("n1"), &mount("/a.mp3"));
        assert_eq!(untagged, "/_stream/n1/a.mp3");
        for path in [
            "/_stream/n1/a.mp3",
            "/_stream/n1./a.mp3",
            "/_stream/n1.00/a.mp3",
            "/_stream/n1.zzzzzzzzzzzzzzzzzzzzzzzz/a.mp3",
        ] {
            let read = Passthrough::of_path(path).unwrap();
            assert_eq!((read.from, read.tag), (name("n1"), None), "{path}");
        }
        for path in [
            "/_stream/a.mp3",
            "/_stream/N!/a.mp3",
            "/_stream/n1/",
            "/a.mp3",
        ] {
            assert_eq!(Passthrough::of_path(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_path_makes_it_panic(path in "/_stream/.{0,60}") {
            let _read = Passthrough::of_path(&path);
        }
    }
}
