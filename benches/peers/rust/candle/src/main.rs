//! candle-nn's `GRU` and `LSTM` on candle's CPU device.
//!
//! Both take `[B, T, I]` and loop over the steps in Rust, with several tensors allocated a step; states are stacked into
//! y afterwards. candle has one forward layer, so layers are chained here; it has no plain RNN, and its GRU resets
//! after the product only. Its threads are rayon's, set by `RAYON_NUM_THREADS` before the process starts.

use std::process::ExitCode;

use candle_core::{DType, Device, Tensor};
use candle_nn::rnn::{GRUConfig, GRUState, LSTMConfig, LSTMState};
use candle_nn::{GRU, LSTM, RNN, VarBuilder};
use peer::{Call, Case, Cell, Engine, Result, skip};

/// Cargo.lock's version of candle-core.
const VERSION: &str = "candle-core 0.11.1";

fn main() -> ExitCode {
    peer::run(time)
}

fn time(call: &Call) -> Result<()> {
    let case = &call.case;
    if case.cell == Cell::Rnn {
        return skip("candle-nn has no plain RNN");
    }
    if case.reset_before {
        return skip("candle-nn's GRU resets after the product only");
    }
    if case.bidirectional {
        return skip("candle-nn's layers run forward only");
    }
    if case.dtype != "f32" {
        return skip("only f32 is timed on candle's CPU device");
    }
    match case.cell {
        Cell::Gru => {
            of(call, load(case, |vb, input| Ok(GRU::new(input, case.hidden, GRUConfig::default(), vb)?))?)
        }
        _ => of(call, load(case, |vb, input| Ok(LSTM::new(input, case.hidden, LSTMConfig::default(), vb)?))?),
    }
}

/// Missing from the trait: h of a state.
trait State {
    fn h(&self) -> &Tensor;
}

impl State for GRUState {
    fn h(&self) -> &Tensor {
        GRUState::h(self)
    }
}

impl State for LSTMState {
    fn h(&self) -> &Tensor {
        LSTMState::h(self)
    }
}

/// One module for each layer; each reads its weights under the names of layer 0.
fn load<L>(case: &Case, layer: impl Fn(VarBuilder<'static>, usize) -> Result<L>) -> Result<Vec<L>> {
    let weights = case.weights()?;
    let load = |index: usize| {
        let ending = format!("_l{index}");
        let of_layer = weights.iter().filter_map(|(name, array)| Some((name.strip_suffix(&ending)?, array)));
        let tensors = of_layer.map(|(name, array)| {
            let tensor = Tensor::from_slice(&array.values, array.shape.as_slice(), &Device::Cpu)?;
            Ok((format!("{name}_l0"), tensor))
        });
        let tensors = tensors.collect::<Result<_>>()?;
        layer(VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu), case.width(index))
    };
    (0..case.layers).map(load).collect()
}

fn of<L: RNN>(call: &Call, layers: Vec<L>) -> Result<()>
where
    L::State: State,
{
    let case = &call.case;
    let engine = Engine {
        engine: "candle",
        device: "cpu".into(),
        backend: "cpu".into(),
        driver: VERSION.into(),
        strategy: format!("{:?}: a loop of tensor operations over the steps, gemm and rayon", case.cell),
        threads: call.threads,
    };
    let x = case.x()?;
    if case.is_step() {
        let first = || {
            layers.iter().map(|layer| layer.zero_state(case.batch)).collect::<candle_core::Result<Vec<_>>>()
        };
        let step = |frame: &[f32], states: &mut [L::State]| -> Result<Vec<f32>> {
            let mut of_below = Tensor::from_slice(frame, (case.batch, case.input), &Device::Cpu)?;
            for (layer, state) in layers.iter().zip(states) {
                *state = layer.step(&of_below, state)?;
                of_below = state.h().clone();
            }
            Ok(of_below.flatten_all()?.to_vec1()?)
        };
        let frames: Vec<_> = (0..case.frames).map(|t| peer::frame(&x, case, t)).collect();
        let mut states = first()?;
        let rows = frames.iter().map(|frame| step(frame, &mut states)).collect::<Result<Vec<_>>>()?.concat();
        let error = case.check(&peer::swap(&rows, [case.frames, case.batch, case.hidden]))?;
        let mut next = frames.iter().cycle();
        return call.time(&engine, "step", error, || {
            step(next.next().expect("a cycle of frames"), &mut states).map(|_| ())
        });
    }
    let shape = (case.batch, case.steps, case.input);
    let sequence = |x: &Tensor| -> Result<Tensor> {
        let mut y = x.clone();
        for layer in &layers {
            let states = layer.seq(&y)?;
            // The GRU's states are concatenated, [B, T·H], the LSTM's stacked, [B, T, H].
            y = layer.states_to_tensor(&states)?.reshape((case.batch, case.steps, case.hidden))?;
        }
        Ok(y)
    };
    let to_host = |y: Tensor| -> Result<Vec<f32>> { Ok(y.flatten_all()?.to_vec1()?) };
    let on_device = Tensor::from_slice(&x, shape, &Device::Cpu)?;
    let error = case.check(&to_host(sequence(&on_device)?)?)?;
    call.time(&engine, "sequence", error, || sequence(&on_device).map(|_| ()))?;
    let end_to_end = || to_host(sequence(&Tensor::from_slice(&x, shape, &Device::Cpu)?)?);
    let error = case.check(&end_to_end()?)?;
    call.time(&engine, "end-to-end", error, || end_to_end().map(|_| ()))
}
