//! The pacer that serves listeners, and the ones whose listeners are being ended.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::io::pacer::{Pacer, PacerConfig};

/// The pacer that newcomers are given to. Another takes its place when its listeners are to be ended.
pub struct PacerHandle(Mutex<Pacers>);

struct Pacers {
    current: Pacer,
    /// Those whose listeners are being ended.
    leaving: Vec<Pacer>,
}

impl std::fmt::Debug for PacerHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pacer")
    }
}

impl PacerHandle {
    /// Starts the threads. Fails if the system refuses one.
    pub fn start() -> io::Result<Self> {
        Ok(Self(Mutex::new(Pacers {
            current: Pacer::start(PacerConfig::default())?,
            leaving: Vec::new(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Pacers> {
        // Each change is one call that leaves them whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn current(&self) -> Pacer {
        self.lock().current.clone()
    }

    /// Ends all listeners, spread over this time, and returns when they are gone. Newcomers are served meanwhile.
    /// Those who are being ended already are hurried to the same time.
    pub async fn evict(&self, spread: Duration) -> io::Result<()> {
        let next = Pacer::start(PacerConfig::default())?;
        let leaving = {
            let mut pacers = self.lock();
            let before = std::mem::replace(&mut pacers.current, next);
            pacers.leaving.retain(|pacer| pacer.counts().listeners > 0);
            pacers.leaving.push(before);
            pacers.leaving.clone()
        };
        for pacer in &leaving {
            match pacer.counts().listeners {
                0 => pacer.close_all(),
                _ => pacer.drain(spread),
            }
        }
        for pacer in &leaving {
            pacer.stopped().await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::io::feed::Feed;
    use crate::io::pacer::{Left, Listener};
    use crate::media::ring::samples::ring;

    #[tokio::test]
    async fn a_second_eviction_hurries_the_first() {
        let pacers = Arc::new(PacerHandle::start().unwrap());
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let _player = std::net::TcpStream::connect(door.local_addr().unwrap()).unwrap();
        let (left, leaving) = tokio::sync::oneshot::channel();
        let listener = Listener {
            socket: door.accept().unwrap().0,
            head: Bytes::new(),
            feed: Feed::new(ring("audio/mpeg")),
            from: 0,
            icy: None,
            replaced: None,
            leave: Box::new(move |why, _| left.send(why).unwrap()),
        };
        assert!(pacers.current().add(listener).is_ok());
        let slow = pacers.clone();
        let slow = tokio::spawn(async move { slow.evict(Duration::from_secs(3_600)).await });
        while pacers.lock().leaving.is_empty() {
            tokio::task::yield_now().await;
        }
        pacers.evict(Duration::ZERO).await.unwrap();
        assert_eq!(leaving.await, Ok(Left::Stopped));
        slow.await.unwrap().unwrap();
    }
}
