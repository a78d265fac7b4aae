//! Tests of what a node sends to another one, and in which order.

use bytes::Bytes;

use super::*;
use crate::model::seat::Epoch;
use crate::model::stream::StreamHead;

const STREAM: StreamId = StreamId(1);

fn title(offset: u64, text: &str) -> Title {
    Title {
        offset,
        info: TitleInfo::plain(text).into(),
    }
}

fn said(offset: u64, text: &str) -> Output {
    title_frame(&title(offset, text), true)
}

const NEW: Reads = Reads {
    prologues: PrologueSupport::Long,
    captions: true,
    midway: true,
};

fn begun(from: u64, title: Option<&str>) -> (Serve, Vec<Output>) {
    let first = FirstByte {
        title: title.map(|text| TitleInfo::plain(text).into()),
        start: None,
        is_midway: false,
        reads: NEW,
    };
    begun_with(from, first)
}

fn begun_with(from: u64, first: FirstByte) -> (Serve, Vec<Output>) {
    let head = StreamHead {
        content_type: "audio/mpeg".into(),
        icy: Vec::new(),
        user_agent: String::new(),
        started_unix_ms: 0,
        accept_epoch: Epoch(1),
    };
    let opened = Opened {
        stream_id: STREAM,
        head,
        offset: from,
    };
    let mut out = Vec::new();
    let serve = Serve::begin(opened, first, &mut out);
    (serve, out)
}

fn look(serve: &mut Serve, titles: &[Title], available: Available, now: Instant) -> Vec<Output> {
    beating(serve, titles, (available, 0), now)
}

fn beating(
    serve: &mut Serve,
    titles: &[Title],
    seen: (Available, u64),
    now: Instant,
) -> Vec<Output> {
    let ring = RingView {
        titles: titles.to_vec(),
        available: seen.0,
        beat_ms: seen.1,
    };
    let mut out = Vec::new();
    serve.handle(ring, now, &mut out);
    out
}

#[test]
fn a_missing_byte_is_denied_with_a_reason() {
    let window = Window {
        stream_id: STREAM,
        oldest: 100,
        next: 200,
        join_point: 150,
    };
    assert_eq!(window.first_byte(None), Ok(150));
    let ask = |stream, from| window.first_byte(Some((stream, from)));
    assert_eq!(ask(STREAM, 100), Ok(100));
    assert_eq!(ask(STREAM, 200), Ok(200), "the next one to come");
    assert_eq!(ask(STREAM, 99), Err(Denial::Overrun));
    assert_eq!(ask(STREAM, 201), Err(Denial::NotHere));
    assert_eq!(ask(StreamId(2), 150), Err(Denial::NotHere));
}

#[test]
fn the_head_comes_first_then_the_title_then_the_bytes() {
    let now = Instant::now();
    let (mut serve, out) = begun(100, Some("a"));
    assert!(matches!(
        out[0],
        Output::SendFrame(Frame::Opened { offset: 100, .. })
    ));
    assert_eq!(out[1..], [said(100, "a")]);
    let titles = [title(100, "a"), title(150, "b")];
    let out = look(&mut serve, &titles, Available::Bytes(100), now);
    assert_eq!(out, [said(150, "b"), Output::SendBytes(100)]);
    let out = look(&mut serve, &titles, Available::Bytes(7), now);
    assert_eq!(out, [Output::SendBytes(200)]);
    assert_eq!(serve.next(), 207);
}

fn sent(from: u64, heads: &[u8], prologues: PrologueSupport) -> Vec<Output> {
    let first = FirstByte {
        title: Some(TitleInfo::plain("a").into()),
        start: Some(StreamStart {
            offset: from,
            media_time: Duration::from_millis(1_500),
            prologue: Bytes::copy_from_slice(heads),
        }),
        is_midway: false,
        reads: Reads { prologues, ..NEW },
    };
    begun_with(from, first).1
}

#[test]
fn only_nodes_that_read_and_need_prologues_get_them() {
    let prologue = |offset, heads: &'static [u8]| {
        Output::SendFrame(Frame::Prologue {
            offset,
            media_time_us: 1_500_000,
            bytes: heads.into(),
        })
    };
    for (from, heads) in [(100, &b"heads"[..]), (100, b""), (0, b"heads")] {
        for reads in [PrologueSupport::Whole, PrologueSupport::Long] {
            let begun = sent(from, heads, reads);
            assert_eq!(begun[1..], [prologue(from, heads), said(from, "a")]);
        }
        assert_eq!(
            sent(from, heads, PrologueSupport::None)[1..],
            [said(from, "a")]
        );
    }
    assert_eq!(sent(0, b"", PrologueSupport::Long)[1..], [said(0, "a")]);
}

