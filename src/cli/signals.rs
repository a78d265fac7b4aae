//! The signals that ask this program to stop.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Waits for Ctrl-C, for `kill`, or for the terminal to close.
pub(super) async fn asked_to_stop() -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}
