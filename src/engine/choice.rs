//! Which device a run is expected to be fastest on.

use std::fmt;
use std::time::Duration;

use super::any::on;
use super::backend::Backend;
use super::device::{Device, DeviceInfo, Kind};
#[cfg(feature = "gpu")]
use super::gpu::Planner;
use super::host::{Cpu, Path, Reference};
use super::options::Options;
use super::run::Engine;
use crate::error::{Error, Result};
use crate::io::{Form, OutputShape};
use crate::model::Model;

/// What devices are expected to take for a run, the fastest first. Its words say why it is; where a table of speeds was given
/// ([`Options::speed`]), with the times of GPUs.
#[derive(Debug, Clone)]
pub struct Choice {
    devices: Vec<(Device, Duration)>,
    /// Whether a table of speeds was given.
    has_table: bool,
    /// What cannot run it, and why.
    refusals: Vec<(DeviceInfo, Error)>,
}

impl Choice {
    /// Orders `devices` by the time that a run of `form`, or of dims alone, is expected to take on them; of equals the first
    /// comes first.
    ///
    /// # Errors
    /// Of the first device, where none can run it; [`Error::NoDevice`] where there is none.
    pub fn among(
        devices: impl IntoIterator<Item = Device>,
        model: &Model,
        form: impl Into<Form>,
        options: Options,
    ) -> Result<Self> {
        let form = form.into();
        let has_table = options.speed.is_some();
        let mut choice = Self { devices: Vec::new(), has_table, refusals: Vec::new() };
        for device in devices {
            match device.expected(model, form, options.clone()) {
                Ok(time) => choice.devices.push((device, time)),
                Err(error) => choice.refusals.push((device.info(), error)),
            }
        }
        choice.devices.sort_by_key(|(_, time)| *time);
        if choice.devices.is_empty() {
            let none = Error::NoDevice { selector: "fastest".into(), found: Vec::new() };
            return Err(choice.refusals.into_iter().next().map_or(none, |(_, error)| error));
        }
        Ok(choice)
    }

    /// `device` or, where it is a GPU, the CPU path with all cores, [calibrated](Device::calibrate).
    ///
    /// # Errors
    /// As [`Choice::among`].
    pub fn or_cpu(device: Device, model: &Model, form: impl Into<Form>, options: Options) -> Result<Self> {
        let cpu = matches!(device.0, Kind::Gpu(_)).then(|| {
            let cpu = Device::cpu();
            #[cfg(not(target_arch = "wasm32"))]
            cpu.calibrate();
            cpu
        });
        Self::among([device].into_iter().chain(cpu), model, form, options)
    }

    /// The one that is expected to be fastest.
    pub fn device(&self) -> &Device {
        &self.devices[0].0
    }

    /// Every device that can run it, with the expected time, fastest first.
    pub fn devices(&self) -> &[(Device, Duration)] {
        &self.devices
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (device, time)) in self.devices.iter().enumerate() {
            let info = device.info();
            write!(f, "{}{info}", if index > 0 { "; " } else { "" })?;
            // What no table corrects is good for an order, not for a promise.
            let is_measured = self.has_table && matches!(info, DeviceInfo::Gpu(_));
            match index {
                _ if is_measured => write!(f, ", expected to take {time:.2?}")?,
                0 if self.devices.len() > 1 => write!(f, ", expected to be the fastest")?,
                _ => {}
            }
        }
        self.refusals.iter().try_for_each(|(info, error)| write!(f, "; not {info}: {error}"))
    }
}

impl Engine {
    /// The time that a run of `form`, or of dims alone, is expected to take, as [`Device::expected`] has it.
    ///
    /// # Errors
    /// As [`Device::expected`].
    pub fn expected(&self, form: impl Into<Form>) -> Result<Duration> {
        let form = form.into();
        OutputShape::new(self.model(), form)?;
        on!(AnyBackend, &self.0.backend, backend => backend.expected(form))
    }
}

impl Device {
    /// The time that a run of `form`, or of dims alone, is expected to take, from the caller's arrays to the caller's arrays, by
    /// the models that plans are made with. Where nothing was measured on a device (`wgru tune`; [`Device::calibrate`] of the CPU
    /// path) it is an order of magnitude.
    ///
    /// # Errors
    /// What forbids the run on this device, [`Error::Unsupported`] on the reference.
    pub fn expected(&self, model: &Model, form: impl Into<Form>, options: Options) -> Result<Duration> {
        let form = form.into();
        OutputShape::new(model, form)?;
        options.precision.check()?;
        match &self.0 {
            #[cfg(feature = "gpu")]
            Kind::Gpu(context) => Planner::new(context.clone(), options).expected(model, form),
            #[cfg(not(feature = "gpu"))]
            Kind::Gpu(context) => match **context {},
            Kind::Cpu(processor) => Cpu::new(model, options.precision, processor)?.expected(form),
            Kind::Reference => Reference(model.clone()).expected(form),
        }
    }

    /// Measures how fast this processor computes, on one thread, in some 2 ms and little more than 10 at most. From then on it scales the
    /// times that are expected of this device, its clones and their engines.
    ///
    /// Returns the scale: 2 where a product and sum takes twice as long as on the processor that the model was fitted on. `None` for a
    /// GPU, for which there are tables (`wgru tune`), and for the reference.
    ///
    /// On two other processors, times of 64 runs were expected within a factor of 1.17 and 1.20 in the median, at worst 2.5; without,
    /// 2.04 and 1.45, at worst 3.1.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn calibrate(&self) -> Option<f64> {
        match &self.0 {
            Kind::Cpu(processor) => Some(processor.calibrate()),
            _ => None,
        }
    }

    /// The best GPU of the machine ([`Device::best`]) or the CPU path, whichever is expected to run batches of `form`, or of
    /// dims alone, faster.
    ///
    /// # Errors
    /// As [`Device::best`] and [`Choice::among`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn best_for(model: &Model, form: impl Into<Form>, options: Options) -> Result<Choice> {
        Choice::or_cpu(Self::best()?, model, form, options)
    }
}
