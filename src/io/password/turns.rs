//! The queue in which logins wait for their turn to be hashed: joins its logic to tasks and time.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::logic::login_queue::{LoginNumber, LoginOrigin, LoginQueue, TurnOutcome};

/// The longest wait for a turn: an encoder gives up sooner, and only an address that guesses waits at all.
const MAX_WAIT: Duration = Duration::from_secs(20);

/// Gives turns to the logins that wait. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct TurnQueue(Arc<Mutex<TurnQueueInner>>);

#[derive(Default)]
struct TurnQueueInner {
    queue: LoginQueue,
    /// How each login that waits is told that it is its turn.
    calls: HashMap<LoginNumber, oneshot::Sender<()>>,
}

/// Held while a login waits and while its hash is computed; dropped with the work, not with the login.
pub(super) struct LoginTurn {
    turns: TurnQueue,
    number: LoginNumber,
    outcome: TurnOutcome,
}

impl LoginTurn {
    /// The password was wrong: its address has to pause.
    pub(super) fn note_wrong(&mut self) {
        self.outcome = TurnOutcome::Wrong;
    }
}

impl Drop for LoginTurn {
    fn drop(&mut self) {
        let mut state = self.turns.0.lock();
        state.calls.remove(&self.number);
        state.queue.finish(self.number, self.outcome, now());
        drop(state);
        self.turns.give_turns();
    }
}

impl TurnQueue {
    /// Waits for a turn; `None` if there is no place to wait, or the wait becomes too long.
    pub(super) async fn turn(&self, origin: LoginOrigin, account: &str) -> Option<LoginTurn> {
        let (turn, mut called) = self.enter(origin, account);
        let deadline = Instant::now() + MAX_WAIT;
        loop {
            self.give_turns();
            let ready_at = self.0.lock().queue.ready_at(turn.number, now());
            let wake_at = ready_at.map_or(deadline, |at| deadline.min(at.into()));
            tokio::select! {
                biased;
                called = &mut called => return called.is_ok().then_some(turn),
                () = sleep_until(wake_at) => if wake_at == deadline { return None },
            }
        }
    }

    fn enter(&self, origin: LoginOrigin, account: &str) -> (LoginTurn, oneshot::Receiver<()>) {
        let (call, called) = oneshot::channel();
        let mut state = self.0.lock();
        let entry = state.queue.enter(origin, account, now());
        state.calls.insert(entry.number, call);
        if let Some(displaced) = entry.displaced {
            state.calls.remove(&displaced);
        }
        let turn = LoginTurn {
            turns: self.clone(),
            number: entry.number,
            outcome: TurnOutcome::Other,
        };
        (turn, called)
    }

    /// Calls every login whose turn it is.
    fn give_turns(&self) {
        let mut state = self.0.lock();
        while let Some(number) = state.queue.start_next(now()) {
            if let Some(call) = state.calls.remove(&number) {
                // A login that was given up a moment ago drops the turn, which ends it.
                let _left = call.send(());
            }
        }
    }
}

impl fmt::Debug for TurnQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TurnQueue")
    }
}

/// Tokio's time, which a test can stop.
pub(super) fn now() -> std::time::Instant {
    Instant::now().into_std()
}
