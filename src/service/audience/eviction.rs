//! Ends all listeners of this node, one by one, so that they do not all reconnect elsewhere at once.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::sleep;

use super::{Attendee, Audience};
use crate::io::clock;
use crate::io::pacer::Left;

/// How often the next listeners are ended. The pacer visits each of them after half a second at most, so that shorter
/// steps would make their ends no more even.
const STEP: Duration = Duration::from_millis(50);

/// How many of so many listeners may still be there after a part of the time over which all are ended.
fn keeps(listeners: usize, elapsed: Duration, over: Duration) -> usize {
    let left = over.saturating_sub(elapsed);
    if left.is_zero() {
        return 0;
    }
    (listeners as f64 * left.div_duration_f64(over)).ceil() as usize
}

impl Audience {
    /// Ends all listeners, spread evenly over this time, and returns when they have left. Newcomers are served meanwhile.
    /// A second eviction beside this one hurries it.
    pub async fn evict(&self, over: Duration) {
        let began = clock::now();
        let mut staying: VecDeque<Weak<Attendee>> = {
            let register = self.register.lock();
            register.attendees.values().map(Arc::downgrade).collect()
        };
        let (listeners, mut ending) = (staying.len(), Vec::new());
        loop {
            staying.retain(is_here);
            ending.retain(is_here);
            let elapsed = clock::now().saturating_duration_since(began);
            let ends_now = staying
                .len()
                .saturating_sub(keeps(listeners, elapsed, over));
            for leaving in staying.drain(..ends_now) {
                if let Some(attendee) = leaving.upgrade() {
                    attendee.control.end(Left::Stopped);
                    ending.push(leaving);
                }
            }
            if staying.is_empty() && ending.is_empty() {
                return;
            }
            sleep(STEP).await;
        }
    }
}

/// Whether a listener has not left yet.
fn is_here(attendee: &Weak<Attendee>) -> bool {
    attendee.strong_count() > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::audience::Attendance;
    use crate::service::audience::tests::Stage;

    #[test]
    fn listeners_are_ended_evenly() {
        let over = Duration::from_secs(10);
        let keeps = |s| keeps(100, Duration::from_secs(s), over);
        assert_eq!([0, 1, 5, 9, 10, 11].map(keeps), [100, 90, 50, 10, 0, 0]);
        assert_eq!(super::keeps(5, Duration::ZERO, Duration::ZERO), 0);
    }

    /// Lets those leave that were ended; how many stay.
    fn leave(attending: &mut Vec<Attendance>) -> usize {
        attending.retain(|it| it.attendee().control().ended().is_none());
        attending.len()
    }

    #[tokio::test(start_paused = true)]
    async fn an_eviction_takes_its_time_and_spares_newcomers() {
        let stage = Stage::open();
        let mut attending: Vec<Attendance> = (0..100).map(|_| stage.enter()).collect();
        let audience = stage.audience.clone();
        let evicting = tokio::spawn(async move { audience.evict(Duration::from_secs(10)).await });
        sleep(Duration::from_secs(5)).await;
        let newcomer = stage.enter();
        assert!((49..=51).contains(&leave(&mut attending)));
        sleep(Duration::from_secs(5) + STEP).await;
        assert!(!evicting.is_finished(), "the others have not left");
        assert_eq!(leave(&mut attending), 0);
        evicting.await.unwrap();
        assert_eq!(newcomer.attendee().control().ended(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_eviction_hurries_the_first() {
        let stage = Stage::open();
        let mut attending: Vec<Attendance> = (0..10).map(|_| stage.enter()).collect();
        let (first, second) = (stage.audience.clone(), stage.audience.clone());
        let first = tokio::spawn(async move { first.evict(Duration::from_secs(3_600)).await });
        sleep(STEP).await;
        let second = tokio::spawn(async move { second.evict(Duration::ZERO).await });
        sleep(STEP).await;
        assert_eq!(leave(&mut attending), 0);
        sleep(2 * STEP).await;
        assert!(first.is_finished() && second.is_finished());
    }

    #[tokio::test(start_paused = true)]
    async fn an_eviction_of_no_listener_is_over_at_once() {
        let (stage, began) = (Stage::open(), clock::now());
        stage.audience.evict(Duration::from_secs(10)).await;
        assert_eq!(clock::now(), began);
    }
}
