//! Runs of batches.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Float32Array, Object, Uint32Array};
use wasm_bindgen::prelude::*;
use wgru::{Batch, Engine as Inner, Layout, NonFinite, Output, Padding, PoolOptions, RunShape, Snapshot};

use crate::arrays::{copied, copied_u32, object, write};
use crate::device::at_once;
use crate::error::{Result, fail};
use crate::pool::Pool;
use crate::session::Session;

/// A model on a device.
#[wasm_bindgen]
pub struct Engine {
    inner: Inner,
    /// The output of the last run, for the next of its shape.
    spare: Rc<RefCell<Option<(RunShape, Output)>>>,
}

/// A batch: its arrays, copied, and its shape.
#[wasm_bindgen]
pub struct Input {
    x: Vec<f32>,
    sizes: [usize; 3],
    x_layout: Layout,
    y_layout: Layout,
    padding: Padding,
    lengths: Option<Vec<u32>>,
    resets: Option<Vec<u32>>,
    h0: Option<Vec<f32>>,
    c0: Option<Vec<f32>>,
}

/// The layout of this number: batch-major, time-major or direction-major.
const fn layout(number: u8) -> Layout {
    match number {
        0 => Layout::BatchMajor,
        1 => Layout::TimeMajor,
        _ => Layout::DirectionMajor,
    }
}

const fn padding(repeats: bool) -> Padding {
    if repeats { Padding::Last } else { Padding::Zero }
}

#[wasm_bindgen]
impl Input {
    /// `x`: `[batch, steps, features]`, or `[steps, batch, features]` where `x_layout` is 1.
    #[wasm_bindgen(constructor)]
    pub fn new(
        x: &Float32Array,
        batch: usize,
        steps: usize,
        features: usize,
        x_layout: u8,
        y_layout: u8,
        repeats: bool,
    ) -> Result<Self> {
        Ok(Self {
            x: copied(x, "x")?,
            sizes: [batch, steps, features],
            x_layout: layout(x_layout),
            y_layout: layout(y_layout),
            padding: padding(repeats),
            lengths: None,
            resets: None,
            h0: None,
            c0: None,
        })
    }

    /// The real steps of each sequence, `[B]`.
    pub fn lengths(&mut self, lengths: &Uint32Array) -> Result<()> {
        self.lengths = Some(copied_u32(lengths, "lengths")?);
        Ok(())
    }

    /// Steps before which the states are reset, in the order of x without features.
    pub fn resets(&mut self, resets: &Uint32Array) -> Result<()> {
        self.resets = Some(copied_u32(resets, "resets")?);
        Ok(())
    }

    /// The initial h, `[L·D, B, P]`.
    pub fn h0(&mut self, h0: &Float32Array) -> Result<()> {
        self.h0 = Some(copied(h0, "h0")?);
        Ok(())
    }

    /// The initial c, `[L·D, B, H]`.
    pub fn c0(&mut self, c0: &Float32Array) -> Result<()> {
        self.c0 = Some(copied(c0, "c0")?);
        Ok(())
    }
}

impl Input {
    fn batch(&self) -> Result<Batch<'_>> {
        let batch = match self.x_layout {
            Layout::BatchMajor => Batch::new(&self.x, self.sizes),
            _ => Batch::time_major(&self.x, self.sizes),
        };
        let mut batch = batch.map_err(fail)?.output_layout(self.y_layout).padding(self.padding);
        if let Some(lengths) = &self.lengths {
            batch = batch.lengths(lengths);
        }
        if let Some(resets) = &self.resets {
            batch = batch.resets(resets);
        }
        if let Some(h0) = &self.h0 {
            batch = batch.h0(h0);
        }
        if let Some(c0) = &self.c0 {
            batch = batch.c0(c0);
        }
        Ok(batch)
    }
}

/// Where the arrays of an output go: new ones, or those of the caller.
fn given(output: &Output) -> Result<Object> {
    let Output { y, h_n, c_n, out } = output;
    object(&[("y", Some(y)), ("hN", Some(h_n)), ("cN", c_n.as_deref()), ("out", out.as_deref())])
}

/// The arrays of the caller for an output.
#[wasm_bindgen]
pub struct Target {
    y: Option<Float32Array>,
    h_n: Option<Float32Array>,
    c_n: Option<Float32Array>,
    out: Option<Float32Array>,
}

#[wasm_bindgen]
impl Target {
    /// Those that are there are written.
    #[wasm_bindgen(constructor)]
    pub fn new(
        y: Option<Float32Array>,
        h_n: Option<Float32Array>,
        c_n: Option<Float32Array>,
        out: Option<Float32Array>,
    ) -> Self {
        Self { y, h_n, c_n, out }
    }
}

impl Target {
    fn take(&self, output: &Output) -> Result<()> {
        let put = |numbers: Option<&[f32]>, array: &Option<Float32Array>, name| match (numbers, array) {
            (Some(numbers), Some(array)) => write(numbers, array, name),
            (None, Some(_)) => Err(crate::error::wrong(&format!("{name}: the model has none"))),
            (_, None) => Ok(()),
        };
        put(Some(&output.y), &self.y, "y")?;
        put(Some(&output.h_n), &self.h_n, "hN")?;
        put(output.c_n.as_deref(), &self.c_n, "cN")?;
        put(output.out.as_deref(), &self.out, "out")
    }
}

