//! Ogg and Matroska as no encoder should send them: audio goes on, what late listeners cannot decode is said in the status
//! and in the log, and other mounts notice nothing.

use super::formats::{Stage, log_in, page_at, some_frames, wait_closed};
use super::{PASSWORD, wait_log, wait_status};
use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::vitals::Vitals;

/// The pages, or blocks, of sound before and behind what is bad; each plays for 20 ms.
const UNITS: u32 = 20;

/// A bad stream.
struct Bad {
    name: &'static str,
    media_type: &'static str,
    /// The bytes before the first listener comes.
    begin: Vec<u8>,
    /// The bad bytes.
    bad: Vec<u8>,
    /// How many of them, from their beginning, are dropped and reach no listener.
    dropped_bytes: usize,
    /// The good bytes behind them.
    rest: Vec<u8>,
    /// The bytes that a late listener gets first: it hears all of a stream that is so young.
    heads: Vec<u8>,
    /// The words that are said of the stream, if its late listeners cannot decode it.
    trouble: Option<&'static str>,
}

impl Bad {
    /// Sends the stream to a mount of its own: a listener gets every byte that is kept, and a late one what it has to get
    /// first.
    fn play(&self, stage: &Stage) {
        let mount = format!("/{}", self.name.replace(' ', "-"));
        stage.node.create_mount(&mount, PASSWORD);
        let url = format!("{}{mount}", stage.node.url());
        let mut source = log_in(
            &stage.node,
            &mount,
            &format!("Content-Type: {}\r\n", self.media_type),
        );
        source.send(&self.begin).unwrap();
        wait_status(&stage.node, &mount, |status| {
            let mut mounts = status.mounts.iter();
            mounts.any(|it| it.path.as_str() == mount && it.source.is_some())
        });
        let early = Player::tune_in(&url);
        early.wait_for(1);
        source.send(&self.bad).unwrap();
        source.send(&self.rest).unwrap();
        let kept = &self.bad[self.dropped_bytes..];
        let heard = [&self.begin[..], kept, &self.rest].concat();
        early.wait_for(heard.len());
        assert!(early.bytes() == heard, "{}: other bytes", self.name);
        wait_status(&stage.node, self.name, |status| {
            let mut mounts = status.mounts.iter();
            let mount = mounts.find(|it| it.path.as_str() == mount);
            mount.is_some_and(|it| it.trouble.as_deref() == self.trouble)
        });
        if let Some(trouble) = self.trouble {
            wait_log(&stage.node, self.name, |log| {
                let mut lines = log.lines().filter(|line| line.contains(&mount));
                lines.any(|line| {
                    line.contains("listeners that come late may not decode the stream")
                        && line.contains(trouble)
                })
            });
        }
        let late = Player::tune_in(&url);
        late.wait_for(self.heads.len() + 1);
        assert!(late.bytes().starts_with(&self.heads), "{}", self.name);
        assert!(!early.is_closed(), "{}", self.name);
        println!("{}: heard", self.name);
    }
}

/// The header pages of Opus.
fn opus_heads(serial: u32) -> Vec<u8> {
    let tags = [&b"OpusTags\x05\0\0\0known"[..], &[0; 4]].concat();
    [opus_first(serial), page_at(0, serial, 0, 1, &tags)].concat()
}

fn opus_first(serial: u32) -> Vec<u8> {
    page_at(0, serial, 2, 0, b"OpusHead\x01\x02\0\0\x80\xBB\0\0\0\0\0")
}

/// Pages of Opus, from this one on.
fn pages(serial: u32, from: u32) -> Vec<u8> {
    let page = |number: u32| {
        let position = u64::from(number + 1) * 960;
        page_at(position, serial, 0, number + 2, &[number as u8; 200])
    };
    (from..from + UNITS).flat_map(page).collect()
}

