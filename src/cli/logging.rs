//! What the program tells of its work, on stderr.

use std::env;
use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use super::terminal;

/// Sends events to stderr, filtered as `ANTIPHON_LOG` or else `RUST_LOG` says.
pub(super) fn start() {
    // https://no-color.org: any value but the empty one switches colours off.
    let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter())
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && !plain)
        .with_target(false);
    // systemd sets this when its journal, which notes the time itself, reads what is written here.
    if env::var_os("JOURNAL_STREAM").is_some() && !io::stderr().is_terminal() {
        lines.without_time().init();
    } else {
        lines.init();
    }
}

fn filter() -> EnvFilter {
    let usual = || EnvFilter::new("info");
    let given = ["ANTIPHON_LOG", "RUST_LOG"].into_iter().find_map(|name| {
        let value = env::var(name).ok().filter(|value| !value.is_empty())?;
        Some((name, value))
    });
    let Some((name, value)) = given else {
        return usual();
    };
    EnvFilter::try_new(&value).unwrap_or_else(|error| {
        // A node must not stay down for a slip in what it logs.
        terminal::complain(&format!(
            "{name}={value:?} is no log filter ({error}); using info"
        ));
        usual()
    })
}
