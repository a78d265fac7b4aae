//! Beginnings within a body: an element whose length is damaged hides what comes behind it.

use memchr::memchr2_iter;

use super::element::{ElementHead, ElementRead};
use super::ids;

/// By so many bytes a beginning is told: the longest head, and two bytes of the first element behind it. By chance they
/// stand in a picture once in some 10^13 bytes.
pub(super) const BEGINNING_BYTES: usize = 14;

/// Looks through one body at a time for the beginning of a cluster or of a new stream. No sound or picture has one in it.
#[derive(Clone, Debug, Default)]
pub(super) struct HiddenBeginnings {
    /// The last bytes of the body, in which a beginning may be cut.
    tail: Vec<u8>,
}

/// A beginning that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HiddenBeginning {
    /// The bytes of it.
    pub bytes: [u8; BEGINNING_BYTES],
    /// How many of the bytes that were looked at last there are up to its end.
    pub up_to: usize,
}

impl HiddenBeginnings {
    /// A body begins.
    pub(super) fn begin_body(&mut self) {
        self.tail.clear();
    }

    /// Looks at the next bytes of the body.
    pub(super) fn look(&mut self, bytes: &[u8]) -> Option<HiddenBeginning> {
        const KEPT: usize = BEGINNING_BYTES - 1;
        let known_bytes = self.tail.len();
        let joint = bytes.get(..KEPT).unwrap_or(bytes);
        self.tail.extend_from_slice(joint);
        let in_tail = find(&self.tail).map(|found| HiddenBeginning {
            up_to: found.up_to.saturating_sub(known_bytes),
            ..found
        });
        let found = in_tail.or_else(|| find(bytes));
        if let Some((_, last)) = bytes.split_last_chunk::<KEPT>() {
            self.tail.clear();
            self.tail.extend_from_slice(last);
        }
        self.tail.drain(..self.tail.len().saturating_sub(KEPT));
        found
    }
}

fn find(bytes: &[u8]) -> Option<HiddenBeginning> {
    let [cluster, header] = [ids::CLUSTER, ids::HEADER].map(|id| (id >> 24) as u8);
    let mut places = memchr2_iter(cluster, header, bytes);
    places.find_map(|at| {
        let begun: &[u8; BEGINNING_BYTES] = bytes.get(at..)?.first_chunk()?;
        begins(begun).then_some(HiddenBeginning {
            bytes: *begun,
            up_to: at + BEGINNING_BYTES,
        })
    })
}

/// Whether a cluster or a header begins here, with the element that stands first in it.
fn begins(bytes: &[u8; BEGINNING_BYTES]) -> bool {
    let ElementRead::Is(head) = ElementHead::read(bytes) else {
        return false;
    };
    match (head.id, bytes.get(head.head_bytes..)) {
        // The time of the cluster, or the checksum of all; a length of a few bytes may be written in more of them.
        (ids::CLUSTER, Some([0xE7 | 0xBF, length, ..])) => {
            matches!(length, 0x81..=0x88) || length.is_power_of_two() && *length < 0x80
        }
        // The versions, or the kind of document.
        (ids::HEADER, Some([0x42, 0x82 | 0x86 | 0xF2 | 0xF3 | 0xF7, ..])) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{cluster, header, open_cluster};
    use super::*;

    /// The offset behind the beginning that is found in pieces of this length.
    fn found(body: &[u8], length: usize) -> Option<usize> {
        let (mut hidden, mut looked_at) = (HiddenBeginnings::default(), 0);
        for piece in body.chunks(length) {
            if let Some(found) = hidden.look(piece) {
                let up_to = looked_at + found.up_to;
                assert_eq!(body[up_to - BEGINNING_BYTES..up_to], found.bytes);
                return Some(up_to);
            }
            looked_at += piece.len();
        }
        None
    }

    #[test]
    fn a_beginning_is_found_however_it_is_cut() {
        let picture = [0x1F, 0x43, 0xB6, 0x1A, 0x45].repeat(20);
        for begun in [
            cluster(5, &[vec![0; 300]]),
            open_cluster(70_000),
            header("webm"),
        ] {
            let body = [&picture[..], &begun, &[0; 9]].concat();
            let up_to = picture.len() + BEGINNING_BYTES;
            for length in (1..40).chain([body.len()]) {
                assert_eq!(found(&body, length), Some(up_to), "{length}");
            }
            let cut = &body[..up_to - 1];
            assert_eq!(found(cut, 7), None);
        }
    }

    #[test]
    fn a_length_may_be_written_in_eight_bytes() {
        let length = 300_u64 | 1 << 56;
        let head = [&ids::CLUSTER.to_be_bytes()[..], &length.to_be_bytes()].concat();
        let timestamp = [0xE7, 1, 0, 0, 0, 0, 0, 0, 4];
        let body = [&[7; 30][..], &head, &timestamp].concat();
        assert_eq!(found(&body, body.len()), Some(30 + BEGINNING_BYTES));
    }

    #[test]
    fn a_number_alone_is_no_beginning() {
        let number = [
            &ids::CLUSTER.to_be_bytes()[..],
            &[0x81, 0xA3, 0x81],
            &[0; 20],
        ]
        .concat();
        assert_eq!(found(&number, 50), None);
        let mut hidden = HiddenBeginnings::default();
        let begun = open_cluster(5);
        assert_eq!(hidden.look(&begun[..8]), None);
        hidden.begin_body();
        assert_eq!(hidden.look(&[&begun[8..], &[0; 20]].concat()), None);
    }
}