impl Engine {
    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner, spare: Rc::default() }
    }

    /// Room for the output of a run.
    fn room(&self, shape: RunShape) -> Result<Output> {
        match self.spare.borrow_mut().take() {
            Some((of, output)) if of == shape => Ok(output),
            _ => self.inner.output(shape).map_err(fail),
        }
    }

    /// A checked batch, and room for its output.
    fn begun<'a>(&self, input: &'a Input, finite: bool) -> Result<(Batch<'a>, Output)> {
        let batch = input.batch()?;
        batch.check(self.inner.model()).map_err(fail)?;
        if finite {
            batch.check_finite(self.inner.model()).map_err(fail)?;
        }
        let output = self.room(batch.run_shape())?;
        Ok((batch, output))
    }

    fn ended<T>(&self, shape: RunShape, output: Output, of: impl FnOnce(&Output) -> Result<T>) -> Result<T> {
        let result = of(&output);
        *self.spare.borrow_mut() = Some((shape, output));
        result
    }

    /// Runs, and what the output becomes.
    #[cfg(feature = "gpu")]
    async fn run_as<T>(self, input: Input, finite: bool, of: impl FnOnce(&Output) -> Result<T>) -> Result<T> {
        let (batch, mut output) = self.begun(&input, finite)?;
        self.inner.run_into_async(&batch, &mut output).await.map_err(fail)?;
        self.ended(batch.run_shape(), output, of)
    }

    fn run_as_sync<T>(
        &self,
        input: &Input,
        finite: bool,
        of: impl FnOnce(&Output) -> Result<T>,
    ) -> Result<T> {
        let (batch, mut output) = self.begun(input, finite)?;
        at_once(self.inner.device(), self.inner.run_into_async(&batch, &mut output))?;
        self.ended(batch.run_shape(), output, of)
    }

    /// The same engine, which a future may keep.
    #[cfg(feature = "gpu")]
    fn kept(&self) -> Self {
        Self { inner: self.inner.clone(), spare: self.spare.clone() }
    }
}

#[wasm_bindgen]
impl Engine {
    /// y, hN, cN and out as new arrays.
    #[cfg(feature = "gpu")]
    pub fn run(&self, input: Input, finite: bool) -> js_sys::Promise {
        let run = self.kept().run_as(input, finite, given);
        wasm_bindgen_futures::future_to_promise(async move { run.await.map(JsValue::from) })
    }

    /// y, hN, cN and out to the arrays of `target`.
    #[cfg(feature = "gpu")]
    pub fn run_into(&self, input: Input, finite: bool, target: Target) -> js_sys::Promise {
        let run = self.kept().run_as(input, finite, move |output| target.take(output));
        wasm_bindgen_futures::future_to_promise(async move { run.await.map(|()| JsValue::UNDEFINED) })
    }

    /// As [`Engine::run`], on the CPU path.
    pub fn run_sync(&self, input: &Input, finite: bool) -> Result<Object> {
        self.run_as_sync(input, finite, given)
    }

    /// As [`Engine::run_into`], on the CPU path.
    pub fn run_into_sync(&self, input: &Input, finite: bool, target: &Target) -> Result<()> {
        self.run_as_sync(input, finite, |output| target.take(output))
    }

    /// In words, the kernels of a run.
    pub fn explain(&self, batch: usize, steps: usize) -> Result<String> {
        self.inner.explain([batch, steps]).map_err(fail)
    }

    /// Compiles what a run needs; `progress` gets the kernels done and all of them.
    #[cfg(feature = "gpu")]
    pub fn prepare(&self, batch: usize, steps: usize, progress: Option<js_sys::Function>) -> js_sys::Promise {
        let engine = self.inner.clone();
        wasm_bindgen_futures::future_to_promise(async move {
            let mut thrown = None;
            let tell = |done: usize, all: usize| {
                if let Some(progress) = &progress {
                    let said = progress.call2(&JsValue::NULL, &done.into(), &all.into());
                    thrown = thrown.take().or(said.err());
                }
            };
            engine.prepare_async([batch, steps], tell).await.map_err(fail)?;
            thrown.map_or(Ok(JsValue::UNDEFINED), Err)
        })
    }

    /// The bytes of a run on a GPU.
    pub fn memory(&self, batch: usize, steps: usize) -> Result<f64> {
        let memory = self.inner.memory([batch, steps]).map_err(fail)?;
        Ok((memory.weights + memory.arrays + memory.read_back) as f64)
    }

    /// How much of the runs in flight is done, 0 to 1.
    #[wasm_bindgen(getter)]
    pub fn progress(&self) -> f64 {
        self.inner.progress()
    }

    /// Streams that advance together.
    pub fn session(&self, streams: usize) -> Result<Session> {
        Session::new(&self.inner, streams)
    }

    /// Streams that come and go. `fixed` or growing; 0 for the default of a number.
    pub fn pool(
        &self,
        capacity: usize,
        fixed: bool,
        frames: usize,
        queue: usize,
        isolate: bool,
        snapshot: Option<Vec<u8>>,
    ) -> Result<Pool> {
        let mut options = if fixed { PoolOptions::fixed(capacity) } else { PoolOptions::growing(capacity) };
        if frames > 0 {
            options = options.frames(frames);
        }
        if queue > 0 {
            options = options.queue(queue);
        }
        let non_finite = if isolate { NonFinite::Isolate } else { NonFinite::Refuse };
        let options = options.non_finite(non_finite);
        let pool = match snapshot {
            None => self.inner.pool(options),
            Some(bytes) => {
                let snapshot = Snapshot::parse("the snapshot", &bytes).map_err(fail)?;
                self.inner.pool_from(&snapshot, options)
            }
        };
        pool.map(Pool::new).map_err(fail)
    }
}
