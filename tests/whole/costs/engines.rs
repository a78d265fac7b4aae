//! The cost for a node of passing on what its Icecast sends, beside serving the same listeners from its own ring.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{Encoder, LISTENERS, MEASURED, PASSWORD, ROUNDS, STREAMS, listen, measure};
use crate::icecast_engine::{EngineHome, wait_serving};
use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;
use crate::support::tool::have;

/// The marks around the documentation's table.
const BEGIN: &str = "<!-- costs of engines: begin -->\n";
const END: &str = "<!-- costs of engines: end -->";
/// How much more a listener may cost the node when an Icecast makes its bytes.
const MOST: f64 = 1.5;

/// The least time that listeners of MP3 cost a node, of some rounds, beyond what it uses without them.
fn cost(mesh: &TestMesh) -> Duration {
    let node: &TestNode = &mesh.nodes[0];
    let stream = STREAMS[0];
    mesh.create_mount(stream.mount, PASSWORD);
    let _encoder = Encoder::start(node, stream);
    mesh.wait_on_air(stream.mount);
    let (mut idle, mut least) = (measure(node), Duration::MAX);
    for round in 1..=ROUNDS {
        let (time, bytes) = listen(node, stream);
        println!("{round}/{ROUNDS}: {time:?} for {bytes} bytes");
        least = least.min(time);
        idle = idle.min(measure(node));
    }
    least.saturating_sub(idle)
}

#[test]
#[ignore = "takes some minutes: make costs"]
fn passed_on() {
    assert!(
        have("ffmpeg") && have("icecast2"),
        "an encoder and the engine"
    );
    let home = EngineHome::new();
    let most = ["--max-listeners", "5000"];
    let embedded = TestMesh::start_with(1, |_, setup| setup.with(&most));
    let own = cost(&embedded);
    drop(embedded);
    let icecast = TestMesh::start_with(1, |_, setup| {
        setup.with(&most).configured(&home.settings(""))
    });
    wait_serving(&icecast.nodes[0], "n1");
    let passed = cost(&icecast);
    let ratio = passed.as_secs_f64() / own.as_secs_f64();
    write_into_the_documentation(own, passed, ratio);
    assert!(ratio <= MOST, "{ratio:.2}");
}

/// Puts the table into `docs/engines.md`.
fn write_into_the_documentation(own: Duration, passed: Duration, ratio: f64) {
    let seconds = LISTENERS as f64 * MEASURED.as_secs_f64();
    let each = |time: Duration| time.as_secs_f64() * 1e6 / seconds;
    let table = format!(
        "| engine | the node's processor time for a second of a listener | beside `embedded` (≤ {MOST}) |\n| --- | --- | --- |\n\
         | `embedded` | {:.1} µs | 1.00 |\n| `icecast`, without Icecast's own | {:.1} µs | {ratio:.2} |\n",
        each(own),
        each(passed)
    );
    println!("\n{table}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/engines.md");
    let text = fs::read_to_string(&path).expect("the documentation is there");
    let (before, rest) = text.split_once(BEGIN).expect("a place for the table");
    let (_, after) = rest.split_once(END).expect("its end");
    fs::write(&path, format!("{before}{BEGIN}\n{table}\n{END}{after}")).expect("it can be written");
}
