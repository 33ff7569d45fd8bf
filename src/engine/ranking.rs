//! Which device a run is expected to be fastest on.

use std::fmt;
use std::time::Duration;

use super::device::{Device, DeviceInfo, Kind};
#[cfg(feature = "gpu")]
use super::gpu::Planner;
use super::host::{Cpu, Path, Reference};
use super::options::Options;
use super::wait::block_on;
use crate::error::{Error, Result};
use crate::io::{OutputShape, RunShape};
use crate::model::Model;

/// The expected times of devices for a run, the fastest first. `Display` gives the reason for the choice, and the times of GPUs
/// if the caller gave a table of speeds ([`Options::speed`]).
#[derive(Debug, Clone)]
pub struct DeviceRanking {
    devices: Vec<(Device, Duration)>,
    /// Whether the caller gave a table of speeds.
    has_table: bool,
    /// The devices that cannot run it, and why.
    refusals: Vec<(DeviceInfo, Error)>,
}

impl DeviceRanking {
    /// Orders `devices` by the expected time of a run of `run_shape`, or `[B, T]` alone; equals keep their order.
    ///
    /// # Errors
    /// That of the first device, where none can run it; [`Error::NoDevice`] where there is none.
    pub fn among(
        devices: impl IntoIterator<Item = Device>,
        model: &Model,
        run_shape: impl Into<RunShape>,
        options: Options,
    ) -> Result<Self> {
        let run_shape = run_shape.into();
        let has_table = options.speed.is_some();
        let mut choice = Self { devices: Vec::new(), has_table, refusals: Vec::new() };
        for device in devices {
            match device.time_of(model, run_shape, options.clone()) {
                Ok(time) => choice.devices.push((device, time)),
                Err(error) => choice.refusals.push((device.info(), error)),
            }
        }
        choice.devices.sort_by_key(|(_, time)| *time);
        if choice.devices.is_empty() {
            let none = Error::NoDevice { selector: "fastest".into(), found: Vec::new() };
            return Err(choice.refusals.into_iter().next().map_or(none, |(_, error)| error));
        }
        log::info!(target: "wgru::device", "chosen for {}: {choice}", model);
        Ok(choice)
    }

    /// `device` or, where it is a GPU, the CPU path with all cores, [calibrated](Device::calibrate).
    ///
    /// # Errors
    /// Those of [`DeviceRanking::among`].
    pub fn or_cpu(
        device: Device,
        model: &Model,
        run_shape: impl Into<RunShape>,
        options: Options,
    ) -> Result<Self> {
        let cpu = matches!(device.0, Kind::Gpu(_)).then(|| {
            let cpu = Device::cpu();
            // In a browser there is no clock to measure with.
            #[cfg(not(target_arch = "wasm32"))]
            if let Kind::Cpu(processor) = &cpu.0 {
                processor.calibrate();
            }
            cpu
        });
        Self::among([device].into_iter().chain(cpu), model, run_shape, options)
    }

    /// The device that is expected to be fastest.
    pub fn device(&self) -> &Device {
        &self.devices[0].0
    }

    /// Every device that can run it, with the expected time, fastest first.
    pub fn devices(&self) -> &[(Device, Duration)] {
        &self.devices
    }
}

impl fmt::Display for DeviceRanking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (device, time)) in self.devices.iter().enumerate() {
            let info = device.info();
            write!(f, "{}{info}", if index > 0 { "; " } else { "" })?;
            // Times without a measured table are good for an order, not for a promise.
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

impl Device {
    /// The expected time of a run, from the caller's arrays to the caller's arrays.
    pub(super) fn time_of(&self, model: &Model, run_shape: RunShape, options: Options) -> Result<Duration> {
        OutputShape::new(model, run_shape)?;
        options.precision.check()?;
        match &self.0 {
            #[cfg(feature = "gpu")]
            Kind::Gpu(context) => Planner::new(context.clone(), options).expected(model, run_shape),
            #[cfg(not(feature = "gpu"))]
            Kind::Gpu(context) => match **context {},
            Kind::Cpu(processor) => Cpu::new(model, options.precision, processor)?.expected(run_shape),
            Kind::Reference => Reference(model.clone()).expected(run_shape),
        }
    }

    /// The device that is expected to be fastest for runs of `model` in the shape `run_shape`, or `[B, T]` alone. The choice is
    /// between the best GPU of the machine (`auto` of [`Device::open`]) and the CPU path with all cores, where a small model may
    /// be faster. If there is a GPU, this measures the CPU for a few milliseconds.
    ///
    /// # Errors
    /// Those of [`Device::open`]; the device's error where none can run it.
    pub fn best(model: &Model, run_shape: impl Into<RunShape>) -> Result<Self> {
        block_on(Self::best_async(model, run_shape))
    }

    /// [`Device::best`], without blocking.
    ///
    /// # Errors
    /// Those of [`Device::best`].
    pub async fn best_async(model: &Model, run_shape: impl Into<RunShape>) -> Result<Self> {
        let device = Self::open_async("auto").await?;
        let choice = DeviceRanking::or_cpu(device, model, run_shape, Options::default())?;
        Ok(choice.devices.into_iter().next().map_or_else(Self::cpu, |(device, _)| device))
    }
}
