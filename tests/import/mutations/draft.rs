//! A golden in parts, so that a fault can be planted in it, and its reassembly.

use wgru::dtype::Precision;
use wgru::model::Activations;
use wgru::{Cell, Direction, Layer, Model, Weights};

use crate::common::Inputs;
use crate::golden::Golden;

/// A layer in parts.
#[derive(Clone, PartialEq)]
pub struct Parts {
    pub input: usize,
    pub weights: Vec<Weights>,
    pub activations: Vec<Activations>,
    pub clip: Option<f32>,
    pub state_clip: Option<f32>,
}

/// A golden without its numbers.
#[derive(Clone, PartialEq)]
pub struct Draft {
    pub cell: Cell,
    pub direction: Direction,
    pub hidden: usize,
    pub state: usize,
    pub layers: Vec<Parts>,
    pub inputs: Inputs,
    pub precision: Precision,
}

impl Draft {
    pub fn of(golden: &Golden) -> Self {
        let model = &golden.model;
        let parts = |layer: &Layer| Parts {
            input: layer.input(),
            weights: layer.weights().to_vec(),
            activations: layer.activations().to_vec(),
            clip: layer.clip(),
            state_clip: layer.state_clip(),
        };
        Self {
            cell: model.cell(),
            direction: model.layers()[0].direction(),
            hidden: model.hidden(),
            state: model.state_size(),
            layers: model.layers().iter().map(parts).collect(),
            inputs: golden.inputs.clone(),
            precision: golden.precision,
        }
    }

    /// The golden's numbers with the present model and batch.
    pub fn instead_of(self, golden: &Golden) -> Golden {
        let model = self.model();
        Golden { model, inputs: self.inputs, precision: self.precision, ..golden.clone() }
    }

    pub fn model(&self) -> Model {
        let layer = |parts: &Parts| {
            let Parts { input, weights, activations, clip, state_clip } = parts.clone();
            let mut layer =
                Layer::new(self.cell, self.direction, input, self.hidden, weights).expect("sizes fit");
            layer = layer.with_activations(activations).expect("one set per direction");
            if let Some(clip) = clip {
                layer = layer.with_clip(clip).expect("positive");
            }
            if let Some(clip) = state_clip {
                layer = layer.with_state_clip(clip).expect("positive");
            }
            layer
        };
        Model::new(self.layers.iter().map(layer).collect()).expect("layers fit")
    }

    pub fn dirs(&self) -> usize {
        self.direction.count()
    }

    pub fn gates(&self) -> usize {
        self.cell.gates()
    }

    /// Every set of weights, with its layer's I.
    pub fn each(&mut self, mut change: impl FnMut(&mut Weights, usize)) {
        for layer in &mut self.layers {
            layer.weights.iter_mut().for_each(|weights| change(weights, layer.input));
        }
    }

    /// Every set of activations.
    pub fn each_activations(&mut self, change: impl FnMut(&mut Activations)) {
        self.layers.iter_mut().flat_map(|layer| &mut layer.activations).for_each(change);
    }

    /// Exchanges two gates in every array that is stacked by gates, for a cell of so many.
    pub fn swap_gates(&mut self, of: usize, [a, b]: [usize; 2]) {
        if self.gates() != of {
            return;
        }
        self.each(|weights, _| {
            let biases = weights.b_ih.iter_mut().chain(&mut weights.b_hh);
            for values in [&mut weights.w_ih, &mut weights.w_hh].into_iter().chain(biases) {
                swap_blocks(values, of, [a, b]);
            }
        });
    }
}

/// Exchanges two of `count` blocks.
pub fn swap_blocks(values: &mut [f32], count: usize, [a, b]: [usize; 2]) {
    let block = values.len() / count;
    for i in 0..block {
        values.swap(a * block + i, b * block + i);
    }
}

/// A matrix of so many columns with rows and columns exchanged; its values keep their memory order.
pub fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| values[column..].iter().step_by(columns)).copied().collect()
}
