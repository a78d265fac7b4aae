//! The thread on which all programs of a node are started, because they die with it.

use std::io;
use std::path::Path;
use std::thread;

use tokio::sync::{mpsc, oneshot};

use super::Spawned;
use super::life::ChildLife;
use super::program::Program;
use super::start::{GuardFile, SpawnError, Started, system_error};
use crate::io::tasks::Tasks;

/// The file of the program that runs, also when another one has taken its place on disk.
const OWN_FILE: &str = "/proc/self/exe";
/// How many programs may wait to be started; whoever wants another one waits, too. A node has a few for each processor.
const MOST_WAITING: usize = 16;

/// A way to start programs; clones share it. Its thread ends when nobody has it and no program runs any more.
#[derive(Clone, Debug)]
pub struct Spawner {
    requests: mpsc::Sender<SpawnRequest>,
    tasks: Tasks,
}

#[derive(Debug)]
struct SpawnRequest {
    program: Program,
    answer: oneshot::Sender<Result<Started, SpawnError>>,
}

impl Spawner {
    /// Starts the thread. `tasks` get two for each program that runs.
    pub fn start(tasks: &Tasks) -> io::Result<Self> {
        Self::with_guard_of(Path::new(OWN_FILE), tasks)
    }

    /// The same for a process that is not antiphon itself, such as a test; the file is antiphon's.
    pub fn with_guard_of(file: &Path, tasks: &Tasks) -> io::Result<Self> {
        let guard = GuardFile::open(file)?;
        let (requests, mut waiting) = mpsc::channel::<SpawnRequest>(MOST_WAITING);
        let serve = move || {
            while let Some(request) = waiting.blocking_recv() {
                let started = guard.start(&request.program);
                // Nobody waits any longer: dropped, the program ends.
                let _unwanted = request.answer.send(started);
            }
        };
        thread::Builder::new()
            .name("spawner".to_owned())
            .spawn(serve)?;
        Ok(Self {
            requests,
            tasks: tasks.clone(),
        })
    }

    /// Starts a program, and returns when it runs. If this is dropped meanwhile, the program is ended.
    pub async fn spawn(&self, program: Program) -> Result<Spawned, SpawnError> {
        let failed = |error| system_error(&program, error);
        let (answer, started) = oneshot::channel();
        let request = SpawnRequest {
            program: program.clone(),
            answer,
        };
        let gone = || failed(io::Error::other("the thread that starts programs is gone"));
        self.requests.send(request).await.map_err(|_| gone())?;
        let started = started.await.map_err(|_| gone())??;
        let (life, spawned) =
            ChildLife::begin(started, program.limits, &self.tasks).map_err(failed)?;
        // The thread has to outlive the program, which would end with it.
        let spawner = self.clone();
        self.tasks.spawn(async move {
            life.run().await;
            drop(spawner);
        });
        Ok(spawned)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ChildLimits, ChildPipes, user_named};
    use super::*;

    #[test]
    fn this_program_finds_its_own_file() {
        assert!(Spawner::start(&Tasks::default()).is_ok());
    }

    #[tokio::test]
    async fn a_file_without_a_guard_starts_nothing() {
        let tasks = Tasks::default();
        let spawner = Spawner::with_guard_of(Path::new("/bin/true"), &tasks).unwrap();
        let program = Program {
            path: "/bin/sleep".into(),
            arguments: Vec::new(),
            pipes: ChildPipes::Log,
            user: user_named("nobody").ok(),
            limits: ChildLimits::default(),
        };
        let error = spawner.spawn(program).await.unwrap_err();
        // Only root can be anybody else.
        let told = matches!(error, SpawnError::Silent(_) | SpawnError::NotRoot { .. });
        assert!(told, "{error}");
        let missing = Spawner::with_guard_of(Path::new("/no/such/file"), &tasks);
        assert!(missing.is_err());
        assert_eq!(tasks.count(), 0);
    }
}
