//! A listener that comes late to a stream in Ogg gets the header pages first, and decodes what it gets from its first
//! byte; on the node of the source and on others.

use std::thread;
use std::time::Duration;

use crate::support::mesh::TestMesh;
use crate::support::ogg::{FIRST_PAGE, Sound, Tone};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::{Player, ask_for_stream};
use crate::support::tool::have;

const PASSWORD: &str = "hackme-not";

/// How long a stream is on air before its late listeners come: longer than a ring holds a beginning within its burst.
const LATE: Duration = Duration::from_secs(9);

/// Listens at a URL for so long, and decodes what was received as a file.
fn hear(url: &str, time: Duration) -> Sound {
    let player = Player::tune_in(url);
    player.wait_for(1_000);
    thread::sleep(time);
    Sound::decode(&player.bytes())
}

#[test]
fn ogg_joined_late_decodes_on_every_node() {
    if !have("ffmpeg") {
        return;
    }
    let mesh = TestMesh::start(2);
    let codecs = [
        ("vorbis", "libvorbis"),
        ("opus", "libopus"),
        ("flac", "flac"),
        ("speex", "libspeex"),
    ];
    let tones: Vec<Tone> = codecs
        .iter()
        .map(|(mount, codec)| {
            let mount = format!("/{mount}.ogg");
            mesh.create_mount(&mount, PASSWORD);
            Tone::start(&mesh.nodes[0], &mount, PASSWORD, codec)
        })
        .collect();
    let url =
        |node: usize, mount: &str| format!("{}/_stream/n1/{mount}.ogg", mesh.nodes[node].url());
    for (mount, _) in codecs {
        let look = || {
            let (_, head) = ask_for_stream(&url(0, mount)).map_err(|error| error.to_string())?;
            so(head.status == 200, format!("{head:?}"))
        };
        eventually(PATIENCE, mount, look);
    }
    thread::sleep(LATE);
    for (mount, _) in codecs {
        for node in 0..mesh.nodes.len() {
            let sound = hear(&url(node, mount), Duration::from_secs(2));
            println!("{mount} on node {node}: {sound:.1?}");
            sound.check(3.0);
        }
    }
    drop(tones);
}

#[test]
fn ogg_that_waited_on_standby_decodes() {
    if !have("ffmpeg") {
        return;
    }
    let mesh = TestMesh::start(2);
    let mount = "/opus.ogg";
    mesh.nodes[0].create_mount_with(mount, PASSWORD, r#""standby": true, "linger_s": 60"#);
    mesh.wait_each_sees(mount, "the mount", |_| true);
    let send_to = |node: usize| Tone::start(&mesh.nodes[node], mount, PASSWORD, "libopus");
    let urls = [0, 1].map(|node| format!("{}/_stream/n1{mount}", mesh.nodes[node].url()));
    let first = send_to(0);
    mesh.wait_on_air(mount);
    let second = send_to(1);
    let name = mesh.nodes[1].name();
    mesh.wait_each_sees(mount, "one on standby", |mount| {
        mount.standby.iter().map(|it| it.as_str()).eq([name])
    });
    let players = urls.each_ref().map(|url| Player::tune_in(url));
    thread::sleep(Duration::from_secs(4)); // its header pages have long gone by
    drop(first);
    mesh.wait_each_sees(mount, "the other on air", |mount| {
        let source = mount.source.as_ref();
        source.is_some_and(|source| source.node.as_str() == name)
    });
    thread::sleep(LATE);
    for player in &players {
        let bytes = player.bytes();
        let mut pages = bytes.windows(FIRST_PAGE.len());
        let spliced = pages.rposition(|it| it == FIRST_PAGE).unwrap();
        assert!(spliced > 0, "the listener gets the header pages of both");
        let sound = Sound::decode(&bytes[spliced..]);
        println!("a listener of both: {sound:.1?}");
        sound.check(6.0);
    }
    for url in &urls {
        let sound = hear(url, Duration::from_secs(2));
        println!("{url}: {sound:.1?}");
        sound.check(3.0);
    }
    drop(second);
}
