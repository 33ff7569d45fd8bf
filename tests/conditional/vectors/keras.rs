//! Keras' own layer tests: masks, states kept between calls, `go_backwards`. Kernels, recurrent kernels and biases
//! are constants, so that transposing the kernels (`[I, G·H]` in Keras) changes nothing.
//!
//! ```text
//! GRU z r h   bias [2, 3·H] with reset_after, else [3·H]
//! LSTM i f c o   bias [4·H], that of f is 1 unless unit_forget_bias is false
//! ```

use serde_json::Value;
use wgru::model::{GateOrder, Reset, Update};
use wgru::{Batch, Cell, Device, Direction, Error, Layer, Model, Weights};
use wgru::{Output, Padding};

use super::suite::{Bound, Judge, Suite, floats, shape, text};

fn flag(case: &Value, name: &str) -> Option<bool> {
    case["attributes"].get(name).map(|value| value.as_bool().expect("a flag"))
}

fn direction(case: &Value) -> Direction {
    if flag(case, "go_backwards") == Some(true) { Direction::Reverse } else { Direction::Forward }
}

fn model(case: &Value) -> Model {
    let constant = |name: &str| case["weights"][name].as_f64().expect("a number") as f32;
    let (input, hidden) = (shape(&case["inputs"]["sequence"])[2], case["attributes"]["units"].as_u64());
    let hidden = hidden.expect("a size") as usize;
    let after = flag(case, "reset_after") != Some(false);
    let (cell, order) = match text(&case["op"]) {
        "GRU" => {
            let reset = if after { Reset::After } else { Reset::Before };
            (Cell::Gru { reset, update: Update::Keeps }, Some(GateOrder::Zrn))
        }
        "LSTM" => (Cell::LSTM, Some(GateOrder::Ifgo)),
        "SimpleRNN" => (Cell::Rnn, None),
        other => panic!("layer {other}"),
    };
    let rows = cell.gates() * hidden;
    let bias = (flag(case, "use_bias") != Some(false)).then(|| vec![constant("bias"); rows]);
    let mut weights = Weights {
        w_ih: vec![constant("kernel"); rows * input],
        w_hh: vec![constant("recurrent"); rows * hidden],
        b_hh: bias.clone().filter(|_| matches!(cell, Cell::Gru { reset: Reset::After, .. })),
        b_ih: bias,
        ..Weights::default()
    };
    if let (Cell::Lstm { .. }, Some(bias)) = (cell, &mut weights.b_ih)
        && flag(case, "unit_forget_bias") != Some(false)
    {
        bias[hidden..2 * hidden].fill(1.0);
    }
    if let Some(order) = order {
        weights = weights.from_order(order).expect("whole blocks");
    }
    let layer = Layer::new(cell, direction(case), input, hidden, vec![weights]).expect("sizes fit");
    Model::new(vec![layer]).expect("one layer")
}

/// Which steps are real, `[B][T]`.
fn mask(case: &Value, [batch, steps, _]: [usize; 3]) -> Vec<Vec<bool>> {
    let Some(data) = case["inputs"].get("mask") else { return vec![vec![true; steps]; batch] };
    let data = data["data"].as_array().expect("a flat list");
    let data: Vec<bool> = data.iter().map(|v| v.as_bool().expect("a flag")).collect();
    data.chunks_exact(steps).map(<[bool]>::to_vec).collect()
}

/// The layer's output sequence in Keras' order, `[B, T, H]`, and its final h, `[B, H]`.
struct Called {
    y: Vec<f32>,
    h: Vec<f32>,
    c: Option<Vec<f32>>,
}

