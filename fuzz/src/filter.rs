//! The filters between an encoder and the ring.

use antiphon::media::format::detect::Format;
use antiphon::media::format::ogg::PageSieve;
use antiphon::media::format::tags::TagFilter;
use bytes::BytesMut;

use crate::cuts;

/// The most that a filter may hold back: two of the longest frames, or a page of Ogg.
const MAX_HELD_BYTES: usize = 1 << 17;

/// However a stream is cut, the same bytes come out, and no others than went in.
pub fn tags(data: &[u8]) {
    let (lengths, stream) = cuts::take(data);
    for format in [Format::Mpeg, Format::Adts, Format::Ogg] {
        let mut whole = TagFilter::new();
        whole.walks(format);
        let whole = through(|input, out| whole.take(input, out), std::iter::once(stream));
        let mut cut = TagFilter::new();
        cut.walks(format);
        let cut = through(
            |input, out| cut.take(input, out),
            cuts::pieces(lengths, stream),
        );
        let common = whole.len().min(cut.len());
        assert_eq!(whole[..common], cut[..common]);
        assert!(whole.len().max(cut.len()) <= stream.len());
    }
    let mut beginning = TagFilter::new();
    let pieces = cuts::pieces(lengths, stream);
    let out = through(|input, out| beginning.take(input, out), pieces);
    assert!(stream.ends_with(&out) || out.len() < stream.len());
}

/// Numbers are changed and changed back, however the stream is cut, and nothing but pages passes.
pub fn sieve(data: &[u8]) {
    let (lengths, stream) = cuts::take(data);
    let by = u32::from(lengths.first().copied().unwrap_or_default());
    let sieve = PageSieve::new;
    let (mut pages, mut there, mut back) = (sieve(0), sieve(by), sieve(by.wrapping_neg()));
    let changed = through(
        |input, out| there.take(input, out),
        cuts::pieces(lengths, stream),
    );
    let again = through(
        |input, out| back.take(input, out),
        std::iter::once(&changed[..]),
    );
    let pages = through(
        |input, out| pages.take(input, out),
        std::iter::once(stream),
    );
    assert!(pages.len() <= stream.len());
    assert_eq!(again, pages[..again.len()]);
}

fn through<'a>(
    mut take: impl FnMut(&mut BytesMut, &mut BytesMut),
    pieces: impl Iterator<Item = &'a [u8]>,
) -> BytesMut {
    let (mut input, mut out) = (BytesMut::new(), BytesMut::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        take(&mut input, &mut out);
        assert!(
            input.len() <= MAX_HELD_BYTES,
            "{} bytes are held back",
            input.len()
        );
    }
    out
}
