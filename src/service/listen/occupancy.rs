//! A listener's place at this node, which the next request of the same player may take over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::service::load::CapacityShare;
use crate::service::streams::Reading;

/// What a listener takes of the node and of its mount. Given back when it is dropped, unless another has it by then.
#[derive(Debug)]
pub(super) struct Occupancy {
    held: Mutex<Option<(CapacityShare, Reading)>>,
    replaced: Arc<AtomicBool>,
}

impl Occupancy {
    pub(super) fn new(admission: CapacityShare, reading: Reading) -> Arc<Self> {
        Arc::new(Self {
            held: Mutex::new(Some((admission, reading))),
            replaced: Arc::default(),
        })
    }

    /// Set once another has the place: the stream of whoever had it ends then.
    pub(super) fn replaced(&self) -> Arc<AtomicBool> {
        self.replaced.clone()
    }

    /// The place, for the next request of the same player; none if it was handed over before.
    pub(super) fn hand_over(&self) -> Option<CapacityShare> {
        // It is taken as a whole.
        let held = self
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let (admission, _read_no_more) = held?;
        self.replaced.store(true, Ordering::Relaxed);
        Some(admission)
    }
}
