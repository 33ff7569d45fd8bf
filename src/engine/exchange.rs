//! Whether the workgroups of one dispatch may work together on a device, and what came of it.

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
/// No API promises that workgroups run side by side, so it is done only where a device has shown it. A run that fails all the
/// same is noticed, and is finished step by step, with the same result: see [`crate::Engine::fallbacks`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exchange {
    /// Where the device has passed [`crate::Device::self_test`] in this process, and no run on it has failed since.
    #[default]
    Tested,
    /// Nowhere.
    Never,
    /// As if the device had passed with this result, for tests of the way out. A run may take long, and then be
    /// finished step by step.
    Forced(plan::Exchange),
}

/// Runs that workgroups began together and that were finished step by step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fallbacks {
    /// How many.
    pub count: u64,
    /// Where the last of them was taken up again.
    pub last: Option<Fallback>,
}

/// The beginning of the first chunk that was not completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fallback {
    /// The layer.
    pub layer: usize,
    /// The step.
    pub step: usize,
    /// How far the workgroups came.
    pub cause: Stopped,
}

/// Steps of one dispatch whose workgroups work together: at twenty microseconds each, well under the tenth of a second that
/// operating systems bear.
#[cfg(feature = "gpu")]
const STEPS: usize = 1024;

/// What a device has shown in its self-test.
#[cfg(feature = "gpu")]
pub(super) fn tested(context: &Context) -> Option<plan::Exchange> {
    let (workgroups, workgroup_bytes) = context.trusted()?;
    Some(plan::Exchange { workgroups, workgroup_bytes, steps: STEPS, fault: Fault::None })
}

/// Counts the runs that were fallbacks.
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
