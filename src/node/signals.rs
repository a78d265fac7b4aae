//! The signals that a node takes: only those that ask it to stop end it.

use std::future::poll_fn;
use std::io;
use std::ops::RangeInclusive;
use std::task::Poll;

use rustix::process::Signal as Known;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The wish that a signal stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// The node leaves in order.
    Stop,
    /// The node reads its settings again.
    Reload,
    /// Nothing that the node knows; the signal's name.
    Unknown(&'static str),
}

/// Each signal that would end a process which does not take it, and can come from outside; real-time signals follow in
/// [`Signals::take`]. `SIGPIPE` is not in the list: Rust's own start ignores it. `SIGXCPU` neither: it says that a
/// limit on CPU time is used up, and the kernel kills soon after.
const TAKEN: [(Known, Wish); 13] = [
    (Known::TERM, Wish::Stop),
    (Known::INT, Wish::Stop),
    (Known::QUIT, Wish::Stop),
    (Known::HUP, Wish::Reload),
    (Known::USR1, Wish::Unknown("SIGUSR1")),
    (Known::USR2, Wish::Unknown("SIGUSR2")),
    (Known::ALARM, Wish::Unknown("SIGALRM")),
    (Known::VTALARM, Wish::Unknown("SIGVTALRM")),
    (Known::PROF, Wish::Unknown("SIGPROF")),
    (Known::IO, Wish::Unknown("SIGIO")),
    // From a battery monitor: the machine may go down, and then SIGTERM comes.
    (Known::POWER, Wish::Unknown("SIGPWR")),
    (Known::STKFLT, Wish::Unknown("SIGSTKFLT")),
    // `ulimit -f`: the write fails all the same, and is treated as one on a full disk.
    (Known::XFSZ, Wish::Unknown("SIGXFSZ")),
];

/// The real-time signals that nothing in the C library uses for itself: SIGRTMIN to SIGRTMAX.
const REAL_TIME: RangeInclusive<i32> = 34..=64;

/// All signals that were taken, from the moment when this was made.
pub(super) struct Signals(Vec<(Signal, Wish)>);

impl Signals {
    /// Takes the signals from now on.
    pub(super) fn take() -> io::Result<Self> {
        let take = |(known, wish): &(Known, Wish)| {
            let taken = signal(SignalKind::from_raw(known.as_raw()))?;
            Ok((taken, *wish))
        };
        let named = TAKEN.iter().map(take);
        let real_time = REAL_TIME.map(|number| {
            let taken = signal(SignalKind::from_raw(number))?;
            Ok((taken, Wish::Unknown("a real-time signal")))
        });
        named.chain(real_time).collect::<io::Result<_>>().map(Self)
    }

    /// The next signal.
    pub(super) async fn next(&mut self) -> Wish {
        poll_fn(|context| {
            for (signal, wish) in &mut self.0 {
                if signal.poll_recv(context).is_ready() {
                    return Poll::Ready(*wish);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// The next signal that asks to stop.
    pub(super) async fn stop(&mut self) {
        while self.next().await != Wish::Stop {}
    }
}
