//! The self-test: whether the workgroups of one dispatch run at the same time on a device, and how many.

use std::fmt;

use super::device::{Device, Kind};
use super::exchange::{Exchange, Fallback, Fallbacks, tested};
use super::options::Options;
use super::run::Engine;
use super::wait::block_on;
use crate::dims::Dims;
use crate::error::{Error, Result};
use crate::gpu::Context;
use crate::info::AdapterInfo;
use crate::io::{Batch, Output};
use crate::kernels::{Definition, MultiWorkgroup, Rows};
use crate::model::{Cell, Direction, Layer, Model, Weights};
use crate::plan::{self, Fault, Only, Strategy};
use crate::program::Stopped;

/// PCI numbers of the vendors on whose devices concurrent progress of workgroups has been observed.
const VENDORS: [(u32, &str); 3] = [(0x10de, "NVIDIA"), (0x1002, "AMD"), (0x8086, "Intel")];
/// H of the tested layer, the first that fits the device's workgroup memory: its kernel takes as many registers as any, and as
/// much memory as most.
const HIDDEN: [usize; 2] = [512, 256];
/// Rows of a tile.
const ROWS: u32 = 4;
const STEPS: usize = 500;
/// The most workgroups that are tried; few layers have more.
const MOST: u32 = 512;
/// The delay of exchange words, in polls, so that workgroups wait for each other in every order.
const LATE: u32 = 64;

/// The exchange between workgroups that a device supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelfTest {
    /// Workgroups that completed together, after all of them had begun, each with as many threads and registers as any kernel
    /// takes; 0 where not even the fewest completed.
    pub workgroups: u32,
    /// Bytes of workgroup memory that each of them had.
    pub workgroup_bytes: u32,
    /// Steps that workgroups took together, each with an exchange of all numbers between all, none of them wrong.
    pub steps: u64,
    /// Runs with an injected fault, which fell back to per-step kernels with the right result.
    pub rescued: u32,
    /// What ended the search for more workgroups; `None` where the most that are tried passed.
    pub stopped: Option<StoppedAt>,
}

/// The first number of workgroups that did not complete a run together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoppedAt {
    /// Workgroups of the run.
    pub workgroups: u32,
    /// How far they came.
    pub cause: Stopped,
}

impl fmt::Display for SelfTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workgroups, steps, stopped, .. } = self;
        match workgroups {
            0 => write!(f, "no workgroups exchange values")?,
            _ => write!(f, "{workgroups} workgroups exchange values, in {steps} steps without a wrong bit")?,
        }
        match stopped {
            Some(StoppedAt { workgroups, cause }) => write!(f, "; with {workgroups}: {cause}"),
            None => Ok(()),
        }
    }
}

impl Device {
    /// Tests whether workgroups of one dispatch run at the same time on this device, and how many. It uses the kernel that will
    /// rely on it, delays exchange words at random, and compares every result with that of per-step kernels bit by bit. It also
    /// injects faults: workgroups that stop writing their exchange words. Engines on this device, created before or after, may
    /// then use the result.
    ///
    /// It takes seconds. The result is kept for this process, until a run fails nevertheless.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the exchange is known not to work, so that nothing is tried: on the CPU, on software drivers,
    /// in browsers, on APIs other than Vulkan, and on devices of vendors other than AMD, Intel and NVIDIA. [`Error::Device`]
    /// where the device fails, or gives another result than per-step kernels.
    pub fn self_test(&self) -> Result<SelfTest> {
        self.may_block()?;
        block_on(self.self_test_async())
    }

    /// [`Device::self_test`], without blocking.
    ///
    /// # Errors
    /// Those of [`Device::self_test`].
    pub async fn self_test_async(&self) -> Result<SelfTest> {
        let context = self.context()?;
        if let Some(reason) = forbidden(context.info()) {
            let what = format!("an exchange between workgroups on {}: {reason}", context.info().caps.device);
            return Err(Error::Unsupported { what });
        }
        context.trust(None);
        let found = self.try_exchange_async().await?;
        context.trust((found.workgroups > 0).then_some((found.workgroups, found.workgroup_bytes)));
        if found.workgroups == 0 {
            log::warn!(
                target: "wgru::device",
                "{}: {found}; kernels have one workgroup each",
                context.caps().device
            );
        }
        Ok(found)
    }

    /// The result of this device's [`Device::self_test`]; `None` before it, or after a run that failed.
    pub fn exchange(&self) -> Option<plan::Exchange> {
        self.context().ok().and_then(tested)
    }

