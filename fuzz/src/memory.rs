//! How much memory a law's code takes: every allocation of a target is counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The allocator of the system, with a count of what it has given.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The bytes that are held now, and the most that were held at once since [`most_held`] began.
static HELD_BYTES: AtomicUsize = AtomicUsize::new(0);
static MOST_BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all is done by the system's allocator as it is asked; to count allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    // Both are held while the bytes move from the old place to the new one.
    unsafe fn realloc(&self, place: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size);
        let moved = unsafe { System.realloc(place, layout, new_size) };
        HELD_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        moved
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        HELD_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(place, layout) }
    }
}

fn count(bytes: usize) {
    let held = HELD_BYTES.fetch_add(bytes, Ordering::Relaxed) + bytes;
    MOST_BYTES.fetch_max(held, Ordering::Relaxed);
}

/// The most bytes that were held at once while this ran, without those that were held before.
pub fn most_held(work: impl FnOnce()) -> usize {
    let before = HELD_BYTES.load(Ordering::Relaxed);
    MOST_BYTES.store(before, Ordering::Relaxed);
    work();
    MOST_BYTES.load(Ordering::Relaxed).saturating_sub(before)
}