/// A stream of Opus with this in its middle, which goes on behind it.
fn ogg(name: &'static str, bad: Vec<u8>) -> Bad {
    Bad {
        name,
        media_type: "application/ogg",
        begin: [opus_heads(7), pages(7, 0)].concat(),
        bad,
        dropped_bytes: 0,
        rest: pages(7, UNITS),
        heads: opus_heads(7),
        trouble: None,
    }
}

/// A page whose last byte is another than its checksum says.
fn damaged(mut page: Vec<u8>) -> Vec<u8> {
    if let Some(last) = page.last_mut() {
        *last ^= 1;
    }
    page
}

#[test]
fn bad_ogg_goes_on() {
    let stage = Stage::start();
    let page = |sequence| page_at(960 * 20, 7, 0, sequence, b"sound");
    let endless = page_at(u64::MAX, 7, 1, 30, &[7; 255 * 200]).repeat(40);
    let link = |name, serial, begin: Vec<u8>| Bad {
        rest: pages(serial, 0),
        ..ogg(name, begin)
    };
    let no_tags = damaged(opus_heads(9));
    for bad in [
        ogg("a wrong checksum", damaged(page(22))),
        ogg(
            "jumps of the sequence",
            [page(900), page(3), page(u32::MAX)].concat(),
        ),
        Bad {
            rest: pages(7, 3 * UNITS),
            ..ogg("lost pages", Vec::new())
        },
        ogg("a page of no segments", page_at(960 * 20, 7, 0, 22, &[])),
        ogg("a packet that never ends", endless),
        Bad {
            dropped_bytes: 850,
            ..ogg("junk", b"OggS junk, Ogg, O".repeat(50))
        },
        Bad {
            dropped_bytes: 64 << 10,
            ..ogg("more junk than any page", vec![9; 200_000])
        },
        ogg("a first page of another stream", opus_first(9)),
        Bad {
            rest: pages(9, 0),
            trouble: Some("the headers of the stream have not come"),
            ..ogg("another stream without headers", Vec::new())
        },
        link("a stream that begins in the middle", 9, opus_heads(9)),
        link(
            "two beginnings of one serial",
            9,
            [opus_first(9), opus_heads(9)].concat(),
        ),
        link("a second beginning with the same serial", 7, opus_heads(7)),
        Bad {
            trouble: Some("the headers of the stream are damaged"),
            ..link("a damaged header", 9, no_tags)
        },
    ] {
        bad.play(&stage);
    }
    stage.check_other();
}

#[test]
fn ogg_that_goes_on_as_mp3_is_closed() {
    const MOUNT: &str = "/changed.ogg";
    let stage = Stage::start();
    stage.node.create_mount(MOUNT, PASSWORD);
    let mut source = log_in(&stage.node, MOUNT, "Content-Type: audio/ogg\r\n");
    source.send([opus_heads(7), pages(7, 0)].concat()).unwrap();
    // The node may close it before all is sent.
    let _all = (0..1_000).try_for_each(|number| source.send(some_frames(number, 1)));
    wait_closed(&mut source);
    wait_log(&stage.node, "the log says why", |log| {
        log.contains("changed from Ogg to MP3 within one connection")
    });
    wait_status(&stage.node, "the status says why", |status| {
        let closed = status.mounts.iter().filter_map(|it| it.closed.as_ref());
        let mut why = closed.map(|it| it.why.as_str());
        why.any(|why| why.contains("it changed from Ogg to MP3"))
    });
    stage.check_other();
}

/// An element of EBML, its length in eight bytes.
fn element(id: &[u8], body: &[u8]) -> Vec<u8> {
    let length = (1_u64 << 56 | body.len() as u64).to_be_bytes();
    [id, &length, body].concat()
}

const CLUSTER: &[u8] = b"\x1F\x43\xB6\x75";
const TIMESTAMP: &[u8] = b"\xE7";
const SIMPLE_BLOCK: &[u8] = b"\xA3";
/// The length that says that the element has none.
const UNKNOWN: &[u8] = b"\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF";

