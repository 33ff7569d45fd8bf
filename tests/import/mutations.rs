//! A table of planted faults, and a test that the goldens in this repository detect every one.
//!
//! A fault produces the results of a faulty engine: a model or a batch changed before the run, an output changed
//! after it, or an engine with an error. Every golden that it affects is computed with it and compared with its own
//! numbers, within its own bounds. Faults in WGSL are not here, since an engine runs no other kernels than the
//! crate's own. `tests/numbers/goldens.rs`, `backends.rs` and `conventions.rs` test that the kernels compute what the
//! CPU path does.

mod draft;
mod engine;
mod faults;

use crate::cases;
use crate::golden::{Golden, Made};
use draft::Draft;
use engine::Slip;
use faults::Fault;
use wgru::{Device, Output};

/// A golden and the CPU path's results for it.
struct Case {
    golden: Golden,
    output: Output,
}

/// The effect of a fault on a golden.
#[derive(PartialEq)]
enum Effect {
    /// It does not apply.
    None,
    Unnoticed,
    Noticed,
}

fn cases(all: Vec<Golden>) -> Vec<Case> {
    let case = |golden: Golden| {
        let output = golden.run(&Device::cpu()).unwrap_or_else(|error| panic!("{}: {error}", golden.name));
        for comparison in golden.judge(&Device::cpu(), &output) {
            assert!(comparison.passes(), "{} without a fault: {comparison:?}", golden.name);
        }
        if golden.made != Made::Rounded {
            for comparison in golden.judge(&Device::cpu(), &engine::run(&golden, Slip::None)) {
                assert!(comparison.passes(), "{} without a slip: {comparison:?}", golden.name);
            }
        }
        assert!(Draft::of(&golden).instead_of(&golden).model == golden.model, "{}", golden.name);
        Case { golden, output }
    };
    all.into_iter().map(case).collect()
}

fn plant(fault: &Fault, Case { golden, output }: &Case) -> Effect {
    let mut draft = Draft::of(golden);
    let sound = draft.clone();
    (fault.before)(&mut draft);
    let planted = draft != sound;
    let run = match planted {
        true => draft.instead_of(golden).run(&Device::cpu()),
        false => Ok(output.clone()),
    };
    let mut faulty = run.unwrap_or_else(|error| panic!("{}: {}: {error}", fault.name, golden.name));
    (fault.after)(golden, &mut faulty);
    if !planted && faulty == *output {
        return Effect::None;
    }
    let noticed = golden.judge(&Device::cpu(), &faulty).iter().any(|comparison| !comparison.passes());
    if noticed { Effect::Noticed } else { Effect::Unnoticed }
}

/// How many cases a fault affects, and the indices of those that do not detect it.
fn count(fault: &Fault, cases: &[Case]) -> (usize, Vec<usize>) {
    let effects: Vec<Effect> = cases.iter().map(|case| plant(fault, case)).collect();
    let applies = effects.iter().filter(|effect| **effect != Effect::None).count();
    let unnoticed = effects.iter().enumerate().filter(|(_, effect)| **effect == Effect::Unnoticed);
    (applies, unnoticed.map(|(place, _)| place).collect())
}

#[test]
fn every_fault_is_detected() {
    let own = [cases::pytorch(), cases::onnx_runtime(), cases::keras(), cases::equations()].concat();
    let own = cases(own);
    let mut missed = Vec::new();
    println!("{:56} applies  detected", "fault");
    for fault in faults::all() {
        let (applies, unnoticed) = count(&fault, &own);
        let noticed = applies - unnoticed.len();
        println!("{:56} {applies:7}  {noticed:8}", fault.name);
        for place in unnoticed {
            println!("{:58}not by {}", "", own[place].golden.name);
        }
        if noticed == 0 {
            missed.push(fault.name);
        }
    }
    assert!(missed.is_empty(), "no golden notices: {}", missed.join("; "));
}
