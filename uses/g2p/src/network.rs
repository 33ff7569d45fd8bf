//! The network's file: safetensors with PyTorch's names, and the letters and phonemes in its metadata.

use std::collections::HashMap;

use half::f16;
use safetensors::{Dtype, SafeTensors};
use wgru::import::PyTorch;
use wgru::{Cell, Device, Model, ReadoutSteps};

use crate::error::{Error, Result};
use crate::g2p::G2p;
use crate::{END, MOST_LETTERS};

/// The model of this repository, trained by `uses/g2p/train.py`.
const OWN: &[u8] = include_bytes!("../g2p.safetensors");
const OWN_NAME: &str = "uses/g2p/g2p.safetensors";
/// What `wgru.task` of a file's metadata has to be.
const TASK: &str = "g2p";

/// A network that was read from a file: two models and two tables of embeddings. Not on a device yet.
#[derive(Debug, Clone)]
pub struct Network {
    letters: Vec<char>,
    phonemes: Vec<String>,
    letter_rows: Vec<f32>,
    phoneme_rows: Vec<f32>,
    encoder: Model,
    decoder: Model,
}

impl Network {
    /// The model of this repository, which is part of the program.
    ///
    /// # Errors
    /// As [`Network::from_bytes`]; a test reads it.
    pub fn own() -> Result<Self> {
        Self::from_bytes(OWN_NAME, OWN)
    }

    /// Reads a file that `train.py` has written; `source` names it in errors.
    ///
    /// # Errors
    /// [`Error::Model`] for a file that is truncated, of another task, or whose sizes do not fit each other.
    pub fn from_bytes(source: &str, bytes: &[u8]) -> Result<Self> {
        Self::read(source, bytes).map_err(|reason| Error::Model { file: source.to_owned(), reason })
    }

    fn read(source: &str, bytes: &[u8]) -> std::result::Result<Self, String> {
        let unreadable = |error| format!("not a readable safetensors file: {error}");
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
        let none = HashMap::new();
        let metadata = header.metadata().as_ref().unwrap_or(&none);
        match metadata.get("wgru.task").map(String::as_str) {
            Some(TASK) => {}
            found => {
                let found = found.map_or("none".into(), |task| format!("{task:?}"));
                return Err(format!(
                    "not a grapheme-to-phoneme model: expected metadata wgru.task = {TASK:?}, found {found}; \
                     uses/g2p/train.py writes one"
                ));
            }
        }
        let text = |key: &str| metadata.get(key).ok_or_else(|| format!("no metadata {key:?}"));
        let letters: Vec<char> = text("wgru.letters")?.chars().collect();
        let phonemes: Vec<String> = text("wgru.phonemes")?.split_whitespace().map(str::to_owned).collect();
        if phonemes.len() < 2 || letters.is_empty() {
            return Err(format!(
                "{} letters and {} phonemes: expected at least 1 letter, and the end with 1 phoneme",
                letters.len(),
                phonemes.len()
            ));
        }
        let tensors = SafeTensors::deserialize(bytes).map_err(unreadable)?;
        let encoder = PyTorch::new().prefix("encoder").parse(source, bytes);
        let encoder = encoder.map_err(|error| error.to_string())?.model;
        let decoder = PyTorch::new().prefix("decoder").readout("readout", ReadoutSteps::Every);
        let decoder = decoder.parse(source, bytes).map_err(|error| error.to_string())?.model;
        for (name, model) in [("encoder", &encoder), ("decoder", &decoder)] {
            if model.cell() != Cell::GRU {
                return Err(format!("{name}: expected GRUs, found {model}"));
            }
        }
        let letter_rows = table(&tensors, "letters.weight", letters.len(), encoder.input())?;
        let phoneme_rows = table(&tensors, "phonemes.weight", phonemes.len(), decoder.input())?;
        let outputs = decoder.readout().map_or(0, wgru::Readout::outputs);
        let sizes = [
            ("scores of the readout and phonemes", outputs, phonemes.len()),
            ("states of the decoder and 1", decoder.num_states(), 1),
            (
                "numbers of the encoder's final states and of the decoder's state",
                encoder.num_states() * encoder.state_size(),
                decoder.state_size(),
            ),
        ];
        match sizes.into_iter().find(|(_, found, expected)| found != expected) {
            Some((what, found, expected)) => Err(format!("{what} differ: {found} and {expected}")),
            None => Ok(Self { letters, phonemes, letter_rows, phoneme_rows, encoder, decoder }),
        }
    }

