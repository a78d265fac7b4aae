//! Files and live sources in every format: what a listener has received decodes without a word.

use std::process::Command;

use super::stage::{PASSWORD, listener, put, wait_kept, write};
use crate::support::decoder::{Decoding, through_ffmpeg};
use crate::support::mesh::TestMesh;
use crate::support::node::done;
use crate::support::noise::{FORMATS, Format, Noise};
use crate::support::ogg;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::tool::{complaint, have};

/// A second and a half of noise, which is heard again and again.
pub(super) fn noise_file(format: Format) -> Vec<u8> {
    let mut command = Command::new("ffmpeg");
    let noise =
        "-nostdin -v error -f lavfi -i anoisesrc=amplitude=0.2:sample_rate=16000:seed=7 -t 1.5";
    command
        .args(noise.split(' '))
        .args(format.encoder.split(' '));
    let output = command.arg("pipe:1").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

#[test]
fn decoders_have_no_complaint_when_listeners_hear_a_file() {
    if !have("ffmpeg") || !have("ogginfo") {
        return;
    }
    let mesh = TestMesh::start(2);
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for format in FORMATS.into_iter().filter(|format| format.ending != "flac") {
            let (mesh, folder) = (&mesh, folder.path());
            scope.spawn(move || {
                let name = format!("loop.{}", format.ending);
                put(&mesh.nodes[0], folder, &name, &noise_file(format));
                wait_kept(&mesh.nodes, &name);
                switch_and_decode(mesh, format);
            });
        }
    });
}

fn switch_and_decode(mesh: &TestMesh, format: Format) {
    let Format {
        ending,
        second_bytes,
        ..
    } = format;
    let live = format!("/live.{ending}");
    let fallback = format!(r#""fallback": "file:loop.{ending}""#);
    mesh.nodes[0].create_mount_with(&live, PASSWORD, &fallback);
    mesh.wait_for_mount(&live);
    let player = Player::tune_in(&format!("{}/_stream/n1{live}", mesh.nodes[1].url()));
    for _ in 0..2 {
        // Over the seam several times.
        player.wait_for_more(5 * second_bytes);
        let source = Noise::start(&mesh.nodes[0], &live, PASSWORD, format);
        mesh.wait_each_sees(&live, "its own source", |mount| {
            mount.source.is_some() && mount.fallback_heard().is_none()
        });
        player.wait_for_more(2 * second_bytes);
        drop(source);
        mesh.wait_each_sees(&live, "a file", |mount| mount.fallback_heard().is_some());
    }
    player.wait_for_more(5 * second_bytes);
    assert!(!player.is_closed(), "{live}");
    done(&mesh.nodes[0].command("mount", &["delete", &live]));
    eventually(PATIENCE, "the listener is ended", || {
        so(player.is_closed(), "it plays")
    });
    let received = player.bytes();
    if ending == "opus" || ending == "ogg" {
        let links = ogg::links(&received);
        assert!(links.len() >= 8, "{live}: {} links", links.len());
        for pair in links.windows(2) {
            let common = pair[0].serials.intersection(&pair[1].serials).count();
            assert_eq!(common, 0, "{live}");
        }
        assert_eq!(ogg::complaints(&received), [""; 0], "{live}");
    }
    let arguments = "-v error -i pipe:0 -af asetpts=N/SR/TB -ac 1 -ar 8000 -f s16le -";
    let Decoding { output, taken } = through_ffmpeg(arguments, &received);
    taken.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, "", "{live}: the decoder finds a fault");
    let seconds = output.stdout.len() as f64 / 16_000.0;
    assert!(seconds > 8.0, "{live}: {seconds} s");
}

