//! An allocator that counts what each thread allocates, and refuses a thread what is beyond its limit.
//!
//! By thread, so that tests may run side by side: what they count, they do on one thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
    /// Bytes that are allocated, and the most that were since it was set back. A thread may free what another allocated.
    static BYTES: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    /// Bytes of one allocation at the most.
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

// SAFETY: the system's allocator, with a count, and a null where there is to be no memory. The thread's numbers have no
// destructor and are made without allocating.
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

/// What `work` gives, and the bytes that it took at the most.
pub fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = BYTES.get();
    PEAK.set(before);
    let result = work();
    (result, (PEAK.get() - before) as usize)
}

/// What `work` gives, and the bytes that it leaves allocated.
pub fn held<T>(work: impl FnOnce() -> T) -> (T, isize) {
    let before = BYTES.get();
    let result = work();
    (result, BYTES.get() - before)
}

/// What `work` gives where no allocation may have more than `bytes`.
pub fn limited<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    LIMIT.set(bytes);
    let result = work();
    LIMIT.set(usize::MAX);
    result
}
