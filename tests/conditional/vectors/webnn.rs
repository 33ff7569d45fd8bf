//! The suites in WebNN's terms (web-platform-tests, the f64 baseline, the polyfill): layers through the public
//! builder, gates in the order that `layout` names.
//!
//! ```text
//! gru, lstm           input [T, B, I]   output0 h_n [D, B, H]   then c_n (lstm), then y [T, D, B, H]
//! gruCell, lstmCell   input [B, I]      output0 h' [B, H]       then c' (lstmCell)
//! ```
//!
//! A cell is one step: it runs as a batch of T = 1 and as a step of a session.

use half::f16;
use serde_json::Value;
use wgru::Layout;
use wgru::model::{Activation, Activations, GateOrder, Reset, Update};
use wgru::reference::{self, Tolerance};
use wgru::{Batch, Cell, Device, Direction, Error, Layer, Model, Output, State, Weights};

use super::suite::{Bound, Judge, Suite, bound, numbers, shape, text};

/// A case in this crate's form.
struct Net {
    model: Model,
    /// `[T, B, I]`.
    shape: [usize; 3],
    x: Vec<f32>,
    h0: Option<Vec<f32>>,
    c0: Option<Vec<f32>>,
}

fn activation(name: &Value) -> Activation {
    match text(name) {
        "relu" => Activation::RELU,
        "sigmoid" => Activation::SIGMOID,
        "tanh" => Activation::TANH,
        other => panic!("activation {other}"),
    }
}

impl Net {
    /// `round` converts the file's numbers to f32.
    fn new(case: &Value, round: &dyn Fn(f64) -> f32) -> Self {
        let (inputs, attributes) = (&case["inputs"], &case["attributes"]);
        let array = |name: &str| -> Option<Vec<f32>> {
            Some(numbers(&inputs[name])?.into_iter().map(round).collect())
        };
        let lstm = text(&case["op"]).starts_with("lstm");
        let direction = match attributes.get("direction").map(text) {
            None | Some("forward") => Direction::Forward,
            Some("backward") => Direction::Reverse,
            Some("both") => Direction::Bidirectional,
            Some(other) => panic!("direction {other}"),
        };
        let cell = match attributes.get("resetAfter").is_none_or(|after| after == true) {
            _ if lstm => Cell::LSTM,
            true => Cell::Gru { reset: Reset::After, update: Update::Keeps },
            false => Cell::Gru { reset: Reset::Before, update: Update::Keeps },
        };
        let order = attributes.get("layout").map_or(if lstm { "iofg" } else { "zrn" }, text);
        let order: GateOrder = order.parse().expect("one of WebNN's");
        let hidden = attributes["hiddenSize"].as_u64().expect("a size") as usize;
        let part = |name: &str, d: usize| {
            let values = array(name)?;
            let block = values.len() / direction.count();
            Some(values[d * block..][..block].to_vec())
        };
        let weights = |d| {
            let weights = Weights {
                w_ih: part("weight", d).expect("a weight"),
                w_hh: part("recurrentWeight", d).expect("a weight"),
                b_ih: part("bias", d),
                b_hh: part("recurrentBias", d),
                // Always i, o, f in WebNN, whatever the order of the gates; i, f, o here.
                peepholes: part("peepholeWeight", d).map(|p| {
                    [0, 2, 1].iter().flat_map(|gate| p[gate * hidden..][..hidden].to_vec()).collect()
                }),
                w_hr: None,
            };
            weights.from_order(order).expect("whole blocks")
        };
        let sets = (0..direction.count()).map(weights).collect();
        let mut dims = shape(&inputs["input"]);
        if dims.len() == 2 {
            dims.insert(0, 1);
        }
        let dims: [usize; 3] = dims.try_into().expect("three dimensions");
        let mut layer = Layer::new(cell, direction, dims[2], hidden, sets).expect("sizes fit");
        if let Some(names) = attributes.get("activations").and_then(Value::as_array) {
            let mut own = Activations::of(cell);
            let places = [&mut own.gate, &mut own.candidate, &mut own.output];
            places.into_iter().zip(names).for_each(|(place, name)| *place = activation(name));
            layer = layer.with_activations(vec![own; direction.count()]).expect("one set per direction");
        }
        Self {
            model: Model::new(vec![layer]).expect("one layer"),
            shape: dims,
            x: array("input").expect("an input"),
            h0: array("initialHiddenState").or_else(|| array("hiddenState")),
            c0: array("initialCellState").or_else(|| array("cellState")),
        }
    }