#[test]
fn a_file_of_another_format_is_refused_or_left_out() {
    if !have("ffmpeg") {
        return;
    }
    let mesh = TestMesh::start(1);
    let (node, folder) = (&mesh.nodes[0], tempfile::tempdir().unwrap());
    let [mp3, _, opus, ..] = FORMATS;
    for format in [mp3, opus] {
        let name = format!("loop.{}", format.ending);
        put(node, folder.path(), &name, &noise_file(format));
        wait_kept(&mesh.nodes, &name);
    }
    mesh.create_mount("/live.mp3", PASSWORD);
    // Nobody has heard the mount yet, but both files are known.
    let both = ["set", "/live.mp3", "fallback=file:loop.mp3,file:loop.opus"];
    let said = complaint(&node.command("mount", &both), 1);
    assert!(
        said.contains("file:loop.opus is Ogg Opus, 48 kHz")
            && said.contains("/live.mp3 MP3 by its name"),
        "{said}"
    );
    mesh.create_mount("/live", PASSWORD);
    let both = ["set", "/live", "fallback=file:loop.mp3,file:loop.opus"];
    let said = complaint(&node.command("mount", &both), 1);
    assert!(
        said.contains("file:loop.opus is Ogg Opus, 48 kHz") && said.contains("file:loop.mp3 MP3, "),
        "{said}"
    );
    let forced = [
        "set",
        "/live.mp3",
        "fallback=file:loop.opus,file:loop.mp3",
        "--force",
    ];
    done(&node.command("mount", &forced));
    let _source = Noise::start(node, "/live.mp3", PASSWORD, mp3);
    mesh.wait_on_air("/live.mp3");
    let player = Player::tune_in(&format!("{}/live.mp3", node.url()));
    player.wait_for(2 * mp3.second_bytes);
    mesh.wait_each_sees("/live.mp3", "the other format", |mount| {
        mount.rungs[1].state.words().contains("another format")
    });
    let set = node.command("mount", &["set", "/live.mp3", "fallback=file:loop.opus"]);
    let said = complaint(&set, 1);
    assert!(said.contains("file:loop.opus is Ogg Opus"), "{said}");
    assert!(
        said.contains("choose a file of the same, or encode it anew"),
        "{said}"
    );
    let wrong = write(folder.path(), "wrong.opus", &noise_file(opus));
    let wrong = wrong.to_str().unwrap();
    let put = node.command("file", &["put", wrong, "--name", "loop.mp3"]);
    let said = complaint(&put, 1);
    assert!(
        said.contains("/live.mp3 plays loop.mp3 and is MP3"),
        "{said}"
    );
    drop(_source);
    mesh.wait_each_sees("/live.mp3", "the file of its format", |mount| {
        let heard = mount.fallback_heard();
        heard.is_some_and(|rung| rung.rung.to_string() == "file:loop.mp3")
    });
    player.wait_for_more(2 * mp3.second_bytes);
}

#[test]
fn who_comes_hears_a_file_of_another_format_in_the_place_of_the_only_one() {
    if !have("ffmpeg") {
        return;
    }
    let (mesh, folder) = (TestMesh::start(2), tempfile::tempdir().unwrap());
    let [mp3, _, opus, ..] = FORMATS;
    put(&mesh.nodes[0], folder.path(), "loop", &noise_file(mp3));
    wait_kept(&mesh.nodes, "loop");
    // Whoever waits as long as the mount lingers waits for longer than the test.
    let settings = r#""fallback": "file:loop", "linger_s": 600"#;
    mesh.nodes[0].create_mount_with("/live", PASSWORD, settings);
    mesh.wait_for_mount("/live");
    let old: Vec<Player> = mesh
        .nodes
        .iter()
        .map(|node| listener(node, "/live"))
        .collect();
    for player in &old {
        player.wait_for(mp3.second_bytes);
    }
    let other = write(folder.path(), "other", &noise_file(opus));
    let put = ["put", other.to_str().unwrap(), "--name", "loop", "--force"];
    done(&mesh.nodes[0].command("file", &put));
    for (node, old) in mesh.nodes.iter().zip(&old) {
        eventually(PATIENCE, "those who heard the old file are ended", || {
            so(old.is_closed(), node.name())
        });
        let new = listener(node, "/live");
        new.wait_for(2 * opus.second_bytes);
        assert!(new.bytes().starts_with(b"OggS"), "{}", node.name());
        assert!(!new.is_closed());
    }
}
