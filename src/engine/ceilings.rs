//! What a device can do at best, for a benchmark to hold its figures against.

use super::device::{Device, Kind};
use crate::error::Result;
use crate::gpu::{GpuCeilings, Wait};

/// The measurements of a GPU's ceilings, made ready; each call is one run, for the caller to time and repeat.
#[derive(Debug)]
pub struct Ceilings(GpuCeilings);

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Measured {
    /// Floating-point operations of a matmul; bytes read and written of a copy.
    pub amount: f64,
    /// Seconds on the device, by timestamps, where there are any.
    pub seconds: Option<f64>,
}

impl Device {
    /// Makes the ceilings of a GPU ready: a large matmul by the crate's own kernel, and a large copy. None for the
    /// CPU path and the reference.
    ///
    /// # Errors
    /// [`crate::Error::TooLarge`] and [`crate::Error::Device`] where the device does not bear them.
    pub fn ceilings(&self) -> Result<Option<Ceilings>> {
        match &self.0 {
            Kind::Gpu(context) => {
                pollster::block_on(GpuCeilings::new(context.clone())).map(|own| Some(Ceilings(own)))
            }
            Kind::Cpu | Kind::Reference => Ok(None),
        }
    }
}

impl Ceilings {
    /// Runs the matmul once and waits for it.
    ///
    /// # Errors
    /// [`crate::Error::Device`] where the device fails.
    pub fn matmul(&self) -> Result<Measured> {
        let once = pollster::block_on(self.0.matmul(Wait::Block))?;
        Ok(Measured { amount: once.amount, seconds: once.seconds })
    }

    /// Runs the copy once and waits for it.
    ///
    /// # Errors
    /// [`crate::Error::Device`] where the device fails.
    pub fn copy(&self) -> Result<Measured> {
        let once = pollster::block_on(self.0.copy(Wait::Block))?;
        Ok(Measured { amount: once.amount, seconds: once.seconds })
    }
}
