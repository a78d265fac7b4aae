//! Bytes in pieces: the fuzzer chooses where they are cut.

/// How many of the first bytes tell the lengths of the pieces.
const LENGTHS: usize = 4;

/// The lengths of the pieces, and the bytes that are to be cut.
pub fn take(data: &[u8]) -> (&[u8], &[u8]) {
    data.split_at(data.len().min(LENGTHS))
}

/// The bytes in pieces of these lengths, from the first one again after the last. A length of 0 stands for a long piece.
pub fn pieces<'a>(lengths: &'a [u8], mut bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut lengths = lengths.iter().cycle();
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let length = match lengths.next() {
            None | Some(0) => 4_096,
            Some(length) => usize::from(*length),
        };
        let (piece, rest) = bytes.split_at(length.min(bytes.len()));
        bytes = rest;
        Some(piece)
    })
}
