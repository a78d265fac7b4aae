//! How a program is started: the pipes, the guard, and what can go wrong.

use std::io::{self, PipeReader, PipeWriter, pipe};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::fchown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use super::control::{self, Report};
use super::guard;
use super::process::ChildProcess;
use super::program::{ChildPipes, Program};

/// How long a guard may take to become the program. It takes some milliseconds; a machine that is busy with hundreds
/// of programs that start takes seconds.
const START_LIMIT: Duration = Duration::from_secs(10);

/// Why a program was not started. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The file is not there.
    #[error(
        "there is no program {0}: install it, or set where it is (a script also needs the program in its first line)"
    )]
    Missing(PathBuf),
    /// The file is there, and its user may not run it.
    #[error("{user} may not run {program}: chmod a+rx it, and a+x the folders that it is in")]
    Forbidden {
        /// The program.
        program: PathBuf,
        /// The user, or a few words for that of the node.
        user: String,
    },
    /// Programs that read what strangers send never run as root.
    #[error("{0} would run as root: set another user for it, such as nobody")]
    AsRoot(PathBuf),
    /// Only root can start programs as somebody else.
    #[error(
        "the node is not root and cannot run {program} as {user}: start the node as root or as {user}, or set no user"
    )]
    NotRoot {
        /// The program.
        program: PathBuf,
        /// The user.
        user: String,
    },
    /// The guard is this node's own file.
    #[error(
        "{user} may not run the file of antiphon itself, which starts {program}: chmod a+rx the file"
    )]
    OwnFile {
        /// The program.
        program: PathBuf,
        /// The user.
        user: String,
    },
    /// A bound could not be set, or the program not run for a rare reason.
    #[error("cannot start {program}: the guard could not {step}: {error}")]
    Guard {
        /// The program.
        program: PathBuf,
        /// The step that failed.
        step: String,
        /// The answer of the system.
        #[source]
        error: io::Error,
    },
    /// The guard is not what was started, or something has killed it.
    #[error(
        "cannot start {0}: its guard ended without a word; was it killed for lack of memory? See dmesg"
    )]
    Silent(PathBuf),
    /// The guard took too long, and was killed.
    #[error(
        "{0} did not start within {START_LIMIT:?}: the machine has too much to do; give it less"
    )]
    Late(PathBuf),
    /// A pipe, a process, or a thread could not be had.
    #[error("cannot start {program}: {error}")]
    System {
        /// The program.
        program: PathBuf,
        /// The answer of the system.
        #[source]
        error: io::Error,
    },
}

/// The file of the program that contains the guard, held open: it may be replaced, and its folder closed to others.
#[derive(Debug)]
pub(super) struct GuardFile {
    _held: OwnedFd,
    path: PathBuf,
}

/// A program that runs, and the node's ends of its pipes.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) process: ChildProcess,
    pub(super) log: OwnedFd,
    pub(super) stream: Option<StreamEnds>,
}

/// The node's ends of the pipes of a stream.
#[derive(Debug)]
pub(super) struct StreamEnds {
    /// Leads to the program's standard input.
    pub(super) stdin: OwnedFd,
    /// Comes from its standard output.
    pub(super) stdout: OwnedFd,
}

