//! Bytes that a reader has and its own reader has not asked for yet.

use bytes::{Buf, BytesMut};
use tokio::io::ReadBuf;

/// Hands on as many of these bytes as are asked for.
pub fn hand_on(leftover: &mut BytesMut, into: &mut ReadBuf<'_>) {
    let taken = leftover.len().min(into.remaining());
    into.put_slice(&leftover[..taken]);
    leftover.advance(taken);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_stays() {
        let mut leftover = BytesMut::from(&b"audio"[..]);
        let mut space = [0; 3];
        let mut into = ReadBuf::new(&mut space);
        hand_on(&mut leftover, &mut into);
        assert_eq!((into.filled(), &leftover[..]), (&b"aud"[..], &b"io"[..]));
        hand_on(&mut leftover, &mut into);
        assert_eq!(&leftover[..], b"io");
    }
}