/// One call of the layer on `x`, `[B, T, I]`, from the states `h` and `c`.
///
/// A mask that is a prefix of every row is equal to lengths. One with holes is not, because the cell keeps its state
/// in a hole: its real steps are moved to the front, run, and moved back to their positions.
fn call(
    case: &Value,
    device: &Device,
    model: &Model,
    x: &[f32],
    states: [Option<&[f32]>; 2],
) -> Result<Called, Error> {
    let dims: [usize; 3] = shape(&case["inputs"]["sequence"]).try_into().expect("three dimensions");
    let [batch, steps, input] = dims;
    let mask = mask(case, dims);
    let fill = if flag(case, "zero_output_for_mask") == Some(true) { Padding::Zero } else { Padding::Last };
    let real: Vec<Vec<usize>> = mask.iter().map(|row| (0..steps).filter(|&t| row[t]).collect()).collect();
    let whole = real.iter().all(|real| real.iter().enumerate().all(|(place, &t)| place == t));
    let mut gathered = vec![0.0; x.len()];
    for (b, real) in real.iter().enumerate() {
        for (place, t) in real.iter().enumerate() {
            let (to, from) = ((b * steps + place) * input, (b * steps + t) * input);
            gathered[to..to + input].copy_from_slice(&x[from..from + input]);
        }
    }
    let lengths: Vec<u32> = real.iter().map(|real| real.len() as u32).collect();
    let mut inputs = Batch::new(&gathered, dims)?.lengths(&lengths).padding(fill);
    if let [Some(h0), _] = states {
        inputs = inputs.h0(h0);
    }
    if let [_, Some(c0)] = states {
        inputs = inputs.c0(c0);
    }
    let Output { y, h_n, c_n, .. } = device.load_with(model, crate::common::options())?.run(&inputs)?;
    let hidden = model.hidden();
    let mut keras = Vec::new();
    for b in 0..batch {
        let at = |t: usize| y[(b * steps + t) * hidden..][..hidden].to_vec();
        let mut last = vec![0.0; hidden];
        // Keras leaves the output of go_backwards in the order of computation.
        for t in (0..steps)
            .map(|t| if model.layers()[0].direction() == Direction::Reverse { steps - 1 - t } else { t })
        {
            let place = real[b].iter().position(|&real| real == t);
            let out = match place {
                _ if whole => at(t),
                Some(place) => at(place),
                None if fill == Padding::Zero => vec![0.0; hidden],
                None => last,
            };
            keras.extend_from_slice(&out);
            last = out;
        }
    }
    Ok(Called { y: keras, h: h_n, c: c_n })
}

fn run(case: &Value, device: &Device, judge: &mut Judge) -> Result<(), Error> {
    let (inputs, model) = (&case["inputs"], model(case));
    let x = floats(&inputs["sequence"]).expect("a sequence");
    let initial = |name: &str| inputs.get(name).and_then(floats);
    let mut h = initial("initial_state").or(initial("initial_state_0"));
    let mut c = initial("initial_state_1");
    let calls = case["call_index_since_reset"].as_u64().expect("a count");
    assert!(calls == 1 || flag(case, "stateful") == Some(true));
    let mut called = call(case, device, &model, &x, [h.as_deref(), c.as_deref()])?;
    for _ in 1..calls {
        (h, c) = (Some(called.h), called.c);
        called = call(case, device, &model, &x, [h.as_deref(), c.as_deref()])?;
    }
    let hidden = model.hidden();
    let sequence = called.y.len() / shape(&inputs["sequence"])[0];
    for expected in case["expected"].as_array().expect("a list") {
        let rows = expected["data"].as_array().expect("rows");
        let data = rows.iter().flat_map(|row| row.as_array().expect("a row"));
        let data: Vec<f64> = data.map(|v| v.as_f64().expect("a number")).collect();
        let bound = Bound::Within {
            atol: expected["atol"].as_f64().expect("a tolerance"),
            rtol: expected["rtol"].as_f64().expect("a tolerance"),
        };
        match &expected["path"].as_array().expect("a path")[..] {
            [output] if output == "output" && flag(case, "return_sequences") != Some(true) => {
                let rows = called.y.chunks_exact(sequence);
                let last: Vec<f32> = rows.flat_map(|row| row[sequence - hidden..].to_vec()).collect();
                judge.holds("output", &last, &data, bound);
                judge.holds("state", &called.h, &data, bound);
            }
            [output, b] if output == "output" && flag(case, "return_sequences") == Some(true) => {
                let b = b.as_u64().expect("a place") as usize;
                judge.holds("output", &called.y[b * sequence..][..sequence], &data, bound);
            }
            other => panic!("path {other:?}"),
        }
    }
    Ok(())
}

pub fn keras_layer_tests(suite: Suite) {
    for (op, count) in [("GRU", 16), ("LSTM", 13), ("SimpleRNN", 12)] {
        assert_eq!(suite.cases.iter().filter(|case| case["op"] == op).count(), count, "{op}");
    }
    suite.holds(run);
}
