//! An array that several threads write, each its own part.

use std::marker::PhantomData;

/// An exclusively borrowed array whose parts are handed to several threads.
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

// SAFETY: a mutable borrow, of whose parts a thread either has one alone or reads one that nobody writes, by the contract of
// its methods.
unsafe impl<T: Send + Sync> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(super) fn new(array: &'a mut [T]) -> Self {
        Self { start: array.as_mut_ptr(), len: array.len(), borrowed: PhantomData }
    }

    /// Elements `at .. at + len` as an array of their own.
    #[inline(always)]
    pub(super) fn part(self, at: usize, len: usize) -> Self {
        assert!(at <= self.len && len <= self.len - at, "{at} + {len} of {}", self.len);
        // SAFETY: within the array.
        Self { start: unsafe { self.start.add(at) }, len, ..self }
    }

    /// Elements `at .. at + len`.
    ///
    /// # Safety
    /// Nobody writes them while the slice is used.
    #[inline(always)]
    pub(super) unsafe fn slice(self, at: usize, len: usize) -> &'a [T] {
        // SAFETY: within the array, which is borrowed for 'a; the rest is the caller's.
        unsafe { std::slice::from_raw_parts(self.part(at, len).start, len) }
    }

    /// Elements `at .. at + len`, to be written.
    ///
    /// # Safety
    /// Nobody else reads or writes them while the slice is used.
    #[inline(always)]
    pub(super) unsafe fn slice_mut(self, at: usize, len: usize) -> &'a mut [T] {
        // SAFETY: within the array, which is borrowed for 'a; the rest is the caller's.
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
    /// As [`Shared::slice`]: the layer below has written it and writes it no more.
    #[inline(always)]
    pub(super) unsafe fn slice(&self, at: usize, len: usize) -> &[f32] {
        match self {
            Self::Caller(x) => &x[at..at + len],
            // SAFETY: the caller's.
            Self::Layer(y) => unsafe { y.slice(at, len) },
        }
    }
}