    /// The test itself, on any GPU; the device does not keep the result. For tests of the test.
    ///
    /// # Errors
    /// [`Error::Unsupported`] on the CPU path and the reference; otherwise those of [`Device::self_test`].
    pub async fn try_exchange_async(&self) -> Result<SelfTest> {
        let context = self.context()?;
        let (model, kernel) = self.tested_kernel()?;
        let workgroup_bytes = kernel.workgroup_bytes();
        let mut found = SelfTest { workgroups: 0, workgroup_bytes, steps: 0, rescued: 0, stopped: None };
        let test = Test { device: self, context, model: &model };
        let of_tile = kernel.grid(1, 1)[0];
        let mut tiles = 1;
        while tiles * of_tile <= MOST {
            let expected = test.run(tiles, Options::default().strategy(Strategy::Step)).await?.0;
            let (output, fallbacks) = test.multi_workgroup(tiles, Fault::Late { polls: LATE }).await?;
            test.same(&expected, &output)?;
            if let Some(Fallback { cause, .. }) = fallbacks.last {
                found.stopped = Some(StoppedAt { workgroups: tiles * of_tile, cause });
                break;
            }
            found.workgroups = tiles * of_tile;
            found.steps += STEPS as u64;
            // Steps finer than a doubling, since the number of cores of most devices is no power of two.
            tiles += (tiles / 2).max(1);
        }
        // Fault injection: a workgroup that writes no exchange words from the start, or from half-way on.
        let expected = test.run(1, Options::default().strategy(Strategy::Step)).await?.0;
        for step in [0, STEPS as u32 / 2] {
            let (output, fallbacks) =
                test.multi_workgroup(1, Fault::Dies { group: 1, chunk: 0, step }).await?;
            test.same(&expected, &output)?;
            if fallbacks.count == 0 {
                return Err(test
                    .error("a workgroup that stopped writing was not noticed: its run counted as complete"));
            }
            found.rescued += fallbacks.count as u32;
        }
        Ok(found)
    }

    /// The tested layer and its kernel.
    fn tested_kernel(&self) -> Result<(Model, MultiWorkgroup)> {
        for hidden in HIDDEN {
            let model = model(hidden)?;
            let engine: Engine = self.load_with(&model, forced(Fault::None))?;
            let plan = engine.plan(Dims::new(ROWS as usize, STEPS)?)?;
            if let Some(plan::Recurrence::MultiWorkgroup { kernel, .. }) =
                plan.and_then(|plan| plan.layers.into_iter().next()).map(|layer| layer.recurrence)
            {
                return Ok((model, kernel));
            }
        }
        let what = format!("an exchange between workgroups on {}: its workgroups are too small", self.info());
        Err(Error::Unsupported { what })
    }

    fn context(&self) -> Result<&Context> {
        match &self.0 {
            Kind::Gpu(context) => Ok(context),
            Kind::Cpu(_) | Kind::Reference => {
                Err(Error::Unsupported { what: format!("an exchange between workgroups on {}", self.info()) })
            }
        }
    }
}

/// The reason not to try the exchange, if there is one.
fn forbidden(info: &AdapterInfo) -> Option<String> {
    if info.software {
        return Some("a software driver runs workgroups one after the other".into());
    }
    // On DX12 the translation loads words as if no other workgroup wrote them; on other APIs workgroups need not progress.
    if info.backend != "vulkan" {
        return Some(format!(
            "workgroups are not known to see the exchange words of others on {}",
            info.backend
        ));
    }
    if !VENDORS.iter().any(|(number, _)| *number == info.vendor) {
        let known = VENDORS.map(|(_, name)| name).join(", ");
        return Some(format!(
            "the vendor is {:#06x}, the exchange is known to work on {known} alone",
            info.vendor
        ));
    }
    None
}

/// Runs of one model on one device.
struct Test<'a> {
    device: &'a Device,
    context: &'a Context,
    model: &'a Model,
}

impl Test<'_> {
    fn error(&self, reason: impl Into<String>) -> Error {
        Error::Device { device: self.context.info().caps.device.clone(), reason: reason.into() }
    }

    /// A multi-workgroup run of so many tiles, and its fallbacks.
    async fn multi_workgroup(&self, tiles: u32, fault: Fault) -> Result<(Output, Fallbacks)> {
        self.run(tiles, forced(fault)).await
    }

    async fn run(&self, tiles: u32, mut options: Options) -> Result<(Output, Fallbacks)> {
        options.only.rows = Some(Rows::Four);
        let engine = self.device.load_with(self.model, options)?;
        let rows = (tiles * ROWS) as usize;
        let x = numbers(rows * STEPS, 1.0);
        let output = engine.run_async(&Batch::new(&x, [rows, STEPS, 1])?).await?;
        Ok((output, engine.fallbacks()))
    }

    fn same(&self, expected: &Output, output: &Output) -> Result<()> {
        let pairs = || expected.y.iter().zip(&output.y);
        match pairs().position(|(a, b)| a.to_bits() != b.to_bits()) {
            None => Ok(()),
            Some(at) => Err(self.error(format!(
                "self-test of the exchange between workgroups, wrong bits: number {at} of y is {}, by single steps {}",
                output.y[at], expected.y[at]
            ))),
        }
    }
}

fn forced(fault: Fault) -> Options {
    let exchange = plan::Exchange { workgroups: u32::MAX, workgroup_bytes: u32::MAX, steps: STEPS, fault };
    let mut options =
        Options::default().exchange(Exchange::Forced(exchange)).strategy(Strategy::MultiWorkgroup);
    options.only = Only { variant: Some(0), rows: Some(Rows::Four), ..options.only };
    options
}

fn model(hidden: usize) -> Result<Model> {
    let scale = 1.0 / (hidden as f32).sqrt();
    let weights = Weights {
        w_ih: numbers(3 * hidden, 1.0),
        w_hh: numbers(3 * hidden * hidden, scale),
        ..Weights::default()
    };
    let layer = Layer::new(Cell::GRU, Direction::Forward, 1, hidden, vec![weights])?;
    Model::new(vec![layer])
}

/// Numbers in −scale .. scale, always the same: the high bits of a linear congruential generator.
fn numbers(count: usize, scale: f32) -> Vec<f32> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        ((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * scale
    };
    (0..count).map(|_| next()).collect()
}
