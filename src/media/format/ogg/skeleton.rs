//! Skeleton: a stream in a link that describes the others.

/// The bytes that the first packet begins with.
pub(super) const FIRST: &[u8] = b"fishead\0";