/// The headers of WebM with Opus: with an element of tracks, or without.
fn webm_heads(has_tracks: bool) -> Vec<u8> {
    let header = element(b"\x1A\x45\xDF\xA3", &element(b"\x42\x82", b"webm"));
    let info = element(
        b"\x15\x49\xA9\x66",
        &element(b"\x2A\xD7\xB1", &1_000_000_u32.to_be_bytes()),
    );
    let audio = [
        element(b"\xB5", &48_000_f64.to_be_bytes()),
        element(b"\x9F", &[2]),
    ];
    let track = [
        element(b"\xD7", &[1]),
        element(b"\x83", &[2]),
        element(b"\x86", b"A_OPUS"),
        element(b"\xE1", &audio.concat()),
    ];
    let tracks = element(b"\x16\x54\xAE\x6B", &element(b"\xAE", &track.concat()));
    let tracks = if has_tracks { tracks } else { Vec::new() };
    [
        header,
        [b"\x18\x53\x80\x67", UNKNOWN].concat(),
        info,
        tracks,
    ]
    .concat()
}

/// A block, so many milliseconds behind the beginning of its cluster.
fn block(ms: u32, flags: u8, audio: &[u8]) -> Vec<u8> {
    let [high, low] = (ms as u16).to_be_bytes();
    element(SIMPLE_BLOCK, &[&[0x81, high, low, flags], audio].concat())
}

/// The beginning of a block that says such a length.
fn block_of(body_bytes: u64) -> Vec<u8> {
    let length = (1_u64 << 56 | body_bytes).to_be_bytes();
    [SIMPLE_BLOCK, &length, &[0x81, 0, 0, 0x80], &[7; 200]].concat()
}

/// Blocks of 20 ms each.
fn blocks(flags: u8) -> Vec<u8> {
    let block = |number: u32| block(20 * number, flags, &[number as u8; 200]);
    (0..UNITS).flat_map(block).collect()
}

/// A cluster of sound at this time, in milliseconds.
fn cluster(ms: u32, blocks: &[u8]) -> Vec<u8> {
    let timestamp = element(TIMESTAMP, &ms.to_be_bytes());
    element(CLUSTER, &[&timestamp, blocks].concat())
}

/// A stream of WebM with this in its middle, which goes on behind it.
fn webm(name: &'static str, bad: Vec<u8>) -> Bad {
    Bad {
        name,
        media_type: "audio/webm",
        begin: [webm_heads(true), cluster(0, &blocks(0x80))].concat(),
        bad,
        dropped_bytes: 0,
        rest: cluster(800, &blocks(0x80)),
        heads: webm_heads(true),
        trouble: None,
    }
}

#[test]
fn bad_matroska_goes_on() {
    let stage = Stage::start();
    let endless = [CLUSTER, UNKNOWN, &element(TIMESTAMP, &[1, 0x90])].concat();
    let laced = [0x82, 0x84, 0x86].map(|flags| cluster(400, &blocks(flags)));
    for bad in [
        webm(
            "a cluster of unknown length",
            [endless.clone(), blocks(0x80)].concat(),
        ),
        webm("lacing", laced.concat()),
        webm(
            "a damaged length",
            [cluster(400, &blocks(0x80)), block_of(50 << 20)].concat(),
        ),
        webm(
            "a damaged length in a cluster without one",
            [&endless[..], &blocks(0x80), &block_of(4 << 20)].concat(),
        ),
        webm("junk between elements", b"\0\x1F\x43 no element".repeat(90)),
        webm(
            "a torn cluster",
            cluster(400, &blocks(0x80))[..999].to_vec(),
        ),
        Bad {
            begin: [webm_heads(false), cluster(0, &blocks(0x80))].concat(),
            heads: webm_heads(false),
            trouble: Some("the headers of the stream have not come"),
            ..webm("a segment without tracks", Vec::new())
        },
    ] {
        bad.play(&stage);
    }
    stage.check_other();
}

