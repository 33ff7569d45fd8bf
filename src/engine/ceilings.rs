//! What a device can do at best, for a benchmark to hold its figures against.

use std::sync::Arc;

use super::device::{Device, Kind};
use crate::cpu::Processor;
use crate::error::Result;
#[cfg(feature = "gpu")]
use crate::gpu::GpuCeilings;
#[cfg(feature = "gpu")]
use crate::sync::Wait;

/// The measurements of a device's ceilings, made ready; each call is one run, for the caller to time and repeat.
#[derive(Debug)]
pub struct Ceilings(Kept);

#[derive(Debug)]
enum Kept {
    #[cfg(feature = "gpu")]
    Gpu(Box<GpuCeilings>),
    Cpu {
        processor: Arc<Processor>,
        from: Vec<u8>,
        to: Vec<u8>,
    },
}

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Measured {
    /// Floating-point operations; bytes read and written of a copy.
    pub amount: f64,
    /// Seconds on the device, by timestamps, where there are any.
    pub seconds: Option<f64>,
}

/// Bytes of a copy on the CPU: more than its caches hold, in most cases.
const COPY: usize = 64 << 20;

impl Device {
    /// Makes the ceilings of a device ready; none for the reference.
    ///
    /// # Errors
    /// [`crate::Error::TooLarge`] and [`crate::Error::Device`] where the device does not bear them.
    pub fn ceilings(&self) -> Result<Option<Ceilings>> {
        Ok(Some(Ceilings(match &self.0 {
            #[cfg(feature = "gpu")]
            Kind::Gpu(context) => Kept::Gpu(Box::new(pollster::block_on(GpuCeilings::new(context.clone()))?)),
            Kind::Cpu(processor) => {
                Kept::Cpu { processor: processor.clone(), from: vec![1; COPY], to: vec![0; COPY] }
            }
            #[cfg(not(feature = "gpu"))]
            Kind::Gpu(context) => match **context {},
            Kind::Reference => return Ok(None),
        })))
    }
}

impl Ceilings {
    /// Computes once at the device's best: on a GPU a large matmul by the crate's own kernel, on the CPU products and sums
    /// in registers on every thread.
    ///
    /// # Errors
    /// [`crate::Error::Device`] where the device fails.
    pub fn matmul(&mut self) -> Result<Measured> {
        match &mut self.0 {
            #[cfg(feature = "gpu")]
            Kept::Gpu(own) => {
                let once = pollster::block_on(own.matmul(Wait::Block))?;
                Ok(Measured { amount: once.amount, seconds: once.seconds })
            }
            Kept::Cpu { processor, .. } => Ok(Measured { amount: processor.compute(), seconds: None }),
        }
    }

    /// Runs a large copy once and waits for it; on the CPU on every thread.
    ///
    /// # Errors
    /// [`crate::Error::Device`] where the device fails.
    pub fn copy(&mut self) -> Result<Measured> {
        match &mut self.0 {
            #[cfg(feature = "gpu")]
            Kept::Gpu(own) => {
                let once = pollster::block_on(own.copy(Wait::Block))?;
                Ok(Measured { amount: once.amount, seconds: once.seconds })
            }
            Kept::Cpu { processor, from, to } => {
                Ok(Measured { amount: processor.copy(from, to), seconds: None })
            }
        }
    }
}
