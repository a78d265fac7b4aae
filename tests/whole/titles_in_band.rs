//! Titles with their parts: from encoders and from the stream itself, in the status of every node and in the bytes of
//! listeners at every node.

use std::process::Command;

use antiphon::media::icy::block;
use antiphon::model::title::TitleInfo;

use crate::support::http::{Answer, Connection, Head, ask, basic, get};
use crate::support::mesh::TestMesh;
use crate::support::node::{TestNode, done};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::signal::{self, FRAME_BYTES, frame};
use crate::support::source::KnownSource;
use crate::support::titled::TitleListener;
use crate::support::tool::have;

const RADIO: &str = "/radio.mp3";
const OGG: &str = "/radio.ogg";
const PASSWORD: &str = "hackme-not";

/// Sets a title by a form that is posted.
fn post(node: &TestNode, mount: &str, form: &str) -> Answer {
    let form = format!("mode=updinfo&mount={mount}&{form}");
    let request = format!(
        "POST /admin/metadata HTTP/1.0\r\nAuthorization: {}\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}",
        basic("source", PASSWORD),
        form.len(),
    );
    ask(&node.address(), &request).unwrap()
}

#[test]
fn titles_that_a_source_weaves_into_its_bytes_are_taken_out() {
    let mesh = TestMesh::start(2);
    mesh.create_mount(RADIO, PASSWORD);
    let mut source = mesh.nodes[0].connect();
    let login = basic("source", PASSWORD);
    let head = format!(
        "SOURCE {RADIO} HTTP/1.0\r\nAuthorization: {login}\r\nContent-Type: audio/mpeg\r\nicy-metaint: 1000\r\n\r\n"
    );
    source.send(head).unwrap();
    assert_eq!(source.head().unwrap().status, 200);
    let frames = 0..120;
    let audio: Vec<u8> = frames.flat_map(frame).collect();
    let mut woven = audio.chunks_exact(1_000).enumerate();
    let mut send = |how_many: usize, title: &str| {
        let title = TitleInfo::plain(title).with_url("http://a/");
        for (number, part) in woven.by_ref().take(how_many) {
            source.send(part).unwrap();
            let block = if number % 2 == 0 {
                block(&title)
            } else {
                vec![0].into()
            };
            source.send(block).unwrap();
        }
    };
    send(10, "It's 'one'");
    mesh.wait_each_sees(RADIO, "the first title", |mount| {
        mount.title == "It's 'one'"
    });
    let players = [0, 1]
        .map(|index| Player::tune_in(&format!("{}/_stream/n1{RADIO}", mesh.nodes[index].url())));
    let mut listener = TitleListener::at(&mesh.nodes[1], RADIO);
    send(30, "Two");
    mesh.wait_each_sees(RADIO, "the second title", |mount| {
        let url = mount.now_playing.as_ref().map(|it| it.url.as_str());
        mount.title == "Two" && url == Some("http://a/")
    });
    listener.wait_for("StreamTitle='Two';StreamUrl='http://a/';\0");
    for player in &players {
        player.wait_for(80 * FRAME_BYTES);
        signal::check(&player.bytes());
    }
}