#[test]
fn a_second_segment_ends_listeners_of_the_first_on_all_nodes() {
    const MOUNT: &str = "/twice.webm";
    let mesh = TestMesh::start(2);
    mesh.create_mount(MOUNT, PASSWORD);
    let mut source = log_in(&mesh.nodes[0], MOUNT, "Content-Type: audio/webm\r\n");
    let segment = [webm_heads(true), cluster(0, &blocks(0x80))].concat();
    source.send(&segment).unwrap();
    mesh.wait_on_air(MOUNT);
    let tune_in = || -> Vec<Player> {
        let url = |node: &TestNode| format!("{}/_stream/n1{MOUNT}", node.url());
        let nodes = mesh.nodes.iter();
        nodes.map(|node| Player::tune_in(&url(node))).collect()
    };
    let early = tune_in();
    for player in &early {
        player.wait_for(segment.len());
    }
    let torn = &cluster(400, &blocks(0x80))[..999];
    source.send([torn, &segment].concat()).unwrap();
    for player in &early {
        let what = format!("{} has ended", player.url);
        eventually(PATIENCE, &what, || so(player.is_closed(), "it plays"));
        assert!(player.bytes() == segment, "{}: other bytes", player.url);
    }
    for player in &tune_in() {
        player.wait_for(segment.len());
        assert!(player.bytes() == segment, "{}: other bytes", player.url);
        assert!(!player.is_closed(), "{}", player.url);
    }
}

#[test]
fn webm_that_goes_on_as_mp3_has_to_connect_again() {
    const MOUNT: &str = "/changing.webm";
    let stage = Stage::start();
    stage.node.create_mount(MOUNT, PASSWORD);
    let mut source = log_in(&stage.node, MOUNT, "Content-Type: video/webm\r\n");
    source
        .send([webm_heads(true), cluster(0, &blocks(0x80))].concat())
        .unwrap();
    // The source may be closed before it has sent all.
    let _rest_is_late = source.send(some_frames(0, 400));
    wait_closed(&mut source);
    wait_log(&stage.node, "the log says why", |log| {
        log.contains("changed from WebM to MP3 within one connection")
    });
    stage.check_other();
}

#[test]
fn a_cluster_of_64_mib_fits_into_a_ring() {
    /// How much more memory the node may take: the ring, 8 MiB, and what is on the way.
    const MOST_KIB: u64 = 40 << 10;
    const MOUNT: &str = "/huge.webm";
    let huge: Vec<Vec<u8>> = (0..64)
        .map(|number| block(20 * number, 0x80, &vec![7; 1 << 20]))
        .collect();
    let huge = cluster(0, &huge.concat());
    let stage = Stage::start();
    stage.node.create_mount(MOUNT, PASSWORD);
    let mut source = log_in(&stage.node, MOUNT, "Content-Type: video/webm\r\n");
    source.send(webm_heads(true)).unwrap();
    let before = Vitals::of(stage.node.pid());
    source.send(&huge).unwrap();
    source
        .send([cluster(1_280, &blocks(0x80)), cluster(1_680, &blocks(0x80))].concat())
        .unwrap();
    let look = || {
        let mounts = stage.node.status().mounts;
        let mount = mounts.into_iter().find(|it| it.path.as_str() == MOUNT);
        let offset = mount
            .and_then(|it| Some(it.source?.offset))
            .unwrap_or_default();
        so(offset > huge.len() as u64, offset)
    };
    eventually(PATIENCE, "all of it has come", look);
    let after = Vitals::of(stage.node.pid());
    println!("{before} before a cluster of 64 MiB, {after} behind it");
    assert!(after.rss_kib <= before.rss_kib + MOST_KIB, "{after}");
    let late = Player::tune_in(&format!("{}{MOUNT}", stage.node.url()));
    late.wait_for(webm_heads(true).len());
    assert!(late.bytes().starts_with(&webm_heads(true)));
    stage.check_other();
}