impl GuardFile {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let held = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let path = format!("/proc/self/fd/{}", held.as_raw_fd());
        Ok(Self {
            _held: held,
            path: path.into(),
        })
    }

    /// Starts a program. Blocks until it runs, on the thread with which it dies.
    pub(super) fn start(&self, program: &Program) -> Result<Started, SpawnError> {
        if program.as_root() {
            return Err(SpawnError::AsRoot(program.path.clone()));
        }
        let system = |error| system_error(program, error);
        let pipes = Pipes::open(program).map_err(system)?;
        let (socket, of_guard) = UnixStream::pair().map_err(system)?;
        socket.set_read_timeout(Some(START_LIMIT)).map_err(system)?;
        let log = pipes.log.try_clone().map_err(system)?;
        let child = self
            .command(program)
            .stdin(OwnedFd::from(of_guard))
            .stdout(pipes.output.map_or_else(|| Stdio::from(log), Stdio::from))
            .stderr(pipes.log)
            .spawn();
        let process = ChildProcess::new(child.map_err(|error| not_begun(program, error))?);
        // Fails if the guard has ended already: then its report says so.
        let _told_by_report = control::send_input(&socket, pipes.input.as_fd());
        drop(pipes.input);
        match control::report(&socket) {
            Ok(Report::Became) => Ok(Started {
                process,
                log: pipes.our_log.into(),
                stream: pipes.stream,
            }),
            Ok(report) => Err(refused(program, report)),
            Err(error) if is_late(&error) => Err(SpawnError::Late(program.path.clone())),
            Err(error) => Err(system(error)),
        }
    }

    fn command(&self, program: &Program) -> Command {
        let mut command = Command::new(&self.path);
        command
            .arg0("antiphon")
            .args(guard::arguments(program))
            .env_clear()
            .envs(program.environment())
            // Not the node's: the child's user may not enter it, and it could not be unmounted.
            .current_dir("/")
            .process_group(0);
        if let Some(user) = program.other_user() {
            command.uid(user.uid).gid(user.gid);
        }
        command
    }
}

/// Both ends of all pipes of a child.
struct Pipes {
    input: OwnedFd,
    /// The log's, if not given.
    output: Option<PipeWriter>,
    log: PipeWriter,
    our_log: PipeReader,
    stream: Option<StreamEnds>,
}

impl Pipes {
    fn open(program: &Program) -> io::Result<Self> {
        let (our_log, log) = owned_pipe(program)?;
        Ok(match program.pipes {
            ChildPipes::Stream => {
                let (input, to_input) = owned_pipe(program)?;
                let (from_output, output) = owned_pipe(program)?;
                Self {
                    input: input.into(),
                    output: Some(output),
                    log,
                    our_log,
                    stream: Some(StreamEnds {
                        stdin: to_input.into(),
                        stdout: from_output.into(),
                    }),
                }
            }
            ChildPipes::Log => Self {
                input: std::fs::File::open("/dev/null")?.into(),
                output: None,
                log,
                our_log,
                stream: None,
            },
        })
    }
}

/// A pipe that belongs to the program's user: some programs open `/dev/stdout` anew, and only its owner may.
fn owned_pipe(program: &Program) -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = pipe()?;
    if let Some(user) = program.other_user() {
        // Fails where the node is not root, for which the start itself has better words.
        let _told_later = fchown(&reader, Some(user.uid), Some(user.gid));
    }
    Ok((reader, writer))
}

fn is_late(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

pub(super) fn system_error(program: &Program, error: io::Error) -> SpawnError {
    SpawnError::System {
        program: program.path.clone(),
        error,
    }
}

/// Why the guard itself did not begin.
fn not_begun(program: &Program, error: io::Error) -> SpawnError {
    let path = program.path.clone();
    let user = program.user_name();
    match Errno::from_io_error(&error) {
        Some(Errno::PERM) if program.other_user().is_some() => SpawnError::NotRoot {
            program: path,
            user,
        },
        Some(Errno::ACCESS) => SpawnError::OwnFile {
            program: path,
            user,
        },
        _ => system_error(program, error),
    }
}

/// Why the guard did not become the program.
fn refused(program: &Program, report: Report) -> SpawnError {
    let path = program.path.clone();
    let Report::Failed { step, errno } = report else {
        return SpawnError::Silent(path);
    };
    let ran_into = |error: Errno| step == guard::RUN && errno == error.raw_os_error();
    match errno {
        _ if ran_into(Errno::NOENT) || ran_into(Errno::NOTDIR) => SpawnError::Missing(path),
        _ if ran_into(Errno::ACCESS) || ran_into(Errno::PERM) => SpawnError::Forbidden {
            program: path,
            user: program.user_name(),
        },
        _ => SpawnError::Guard {
            program: path,
            step,
            error: io::Error::from_raw_os_error(errno),
        },
    }
}
