//! The formats of streams: which one a stream has, where it may be joined, and what a late listener needs first.

pub mod adts;
pub(in crate::media) mod bits;
pub mod change;
mod crc;
pub mod detect;
pub mod ebml;
pub mod file;
pub mod flac;
pub mod frames;
pub mod joining;
pub mod layout;
pub mod loas;
pub mod mpeg;
pub mod ogg;
pub mod opaque;
pub mod said;
pub mod scanner;
pub mod tags;
pub mod ts;
mod walker;
pub mod whole;

#[cfg(test)]
mod samples {
    /// A stream in pieces of these lengths, from the first one again after the last.
    pub(super) fn pieces<'a>(stream: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
        let mut pieces = Vec::new();
        let (mut rest, mut lengths) = (stream, lengths.iter().cycle());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(*lengths.next().unwrap()));
            pieces.push(piece);
            rest = after;
        }
        pieces
    }
}
