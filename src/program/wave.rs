//! The layers of a stack as a wavefront: while a layer walks over a chunk of steps, the one above walks over the chunk
//! before, in the same dispatch, as if they were directions. (In dispatches of their own they would wait for each other: wgpu
//! puts a barrier before each that writes to an array which was used before.)
//!
//! All arrays have the layers one after the other; what a caller writes and reads is copied in and out.

use std::ops::Range;

use super::lower::{Chunk, Lowering, Slices, index32};
use super::sequence::Sequence;
use super::{BufferId, Copy, Op, Role, Slice, StateBuffers};
use crate::dims::{Dims, product};
use crate::error::Result;
use crate::io::Strides;
use crate::kernels::matmul;
use crate::model::{Constant, has_enclosed_bias};

/// What a kernel binds, by its name in the shaders.
type Named = Vec<(&'static str, BufferId)>;

/// The states of all layers.
struct States {
    /// Before an even step in the first, before an odd one in the second; one buffer twice where chunks are dispatched.
    h: [BufferId; 2],
    c: Option<BufferId>,
    /// From each layer's own buffers.
    copies: Vec<Copy>,
}

impl Lowering<'_> {
    /// All layers, in chunks of `steps`, an even number, so that h is after each where it was before.
    pub(super) fn wave(&mut self, steps: usize) -> Result<()> {
        let (model, plan) = (self.model, self.plan);
        let (layers, layer) = (model.layers().len(), &model.layers()[0]);
        let columns = layer.cell().gates() * layer.hidden();
        let mut named = self.scratch(layers)?;
        let xw = named[0].1;
        let x = self.sequence;
        let (y, into_y) = self.outputs(layers)?;
        let states = self.states(layers)?;
        named.extend([("y", y.buffer), ("order", self.program.order)]);
        named.extend(states.c.map(|c| ("c", c)));
        named.extend(self.vectors(layers)?);
        let w_ih = if plan.form.projected { None } else { Some(self.matrix(Constant::WIh(0))?) };
        let bias = self.constant(Constant::Bias(0), &[columns])?;
        let w_above = self.stacked_matrix("w_ih.above", 1..layers, Constant::WIh, columns)?;
        let bias_above = self.stacked("bias.above", 1..layers, Constant::Bias, columns)?;
        let w_hh = self.stacked_matrix("w_hh.all", 0..layers, Constant::WHh, layer.hidden())?;
        let w_hr = match layer.projection() {
            Some(_) => self.stacked_matrix("w_hr.all", 0..layers, Constant::WHr, layer.state())?,
            None => Vec::new(),
        };
        let matrices = [w_hh, w_hr];

        self.program.ops.push(Op::Copies(states.copies.clone()));
        let chunks = plan.form.dims.steps.div_ceil(steps);
        for slot in 0..chunks + layers - 1 {
            if slot < chunks {
                let params = self.projection(layer, x, slot * steps, steps)?;
                let arrays = [x.buffer, bias, xw];
                self.project(plan.layers[0].projection, params, arrays, w_ih.as_ref(), 1)?;
            }
            if slot > 0 {
                let params = self.projection_above(y, (slot - 1) * steps, steps)?;
                let arrays = [y.buffer, bias_above, xw];
                self.project(plan.layers[1].projection, params, arrays, Some(&w_above), layers - 1)?;
            }
            let first = slot * steps;
            let chunk = Chunk { op: self.program.ops.len(), first, count: steps, output: y, layers };
            let recurrence = &plan.layers[0].recurrence;
            let ops = self.dispatches(recurrence, layer, chunk, states.h, (&named, &matrices))?;
            self.program.ops.extend(ops);
        }
        let mut back: Vec<Copy> = states.copies.iter().map(|copy| copy.reversed()).collect();
        back.push(into_y);
        self.program.ops.push(Op::Copies(back));
        self.sequence = self.placed(self.program.y, plan.form.y, [1, model.state()])?;
        Ok(())
    }

    /// Every layer's y, in the order that the caller wants the last one's in; and the copy of that.
    fn outputs(&mut self, layers: usize) -> Result<(Sequence, Copy)> {
        let (form, storage) = (self.plan.form, self.plan.precision.activations);
        let padded = storage.padded(self.model.state());
        let Dims { batch, steps } = form.dims;
        let numbers = product("y of a layer", &[batch, steps, padded])?;
        let words = storage.words(numbers);
        let buffer = self.buffer("y.all", Role::Scratch, &[layers, words])?;
        let Strides { step, row, .. } = Strides::of(form.y, form.dims, 1, padded);
        let stride = |value| index32("a stride of y of all layers", value);
        index32("y of all layers", product("y of all layers", &[layers, numbers])?)?;
        let all = Sequence { buffer, step: stride(step)?, row: stride(row)?, dir: stride(numbers)? };
        let copy = Copy { from: (buffer, (layers - 1) * words), to: (self.program.y, 0), words };
        Ok((all, copy))
    }

    /// The states of all layers in one array of each kind, beside each layer's own.
    fn states(&mut self, layers: usize) -> Result<States> {
        let (state, hidden) = (self.model.state(), self.model.hidden());
        let is_stepped = self.plan.has_steps();
        let even = self.buffer("h.all.even", Role::Scratch, &self.tiled(layers, state))?;
        let odd = match is_stepped {
            true => self.buffer("h.all.odd", Role::Scratch, &self.tiled(layers, state))?,
            false => even,
        };
        let c = match self.model.cell().has_c() {
            true => Some(self.buffer("c.all", Role::Scratch, &self.tiled(layers, hidden))?),
            false => None,
        };
        let mut copies = Vec::new();
        let mut own = |this: &mut Self, name: String, all: BufferId, layer: usize, features: usize| {
            let buffer = this.buffer(&name, Role::State, &this.tiled(1, features))?;
            let words = this.program.buffers[buffer].words;
            copies.push(Copy { from: (buffer, 0), to: (all, layer * words), words });
            Ok::<_, crate::error::Error>(buffer)
        };
        for layer in 0..layers {
            let h = own(self, format!("h.{layer}"), even, layer, state)?;
            let c = c.map(|c| own(self, format!("c.{layer}"), c, layer, hidden)).transpose()?;
            self.program.states.push(StateBuffers { h: [h; 2], c: c.map(|c| [c; 2]), changes: 0 });
        }
        Ok(States { h: [even, odd], c, copies })
    }

    /// What kernels bind of all layers beside matrices.
    fn vectors(&mut self, layers: usize) -> Result<Named> {
        let (layer, hidden) = (&self.model.layers()[0], self.model.hidden());
        let mut named = Vec::new();
        if has_enclosed_bias(layer.cell()) {
            named.push(("b_hn", self.stacked("b_hn.all", 0..layers, Constant::BHn, hidden)?));
        }
        if layer.has_peepholes() {
            let peepholes = self.stacked("peepholes.all", 0..layers, Constant::Peepholes, 3 * hidden)?;
            named.push(("peepholes", peepholes));
        }
        Ok(named)
    }

    /// The constants of some layers, of so many words each, one after the other.
    fn stacked(
        &mut self,
        name: &str,
        layers: Range<usize>,
        of: fn(usize) -> Constant,
        words: usize,
    ) -> Result<BufferId> {
        let own = layers.map(|layer| self.constant(of(layer), &[words])).collect::<Result<Vec<_>>>()?;
        self.joined(name, &own)
    }

    /// The same of matrices, which the planner has seen to fit a binding together.
    fn stacked_matrix(
        &mut self,
        name: &str,
        layers: Range<usize>,
        of: fn(usize) -> Constant,
        units: usize,
    ) -> Result<Slices> {
        let own = layers.map(|layer| self.matrix(of(layer))).collect::<Result<Vec<_>>>()?;
        let own: Vec<BufferId> = own.into_iter().flatten().map(|(_, buffer)| buffer).collect();
        Ok(vec![(Slice { first: 0, count: units }, self.joined(name, &own)?)])
    }

    fn joined(&mut self, name: &str, own: &[BufferId]) -> Result<BufferId> {
        if let [only] = own {
            return Ok(*only);
        }
        let sizes: Vec<usize> = own.iter().map(|&buffer| self.program.buffers[buffer].words).collect();
        let all = self.buffer(name, Role::Stacked, &[sizes.iter().sum()])?;
        let mut at = 0;
        for (&buffer, words) in own.iter().zip(sizes) {
            self.program.setup.push(Copy { from: (buffer, 0), to: (all, at), words });
            at += words;
        }
        Ok(all)
    }

    /// The projection of some steps of every layer but the first, each from the one below.
    fn projection_above(&self, y: Sequence, first: usize, count: usize) -> Result<matmul::Params> {
        let layer = &self.model.layers()[1];
        let of_one = self.projection(layer, y, first, count)?;
        let layers = self.model.layers().len();
        Ok(matmul::Params {
            reverse: index32("D", (layers - 1) * layer.direction().reverse_from())?,
            x_dir: y.dir,
            lag: index32("steps of a chunk", count)?,
            out_first: of_one.out_dir,
            ..of_one
        })
    }
}
