//! A table of planted faults, and proof that the goldens in this repository notice every one.
//!
//! A fault is what a faulty engine would compute: a model or a batch changed before the run, an output changed after
//! it, or an engine that slips. Every golden that it touches is computed with it and held against its own numbers,
//! within its own bounds. Faults of a WGSL text are not here, for an engine runs no other text than the crate's own;
//! that the kernels compute what the CPU path does is for `tests/goldens.rs`, `backends.rs` and `conventions.rs`.

mod common;

#[path = "goldens/cases.rs"]
mod cases;
#[path = "mutations/draft.rs"]
mod draft;
#[path = "mutations/engine.rs"]
mod engine;
#[path = "mutations/faults/mod.rs"]
mod faults;
#[path = "goldens/golden.rs"]
mod golden;

use draft::Draft;
use engine::Slip;
use faults::Fault;
use golden::{Golden, Made};
use wgru::{Device, Output};

/// A golden and what the CPU path makes of it.
struct Case {
    golden: Golden,
    output: Output,
}

/// What a fault does to a golden.
#[derive(PartialEq)]
enum Effect {
    /// It does not apply.
    None,
    Unnoticed,
    Noticed,
}

fn cases() -> Vec<Case> {
    let all = [cases::pytorch(), cases::onnx_runtime(), cases::keras(), cases::equations()].concat();
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

#[test]
fn every_fault_is_noticed() {
    let cases = cases();
    let mut unnoticed = Vec::new();
    println!("{:56} applies  noticed", "fault");
    for fault in faults::all() {
        let effects: Vec<Effect> = cases.iter().map(|case| plant(&fault, case)).collect();
        let applies = effects.iter().filter(|effect| **effect != Effect::None).count();
        let noticed = effects.iter().filter(|effect| **effect == Effect::Noticed).count();
        println!("{:56} {applies:7}  {noticed:7}", fault.name);
        for (case, effect) in cases.iter().zip(&effects) {
            if *effect == Effect::Unnoticed {
                println!("{:58}not by {}", "", case.golden.name);
            }
        }
        if noticed == 0 {
            unnoticed.push(fault.name);
        }
    }
    assert!(unnoticed.is_empty(), "no golden notices: {}", unnoticed.join("; "));
}
