//! Real encoders on both rungs, in every format that can follow itself: what a listener has received decodes without a word.

use super::stage::{PASSWORD, mount_command};
use crate::support::decoder::{Decoding, through_ffmpeg};
use crate::support::mesh::TestMesh;
use crate::support::noise::{FORMATS, Format, Noise};
use crate::support::ogg;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::tool::have;

#[test]
fn decoders_have_no_complaint_when_listeners_are_switched() {
    if !have("ffmpeg") || !have("ogginfo") {
        return;
    }
    let mesh = TestMesh::start(2);
    std::thread::scope(|scope| {
        for format in FORMATS {
            let mesh = &mesh;
            scope.spawn(move || switch_and_decode(mesh, format));
        }
    });
}

fn switch_and_decode(mesh: &TestMesh, format: Format) {
    let Format {
        ending,
        second_bytes,
        ..
    } = format;
    let [live, auto] = ["live", "auto"].map(|name| format!("/{name}.{ending}"));
    mesh.create_mount(&auto, PASSWORD);
    let fallback = format!(r#""fallback": "{auto}""#);
    mesh.nodes[0].create_mount_with(&live, PASSWORD, &fallback);
    mesh.wait_for_mount(&live);
    let _auto = Noise::start(&mesh.nodes[0], &auto, PASSWORD, format);
    mesh.wait_on_air(&auto);
    let player = Player::tune_in(&format!("{}/_stream/n1{live}", mesh.nodes[1].url()));
    player.wait_for(2 * second_bytes);
    for _ in 0..3 {
        let source = Noise::start(&mesh.nodes[0], &live, PASSWORD, format);
        mesh.wait_each_sees(&live, "its own source", |mount| {
            mount.source.is_some() && mount.fallback_heard().is_none()
        });
        player.wait_for_more(2 * second_bytes);
        drop(source);
        mesh.wait_each_sees(&live, "a fallback", |mount| {
            mount.fallback_heard().is_some()
        });
        player.wait_for_more(2 * second_bytes);
    }
    assert!(!player.is_closed(), "{live}");
    mount_command(&mesh.nodes[0], &["delete", &live]);
    eventually(PATIENCE, "the listener is ended", || {
        so(player.is_closed(), "it plays")
    });
    let received = player.bytes();
    if ending == "opus" || ending == "ogg" {
        check_links(&live, &received);
    }
    let arguments = "-v error -i pipe:0 -af asetpts=N/SR/TB -ac 1 -ar 8000 -f s16le -";
    let Decoding { output, taken } = through_ffmpeg(arguments, &received);
    taken.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, "", "{live}: the decoder finds a fault");
    let seconds = output.stdout.len() as f64 / 16_000.0;
    assert!(seconds > 8.0, "{live}: {seconds} s");
}

/// Checks that each link of Ogg has other serial numbers than the one before. The fallback's are the same each time that it is
/// heard, which ogginfo alone complains of.
fn check_links(live: &str, received: &[u8]) {
    let links = ogg::links(received);
    assert!(links.len() >= 7, "{live}: {} links", links.len());
    for pair in links.windows(2) {
        let common = pair[0].serials.intersection(&pair[1].serials).count();
        assert_eq!(common, 0, "{live}");
    }
    let again = "stream start flag found in mid-stream";
    let mut complaints = ogg::complaints(received);
    complaints.retain(|complaint| !complaint.contains(again));
    assert_eq!(complaints, [""; 0], "{live}");
}