    /// Loads both models on a device.
    ///
    /// # Errors
    /// Those of [`Device::load`].
    pub fn load(self, device: &Device) -> Result<G2p> {
        G2p::new(self, device)
    }

    /// The encoder: a GRU over letters, x `[B, T, E]`.
    pub fn encoder(&self) -> &Model {
        &self.encoder
    }

    /// The decoder: a GRU over phonemes, x `[B, E]`, with a readout of scores `[B, P]`.
    pub fn decoder(&self) -> &Model {
        &self.decoder
    }

    /// The phonemes' names. The first is the end.
    pub fn phonemes(&self) -> &[String] {
        &self.phonemes
    }

    /// The phonemes' embeddings, `[P, E]`.
    pub fn phoneme_rows(&self) -> &[f32] {
        &self.phoneme_rows
    }

    /// The letters' embeddings, `[letters, E]`.
    pub(crate) fn letter_rows(&self) -> &[f32] {
        &self.letter_rows
    }

    /// The names of phonemes. A number beyond [`Network::phonemes`] is left out.
    pub fn names(&self, phonemes: &[u32]) -> Vec<&str> {
        phonemes.iter().filter_map(|&k| self.phonemes.get(k as usize)).map(String::as_str).collect()
    }

    /// The number of a phoneme; none for the end, which is no phoneme.
    pub fn phoneme(&self, name: &str) -> Option<u32> {
        let at = self.phonemes.iter().position(|known| known == name)? as u32;
        (at != END).then_some(at)
    }

    /// The numbers of a word's letters. ASCII capitals count as small letters.
    ///
    /// # Errors
    /// What is wrong with the word: it is empty, longer than [`MOST_LETTERS`], or has a character that is no letter of the model.
    pub fn spell(&self, word: &str) -> std::result::Result<Vec<u32>, String> {
        let count = word.chars().count();
        if count == 0 {
            return Err("it has no letters".into());
        }
        if count > MOST_LETTERS {
            return Err(format!("{count} letters: expected at most {MOST_LETTERS}"));
        }
        let number = |letter: char| {
            let small = letter.to_ascii_lowercase();
            let found = self.letters.iter().position(|&known| known == small);
            found.map(|at| at as u32).ok_or_else(|| {
                let known: String = self.letters.iter().collect();
                format!("{letter:?} is not a letter of this model ({known}): spell it with these")
            })
        };
        word.chars().map(number).collect()
    }
}

/// A tensor `[rows, features]` as f32.
fn table(
    tensors: &SafeTensors<'_>,
    name: &str,
    rows: usize,
    features: usize,
) -> std::result::Result<Vec<f32>, String> {
    let tensor = tensors.tensor(name).map_err(|error| format!("{name}: {error}"))?;
    if tensor.shape() != [rows, features] {
        return Err(format!("{name}: expected [{rows}, {features}], found {:?}", tensor.shape()));
    }
    let data: Vec<f32> = match tensor.dtype() {
        Dtype::F16 => {
            let numbers = tensor.data().as_chunks::<2>().0.iter();
            numbers.map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect()
        }
        Dtype::F32 => {
            tensor.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
        }
        other => return Err(format!("{name}: expected F16 or F32, found {other:?}")),
    };
    match data.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(format!("{name}: number {at} is {}", data[at])),
        None => Ok(data),
    }
}
