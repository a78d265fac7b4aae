//! The mesh that encoders and players come to, and how several of them are run at a time.

use std::any::Any;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::samples::Samples;
use crate::support::ca::TestCa;
use crate::support::https::TlsFolder;
use crate::support::mesh::TestMesh;
use crate::support::node::TestNode;

/// The password of all mounts.
pub(super) const PASSWORD: &str = "hackme-not";

/// Three nodes, and what is played to them.
#[derive(Debug)]
pub(super) struct Stage {
    /// The nodes.
    pub(super) mesh: TestMesh,
    /// The files.
    pub(super) samples: Samples,
    /// The node that all sources come to. It is not the master.
    pub(super) ingest: usize,
    /// The certificate of all nodes, for `localhost`.
    _tls: TlsFolder,
}

impl Stage {
    /// Starts the nodes and makes the files. The first node may take no listeners, and redirect them all.
    pub(super) fn set(first_redirects: bool) -> Self {
        let (samples, tls) = (Samples::make(), TlsFolder::new());
        let _ca = TestCa::get().write_into(samples.folder());
        let mesh = TestMesh::start_with(3, |index, setup| match index {
            0 if first_redirects => tls.of(setup).with(&["--max-listeners", "0"]),
            _ => tls.of(setup),
        });
        let ingest = mesh.others()[0];
        Self {
            mesh,
            samples,
            ingest,
            _tls: tls,
        }
    }

    /// The node that sources come to.
    pub(super) fn ingest(&self) -> &TestNode {
        &self.mesh.nodes[self.ingest]
    }

    /// The node that may redirect.
    pub(super) fn front(&self) -> &TestNode {
        &self.mesh.nodes[0]
    }

    /// The other nodes.
    pub(super) fn elsewhere(&self) -> [&TestNode; 2] {
        let others: Vec<&TestNode> = (0..self.mesh.nodes.len())
            .filter(|it| *it != self.ingest)
            .map(|it| &self.mesh.nodes[it])
            .collect();
        others.try_into().expect("three nodes")
    }

    /// Puts what is so into a text: where a source goes, with what, and as what.
    pub(super) fn fill(&self, text: &str, mount: &str, here: &Path) -> String {
        let address = self.ingest().address();
        let (host, port) = address.split_once(':').expect("HOST:PORT");
        let before = port.parse::<u16>().expect("a port") - 1;
        let here = here.display().to_string();
        let samples = self.samples.folder().display().to_string();
        [
            ("{address}", &*address),
            ("{host}", host),
            ("{port}", port),
            ("{port_before}", &before.to_string()),
            ("{password}", PASSWORD),
            ("{mount}", mount.trim_start_matches('/')),
            ("{samples}", &samples),
            ("{here}", &here),
        ]
        .iter()
        .fold(text.to_owned(), |text, (word, value)| {
            text.replace(word, value)
        })
    }
}

/// Whether a client of this name is wanted: `CLIENTS=liquidsoap,VLC` runs only those whose names have one of these in
/// them.
pub(super) fn is_wanted(name: &str) -> bool {
    let (name, wanted) = (name.to_lowercase(), env::var("CLIENTS").unwrap_or_default());
    let wanted = wanted.to_lowercase();
    wanted.split(',').any(|word| name.contains(word))
}

/// Whether all clients are wanted, so that the tables can be written.
pub(crate) fn is_everything() -> bool {
    env::var("CLIENTS").is_err()
}

/// Runs some things, so many at a time; what came of each, in their order. A panic is a failure of that one alone.
pub(super) fn run_all<T: Sync, R: Send>(
    things: &[T],
    at_a_time: usize,
    run: impl Fn(usize, &T) -> R + Sync,
) -> Vec<Result<R, String>> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<Result<R, String>>>> =
        Mutex::new(things.iter().map(|_| None).collect());
    thread::scope(|scope| {
        for _ in 0..at_a_time {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(thing) = things.get(index) else {
                        return;
                    };
                    let result = catch_unwind(AssertUnwindSafe(|| run(index, thing)));
                    let result = result.map_err(|panic| words_of(&*panic));
                    results.lock().unwrap()[index] = Some(result);
                }
            });
        }
    });
    let results = results.into_inner().unwrap().into_iter();
    results
        .map(|it| it.expect("each of them was run"))
        .collect()
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked without a word").to_owned()
}
