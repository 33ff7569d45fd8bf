//! An allocator that counts what each thread allocates, and fails allocations of a thread beyond its limit.
//!
//! Counts are per thread, so that tests may run in parallel: the counted work of each is on one thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
    /// Bytes that are allocated, and their maximum since the last reset. A thread may free what another allocated.
    static BYTES: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    /// The limit on the bytes of one allocation.
    static LIMIT: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn more(bytes: usize) {
    CALLS.set(CALLS.get() + 1);
    BYTES.set(BYTES.get() + bytes as isize);
    PEAK.set(PEAK.get().max(BYTES.get()));
}

fn fewer(bytes: usize) {
    BYTES.set(BYTES.get() - bytes as isize);
}

// SAFETY: the system's allocator, with a count, and a null pointer where the allocation is to fail. The thread-local
// numbers have no destructor and are initialised without allocating.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > LIMIT.get() {
            return std::ptr::null_mut();
        }
        more(layout.size());
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        fewer(layout.size());
        // SAFETY: the caller's.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size > LIMIT.get() {
            return std::ptr::null_mut();
        }
        more(size);
        fewer(layout.size());
        // SAFETY: the caller's.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often this thread has allocated so far.
pub fn calls() -> usize {
    CALLS.get()
}

/// The result of `work`, and the most bytes that it allocated.
pub fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = BYTES.get();
    PEAK.set(before);
    let result = work();
    (result, (PEAK.get() - before) as usize)
}

/// The result of `work`, and the bytes that it leaves allocated.
pub fn held<T>(work: impl FnOnce() -> T) -> (T, isize) {
    let before = BYTES.get();
    let result = work();
    (result, BYTES.get() - before)
}

/// The result of `work` if no allocation may have more than `bytes`.
pub fn limited<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    LIMIT.set(bytes);
    let result = work();
    LIMIT.set(usize::MAX);
    result
}