#[test]
fn a_node_that_reads_it_is_told_that_it_begins_midway() {
    let sent = |is_midway, midway| {
        let first = FirstByte {
            title: None,
            start: None,
            is_midway,
            reads: Reads { midway, ..NEW },
        };
        begun_with(7, first).1.split_off(1)
    };
    assert_eq!(sent(true, true), [Output::SendFrame(Frame::Midway)]);
    assert_eq!((sent(true, false), sent(false, true)), (vec![], vec![]));
}

#[test]
fn older_nodes_get_the_line_of_a_title_only() {
    let info = Arc::new(TitleInfo::joined("A", "T").with_url("u"));
    let sent = |captions| {
        let first = FirstByte {
            title: Some(info.clone()),
            start: None,
            is_midway: false,
            reads: Reads { captions, ..NEW },
        };
        let (mut serve, mut out) = begun_with(7, first);
        let title = Title {
            offset: 9,
            info: TitleInfo::joined("", "Next").into(),
        };
        out.extend(look(
            &mut serve,
            &[title],
            Available::Bytes(1),
            Instant::now(),
        ));
        out
    };
    let (new, old) = (sent(true), sent(false));
    let text = "A - T".to_owned();
    assert_eq!(old[1], Output::SendFrame(Frame::Title { offset: 7, text }));
    let title = (*info).clone();
    assert_eq!(
        new[1],
        Output::SendFrame(Frame::Caption { offset: 7, title })
    );
    let text = "Next".to_owned();
    assert_eq!(old[2], Output::SendFrame(Frame::Title { offset: 9, text }));
}

#[test]
fn each_title_is_sent_once_even_a_late_one() {
    let now = Instant::now();
    let (mut serve, _) = begun(0, None);
    look(&mut serve, &[], Available::Bytes(100), now);
    let mut titles = vec![title(100, "at the live edge")];
    let wait = Output::Wait(now + HEARTBEAT);
    let mut tell = |titles: &[Title]| {
        let mut out = look(&mut serve, titles, Available::Nothing, now);
        assert_eq!(out.pop(), Some(wait.clone()));
        out
    };
    assert_eq!(tell(&titles), [said(100, "at the live edge")]);
    titles[0] = title(100, "at once another");
    assert_eq!(tell(&titles), [said(100, "at once another")]);
    assert_eq!(tell(&titles), []);
    titles.insert(0, title(50, "heard late"));
    assert_eq!(tell(&titles), [said(50, "heard late")]);
}

#[test]
fn the_age_of_a_stream_is_told_before_its_end() {
    let now = Instant::now();
    let reason = EndReason::SourceLeft;
    let end = [
        Output::SendFrame(Frame::End { offset: 0, reason }),
        Output::Finish,
    ];
    let (mut serve, _) = begun(0, None);
    let mut out = beating(&mut serve, &[], (Available::Ended(Some(reason)), 700), now);
    assert_eq!(
        out.remove(0),
        Output::SendFrame(Frame::Alive { beat_ms: 700 })
    );
    assert_eq!(out, end);
    let (mut serve, _) = begun(0, None);
    let out = beating(&mut serve, &[], (Available::Ended(Some(reason)), 0), now);
    assert_eq!(out, end, "it is not known");
    let out = beating(&mut serve, &[], (Available::Ended(None), 700), now);
    assert_eq!(out, [Output::Finish], "it goes on elsewhere");
}

#[test]
fn only_a_later_heartbeat_is_passed_on() {
    let mut now = Instant::now();
    let (mut serve, _) = begun(0, None);
    let mut quiet = |beat_ms| {
        let out = beating(&mut serve, &[], (Available::Nothing, beat_ms), now);
        now += HEARTBEAT;
        out.into_iter()
            .any(|it| matches!(it, Output::SendFrame(Frame::Alive { .. })))
    };
    assert!(!quiet(100), "it has only begun to be quiet");
    assert!(quiet(100));
    assert!(!quiet(100), "the relay knows that one");
    assert!(quiet(200));
}

#[test]
fn bytes_delay_the_heartbeat() {
    let now = Instant::now();
    let (mut serve, _) = begun(0, None);
    look(&mut serve, &[], Available::Nothing, now);
    look(&mut serve, &[], Available::Bytes(1), now + HEARTBEAT);
    let out = beating(&mut serve, &[], (Available::Nothing, 9), now + HEARTBEAT);
    assert_eq!(out, [Output::Wait(now + 2 * HEARTBEAT)]);
}

#[test]
fn an_end_is_sent_only_if_the_source_has_gone() {
    let now = Instant::now();
    let (mut serve, _) = begun(10, None);
    let reason = EndReason::SourceLeft;
    let out = look(&mut serve, &[], Available::Ended(Some(reason)), now);
    let end = Frame::End { offset: 10, reason };
    assert_eq!(out, [Output::SendFrame(end), Output::Finish]);
    for available in [Available::Ended(None), Available::Overrun] {
        assert_eq!(
            look(&mut begun(10, None).0, &[], available, now),
            [Output::Finish]
        );
    }
}
