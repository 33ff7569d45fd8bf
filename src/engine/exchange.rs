//! Whether a device supports the exchange between workgroups, and how its runs ended.

#[cfg(feature = "gpu")]
use std::sync::Mutex;

#[cfg(feature = "gpu")]
use crate::gpu::Context;
use crate::plan;
#[cfg(feature = "gpu")]
use crate::plan::Fault;
#[cfg(feature = "gpu")]
use crate::program::Completion;
use crate::program::Stopped;
#[cfg(feature = "gpu")]
use crate::sync::lock;

/// Whether the planner may let several workgroups of one dispatch exchange values after every step.
///
/// No API guarantees that workgroups run at the same time, so the planner uses the exchange only where a test has shown it to
/// work. A run that fails nevertheless is detected and falls back to per-step kernels, with the same result: see
/// [`crate::Engine::fallbacks`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exchange {
    /// If the device has passed [`crate::Device::self_test`] in this process, and no run on it has failed since.
    #[default]
    Tested,
    /// Never.
    Never,
    /// As if the device had passed with this result, for tests of the fallback path. A run may take long before it falls back.
    Forced(plan::Exchange),
}

/// Runs with a multi-workgroup kernel that fell back to per-step kernels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fallbacks {
    /// Their number.
    pub count: u64,
    /// Where the last of them fell back.
    pub last: Option<Fallback>,
}

/// The beginning of the first incomplete chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fallback {
    /// The layer.
    pub layer: usize,
    /// The step.
    pub step: usize,
    /// How far the workgroups came.
    pub cause: Stopped,
}

/// Steps of one dispatch of a multi-workgroup kernel: at twenty microseconds each, well under the tenth of a second that
/// operating systems allow.
#[cfg(feature = "gpu")]
const STEPS: usize = 1024;

/// The result of a device's self-test.
#[cfg(feature = "gpu")]
pub(super) fn tested(context: &Context) -> Option<plan::Exchange> {
    let (workgroups, workgroup_bytes) = context.trusted()?;
    Some(plan::Exchange { workgroups, workgroup_bytes, steps: STEPS, fault: Fault::None })
}

/// Counts the runs that fell back.
#[cfg(feature = "gpu")]
#[derive(Debug, Default)]
pub(super) struct Counter(Mutex<Fallbacks>);

#[cfg(feature = "gpu")]
impl Counter {
    pub(super) fn add(&self, at: &Completion, cause: Stopped) {
        let mut fallbacks = lock(&self.0);
        fallbacks.count += 1;
        fallbacks.last = Some(Fallback { layer: at.layer, step: at.first, cause });
    }

    pub(super) fn get(&self) -> Fallbacks {
        *lock(&self.0)
    }
}
