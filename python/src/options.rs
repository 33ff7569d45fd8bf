//! Words of the package, and what they mean in the crate.

use wgru::import::PyTorch;
use wgru::model::{Activation, Reset, Update};
use wgru::{
    Cell, InstructionSet, Layout, NonFinite, Options, Padding, ReadoutActivation, ReadoutSteps, Storage,
};

use crate::error::wrong;
use pyo3::prelude::*;

/// What `word` means, of `all`.
fn meaning<T: Copy>(name: &str, word: &str, all: &[(&str, T)]) -> PyResult<T> {
    let found = all.iter().find(|(known, _)| *known == word).map(|(_, meaning)| *meaning);
    found.ok_or_else(|| {
        let known: Vec<String> = all.iter().map(|(known, _)| format!("\"{known}\"")).collect();
        wrong(format!("{name}: \"{word}\" is none of {}", known.join(", ")))
    })
}

fn storage(name: &str, word: &str) -> PyResult<Storage> {
    meaning(name, word, &[("f32", Storage::F32), ("f16", Storage::F16), ("bf16", Storage::Bf16)])
}

/// The options of an engine.
pub fn of_engine(weights: &str, activations: &str, memory: Option<u64>) -> PyResult<Options> {
    let options = Options::default()
        .weights(storage("weights", weights)?)
        .activations(storage("activations", activations)?);
    Ok(memory.map_or(options.clone(), |bytes| options.memory(bytes)))
}

/// The order of x.
pub fn layout(word: &str) -> PyResult<Layout> {
    meaning("layout", word, &[("batch-major", Layout::BatchMajor), ("time-major", Layout::TimeMajor)])
}

/// The order of y.
pub fn output_layout(word: &str) -> PyResult<Layout> {
    let all = [
        ("batch-major", Layout::BatchMajor),
        ("time-major", Layout::TimeMajor),
        ("direction-major", Layout::DirectionMajor),
    ];
    meaning("output_layout", word, &all)
}

pub fn padding(word: &str) -> PyResult<Padding> {
    meaning("padding", word, &[("zero", Padding::Zero), ("last", Padding::Last)])
}

pub fn non_finite(word: &str) -> PyResult<NonFinite> {
    meaning("non_finite", word, &[("refuse", NonFinite::Refuse), ("isolate", NonFinite::Isolate)])
}

pub fn readout_at(word: Option<&str>) -> PyResult<ReadoutSteps> {
    let all = [("last", ReadoutSteps::Last), ("every", ReadoutSteps::Every)];
    word.map_or(Ok(ReadoutSteps::Last), |word| meaning("readout_at", word, &all))
}

/// A readout's activation.
pub fn activation(word: Option<&str>) -> PyResult<Option<ReadoutActivation>> {
    let all = ReadoutActivation::ALL.map(|activation| (activation.name(), activation));
    word.map(|word| meaning("readout_activation", word, &all)).transpose()
}

/// A readout's name and its steps.
pub fn readout(name: Option<String>, at: Option<&str>) -> PyResult<Option<(String, ReadoutSteps)>> {
    match name {
        None if at.is_some() => {
            Err(wrong("readout_at: it is the steps of a readout, and `readout` names none"))
        }
        None => Ok(None),
        Some(name) => Ok(Some((name, readout_at(at)?))),
    }
}

/// The selector of a CPU with options.
pub fn selector(selector: &str, threads: Option<usize>, instructions: Option<&str>) -> PyResult<String> {
    if threads.is_none() && instructions.is_none() {
        return Ok(selector.to_owned());
    }
    if !selector.trim().eq_ignore_ascii_case("cpu") {
        return Err(wrong(format!(
            "threads, instructions: they are for the selector \"cpu\", not \"{selector}\""
        )));
    }
    let sets: Vec<(&str, InstructionSet)> =
        InstructionSet::ALL.into_iter().map(|set| (set.name(), set)).collect();
    let instructions = instructions.map(|word| meaning("instructions", word, &sets)).transpose()?;
    let instructions = instructions.map_or_else(String::new, |set| format!(":{set}"));
    Ok(format!("cpu{instructions}{}", threads.map_or_else(String::new, |threads| format!(":{threads}"))))
}

/// An importer of PyTorch's names.
pub fn pytorch(
    prefix: Option<String>,
    cell: Option<&str>,
    [reset, update]: [Option<&str>; 2],
    readout: Option<(String, ReadoutSteps)>,
    activation: Option<ReadoutActivation>,
) -> PyResult<PyTorch> {
    let mut import = PyTorch::new();
    if let Some(prefix) = prefix {
        import = import.prefix(prefix);
    }
    // A convention alone is one of a GRU.
    let cell = cell.or((reset.is_some() || update.is_some()).then_some("gru"));
    if cell != Some("gru") && (reset.is_some() || update.is_some()) {
        return Err(wrong("reset, update: they are conventions of a GRU, and `cell` is another"));
    }
    let resets = [("after", Reset::After), ("before", Reset::Before)];
    let updates = [("keeps", Update::Keeps), ("takes", Update::Takes)];
    let reset = reset.map_or(Ok(Reset::After), |word| meaning("reset", word, &resets))?;
    let update = update.map_or(Ok(Update::Keeps), |word| meaning("update", word, &updates))?;
    let cells = [
        ("gru", (Cell::Gru { reset, update }, None)),
        ("lstm", (Cell::LSTM, None)),
        ("rnn", (Cell::Rnn, Some(Activation::TANH))),
        ("rnn-relu", (Cell::Rnn, Some(Activation::RELU))),
    ];
    if let Some(word) = cell {
        let (cell, nonlinearity) = meaning("cell", word, &cells)?;
        import = import.cell(cell);
        if let Some(nonlinearity) = nonlinearity {
            import = import.nonlinearity(nonlinearity);
        }
    }
    if let Some(activation) = activation {
        import = import.readout_activation(activation);
    }
    Ok(match readout {
        Some((name, steps)) => import.readout(name, steps),
        None => import,
    })
}
