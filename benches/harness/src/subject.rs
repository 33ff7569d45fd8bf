//! A case with the data that is the same on every device.

use wgru::import::PyTorch;
use wgru::model::bytes;
use wgru::{Cell, Model, Storage, export};

use crate::case::{Case, values};
use crate::verify::Inputs;

/// A case with all data that is the same on every device.
pub struct Subject {
    /// The case.
    pub case: Case,
    /// Its model.
    pub model: Model,
    /// The model as a file: in PyTorch's names or, since those have no reverse layers alone, the crate's bytes.
    file: Vec<u8>,
    x: Vec<f32>,
    lengths: Option<Vec<u32>>,
}

impl Subject {
    /// Draws weights and inputs.
    ///
    /// # Errors
    /// Sizes that overflow.
    pub fn new(case: Case) -> Result<Self, String> {
        let text = |error: wgru::Error| format!("{case}: {error}");
        let mut rng = fastrand::Rng::with_seed(1);
        let model = case.model(&mut rng).map_err(text)?;
        let len = wgru::dims::product("x", &[case.batch, case.steps, case.input]).map_err(text)?;
        Vec::<f32>::new()
            .try_reserve_exact(len)
            .map_err(|_| format!("{case}: no memory for x, {len} numbers"))?;
        u32::try_from(case.steps).map_err(|_| format!("{case}: more steps than can be counted"))?;
        let x = values(&mut rng, len, 1.0);
        let lengths = case.lengths(&mut rng);
        // PyTorch's names do not tell where a GRU resets, so the importer is given the cell.
        let plain = Case { cell: if case.cell.gates() == 3 { Cell::GRU } else { case.cell }, ..case.clone() };
        let named = plain.model(&mut fastrand::Rng::with_seed(1)).map_err(text)?;
        let file = if case.alternating { bytes::write(&named, &[]) } else { export::pytorch(&named) };
        let file = file.map_err(text)?;
        Ok(Self { case, model, file, x, lengths })
    }

    /// Reads the model from its file.
    ///
    /// # Errors
    /// Those of the importer.
    pub fn read(&self) -> wgru::Result<Model> {
        if self.case.alternating {
            return bytes::read::<0>(&self.file).map(|(model, _)| model);
        }
        let importer = PyTorch::new().cell(self.case.cell);
        Ok(importer.parse("the case's weights", &self.file)?.model)
    }

    /// The inputs, from zero states.
    pub fn inputs(&self) -> Inputs<'_> {
        let Case { batch, steps, input, .. } = self.case;
        Inputs { x: &self.x, shape: [batch, steps, input], lengths: self.lengths.as_deref() }
    }

    /// x, `[B, T, I]`.
    pub fn x(&self) -> &[f32] {
        &self.x
    }

    /// Real steps of all sequences.
    pub fn steps(&self) -> u64 {
        match &self.lengths {
            Some(lengths) => lengths.iter().map(|&length| u64::from(length)).sum(),
            None => (self.case.batch * self.case.steps) as u64,
        }
    }

    /// The bytes of the matrices.
    pub fn weight_bytes(&self) -> u64 {
        weight_bytes(&self.model, self.case.storage)
    }

    /// Weights, x and y: the least data that must be moved.
    pub fn host_bytes(&self) -> u64 {
        let Case { batch, steps, input, .. } = self.case;
        self.weight_bytes() + 4 * (batch * steps * (input + self.model.output())) as u64
    }
}

/// The bytes of the matrices.
pub fn weight_bytes(model: &Model, storage: Storage) -> u64 {
    let per = if storage == Storage::F32 { 4 } else { 2 };
    let sets = model.layers().iter().flat_map(|layer| layer.weights());
    sets.map(|set| (set.w_ih.len() + set.w_hh.len()) as u64 * per).sum()
}