    fn batch(&self) -> Batch<'_> {
        let batch = Batch::time_major(&self.x, self.shape).expect("x fits");
        let mut batch = batch.output_layout(Layout::DirectionMajor);
        if let Some(h0) = &self.h0 {
            batch = batch.h0(h0);
        }
        if let Some(c0) = &self.c0 {
            batch = batch.c0(c0);
        }
        batch
    }

    /// One step of a session from the initial state, as a run would give it.
    fn step(&self, device: &Device) -> Result<Output, Error> {
        let mut session = device.load_with(&self.model, crate::common::options())?.session(self.shape[1])?;
        let zeros = || vec![0.0; self.shape[1] * self.model.hidden()];
        let c = self.model.cell().has_c().then(|| self.c0.clone().unwrap_or_else(zeros));
        session.set_state(&State { h: self.h0.clone().unwrap_or_else(zeros), c })?;
        let y = session.step(&self.x)?.y;
        let State { h, c } = session.state()?;
        Ok(Output { y, h_n: h, c_n: c, out: None })
    }
}

/// The file's outputs with the computed ones.
fn pairs<T: Copy>(case: &Value, output: &Output<T>) -> Vec<(String, Vec<T>, Vec<f64>)> {
    let arrays = [Some(&output.h_n), output.c_n.as_ref(), Some(&output.y)];
    let arrays: Vec<&Vec<T>> = arrays.into_iter().flatten().collect();
    let expected = case["expected_outputs"].as_object().expect("arrays");
    let place =
        |name: &str| name.strip_prefix("output").and_then(|n| n.parse::<usize>().ok()).expect("a place");
    let pair = |(name, array): (&String, &Value)| {
        (name.clone(), arrays[place(name)].clone(), numbers(array).expect("numbers"))
    };
    expected.iter().map(pair).collect()
}

/// The bound of an output and of an element of it.
fn run(
    case: &Value,
    net: &Net,
    device: &Device,
    judge: &mut Judge,
    bound: impl Fn(usize, usize) -> Bound,
) -> Result<(), Error> {
    let mut outputs = vec![device.load_with(&net.model, crate::common::options())?.run(&net.batch())?];
    if text(&case["op"]).ends_with("Cell") {
        outputs.push(net.step(device)?);
    }
    for output in &outputs {
        for (array, (name, got, expected)) in pairs(case, output).into_iter().enumerate() {
            judge.each_holds(&name, &got, &expected, |at| bound(array, at));
        }
    }
    Ok(())
}

/// The first-order effect, on each element of each output, of half a step of f32 in every number of the case: the
/// rounding of one product per number. With relu for its gates a GRU's z is far above 1, and `z h + (1 − z) n`
/// subtracts large numbers. The reduction order then changes more ULP than the suite allows.
fn rounding(case: &Value) -> Vec<Vec<f64>> {
    // Numbers are identified by the order in which they are read; `turn` moves one of them to the next f32.
    let run = |turn: Option<usize>| {
        let turns = std::cell::Cell::new(0);
        let net = Net::new(case, &|v| {
            let own = turns.replace(turns.get() + 1);
            if turn == Some(own) { (v as f32).next_up() } else { v as f32 }
        });
        let output = reference::run(&net.model, &net.batch()).expect("the case runs");
        (pairs(case, &output).into_iter().map(|(_, got, _)| got).collect::<Vec<_>>(), turns.get())
    };
    let (base, turns) = run(None);
    let mut sums: Vec<Vec<f64>> = base.iter().map(|array| vec![0.0; array.len()]).collect();
    for turn in 0..turns {
        for ((sums, base), moved) in sums.iter_mut().zip(&base).zip(&run(Some(turn)).0) {
            sums.iter_mut().zip(base.iter().zip(moved)).for_each(|(sum, (b, m))| *sum += 0.5 * (m - b).abs());
        }
    }
    sums
}

