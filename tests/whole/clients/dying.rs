//! One source of each program at a node that dies and is started again: who comes back by itself?

use std::thread;
use std::time::{Duration, Instant};

use antiphon::model::stream::StreamId;

use super::encoders::SourceClient;
use super::page::seconds;
use super::program::{Launched, Program};
use super::sending::OnAir;
use super::stage::Stage;
use crate::support::node::TestNode;

/// How long the node is away: programs that try again at once find nobody.
const AWAY: Duration = Duration::from_secs(3);
/// How long programs have to come back: more than the longest pause that any of them makes.
const BACK: Duration = Duration::from_secs(20);
/// How long a mount waits for them.
const LINGER_S: u32 = 60;
/// How often is looked.
const LOOK_PERIOD: Duration = Duration::from_millis(100);

/// A program whose node dies.
struct Bereft {
    name: Program,
    mount: String,
    stream_id: StreamId,
    program: Launched,
    answer: Option<String>,
}

impl Bereft {
    /// Looks what it does, so long after its node was killed.
    fn look(&mut self, node: &TestNode, since: Instant) {
        if self.answer.is_some() {
            return;
        }
        let mounts = node.try_status().map(|it| it.mounts).unwrap_or_default();
        let own = mounts.iter().find(|it| it.path.as_str() == self.mount);
        let source = own.and_then(|it| it.source.as_ref());
        if source
            .is_some_and(|it| it.stream_id != self.stream_id && it.node.as_str() == node.name())
        {
            let after = seconds(since.elapsed());
            self.answer = Some(format!("is back by itself after {after}"));
        } else if self.program.ended().is_some() {
            self.answer = Some("exits".to_owned());
        }
    }
}

/// The doings of each program when its node was killed and started again.
pub(super) fn run(clients: &[SourceClient], stage: &mut Stage) -> Vec<(Program, String)> {
    let mut each: Vec<&SourceClient> = Vec::new();
    for client in clients {
        if each.iter().all(|it| it.program != client.program) {
            each.push(client);
        }
    }
    let named = each.iter().enumerate();
    let sources = named.map(|(number, client)| {
        let name = format!("d{number}.{}", client.kind.extension());
        OnAir::start(client, &name, LINGER_S, stage)
    });
    let sources: Vec<OnAir> = sources.collect();
    // Their folders stay until the end.
    let (mut bereft, mut folders) = (Vec::new(), Vec::new());
    for mut source in sources {
        let stream_id = source.wait_on_air(None);
        let (name, mount) = (source.client.program, source.mount.clone());
        let (program, folder) = source.into_program();
        folders.push(folder);
        bereft.push(Bereft {
            name,
            mount,
            stream_id,
            program,
            answer: None,
        });
    }
    let node = &mut stage.mesh.nodes[stage.ingest];
    let since = Instant::now();
    node.kill9();
    thread::sleep(AWAY);
    node.restart();
    while since.elapsed() < BACK && bereft.iter().any(|it| it.answer.is_none()) {
        for it in &mut bereft {
            it.look(node, since);
        }
        thread::sleep(LOOK_PERIOD);
    }
    let never = format!("keeps running, not back after {}", seconds(BACK));
    let answers = bereft.into_iter();
    answers
        .map(|it| (it.name, it.answer.unwrap_or_else(|| never.clone())))
        .collect()
}
