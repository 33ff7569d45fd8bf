//! What the threads of the CPU path synchronise by: the standard library's primitives or, under `cfg(wgru_loom)`, loom's, which
//! run a model in every order that the memory model allows (`models.rs`, `cargo xtask loom`).
//!
//! The flag is not loom's usual `cfg(loom)`: that one reaches every crate of a build, and whoever tests code of their own
//! with it needs this crate as it is.

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

/// As [`crate::sync::lock`].
#[cfg(wgru_loom)]
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
