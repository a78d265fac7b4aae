//! The log of the program, on stderr.
//!
//! There may be no reader: a terminal that was closed, `| head`. A line that cannot be written is lost, and
//! nothing else fails.

use std::env;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::sync::LazyLock;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::log_fields::BoundedFields;
use crate::settings::LogFilter;

/// The file that this process writes its stderr to, as `/proc` shows it.
const STDERR: &str = "/proc/self/fd/2";

/// Whether systemd's journal reads what is written here: it notes the time itself, and takes a line's priority from
/// its beginning.
static IS_JOURNAL: LazyLock<bool> = LazyLock::new(|| {
    // systemd.exec(5): "device:inode" of the socket; children inherit the variable, but perhaps not the socket.
    let Some(stream) = env::var_os("JOURNAL_STREAM") else {
        return false;
    };
    let stderr = fs::metadata(STDERR);
    stderr.is_ok_and(|it| stream.to_str() == Some(&format!("{}:{}", it.dev(), it.ino())))
});

/// The log filter, which can be changed while the program runs.
pub(super) struct Log(Handle<EnvFilter, Registry>);

impl Log {
    /// Sets the filter from now on.
    pub(super) fn set(&self, filter: &LogFilter) {
        // Fails only when there is no subscriber, and this one lives as long as the process.
        let _set = self.0.reload(env_filter(filter));
    }
}

/// Sends events to stderr.
pub(super) fn start(filter: &LogFilter) -> Log {
    // https://no-color.org: any value but the empty one switches colours off.
    let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let lines = fmt::layer()
        .fmt_fields(BoundedFields)
        .with_writer(Stderr)
        .with_ansi(io::stderr().is_terminal() && !plain)
        .with_target(false);
    let lines = if *IS_JOURNAL {
        lines.without_time().boxed()
    } else {
        lines.boxed()
    };
    let (filter, handle) = reload::Layer::new(env_filter(filter));
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .init();
    Log(handle)
}

fn env_filter(filter: &LogFilter) -> EnvFilter {
    let directives = EnvFilter::try_new(filter.directives());
    directives.expect("what is checked as a filter is one to tracing")
}

/// The prefix of a line of this level for the journal: a priority of syslog (sd-daemon(3)).
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        _ => "<7>",
    }
}

/// Prints a problem of the program itself, not of its work; as an error, if the journal reads it.
pub(super) fn complain(line: &str, level: Level) {
    let mut stderr = Stderr.line(level);
    let _unread = stderr.write_all(format!("{line}\n").as_bytes());
}

/// Makes the writers of single lines.
struct Stderr;

impl Stderr {
    fn line(&self, level: Level) -> LogLine {
        let prefix = if *IS_JOURNAL { priority(level) } else { "" };
        LogLine { prefix }
    }
}

impl MakeWriter<'_> for Stderr {
    type Writer = LogLine;

    fn make_writer(&self) -> LogLine {
        self.line(Level::INFO)
    }

    fn make_writer_for(&self, metadata: &Metadata<'_>) -> LogLine {
        self.line(*metadata.level())
    }
}

/// Writes one line, in one piece.
struct LogLine {
    prefix: &'static str,
}

impl Write for LogLine {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let whole = [self.prefix.as_bytes(), text].concat();
        // tracing would report a failure on the same stderr, and end the task that logged the line.
        let _unread = io::stderr().lock().write_all(&whole);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_of_ours_is_one_of_tracings() {
        for text in [
            "info",
            "off",
            "debug,quinn=trace,antiphon::io::link=warn",
            "info,a-b=off",
        ] {
            let filter: LogFilter = text.parse().unwrap();
            env_filter(&filter);
        }
    }

    #[test]
    fn levels_are_priorities_of_syslog() {
        let all = [
            Level::ERROR,
            Level::WARN,
            Level::INFO,
            Level::DEBUG,
            Level::TRACE,
        ];
        assert_eq!(all.map(priority), ["<3>", "<4>", "<6>", "<7>", "<7>"]);
    }
}
