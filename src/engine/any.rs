//! Enums with one variant for each kind of device: the only place that tells devices apart.

use std::sync::Arc;

#[cfg(feature = "gpu")]
use super::gpu::{GpuEngine, GpuPool, GpuSession, GpuStaged};
use super::host::{Cpu, Host, HostPool, HostSession, HostStaged, Reference};

macro_rules! any {
    ($(#[$doc:meta])* $name:ident: $gpu:ty, $cpu:ty, $reference:ty) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(super) enum $name {
            #[cfg(feature = "gpu")]
            Gpu($gpu),
            Cpu($cpu),
            Reference($reference),
        }
    };
}

any! {
    /// A model loaded on a device: a [`Backend`](super::backend::Backend).
    AnyBackend: Arc<GpuEngine>, Arc<Host<Cpu>>, Arc<Host<Reference>>
}
any! {
    /// States that persist from step to step: [`Steps`](super::backend::Steps).
    AnySession: Box<GpuSession>, Box<HostSession<Cpu>>, Box<HostSession<Reference>>
}
any! {
    /// A batch on its device: [`StagedRun`](super::backend::StagedRun).
    AnyStaged: Box<GpuStaged>, Box<HostStaged<Cpu>>, Box<HostStaged<Reference>>
}
any! {
    /// States in slots: [`Ticks`](super::backend::Ticks).
    AnyPool: Box<GpuPool>, Box<HostPool<Cpu>>, Box<HostPool<Reference>>
}

/// `on!(AnyPool, pool, it => …)` evaluates the expression for the variant of `pool`. `on!(AnyBackend => AnyPool, backend, it =>
/// …)` boxes the result as the same device's variant of the other enum.
macro_rules! on {
    ($kind:ident, $any:expr, $it:ident => $of:expr) => {
        match $any {
            #[cfg(feature = "gpu")]
            $crate::engine::any::$kind::Gpu($it) => $of,
            $crate::engine::any::$kind::Cpu($it) => $of,
            $crate::engine::any::$kind::Reference($it) => $of,
        }
    };
    ($kind:ident => $other:ident, $any:expr, $it:ident => $of:expr) => {
        match $any {
            #[cfg(feature = "gpu")]
            $crate::engine::any::$kind::Gpu($it) => $crate::engine::any::$other::Gpu(Box::new($of)),
            $crate::engine::any::$kind::Cpu($it) => $crate::engine::any::$other::Cpu(Box::new($of)),
            $crate::engine::any::$kind::Reference($it) => {
                $crate::engine::any::$other::Reference(Box::new($of))
            }
        }
    };
}

pub(super) use on;