#[test]
fn a_title_keeps_its_parts_on_every_node() {
    let mesh = TestMesh::start(3);
    mesh.create_mount(RADIO, PASSWORD);
    let source = KnownSource::start(&mesh.nodes[mesh.others()[0]], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let nodes = mesh.nodes.iter();
    let mut listeners: Vec<_> = nodes.map(|node| TitleListener::at(node, RADIO)).collect();
    for (number, node) in mesh.nodes.iter().enumerate() {
        let form = format!("artist=A%27s&title=T{number}&album=B&url=http://a/?n={number}%26x");
        let answer = post(node, RADIO, &form);
        assert_eq!(answer.head.status, 200, "{answer:?}");
        let title = format!("T{number}");
        let url = format!("http://a/?n={number}&x");
        let text = format!("A's - {title}");
        mesh.wait_each_sees(RADIO, "the title", |mount| {
            let parts = mount.now_playing.as_ref();
            let is_whole = parts.is_some_and(|it| {
                let shown = [&it.artist, &it.title, &it.album, &it.url];
                shown == ["A's", &title, "B", &url] && it.offset > 0
            });
            mount.title == text && is_whole
        });
        for listener in &mut listeners {
            listener.wait_for(&format!("StreamTitle='{text}';StreamUrl='{url}';\0"));
        }
        for node in &mesh.nodes {
            let list = get(&node.address(), "/status-json.xsl").unwrap().text();
            let told = list.contains("\"artist\": \"A's\"");
            assert!(
                told && list.contains(&format!("\"title\": \"{title}\"")),
                "{list}"
            );
            let page = get(&node.address(), "/?part=mesh").unwrap().text();
            assert!(page.contains(&format!("A's - {title}")), "{page}");
        }
    }
    let shown = done(&mesh.nodes[0].command("status", &[]));
    assert!(shown.contains("A's - T2"), "{shown}");

    // The source moves to another node, and its title goes with it.
    drop(source);
    let _moved = KnownSource::start(&mesh.nodes[mesh.others()[1]], RADIO, PASSWORD);
    mesh.wait_each_sees(RADIO, "the title again", |mount| {
        let at = mount.source.as_ref().map(|source| source.node.as_str());
        let parts = mount.now_playing.as_ref();
        let is_whole = parts.is_some_and(|it| it.artist == "A's" && it.url.ends_with("n=2&x"));
        at == Some(mesh.nodes[mesh.others()[1]].name()) && mount.title == "A's - T2" && is_whole
    });
    assert_eq!(post(&mesh.nodes[2], RADIO, "song=").head.status, 200);
    mesh.wait_each_sees(RADIO, "no title", |mount| {
        mount.title.is_empty() && mount.now_playing.is_none()
    });
}

/// A file of Ogg Vorbis of two seconds with these comments.
fn vorbis(serial: u32, comments: &[&str]) -> Vec<u8> {
    let mut command = Command::new("ffmpeg");
    command.args("-nostdin -v error -f lavfi -i sine=frequency=440 -t 2".split(' '));
    for comment in comments {
        command.args(["-metadata", comment]);
    }
    let output = format!("-c:a libvorbis -serial_offset {serial} -f ogg pipe:1");
    let made = command.args(output.split(' ')).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    made.stdout
}

#[test]
fn comments_of_chained_ogg_are_titles() {
    if !have("ffmpeg") {
        return;
    }
    let mesh = TestMesh::start(3);
    mesh.create_mount(OGG, PASSWORD);
    let ingest = &mesh.nodes[mesh.others()[0]];
    let mut source = ingest.connect();
    let begin = format!(
        "SOURCE {OGG} HTTP/1.0\r\nAuthorization: {}\r\nContent-Type: application/ogg\r\n\r\n",
        basic("source", PASSWORD)
    );
    let mut sent = vorbis(1, &["ARTIST=Ána", "title=First", "Album=Disc"]);
    source.send([begin.as_bytes(), &sent].concat()).unwrap();
    assert_eq!(source.head().unwrap().status, 200);
    let wait_for = |text: &str, offset: usize| {
        mesh.wait_each_sees(OGG, text, |mount| {
            let begins = mount.now_playing.as_ref().map(|it| it.offset);
            let begins = begins.map_or(0, |offset| offset as usize);
            mount.title == text && begins == offset
        });
    };
    wait_for("Ána - First", 0);
    let parts = mesh.nodes[2].status().mounts[0]
        .now_playing
        .clone()
        .unwrap();
    assert_eq!(
        [parts.artist, parts.title, parts.album],
        ["Ána", "First", "Disc"]
    );
    let mut chain = |serial: u32, comments: &[&str]| {
        let begins = sent.len();
        let link = vorbis(serial, comments);
        source.send(&link).unwrap();
        sent.extend(link);
        begins
    };
    let second = chain(2, &["title=Second"]);
    wait_for("Second", second);
    chain(3, &["genre=none"]);
    wait_for("", 0);
    // A title that an encoder has told outlives a link that says none, and not one that does.
    assert_eq!(post(&mesh.nodes[0], OGG, "song=told").head.status, 200);
    mesh.wait_each_sees(OGG, "told", |mount| mount.title == "told");
    let silent = chain(4, &[]);
    mesh.wait_each_sees(OGG, "the link", |mount| {
        let source = mount.source.as_ref();
        source.is_some_and(|source| source.offset > silent as u64) && mount.title == "told"
    });
    let last = chain(5, &["artist=Last"]);
    wait_for("Last", last);
    let format = mesh.nodes[2].status().mounts[0].format.unwrap();
    assert_eq!(format.in_words(), "Ogg Vorbis, 44.1 kHz, mono");
}

/// Texts of one line, whatever the answer they stand in.
fn assert_clean(text: &str) {
    for bad in [
        "\\u0000", "\\r", "\\n", "\r", "\0", "&#0;", "&#10;", "&#13;",
    ] {
        assert!(!text.contains(bad), "{bad:?} in {text}");
    }
}

/// All that the nodes tell of the mount.
fn assert_all_clean(mesh: &TestMesh) {
    for node in &mesh.nodes {
        let status = node.status();
        assert_clean(&serde_json::to_string(&status.mounts[0]).unwrap());
        let list = get(&node.address(), "/status-json.xsl").unwrap();
        let list: serde_json::Value = serde_json::from_slice(&list.body).unwrap();
        assert_clean(&serde_json::to_string(&list).unwrap());
        let page = get(&node.address(), "/?part=mesh").unwrap().text();
        assert!(!page.contains(['\0', '\r', '\u{1}', '\u{b}']), "{page}");
    }
}

/// Offers a stream with this text in every field, and returns the answer.
fn offer(node: &TestNode, text: &str) -> (Connection, Head) {
    let fields = ["name", "description", "genre", "url", "audio-info", "x"];
    let fields = fields.map(|name| format!("ice-{name}: {text}\r\n"));
    let mut source = node.connect();
    let (login, fields) = (basic("source", PASSWORD), fields.concat());
    source
        .send(format!(
            "PUT {RADIO} HTTP/1.1\r\nHost: x\r\nAuthorization: {login}\r\n\
             Content-Type: audio/mpeg\r\n{fields}\r\n"
        ))
        .unwrap();
    let head = source.head().unwrap();
    (source, head)
}

#[test]
fn line_ends_and_zeros_stand_in_no_field() {
    let mesh = TestMesh::start(2);
    mesh.create_mount(RADIO, PASSWORD);
    let node = &mesh.nodes[0];
    let (mut source, head) = offer(node, "x\r y\u{1}z\u{b}w\0v");
    assert_eq!(head.status, 200, "{head:?}");
    source.send(frame(0).repeat(40)).unwrap();
    mesh.wait_each_sees(RADIO, "its name", |mount| mount.name == "x  y z w v");
    assert_all_clean(&mesh);
    drop(source);
    let _source = KnownSource::start(node, RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let mut listener = TitleListener::at(&mesh.nodes[1], RADIO);
    for (form, title) in [
        (
            "artist=A%00%0d%0aB&title=C%0dD&album=%0aE%0d&url=http%3A//a%0d%0aSet-Cookie:x",
            "A  B - C D",
        ),
        ("song=%0d%0a%00", ""),
        ("song=S%0aT%E2%80%A8U", "S T U"),
        ("song=%FF%FE%80", "ÿþ€"),
    ] {
        assert_eq!(post(node, RADIO, form).head.status, 200, "{form}");
        mesh.wait_each_sees(RADIO, title, |mount| mount.title == title);
        assert_all_clean(&mesh);
    }
    let long = format!("song={}", "%C3%A9".repeat(32 << 10));
    assert_eq!(post(node, RADIO, &long).head.status, 200, "64 kB are cut");
    mesh.wait_each_sees(RADIO, "the long title", |mount| {
        mount.title.starts_with("éé")
    });
    // The words that players see: 4,080 bytes, and a whole number of letters.
    listener.wait_for(&format!("StreamTitle='{}';", "é".repeat(2_032)));
    let heard = String::from_utf8_lossy(&listener.heard).into_owned();
    for block in heard.split("StreamTitle='").skip(1) {
        let told = block.split("';").next().unwrap();
        assert!(!told.contains(['\r', '\n', '\0']), "{told:?}");
    }
}

/// A file of Ogg Opus of three seconds, at 128 kbit/s, with this title.
fn opus(serial: u32, title: &str) -> Vec<u8> {
    let mut command = Command::new("ffmpeg");
    command.args("-nostdin -v error -f lavfi -i anoisesrc=d=3:a=0.1 -b:a 128k".split(' '));
    command.args(["-metadata", &format!("title={title}")]);
    let output = format!("-c:a libopus -serial_offset {serial} -f ogg pipe:1");
    let made = command.args(output.split(' ')).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    made.stdout
}

/// Takes the titles out of a stream: its bytes, and for each block the bytes before it and its title if it has one.
fn separate(mut woven: &[u8]) -> (Vec<u8>, Vec<(usize, Option<String>)>) {
    let (mut audio, mut titles) = (Vec::new(), Vec::new());
    loop {
        let (part, rest) = woven.split_at(woven.len().min(16_000));
        audio.extend_from_slice(part);
        let Some((units, rest)) = rest.split_first() else {
            return (audio, titles);
        };
        let (block, rest) = rest.split_at(rest.len().min(usize::from(*units) * 16));
        let text = String::from_utf8_lossy(block).into_owned();
        let title = text.strip_prefix("StreamTitle='");
        let title = title.and_then(|title| title.split_once("';"));
        titles.push((audio.len(), title.map(|(title, _)| title.to_owned())));
        woven = rest;
    }
}

/// How many bytes of what was sent a listener was not sent, between the header pages and its first page; `None` as long
/// as it has not heard what was sent two pages before the end. What it has heard must be unchanged.
fn skipped(sent: &[u8], heard: &[u8]) -> Option<usize> {
    let (from, to) = (sent.len() - 40_000, sent.len() - 39_000);
    let mut places = heard.windows(to - from);
    let place = places.position(|part| part == &sent[from..to])?;
    let skipped = from - place;
    // The two header pages of the first link.
    let heads = 1_000;
    assert_eq!(heard[..40], sent[..40]);
    let behind = &heard[heads..place];
    assert_eq!(behind, &sent[heads + skipped..from]);
    Some(skipped)
}

#[test]
fn titles_are_woven_into_ogg_for_who_asks_twice() {
    if !have("ffmpeg") {
        return;
    }
    let mesh = TestMesh::start(2);
    mesh.create_mount(OGG, PASSWORD);
    let links = [(1, "One"), (2, "Two"), (3, "Three")];
    let links = links.map(|link| (link.1, opus(link.0, link.1)));
    let mut source = mesh.nodes[0].connect();
    let begin = format!(
        "SOURCE {OGG} HTTP/1.0\r\nAuthorization: {}\r\nContent-Type: application/ogg\r\n\r\n",
        basic("source", PASSWORD)
    );
    source
        .send([begin.as_bytes(), &links[0].1].concat())
        .unwrap();
    assert_eq!(source.head().unwrap().status, 200);
    mesh.wait_each_sees(OGG, "the first title", |mount| mount.title == "One");

    let edge = &mesh.nodes[1];
    let ask = |method: &str, query: &str, icy: &str| {
        let mut connection = edge.connect();
        connection
            .send(format!(
                "{method} /_stream/n1{OGG}{query} HTTP/1.0\r\n{icy}\r\n"
            ))
            .unwrap();
        let head = connection.head().unwrap();
        let interval = head.header("icy-metaint").map(str::to_owned);
        (connection, interval)
    };
    let wants = "Icy-MetaData: 1\r\n";
    for (query, icy, interval) in [
        ("", wants, None),
        ("?icy=1", "", None),
        ("?icy=0", wants, None),
        ("?a=b&icy=1", wants, Some("16000".to_owned())),
    ] {
        for method in ["GET", "HEAD"] {
            let (_connection, found) = ask(method, query, icy);
            assert_eq!(found, interval, "{method} {query} {icy}");
        }
    }
    let (mut woven, _) = ask("GET", "?icy=1", wants);
    let (mut plain, _) = ask("GET", "", wants);
    let mut begins = vec![(0, links[0].0)];
    let mut sent = links[0].1.clone();
    for (title, link) in &links[1..] {
        begins.push((sent.len(), title));
        source.send(link).unwrap();
        sent.extend(link);
    }
    let mut heard = Vec::new();
    eventually(PATIENCE, "the stream with titles", || {
        heard.extend(woven.some(4_096).unwrap());
        let (audio, titles) = separate(&heard);
        let mut last = titles
            .iter()
            .filter(|(_, title)| title.as_deref() == Some("Three"));
        so(
            last.next().is_some() && skipped(&sent, &audio).is_some(),
            "not yet",
        )
    });
    let (audio, titles) = separate(&heard);
    let before = skipped(&sent, &audio).unwrap();
    let mut shown = None;
    for (place, title) in titles {
        let said = title.or_else(|| shown.clone());
        let (_, on_air) = begins
            .iter()
            .rev()
            .find(|(begin, _)| *begin <= before + place)
            .unwrap();
        assert_eq!(said.as_deref(), Some(*on_air), "at byte {place}");
        shown = said;
    }
    assert_eq!(shown.as_deref(), Some("Three"));
    let mut untouched = Vec::new();
    eventually(PATIENCE, "the plain stream", || {
        untouched.extend(plain.some(4_096).unwrap());
        so(skipped(&sent, &untouched).is_some(), "not yet")
    });
}
