//! Burn's `Gru`, `Lstm` and `Rnn` modules, on its wgpu backend (`--device wgpu`) and on its own CPU backend
//! (`--device flex`).
//!
//! Each takes `[B, T, I]` and loops over the steps in Rust, a handful of tensor operations each: a GRU has six products
//! a step, one for each gate and side. On wgpu, Burn fuses and autotunes; both happen while warming up. Layers are
//! chained here. Its GRU returns no state, but a step's y is its state.

use std::process::ExitCode;

use burn::module::Param;
use burn::nn::gru::{Gru, GruConfig};
use burn::nn::{GateController, Lstm, LstmConfig, LstmState, Rnn, RnnConfig, RnnState};
use burn::tensor::{Device, Tensor, TensorData};
use peer::{Array, Call, Case, Cell, Engine, Result, skip};

/// Cargo.lock's version of burn.
const VERSION: &str = "burn 0.22.1";

fn main() -> ExitCode {
    peer::run(time)
}

/// A layer with its state.
enum Layer {
    Gru(Gru),
    Lstm(Lstm),
    Rnn(Rnn),
}

/// h, and c of an LSTM; `None` before the first step.
type State = Option<(Tensor<2>, Option<Tensor<2>>)>;

impl Layer {
    /// y `[B, T, H]` of x `[B, T, I]`.
    fn sequence(&self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Gru(layer) => layer.forward(x, None),
            Self::Lstm(layer) => layer.forward(x, None).0,
            Self::Rnn(layer) => layer.forward(x, None).0,
        }
    }

    /// y `[B, 1, H]` of x `[B, 1, I]` and the state, which it replaces.
    fn step(&self, x: Tensor<3>, state: &mut State) -> Tensor<3> {
        let last = state.take();
        match self {
            Self::Gru(layer) => {
                let y = layer.forward(x, last.map(|(h, _)| h));
                *state = Some((y.clone().squeeze_dim(1), None));
                y
            }
            Self::Lstm(layer) => {
                let last = last.and_then(|(h, c)| Some(LstmState::new(c?, h)));
                let (y, next) = layer.forward(x, last);
                *state = Some((next.hidden, Some(next.cell)));
                y
            }
            Self::Rnn(layer) => {
                let (y, next) = layer.forward(x, last.map(|(h, _)| RnnState::new(h)));
                *state = Some((next.hidden, None));
                y
            }
        }
    }

    fn load(case: &Case, index: usize, device: &Device) -> Result<Self> {
        let weights = case.weights()?;
        let array = |name: &str| {
            let name = format!("{name}_l{index}");
            weights.get(&name).ok_or_else(|| format!("model.safetensors: no {name}"))
        };
        let arrays = [array("weight_ih")?, array("weight_hh")?, array("bias_ih")?, array("bias_hh")?];
        let fill = |gate: &mut GateController, number: usize| {
            let [w_ih, w_hh, b_ih, b_hh] = arrays.map(|array| rows(array, number, case.hidden));
            for (linear, w, b) in
                [(&mut gate.input_transform, w_ih, b_ih), (&mut gate.hidden_transform, w_hh, b_hh)]
            {
                let columns = w.len() / case.hidden;
                // Burn keeps [I, H], PyTorch [H, I].
                let w =
                    Tensor::<2>::from_data(TensorData::new(w, [case.hidden, columns]), device).transpose();
                let w = Tensor::from_data(w.into_data(), device);
                linear.weight = Param::from_tensor(w);
                linear.bias =
                    Some(Param::from_tensor(Tensor::from_data(TensorData::new(b, [case.hidden]), device)));
            }
        };
        let input = case.width(index);
        Ok(match case.cell {
            Cell::Gru => {
                let config = GruConfig::new(input, case.hidden, true).with_reset_after(!case.reset_before);
                let mut layer = config.init(device);
                fill(&mut layer.reset_gate, 0);
                fill(&mut layer.update_gate, 1);
                fill(&mut layer.new_gate, 2);
                Self::Gru(layer)
            }
            Cell::Lstm => {
                let mut layer = LstmConfig::new(input, case.hidden, true).init(device);
                fill(&mut layer.input_gate, 0);
                fill(layer.forget_gate.as_mut().ok_or("no forget gate")?, 1);
                fill(&mut layer.cell_gate, 2);
                fill(&mut layer.output_gate, 3);
                Self::Lstm(layer)
            }
            Cell::Rnn => {
                let mut layer = RnnConfig::new(input, case.hidden, true).init(device);
                fill(&mut layer.gate, 0);
                Self::Rnn(layer)
            }
        })
    }
}

