//! Public for tests alone, by the feature `testing`.

use super::device::{Device, Kind};
use super::options::Options;
use crate::info::ResourceCounts;

impl Device {
    /// Makes a GPU be lost, for tests of the errors that follow.
    pub fn destroy(&self) {
        match &self.0 {
            Kind::Gpu(context) => context.destroy(),
            Kind::Cpu(_) | Kind::Reference => {}
        }
    }

    /// How many wgpu objects were created on this device so far, to check that a run creates none; all 0 on the CPU path and the
    /// reference. The clones of a device count together.
    pub fn resource_counts(&self) -> ResourceCounts {
        match &self.0 {
            Kind::Gpu(context) => context.resource_counts(),
            Kind::Cpu(_) | Kind::Reference => ResourceCounts::default(),
        }
    }

    /// How often results were read back from this device to the host so far: 1 for a run or a step whose outputs are on the host, and
    /// 0 for a recorded one; 0 on the CPU path and the reference. The clones of a device count together.
    pub fn read_backs(&self) -> usize {
        match &self.0 {
            Kind::Gpu(context) => context.read_backs(),
            Kind::Cpu(_) | Kind::Reference => 0,
        }
    }
}

impl Options {
    /// Sets [`Options::fill_nan`].
    pub fn fill_nan(mut self, fill_nan: bool) -> Self {
        self.fill_nan = fill_nan;
        self
    }
}
