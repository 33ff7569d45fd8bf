//! The synchronisation primitives of the CPU path's threads: the standard library's or, under `cfg(wgru_loom)`, loom's. loom runs
//! a model in every order that the memory model allows (`models.rs`, `cargo xtask loom`).
//!
//! The flag is not loom's usual `cfg(loom)`: that one applies to every crate of a build, also where another project tests its own
//! code with loom and needs this crate unchanged.

#[cfg(not(wgru_loom))]
pub(super) use std::sync::{
    Arc, Condvar, Mutex, MutexGuard,
    atomic::{AtomicUsize, Ordering},
};
#[cfg(not(wgru_loom))]
pub(super) use std::thread;

#[cfg(not(wgru_loom))]
pub(super) use crate::sync::lock;

#[cfg(wgru_loom)]
pub(super) use loom::sync::{
    Arc, Condvar, Mutex, MutexGuard,
    atomic::{AtomicUsize, Ordering},
};
#[cfg(wgru_loom)]
pub(super) use loom::thread;

/// Like [`crate::sync::lock`].
#[cfg(wgru_loom)]
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
