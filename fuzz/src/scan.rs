//! The scanners of the formats.

use std::collections::BTreeSet;
use std::time::Duration;

use antiphon::media::format::joining::{MAX_PROLOGUE_BYTES, Scanned, StreamStart};
use antiphon::media::format::scanner::Scanner;
use bytes::Bytes;

use crate::{cuts, memory};

/// The most that a scanner holds besides headers: two of the longest units, each a page of Ogg of 64 KiB, which are moved
/// once.
const MAX_UNITS_BYTES: usize = 256 << 10;

/// How many times the bytes of headers are held: they are gathered, moved as they grow, and become a prologue.
const HEADER_COPIES: usize = 4;

/// How many times a stream may be repeated, to see whether a scanner holds more and more.
const MAX_TIMES: u8 = 8;

/// The findings of a scanner in a stream, and its state at the end.
#[derive(Debug, PartialEq)]
struct Findings {
    found: Vec<Scanned>,
    edge: u64,
    media_time: Option<Duration>,
}

/// However a stream is cut, the findings are the same, and in order. Where a scanner is not in step, a stream is joined
/// where a piece of it arrived: such marks depend on the cuts, and are not compared.
pub fn any_cut(content_type: &str, data: &[u8]) {
    let (lengths, stream) = cuts::take(data);
    let mut starts = BTreeSet::from([0]);
    for piece in cuts::pieces(lengths, stream) {
        starts.insert(starts.last().copied().unwrap_or_default() + piece.len() as u64);
    }
    let certain = |mut findings: Findings| {
        findings.found.retain(|it| match it {
            Scanned::Mark(mark) => !starts.contains(&mark.offset),
            Scanned::Prologue(_) | Scanned::Comment(_) | Scanned::Anew(_) => true,
        });
        findings
    };
    let begin = || Scanner::for_content_type(content_type, 0);
    let whole = scan(begin(), 0, std::iter::once(stream));
    let cut = scan(begin(), 0, cuts::pieces(lengths, stream));
    // Bytes of another format are joined where a piece of them arrived, from the first to the last.
    if let (Some(whole), Some(cut)) = (whole, cut) {
        assert_eq!(certain(whole), certain(cut));
    }
    any_start(content_type, lengths, stream);
    holds_little(content_type, lengths, stream);
}

/// However long a stream is, its scanner holds a unit or two, and the headers as far as they are bounded.
fn holds_little(content_type: &str, lengths: &[u8], stream: &[u8]) {
    let times = 1 + usize::from(lengths.last().copied().unwrap_or_default() % MAX_TIMES);
    let most = memory::most_held(|| {
        let mut scanner = Scanner::for_content_type(content_type, 0);
        for _ in 0..times {
            for piece in cuts::pieces(lengths, stream) {
                scanner.feed(piece, Duration::ZERO, |_| {});
            }
        }
    });
    let header_bytes = (times * stream.len()).min(MAX_PROLOGUE_BYTES);
    let allowed = MAX_UNITS_BYTES + HEADER_COPIES * header_bytes;
    assert!(most <= allowed, "{most} bytes were held, {allowed} may be");
}

/// A scanner that begins in the middle takes any prologue, or refuses it.
fn any_start(content_type: &str, lengths: &[u8], stream: &[u8]) {
    let prologue_bytes = lengths.iter().map(|it| usize::from(*it)).sum::<usize>();
    let (prologue, rest) = stream.split_at(prologue_bytes.min(stream.len()));
    let start = StreamStart {
        offset: 1_000,
        media_time: Duration::from_secs(10),
        prologue: Bytes::copy_from_slice(prologue),
    };
    if let Some(scanner) = Scanner::in_the_middle(content_type, &start) {
        scan(scanner, start.offset, cuts::pieces(lengths, rest));
    }
}

/// Feeds a stream and checks what is found; `None` if the scanner has given it up.
fn scan<'a>(
    mut scanner: Scanner,
    start: u64,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Option<Findings> {
    let (mut found, mut fed, mut edge) = (Vec::new(), start, scanner.edge());
    for piece in pieces {
        scanner.feed(piece, Duration::ZERO, |it| found.push(it));
        fed += piece.len() as u64;
        let now = scanner.edge();
        assert!(
            edge <= now && now <= fed,
            "the edge went from {edge} to {now} of {fed}"
        );
        edge = now;
    }
    check(&found, fed);
    let given_up = matches!(scanner, Scanner::Opaque(_));
    let media_time = scanner.media_time();
    (!given_up).then_some(Findings {
        found,
        edge,
        media_time,
    })
}

fn check(found: &[Scanned], fed: u64) {
    let mut last = None;
    for it in found {
        match it {
            Scanned::Mark(mark) => {
                assert!(mark.offset < fed, "a mark at {} of {fed}", mark.offset);
                let mark = (mark.offset, mark.media_time);
                assert!(
                    last.is_none_or(|(at, _)| at < mark.0),
                    "{last:?} before {mark:?}"
                );
                assert!(
                    last.is_none_or(|(_, time)| time <= mark.1),
                    "{last:?} before {mark:?}"
                );
                last = Some(mark);
            }
            Scanned::Prologue(prologue) => {
                assert!(prologue.bytes.len() <= MAX_PROLOGUE_BYTES);
                assert!(prologue.offset <= fed);
            }
            Scanned::Comment(comment) => assert!(comment.offset <= fed),
            Scanned::Anew(anew) => assert!(anew.ends <= anew.begins && anew.begins < fed),
        }
    }
}
