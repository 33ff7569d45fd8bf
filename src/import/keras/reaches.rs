//! Inputs that reach a layer beside x: a mask, an initial state.
//!
//! ```text
//! Masking, Embedding(mask_zero)   produce a mask
//! most layers                     pass on the mask of their input
//! Conv…, …Pooling…, Reshape, …    do not; nor does a recurrent layer that outputs the last step alone
//! ```
//!
//! For a functional model, Keras 3 records the mask that a layer was given, or that there was none, as far as it was
//! known. The values of y at masked steps in Keras:
//!
//! ```text
//! one direction                   the previous output again
//! zero_output_for_mask            0
//! Bidirectional with sequences    0, in Keras 3 and in TensorFlow's Keras, which sets zero_output_for_mask
//! Bidirectional of Keras 1 and 2  for each direction the previous output in its own order, so 0 for the backward one
//! ```

#![allow(clippy::indexing_slicing, reason = "indices of nodes that `Graph` returned")]

use std::collections::HashSet;

use serde_json::Value;

use super::calls::{Mask, Source};
use super::graph::{DEEPEST, Graph, Node};
use crate::error::listed;

/// Layers of Keras that do not pass on a mask, in addition to those whose class name shows it.
const DROPS: [&str; 6] = ["Reshape", "Permute", "Flatten", "RepeatVector", "EinsumDense", "RMSNormalization"];
const DROPS_WITH: [&str; 5] = ["Conv", "Pooling", "ZeroPadding", "Cropping", "UpSampling"];

impl<'a> Graph<'a> {
    /// The layer whose mask reaches this layer, if there is one: `Masking layer "masking"`.
    pub(super) fn mask_of(&self, node: usize) -> Option<String> {
        let mut given = None;
        // Indices, and whether Keras 3 would not have recorded a mask that arrives there from below.
        let mut open = vec![(node, true)];
        let mut seen = HashSet::new();
        while let Some((at, counts)) = open.pop() {
            if !seen.insert((at, counts)) {
                continue;
            }
            for feed in self.feeds(at) {
                let counts = match &feed.call.mask {
                    Mask::Of(source) if counts => {
                        given = given.or_else(|| Some(self.origin(source)));
                        true
                    }
                    // Keras 3 knows the output mask of a nested model only when it runs.
                    Mask::Absent if feed.outermost => false,
                    Mask::Of(_) | Mask::Absent | Mask::Unsaid => counts,
                };
                for source in feed.x() {
                    let Some((below, _)) = self.giver(source) else { continue };
                    let counts = counts || source.node != Some(below);
                    let node = &self.nodes[below];
                    if counts && gives_mask(node) {
                        return Some(node.label());
                    }
                    if !drops_mask(node) {
                        open.push((below, counts));
                    }
                }
            }
        }
        given
    }

    /// The source of a layer's initial state, unless it is 0: `LSTM layer "reader"`.
    pub(super) fn initial_state_of(&self, node: usize) -> Option<String> {
        let mut found: Vec<String> = Vec::new();
        for call in &self.nodes[node].calls {
            let constant = call.constant_state.then(|| "an array in the configuration".to_owned());
            for origin in call.states.iter().map(|source| self.origin(source)).chain(constant) {
                if !found.contains(&origin) {
                    found.push(origin);
                }
            }
        }
        (!found.is_empty()).then(|| listed(&found))
    }

    fn origin(&self, source: &Source<'a>) -> String {
        let mut at = *source;
        for _ in 0..=DEEPEST {
            let Some((giver, _)) = self.giver(&at) else { break };
            let node = &self.nodes[giver];
            if node.class != "InputLayer" {
                return node.label();
            }
            match &self.inputs(giver)[..] {
                // An input of a nested model: the tensors that the model is called on.
                [outer] if node.model.is_some() => at = *outer,
                _ => return format!("the input \"{}\"", node.name),
            }
        }
        format!("\"{}\"", at.name)
    }
}

fn gives_mask(node: &Node<'_>) -> bool {
    node.class == "Masking"
        || node.class == "Embedding" && node.config.get("mask_zero") == Some(&Value::Bool(true))
}

fn drops_mask(node: &Node<'_>) -> bool {
    DROPS.contains(&&*node.class)
        || !node.class.contains('>') && DROPS_WITH.iter().any(|part| node.class.contains(part))
        || node.is_recurrent() && !node.gives_sequences()
}

/// The values that Keras puts at masked steps of a layer's y, and the option that gives the same here.
pub(super) fn fill_rule(node: &Node<'_>, version: Option<u32>) -> &'static str {
    let config = node.wrapped("layer").map_or(node.config, |(_, config)| config);
    let zero = config.get("zero_output_for_mask") == Some(&Value::Bool(true));
    match (node.class == "Bidirectional", node.gives_sequences()) {
        (_, false) => "its last output is that of each sequence's own last step, as h_n",
        _ if zero => "past each sequence's end Keras gives 0 (Padding::Zero, the default)",
        (true, true) if version.is_none_or(|version| version >= 3) => {
            "past each sequence's end Keras gives 0 (Padding::Zero, the default)"
        }
        (_, true) => "past each sequence's end Keras repeats the last output (Padding::Last, --padding last)",
    }
}
