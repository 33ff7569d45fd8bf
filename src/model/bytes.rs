//! A model as bytes, for another process, worker or module of the same version: pickles of the Python package, and what a page gives
//! its workers and audio worklets. Words of 32 bits, little-endian; arrays and texts after their length.

use super::{
    Activation, Activations, Cell, Direction, Function, Layer, Merge, Model, Readout, ReadoutActivation,
    ReadoutSteps, Weights,
};
use crate::error::{Error, Result};

/// The first words: `wgru`, and the version of what follows.
const MAGIC: u32 = u32::from_le_bytes(*b"wgru");
const VERSION: u32 = 2;

const DIRECTIONS: [Direction; 3] = [Direction::Forward, Direction::Reverse, Direction::Bidirectional];
const MERGES: [Merge; 4] = [Merge::Concat, Merge::Sum, Merge::Mul, Merge::Average];
const STEPS: [ReadoutSteps; 2] = [ReadoutSteps::Every, ReadoutSteps::Last];

fn wrong(reason: impl Into<String>) -> Error {
    Error::format("the bytes of a model", reason)
}

/// `model`, and lists of texts, as bytes.
///
/// # Errors
/// [`Error::Format`] where a size does not fit 32 bits.
pub fn write(model: &Model, lists: &[&[String]]) -> Result<Vec<u8>> {
    let mut to = Writer(Vec::new());
    to.words(&[MAGIC, VERSION]);
    to.word(model.layers().len())?;
    for layer in model.layers() {
        to.layer(layer)?;
    }
    match model.readout() {
        None => to.word(0)?,
        Some(readout) => {
            to.word(1)?;
            to.word(readout.input())?;
            to.word(readout.outputs())?;
            to.one_of(&STEPS, readout.steps())?;
            to.one_of(&ReadoutActivation::ALL, readout.activation())?;
            to.numbers(readout.w())?;
            to.maybe(readout.b())?;
        }
    }
    for list in lists {
        to.word(list.len())?;
        for text in *list {
            to.word(text.len())?;
            to.0.extend(text.as_bytes());
        }
    }
    Ok(to.0)
}

/// What [`write()`] wrote.
///
/// # Errors
/// For bytes that are not all of one, and those of the model's parts.
pub fn read<const N: usize>(bytes: &[u8]) -> Result<(Model, [Vec<String>; N])> {
    let mut from = Reader(bytes);
    if from.word()? != MAGIC {
        return Err(wrong("they do not begin as those of a model do"));
    }
    let version = from.word()?;
    if version != VERSION {
        return Err(wrong(format!(
            "they are of version {version}, and this version of wgru reads {VERSION}"
        )));
    }
    let mut layers = Vec::new();
    for _ in 0..from.word()? {
        layers.push(from.layer()?);
    }
    let mut model = Model::new(layers)?;
    if from.word()? != 0 {
        let (input, outputs) = (from.word()? as usize, from.word()? as usize);
        let (steps, activation) = (from.one_of(&STEPS)?, from.one_of(&ReadoutActivation::ALL)?);
        let readout = Readout::new(input, outputs, steps, from.numbers()?, from.maybe()?)?;
        model = model.with_readout(readout.with_activation(activation))?;
    }
    let mut lists = [const { Vec::new() }; N];
    for list in &mut lists {
        for _ in 0..from.word()? {
            let len = from.word()?;
            let text = from.take(len as usize)?.to_vec();
            list.push(String::from_utf8(text).map_err(|_| wrong("a text in them is not UTF-8"))?);
        }
    }
    if !from.0.is_empty() {
        return Err(wrong(format!("{} bytes follow the model", from.0.len())));
    }
    Ok((model, lists))
}

struct Writer(Vec<u8>);

impl Writer {
    fn words(&mut self, words: &[u32]) {
        self.0.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }

    fn word(&mut self, word: usize) -> Result<()> {
        let word = u32::try_from(word).map_err(|_| wrong(format!("{word} does not fit 32 bits")))?;
        self.words(&[word]);
        Ok(())
    }

    fn one_of<T: PartialEq>(&mut self, all: &[T], value: T) -> Result<()> {
        let place = all.iter().position(|one| *one == value);
        self.word(place.ok_or_else(|| wrong("they have no word for a part of the model"))?)
    }

    fn numbers(&mut self, numbers: &[f32]) -> Result<()> {
        self.word(numbers.len())?;
        self.0.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        Ok(())
    }

    /// An array or none: its length is then 0, as that of no array of a model is.
    fn maybe(&mut self, numbers: Option<&[f32]>) -> Result<()> {
        self.numbers(numbers.unwrap_or_default())
    }

    fn activation(&mut self, activation: Activation) -> Result<()> {
        self.one_of(&Function::ALL, activation.function())?;
        self.words(&[activation.alpha().to_bits(), activation.beta().to_bits()]);
        Ok(())
    }