/// f16 cases: their inputs are rounded to f16; ours are computed in f32 and then rounded.
pub fn web_platform_tests(suite: Suite) {
    let is_half = |case: &Value| case["inputs"]["input"]["dtype"] == "float16";
    assert_eq!(suite.cases.iter().filter(|case| is_half(case)).count(), 22);
    suite.holds(|case, device, judge| {
        assert_eq!(case["tolerance"]["type"], "ULP");
        let ulps = case["tolerance"]["value"].as_u64().expect("a count") as u32;
        if is_half(case) {
            let net = Net::new(case, &|v| f16::from_f64(v).to_f32());
            return run(case, &net, device, judge, |_, _| Bound::Ulp16(ulps));
        }
        let rounding = rounding(case);
        let bound = |array: usize, at: usize| Bound::Ulp32 { ulps, rounding: rounding[array][at] };
        run(case, &Net::new(case, &|v| v as f32), device, judge, bound)
    });
}

pub fn webnn_polyfill(suite: Suite) {
    suite.holds(|case, device, judge| {
        run(case, &Net::new(case, &|v| v as f32), device, judge, |_, _| bound(&case["tolerance"]))
    });
}

/// The file is in f64 and weights here are f32, so a device's results are within the tolerance that the crate
/// derives: a number rounded to f32 adds one rounding to each of its products.
pub fn webnn_baseline(suite: Suite) {
    suite.holds(|case, device, judge| {
        let net = Net::new(case, &|v| v as f32);
        let largest = case["expected_outputs"].as_object().expect("arrays").values();
        let largest = largest.flat_map(|array| numbers(array).expect("numbers"));
        let largest = largest.fold(0.0, |all: f64, v| all.max(v.abs()));
        let bound = Bound::atol(Tolerance::of(&net.model, &net.batch()).at(largest));
        run(case, &net, device, judge, |_, _| bound)
    });
}

/// The same in f64, to the precision of f64. Numbers that f32 cannot represent are corrected for to first order:
///
/// ```text
/// f(v) = f(a) + Σ t_v (f(a with b for v) − f(a)) + O(eps²)      v = a + t_v (b − a), a and b the f32 around v
/// ```
///
/// over the distinct numbers v of the case; eps² is that of f32, 4e-15.
pub fn webnn_baseline_in_f64(suite: Suite) {
    let mut exact = 0;
    let mut judge = Judge::default();
    for case in &suite.cases {
        let run = |round: &dyn Fn(f64) -> f32| {
            let net = Net::new(case, round);
            let output = reference::run(&net.model, &net.batch()).expect("the case runs");
            pairs(case, &output)
        };
        let mut inexact: Vec<f64> =
            case["inputs"].as_object().expect("arrays").values().flat_map(numbers).flatten().collect();
        inexact.retain(|&v| f64::from(v as f32) != v);
        inexact.sort_by(f64::total_cmp);
        inexact.dedup();
        exact += usize::from(inexact.is_empty());
        let base = run(&|v| v as f32);
        let mut sum = base.clone();
        for v in inexact {
            let a = v as f32;
            let b = if f64::from(a) < v { a.next_up() } else { a.next_down() };
            let t = (v - f64::from(a)) / (f64::from(b) - f64::from(a));
            let moved = run(&|other| if other == v { b } else { other as f32 });
            for ((sum, base), moved) in sum.iter_mut().zip(&base).zip(&moved) {
                for ((sum, base), moved) in sum.1.iter_mut().zip(&base.1).zip(&moved.1) {
                    *sum += t * (moved - base);
                }
            }
        }
        for (name, got, expected) in sum {
            judge.holds(&name, &got, &expected, Bound::Within { atol: 1e-12, rtol: 1e-12 });
        }
    }
    judge.finish(&format!("{} in f64, {exact} of {} exact in f32", suite.file, suite.cases.len()));
}
