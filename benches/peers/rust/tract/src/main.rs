//! tract on the case's `model.onnx`: time-major recurrent nodes, `[T, B, I]` to `[T, B, D·H]`, all sizes fixed.
//!
//! `sequence` runs on a tensor in that layout; `end-to-end` starts from and returns to `[B, T, ·]`, which takes two more
//! copies. A step is a graph of its own with the states as inputs and outputs. Threads are those of tract's matmul
//! (feature `multithread-mm`); without them it runs on one.

use std::process::ExitCode;
use std::sync::Arc;

use peer::{Call, Cell, Engine, Result, skip};
use tract_linalg::multithread::{Executor, set_default_executor};
use tract_onnx::prelude::*;

/// Cargo.lock's version of tract-onnx.
const VERSION: &str = "tract-onnx 0.23.9";

fn main() -> ExitCode {
    peer::run(time)
}

type Plan = Arc<TypedRunnableModel>;

fn run_once(plan: &Plan, inputs: TVec<TValue>) -> Result<TVec<TValue>> {
    Ok(plan.run(inputs)?)
}

fn tensor(shape: &[usize], values: &[f32]) -> Result<TValue> {
    Ok(Tensor::from_shape(shape, values)?.into_tvalue())
}

fn to_host(value: &TValue) -> Result<Vec<f32>> {
    Ok(value.to_plain_array_view::<f32>()?.iter().copied().collect())
}

fn time(call: &Call) -> Result<()> {
    let case = &call.case;
    if case.dtype != "f32" {
        return skip("only f32 is timed");
    }
    if call.threads > 1 {
        set_default_executor(Executor::multithread(call.threads));
    }
    let plan =
        tract_onnx::onnx().model_for_path(case.file("model.onnx"))?.into_optimized()?.into_runnable()?;
    let mut ops: Vec<_> = plan.model().nodes().iter().map(|node| node.op().name().to_string()).collect();
    ops.sort();
    ops.dedup();
    let engine = Engine {
        engine: "tract",
        device: "cpu".into(),
        backend: "cpu".into(),
        driver: VERSION.into(),
        strategy: ops.join(" "),
        threads: call.threads,
    };
    let x = case.x()?;
    let width = case.directions() * case.hidden;
    if case.is_step() {
        let states = case.layers * if case.cell == Cell::Lstm { 2 } else { 1 };
        let zeros = vec![0.0; case.batch * case.hidden];
        let zero = tensor(&[1, case.batch, case.hidden], &zeros)?;
        let step = |frame: &[f32], states: &mut Vec<TValue>| -> Result<Vec<f32>> {
            let x = tensor(&[1, case.batch, case.input], frame)?;
            let inputs = std::iter::once(x).chain(states.drain(..)).collect();
            let mut outputs = run_once(&plan, inputs)?.into_iter();
            let y = to_host(&outputs.next().ok_or("no output")?)?;
            states.extend(outputs);
            Ok(y)
        };
        let frames: Vec<_> = (0..case.frames).map(|t| peer::frame(&x, case, t)).collect();
        let mut states = vec![zero; states];
        let rows = frames.iter().map(|frame| step(frame, &mut states)).collect::<Result<Vec<_>>>()?.concat();
        let error = case.check(&peer::swap(&rows, [case.frames, case.batch, width]))?;
        let mut next = frames.iter().cycle();
        return call.time(&engine, "step", error, || {
            step(next.next().expect("a cycle of frames"), &mut states).map(|_| ())
        });
    }
    let (outer, inner) = ([case.batch, case.steps, case.input], [case.steps, case.batch, width]);
    let shape = [case.steps, case.batch, case.input];
    let on_device = tensor(&shape, &peer::swap(&x, outer))?;
    let sequence = || run_once(&plan, tvec!(on_device.clone()));
    // Twice: data that the first run left must not affect the second.
    sequence()?;
    let error = case.check(&peer::swap(&to_host(&sequence()?[0])?, inner))?;
    call.time(&engine, "sequence", error, || sequence().map(|_| ()))?;
    let end_to_end = || -> Result<Vec<f32>> {
        let y = run_once(&plan, tvec!(tensor(&shape, &peer::swap(&x, outer))?))?;
        Ok(peer::swap(&to_host(&y[0])?, inner))
    };
    let error = case.check(&end_to_end()?)?;
    call.time(&engine, "end-to-end", error, || end_to_end().map(|_| ()))
}
