//! An array that several threads write, each its own part.

use std::marker::PhantomData;

/// An exclusively borrowed array whose parts are given to several threads.
///
/// No two threads have the same part, unless both read it. These rules ensure that, and the unsafe code of a run names them:
///
/// * *rows*: each batch row is in one piece or group, once (`distribute` in `run.rs`), and only the threads that have it touch its
///   numbers;
/// * *tracks*: of these threads only those of one track touch the arrays of that track, and its direction of a layer's states and
///   sequence;
/// * *shares*: of these a thread writes its own blocks alone, which `Direction::share` cuts without overlap, between two barriers
///   of the track;
/// * *steps*: a step reads one array of h, which no thread writes before the track's next barrier, and writes the other;
/// * *layers*: a sequence between layers is read up to the step that its layer has reported (`Track::below`), or after the
///   group's barrier that follows its last step. No step is written twice between two barriers of the group.
///
/// loom checks what a barrier promises (`models.rs`); Miri checks all of it, in the orders that it takes.
#[derive(Debug)]
pub(super) struct Shared<'a, T = f32> {
    start: *mut T,
    len: usize,
    borrowed: PhantomData<&'a mut [T]>,
}

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<'_, T> {}

// SAFETY: it stands for a mutable borrow, which may be sent to another thread where T may. Copies share the array, but elements
// are accessible by unsafe methods alone, whose callers ensure that none is written while another thread has it.
unsafe impl<T: Send + Sync> Send for Shared<'_, T> {}
// SAFETY: as above: a reference gives no more than a copy.
unsafe impl<T: Send + Sync> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(super) fn new(array: &'a mut [T]) -> Self {
        Self { start: array.as_mut_ptr(), len: array.len(), borrowed: PhantomData }
    }

    /// Elements `at .. at + len` as an array of their own.
    #[inline(always)]
    pub(super) fn part(self, at: usize, len: usize) -> Self {
        // Unsafe code relies on it; a panic in a run becomes an error of that run.
        assert!(at <= self.len && len <= self.len - at, "{at} + {len} of {}", self.len);
        // SAFETY: `at` is at most the length of the array, so the pointer stays within it or at its end.
        Self { start: unsafe { self.start.add(at) }, len, ..self }
    }

    /// Elements `at .. at + len`.
    ///
    /// # Safety
    /// No thread writes them while the slice is used, by the rules of [`Shared`].
    #[inline(always)]
    pub(super) unsafe fn slice(self, at: usize, len: usize) -> &'a [T] {
        // SAFETY: `part` has checked that they are within the array, which is initialised and borrowed for 'a. The caller
        // promises that no thread writes them meanwhile.
        unsafe { std::slice::from_raw_parts(self.part(at, len).start, len) }
    }

    /// Elements `at .. at + len`, to be written.
    ///
    /// # Safety
    /// No other thread reads or writes them while the slice is used, by the rules of [`Shared`].
    #[inline(always)]
    pub(super) unsafe fn slice_mut(self, at: usize, len: usize) -> &'a mut [T] {
        // SAFETY: `part` has checked that they are within the array, which is initialised and borrowed for 'a. The caller
        // promises that no other thread touches them meanwhile.
        unsafe { std::slice::from_raw_parts_mut(self.part(at, len).start, len) }
    }
}

/// Where x comes from.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    Caller(&'a [f32]),
    Layer(Shared<'a>),
}

impl Source<'_> {
    /// # Safety
    /// For a layer's sequence, rule *layers* of [`Shared`] holds for these elements.
    #[inline(always)]
    pub(super) unsafe fn slice(&self, at: usize, len: usize) -> &[f32] {
        match self {
            Self::Caller(x) => &x[at..at + len],
            // SAFETY: the caller promises that the layer below has written these and writes them no more.
            Self::Layer(y) => unsafe { y.slice(at, len) },
        }
    }
}