    fn layer(&mut self, layer: &Layer) -> Result<()> {
        self.one_of(&Cell::ALL, layer.cell())?;
        self.one_of(&DIRECTIONS, layer.direction())?;
        self.one_of(&MERGES, layer.merge())?;
        self.word(layer.input())?;
        self.word(layer.hidden())?;
        for clip in [layer.clip(), layer.state_clip()] {
            self.maybe(clip.as_slice().into())?;
        }
        for (set, weights) in layer.activations().iter().zip(layer.weights()) {
            for activation in [set.gate, set.candidate, set.output] {
                self.activation(activation)?;
            }
            self.numbers(&weights.w_ih)?;
            self.numbers(&weights.w_hh)?;
            for array in [&weights.b_ih, &weights.b_hh, &weights.peepholes, &weights.w_hr] {
                self.maybe(array.as_deref())?;
            }
        }
        Ok(())
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or_else(|| wrong("they end within the model"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn word(&mut self) -> Result<u32> {
        let bytes = self.take(4)?;
        Ok(bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte)))
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> Result<T> {
        let place = self.word()?;
        all.get(place as usize)
            .copied()
            .ok_or_else(|| wrong("a part of the model is none that this version of wgru knows"))
    }

    fn numbers(&mut self) -> Result<Vec<f32>> {
        let len = self.word()? as usize;
        let bytes = self.take(len.saturating_mul(4))?;
        Ok(bytes
            .chunks_exact(4)
            .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
            .collect())
    }

    fn maybe(&mut self) -> Result<Option<Vec<f32>>> {
        Ok(Some(self.numbers()?).filter(|numbers| !numbers.is_empty()))
    }

    fn activation(&mut self) -> Result<Activation> {
        let function = self.one_of(&Function::ALL)?;
        Activation::new(function, f32::from_bits(self.word()?), f32::from_bits(self.word()?))
    }

    fn layer(&mut self) -> Result<Layer> {
        let (cell, direction, merge) =
            (self.one_of(&Cell::ALL)?, self.one_of(&DIRECTIONS)?, self.one_of(&MERGES)?);
        let (input, hidden) = (self.word()? as usize, self.word()? as usize);
        let clips = [self.maybe()?, self.maybe()?];
        let (mut activations, mut weights) = (Vec::new(), Vec::new());
        for _ in 0..direction.count() {
            let (gate, candidate, output) = (self.activation()?, self.activation()?, self.activation()?);
            activations.push(Activations { gate, candidate, output });
            let (w_ih, w_hh) = (self.numbers()?, self.numbers()?);
            let (b_ih, b_hh, peepholes, w_hr) = (self.maybe()?, self.maybe()?, self.maybe()?, self.maybe()?);
            weights.push(Weights { w_ih, w_hh, b_ih, b_hh, peepholes, w_hr });
        }
        let mut layer = Layer::new(cell, direction, input, hidden, weights)?
            .with_activations(activations)?
            .with_merge(merge)?;
        if let [Some(clip), _] = &clips {
            layer = layer.with_clip(clip[0])?;
        }
        if let [_, Some(clip)] = &clips {
            layer = layer.with_state_clip(clip[0])?;
        }
        Ok(layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(seed: &mut u32, len: usize) -> Vec<f32> {
        let mut next = || {
            *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *seed as f32 / u32::MAX as f32 - 0.5
        };
        (0..len).map(|_| next()).collect()
    }

    /// Every cell, direction and merge, with each option of a layer and without.
    fn models() -> Vec<Model> {
        let (mut models, mut seed, hidden) = (Vec::new(), 25, 3);
        for cell in Cell::ALL {
            for (at, direction) in DIRECTIONS.into_iter().enumerate() {
                for merge in MERGES {
                    if merge != Merge::Concat && direction != Direction::Bidirectional {
                        continue;
                    }
                    let (rows, state) = (cell.gates() * hidden, if cell.has_c() && at == 0 { 2 } else { 3 });
                    let mut input = 2;
                    let mut layers = Vec::new();
                    for index in 0..2 {
                        let mut set = || Weights {
                            w_ih: numbers(&mut seed, rows * input),
                            w_hh: numbers(&mut seed, rows * state),
                            b_ih: (at > 0).then(|| numbers(&mut seed, rows)),
                            b_hh: (at > 1).then(|| numbers(&mut seed, rows)),
                            peepholes: cell.has_c().then(|| numbers(&mut seed, 3 * hidden)),
                            w_hr: (state != hidden).then(|| numbers(&mut seed, state * hidden)),
                        };
                        let weights = (0..direction.count()).map(|_| set()).collect();
                        let mut layer = Layer::new(cell, direction, input, hidden, weights).unwrap();
                        layer = layer.with_merge(merge).unwrap();
                        if index == 1 {
                            let gate = Activation::hard_sigmoid(0.2, 0.5).unwrap();
                            let candidate = Activation::new(Function::LeakyRelu, 0.1, 0.0).unwrap();
                            let set = Activations { gate, candidate, output: Activation::RELU };
                            layer = layer.with_activations(vec![set; direction.count()]).unwrap();
                            layer = layer.with_clip(2.5).unwrap().with_state_clip(1.5).unwrap();
                        }
                        input = layer.output();
                        layers.push(layer);
                    }
                    let model = Model::new(layers).unwrap();
                    let (w, b) = (numbers(&mut seed, 2 * input), (at == 1).then(|| numbers(&mut seed, 2)));
                    let readout = Readout::new(input, 2, STEPS[at % 2], w, b).unwrap();
                    models.push(model.clone());
                    models.push(model.with_readout(readout).unwrap());
                }
            }
        }
        models
    }

    #[test]
    fn every_model_comes_back() {
        let lists = [vec!["a".to_owned(), String::new()], vec!["größe".to_owned()]];
        for model in models() {
            let bytes = write(&model, &[&lists[0], &lists[1]]).unwrap();
            let (read, texts) = read::<2>(&bytes).unwrap();
            assert_eq!(read, model, "{model}");
            assert_eq!(texts, lists);
        }
    }

    #[test]
    fn bytes_that_are_cut_or_changed_are_refused_or_read() {
        let model = models().pop().unwrap();
        let bytes = write(&model, &[&["text".to_owned()]]).unwrap();
        for len in 0..bytes.len() {
            assert!(read::<1>(&bytes[..len]).is_err(), "{len} of {} bytes", bytes.len());
        }
        assert!(read::<1>(&[&bytes[..], &[0]].concat()).is_err());
        for at in 0..bytes.len() {
            for bit in [0, 6, 7] {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                drop(read::<1>(&changed));
            }
        }
    }
}