/// The rows of one gate, of `[G·H, N]` or `[G·H]`.
fn rows(array: &Array, gate: usize, hidden: usize) -> Vec<f32> {
    let width = array.values.len() / array.shape[0];
    array.values[gate * hidden * width..][..hidden * width].to_vec()
}

fn engine(call: &Call) -> Result<(Device, Engine)> {
    let engine = |device: String, backend: &str, strategy: &str, threads| Engine {
        engine: "burn",
        device,
        backend: backend.into(),
        driver: VERSION.into(),
        strategy: format!("{:?}: {strategy}", call.case.cell),
        threads,
    };
    match call.device.as_str() {
        #[cfg(feature = "flex")]
        "flex" => {
            let words = "a loop of tensor operations over the steps, burn-flex";
            Ok((Device::flex(), engine("cpu".into(), "flex", words, call.threads)))
        }
        #[cfg(feature = "wgpu")]
        "wgpu" => {
            let device = Device::wgpu(burn::tensor::DeviceKind::DefaultDevice);
            let name = device.identity().map_or("wgpu's default adapter".into(), |identity| identity.name);
            let words = "a loop of tensor operations over the steps, fusion and autotune";
            Ok((device, engine(name, "wgpu", words, 0)))
        }
        other => skip(format!("not built for \"{other}\"")),
    }
}

fn time(call: &Call) -> Result<()> {
    let case = &call.case;
    if case.bidirectional {
        return skip("only forward layers are timed");
    }
    if case.dtype != "f32" {
        return skip("only f32 is timed");
    }
    let (device, engine) = engine(call)?;
    let layers =
        (0..case.layers).map(|index| Layer::load(case, index, &device)).collect::<Result<Vec<_>>>()?;
    let x = case.x()?;
    let to_host = |y: Tensor<3>| -> Result<Vec<f32>> {
        Ok(y.into_data().try_into_vec::<f32>().map_err(|reason| format!("{reason:?}"))?)
    };
    if case.is_step() {
        let step = |frame: &[f32], states: &mut [State]| -> Result<Vec<f32>> {
            let data = TensorData::new(frame.to_vec(), [case.batch, 1, case.input]);
            let mut of_below = Tensor::from_data(data, &device);
            for (layer, state) in layers.iter().zip(states) {
                of_below = layer.step(of_below, state);
            }
            to_host(of_below)
        };
        let frames: Vec<_> = (0..case.frames).map(|t| peer::frame(&x, case, t)).collect();
        let mut states: Vec<State> = vec![None; layers.len()];
        let rows = frames.iter().map(|frame| step(frame, &mut states)).collect::<Result<Vec<_>>>()?.concat();
        let error = case.check(&peer::swap(&rows, [case.frames, case.batch, case.hidden]))?;
        let mut next = frames.iter().cycle();
        return call.time(&engine, "step", error, || {
            step(next.next().expect("a cycle of frames"), &mut states).map(|_| ())
        });
    }
    let on_device = |x: &[f32]| -> Tensor<3> {
        Tensor::from_data(TensorData::new(x.to_vec(), [case.batch, case.steps, case.input]), &device)
    };
    let run = |x: Tensor<3>| layers.iter().fold(x, |x, layer| layer.sequence(x));
    let staged = on_device(&x);
    let error = case.check(&to_host(run(staged.clone()))?)?;
    call.time(&engine, "sequence", error, || {
        // Held until the device is done: fusion may skip a result that is never read.
        let y = run(staged.clone());
        device.sync().map_err(|reason| format!("{reason:?}"))?;
        drop(y);
        Ok(())
    })?;
    let end_to_end = || to_host(run(on_device(&x)));
    let error = case.check(&end_to_end()?)?;
    call.time(&engine, "end-to-end", error, || end_to_end().map(|_| ()))
}
