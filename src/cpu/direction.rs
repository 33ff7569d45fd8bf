//! One direction of a layer: its packed constants.

use std::ops::Range;

use super::activation::General;
use super::panel::{Lines, Panel};
use crate::dtype::{Precision, Storage};
use crate::error::Result;
use crate::model::{Cell, Constant, Layer, Merge, Model, Reset, constants, has_enclosed_bias, pack};

/// A direction's constants.
#[derive(Debug)]
pub(super) struct Direction {
    pub(super) cell: Cell,
    /// I, H and P.
    pub(super) input: usize,
    pub(super) hidden: usize,
    pub(super) state: usize,
    pub(super) lanes: usize,
    /// Whether it walks from the last step to the first.
    pub(super) reverse: bool,
    /// Its index among the layer's directions.
    pub(super) index: usize,
    /// How the layer's directions are merged.
    pub(super) merge: Merge,
    /// The activations and their clip, where they are not the cell's defaults.
    pub(super) functions: Option<General>,
    /// The new state is clamped to ± this; infinity for no clamp.
    pub(super) state_clip: f32,
    pub(super) w_ih: Panel,
    /// All gates, or r and z of a GRU that resets before the product.
    pub(super) w_hh: Panel,
    /// n of a GRU that resets before the product.
    pub(super) candidate: Option<Panel>,
    /// `w_hr`.
    pub(super) projection: Option<Panel>,
    /// The initial values of the projection's sums, `[blocks, G, lanes]`.
    pub(super) bias: Lines,
    /// The initial values of the other products' sums: 0, except for c_n of a GRU that resets after the product.
    pub(super) begin: Lines,
    /// `[blocks, 3, lanes]`.
    pub(super) peepholes: Option<Lines>,
    pub(super) activations: Storage,
}

impl Direction {
    /// Packs direction `index` of layer `at` for vectors of `lanes` lanes.
    ///
    /// # Errors
    /// [`crate::Error::Mismatch`] for a weight beyond the range of f16.
    pub(super) fn new(
        model: &Model,
        (at, layer): (usize, &Layer),
        index: usize,
        lanes: usize,
        precision: Precision,
    ) -> Result<Self> {
        let count = layer.direction().count();
        let present = constants(model);
        // `None` where the layer has no such constant.
        let part = |constant: Constant, storage: Storage| -> Result<Option<Vec<f32>>> {
            if !present.contains(&constant) {
                return Ok(None);
            }
            let all = rounded(model, constant, storage)?;
            let len = all.len() / count;
            Ok(Some(all[index * len..][..len].to_vec()))
        };
        let needed = |constant, storage| part(constant, storage).map(Option::unwrap_or_default);
        let (cell, hidden, state) = (layer.cell(), layer.hidden(), layer.state_size());
        let (gates, weights) = (cell.gates(), precision.weights);
        let of_units = |w: &[f32], gates_of: Range<usize>| {
            Panel::new(w, gates * hidden, hidden, gates_of, lanes, weights)
        };
        let w_hh = needed(Constant::WHh(at), weights)?;
        let resets_before = matches!(cell, Cell::Gru { reset: Reset::Before, .. });
        let begin = if has_enclosed_bias(cell) {
            let b_hn = needed(Constant::BHn(at), Storage::F32)?;
            by_blocks(&[vec![0.0; 2 * hidden], b_hn].concat(), hidden, lanes)
        } else {
            // Long enough for every product, with any number of gates.
            Lines::of(&vec![0.0; gates * hidden.max(state).next_multiple_of(lanes)])
        };
        let projection = part(Constant::WHr(at), weights)?;
        let peepholes = part(Constant::Peepholes(at), Storage::F32)?;
        Ok(Self {
            cell,
            input: layer.input(),
            hidden,
            state,
            lanes,
            reverse: layer.direction().is_reverse(index),
            index,
            merge: layer.merge(),
            functions: General::of(layer, index),
            state_clip: layer.state_clip().unwrap_or(f32::INFINITY),
            w_ih: of_units(&needed(Constant::WIh(at), weights)?, 0..gates),
            w_hh: of_units(&w_hh, 0..if resets_before { 2 } else { gates }),
            candidate: resets_before.then(|| of_units(&w_hh, 2..3)),
            projection: projection.map(|w| Panel::new(&w, state, state, 0..1, lanes, weights)),
            bias: by_blocks(&needed(Constant::Bias(at), Storage::F32)?, hidden, lanes),
            begin,
            peepholes: peepholes.map(|p| by_blocks(&p, hidden, lanes)),
            activations: precision.activations,
        })
    }

    /// H and P, padded to whole vectors.
    pub(super) fn padded_units(&self) -> usize {
        self.hidden.next_multiple_of(self.lanes)
    }

    pub(super) fn padded_state(&self) -> usize {
        self.state.next_multiple_of(self.lanes)
    }

    /// G·H: the size of a step that is projected already.
    pub(super) fn xw_features(&self) -> usize {
        self.cell.gates() * self.hidden
    }

    /// The size of one row of xw in `blocks` blocks.
    pub(super) fn xw_pitch(&self, blocks: usize) -> usize {
        blocks * self.cell.gates() * self.lanes
    }
}

/// `[gates, units]` to `[blocks, gates, lanes]`, padded with 0.
fn by_blocks(values: &[f32], units: usize, lanes: usize) -> Lines {
    let (gates, blocks) = (values.len() / units, units.div_ceil(lanes));
    let mut out = vec![0.0; blocks * gates * lanes];
    for (at, value) in values.iter().enumerate() {
        let (gate, unit) = (at / units, at % units);
        out[(unit / lanes * gates + gate) * lanes + unit % lanes] = *value;
    }
    Lines::of(&out)
}

/// A constant, rounded to `storage`.
///
/// # Errors
/// [`crate::Error::Mismatch`] for a weight beyond the range of f16.
pub(super) fn rounded(model: &Model, constant: Constant, storage: Storage) -> Result<Vec<f32>> {
    let mut values = pack(model, constant);
    storage.check_range(&constant.to_string(), &values)?;
    values.iter_mut().for_each(|value| *value = storage.round(*value));
    Ok(values)
}
