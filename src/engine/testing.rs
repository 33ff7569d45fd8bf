//! What is open to tests alone, by the feature `testing`.

use super::device::{Device, Kind};
use super::options::Options;
use crate::info::Created;

impl Device {
    /// Has a GPU be lost, for tests of what comes then.
    pub fn destroy(&self) {
        match &self.0 {
            Kind::Gpu(context) => context.destroy(),
            Kind::Cpu(_) | Kind::Reference => {}
        }
    }

    /// How many wgpu objects were created on this device so far, for a caller to see that a run creates none; all 0 on
    /// the CPU path and the reference. The clones of a device count together.
    pub fn created(&self) -> Created {
        match &self.0 {
            Kind::Gpu(context) => context.created(),
            Kind::Cpu(_) | Kind::Reference => Created::default(),
        }
    }
}

impl Options {
    /// Sets [`Options::poison`].
    pub fn poison(mut self, poison: bool) -> Self {
        self.poison = poison;
        self
    }
}
