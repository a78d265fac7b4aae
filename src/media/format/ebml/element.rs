//! The elements of EBML: their heads, and the elements within one that is there as a whole.

use super::ids;

/// The longest id, and the longest length.
const MAX_ID_BYTES: usize = 4;
const MAX_LENGTH_BYTES: usize = 8;

/// The head of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ElementHead {
    /// The id, with the bits that tell its own length.
    pub id: u32,
    /// The length of the head.
    pub head_bytes: usize,
    /// The length of what follows; `None` if it is unknown.
    pub body_bytes: Option<u64>,
}

/// The result of reading a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ElementRead {
    /// The head is complete.
    Is(ElementHead),
    /// So many bytes are needed before more can be said.
    Needs(usize),
    /// The bytes are no head.
    Not,
}

impl ElementHead {
    /// Reads the head at the beginning of these bytes.
    pub(super) fn read(bytes: &[u8]) -> ElementRead {
        let Some(id_first) = bytes.first() else {
            return ElementRead::Needs(1);
        };
        let id_bytes = width(*id_first);
        if id_bytes > MAX_ID_BYTES {
            return ElementRead::Not;
        }
        let Some(length_first) = bytes.get(id_bytes) else {
            return ElementRead::Needs(id_bytes + 1);
        };
        let length_bytes = width(*length_first);
        if length_bytes > MAX_LENGTH_BYTES {
            return ElementRead::Not;
        }
        let head_bytes = id_bytes + length_bytes;
        let Some((id, length)) = bytes
            .get(..head_bytes)
            .and_then(|head| head.split_at_checked(id_bytes))
        else {
            return ElementRead::Needs(head_bytes);
        };
        let id = number(id).and_then(|id| u32::try_from(id).ok());
        let (Some(id), Some(length)) = (id, Vint::read(length)) else {
            return ElementRead::Not;
        };
        ElementRead::Is(Self {
            id,
            head_bytes,
            body_bytes: (!length.is_all_ones).then_some(length.value),
        })
    }
}

/// The longest head of the private data of a codec.
pub(in crate::media::format) const MAX_PRIVATE_HEAD_BYTES: usize = 2 + MAX_LENGTH_BYTES;

/// Whether these bytes end with the head of the private data of a codec.
pub(in crate::media::format) fn ends_with_private_head(bytes: &[u8]) -> bool {
    let ends = 1..=MAX_PRIVATE_HEAD_BYTES;
    let mut ends = ends.filter_map(|length| bytes.get(bytes.len().checked_sub(length)?..));
    ends.any(|end| match ElementHead::read(end) {
        ElementRead::Is(head) => head.id == ids::CODEC_PRIVATE && head.head_bytes == end.len(),
        ElementRead::Needs(_) | ElementRead::Not => false,
    })
}

/// A number of variable width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vint {
    /// The number, without the bit that tells its width.
    pub value: u64,
    /// The bytes that it takes.
    pub bytes: usize,
    /// Whether all bits are set: as a length that means unknown.
    is_all_ones: bool,
}

impl Vint {
    /// Reads the number at the beginning of these bytes.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let width = width(*bytes.first()?);
        if width > MAX_LENGTH_BYTES {
            return None;
        }
        let most = (1 << (7 * width)) - 1;
        let value = number(bytes.get(..width)?)? & most;
        Some(Self {
            value,
            bytes: width,
            is_all_ones: value == most,
        })
    }
}

/// How many bytes a number has that begins with this one; 9 if none does.
fn width(first: u8) -> usize {
    first.leading_zeros() as usize + 1
}

/// A number of fixed width; `None` if it is longer than 8 bytes.
pub(super) fn number(bytes: &[u8]) -> Option<u64> {
    let push = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
    (bytes.len() <= 8).then(|| bytes.iter().fold(0, push))
}

/// An element in the body of another one that is there as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChildElement<'a> {
    /// The id.
    pub id: u32,
    /// The body.
    pub body: &'a [u8],
}

/// The elements in a body. An element that is cut or has an unknown length is `None`, and the last.
pub(super) struct Children<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Children<'a> {
    type Item = Option<ChildElement<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = std::mem::take(&mut self.0);
        if bytes.is_empty() {
            return None;
        }
        let ElementRead::Is(head) = ElementHead::read(bytes) else {
            return Some(None);
        };
        let body_bytes = head
            .body_bytes
            .and_then(|bytes| usize::try_from(bytes).ok());
        let body = body_bytes.and_then(|body_bytes| {
            let behind_head = bytes.get(head.head_bytes..)?;
            behind_head.split_at_checked(body_bytes)
        });
        let Some((body, rest)) = body else {
            return Some(None);
        };
        self.0 = rest;
        Some(Some(ChildElement { id: head.id, body }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::ids;
    use super::super::samples::element;
    use super::*;

    #[test]
    fn heads_are_read_byte_by_byte() {
        let head = [0x1F, 0x43, 0xB6, 0x75, 0x40, 0x02];
        for cut in 0..head.len() {
            let read = ElementHead::read(&head[..cut]);
            assert!(matches!(read, ElementRead::Needs(more) if more > cut && more <= 6));
        }
        let read = ElementHead::read(&head);
        let expected = ElementHead {
            id: ids::CLUSTER,
            head_bytes: 6,
            body_bytes: Some(2),
        };
        assert_eq!(read, ElementRead::Is(expected));
        for unknown in [
            &[0xA3, 0xFF][..],
            &[0xA3, 1, 255, 255, 255, 255, 255, 255, 255],
        ] {
            let ElementRead::Is(head) = ElementHead::read(unknown) else {
                panic!("{unknown:x?}");
            };
            assert_eq!((head.id, head.body_bytes), (ids::SIMPLE_BLOCK, None));
        }
        for no_head in [&[0][..], &[0x08, 0x81], &[0xA3, 0]] {
            assert_eq!(ElementHead::read(no_head), ElementRead::Not, "{no_head:x?}");
        }
    }

    #[test]
    fn children_end_where_one_is_cut() {
        let body = [element(ids::TIMESTAMP, &[1, 2]), element(ids::VOID, &[])].concat();
        let read = |body| Children(body).map(|child| child.map(|it| (it.id, it.body.len())));
        let whole = [Some((ids::TIMESTAMP, 2)), Some((ids::VOID, 0))];
        assert_eq!(read(&body).collect::<Vec<_>>(), whole);
        for cut in 1..body.len() {
            let read: Vec<_> = read(&body[..cut]).collect();
            assert!(cut == 4 || read.last() == Some(&None), "{read:?}");
        }
        assert_eq!(read(&[0xA3, 0xFF, 1]).collect::<Vec<_>>(), [None]);
    }
}
