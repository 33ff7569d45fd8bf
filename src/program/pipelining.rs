//! The layers of a stack as a pipelined stack. While a layer walks over a chunk of steps, the one above walks over
//! the chunk before, in the same dispatch, as if they were directions. (Separate dispatches would wait for each
//! other: wgpu puts a barrier before each dispatch that writes to an array which was used before.)
//!
//! Each array has the layers one after the other. The arrays that a caller writes and reads are copied in and out.

use std::ops::Range;

use super::lower::{Chunk, Lowering, Sequence, Slices, index32};
use super::{BufferId, Copy, Op, Role, Slice, StateBuffers, Together};
use crate::dims::{Dims, product};
use crate::error::{Error, Result};
use crate::io::Strides;
use crate::kernels::{matmul, pipelining};
use crate::model::{Constant, has_enclosed_bias};
use crate::plan::Recurrence;

/// The buffers that a kernel binds, by their names in the shaders.
type Named = Vec<(&'static str, BufferId)>;

impl Lowering<'_> {
    /// All layers, in chunks of `steps`.
    pub(super) fn pipelining(&mut self, steps: usize) -> Result<()> {
        let (model, plan) = (self.model, self.plan);
        let (layers, layer) = (model.layers().len(), &model.layers()[0]);
        let columns = layer.cell().gates() * layer.hidden();
        let mut named = self.scratch(layers)?;
        let xw = named[0].1;
        let x = self.sequence;
        let (y, into_y) = self.outputs(layers)?;
        let slots = plan.run_shape.dims.steps.div_ceil(steps) + layers - 1;
        let states = self.together(layers, steps, slots)?;
        self.program.together = Some(Together { y: y.buffer, states, lag: steps });
        let moves = self.own_states(layers, states)?;
        named.extend([("y", y.buffer), ("order", self.program.order)]);
        // Kernels that exchange values swap the two buffers of c instead.
        named.extend(states.c.filter(|c| c[0] == c[1]).map(|c| ("c", c[0])));
        named.extend(self.vectors(layers)?);
        self.kept(0, layers, &mut named)?;
        let w_ih = if plan.run_shape.projected { None } else { Some(self.matrix(Constant::WIh(0))?) };
        let bias = self.constant(Constant::Bias(0), &[columns])?;
        let w_above = self.stacked_matrix("w_ih.above", 1..layers, Constant::WIh, columns)?;
        let bias_above = self.stacked("bias.above", 1..layers, Constant::Bias, columns)?;
        let w_hh = self.stacked_matrix("w_hh.all", 0..layers, Constant::WHh, layer.hidden())?;
        let w_hr = match layer.projection() {
            Some(_) => self.stacked_matrix("w_hr.all", 0..layers, Constant::WHr, layer.state_size())?,
            None => Vec::new(),
        };
        let matrices = [w_hh, w_hr];

        self.program.ops.push(Op::Copies(moves.iter().map(|(into, _)| *into).collect()));
        for slot in 0..slots {
            let op = self.program.ops.len();
            if slot + layers <= slots {
                let arguments = self.projection(layer, x, slot * steps, steps)?;
                let arrays = [x.buffer, bias, xw];
                self.project(plan.layers[0].projection, arguments, arrays, w_ih.as_ref(), 1)?;
            }
            if slot > 0 {
                let arguments = self.projection_above(y, (slot - 1) * steps, steps)?;
                let arrays = [y.buffer, bias_above, xw];
                self.project(plan.layers[1].projection, arguments, arrays, Some(&w_above), layers - 1)?;
            }
            let chunk = Chunk { op, first: slot * steps, count: steps, output: y, layers };
            let ops = self.walk(0, chunk, states, (&named, &matrices))?;
            self.program.ops.extend(ops);
        }
        let mut back: Vec<Copy> = moves.iter().map(|(_, back)| *back).collect();
        back.push(into_y);
        self.program.ops.push(Op::Copies(back));
        self.sequence = self.placed(self.program.y, plan.run_shape.y, [1, model.state_size()])?;
        Ok(())
    }

    /// Every layer's y, in the layout that the caller requires of the last one's; and the copy of that one.
    fn outputs(&mut self, layers: usize) -> Result<(Sequence, Copy)> {
        let (run_shape, storage) = (self.plan.run_shape, self.plan.precision.activations);
        let padded = storage.padded(self.model.state_size());
        let Dims { batch, steps } = run_shape.dims;
        let numbers = product("y of a layer", &[batch, steps, padded])?;
        let words = storage.words(numbers);
        let buffer = self.buffer("y.all", Role::Scratch, &[layers, words])?;
        let Strides { step, row, .. } = Strides::of(run_shape.y, run_shape.dims, 1, padded);
        let stride = |value| index32("a stride of y of all layers", value);
        index32("y of all layers", product("y of all layers", &[layers, numbers])?)?;
        let all = Sequence { buffer, step: stride(step)?, row: stride(row)?, dir: stride(numbers)? };
        let copy = Copy { from: (buffer, (layers - 1) * words), to: (self.program.y, 0), words };
        Ok((all, copy))
    }

    /// The states of all layers in one array of each kind, or two where they swap.
    fn together(&mut self, layers: usize, steps: usize, slots: usize) -> Result<StateBuffers> {
        let (state, hidden) = (self.model.state_size(), self.model.hidden());
        let (changes, c_changes) = match self.plan.layers[0].recurrence {
            Recurrence::Step(_) => (slots * steps, false),
            Recurrence::Persistent(_) => (0, false),
            Recurrence::MultiWorkgroup { .. } => (slots, true),
        };
        let has_c = self.model.cell().has_c();
        let mut arrays = |name: &str, features: usize, is_double: bool| {
            let shape = self.tiled(layers, features);
            let even = self.buffer(&format!("{name}.all.even"), Role::Scratch, &shape)?;
            let odd = match is_double {
                true => self.buffer(&format!("{name}.all.odd"), Role::Scratch, &shape)?,
                false => even,
            };
            Ok::<_, Error>([even, odd])
        };
        let h = arrays("h", state, changes > 0)?;
        let c = has_c.then(|| arrays("c", hidden, c_changes)).transpose()?;
        Ok(StateBuffers { h, c, changes })
    }

    /// Each layer's own states, as the caller reads and writes them; with copies of them to `all` before the first
    /// chunk, and back after the last.
    fn own_states(&mut self, layers: usize, all: StateBuffers) -> Result<Vec<(Copy, Copy)>> {
        let (state, hidden) = (self.model.state_size(), self.model.hidden());
        let mut moves = Vec::new();
        let mut own = |name: String, all: [BufferId; 2], changes: usize, layer: usize, features: usize| {
            let buffer = self.buffer(&name, Role::State, &self.tiled(1, features))?;
            let words = self.program.buffers[buffer].words;
            let of = |all: BufferId| Copy { from: (buffer, 0), to: (all, layer * words), words };
            moves.push((of(all[0]), of(all[changes % 2]).reversed()));
            Ok::<_, Error>(buffer)
        };
        let mut states = Vec::new();
        for layer in 0..layers {
            let h = own(format!("h.{layer}"), all.h, all.changes, layer, state)?;
            let c = all.c.map(|c| own(format!("c.{layer}"), c, all.changes, layer, hidden)).transpose()?;
            states.push(StateBuffers { h: [h; 2], c: c.map(|c| [c; 2]), changes: 0 });
        }
        self.program.states = states;
        Ok(moves)
    }

    /// The buffers that kernels bind for all layers, without matrices.
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

    /// The same for matrices. The planner has checked that together they fit a binding.
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

    /// The projection of some steps of every layer but the first, each from the layer below.
    fn projection_above(&self, y: Sequence, first: usize, count: usize) -> Result<matmul::Arguments> {
        let layer = &self.model.layers()[1];
        let of_one = self.projection(layer, y, first, count)?.own;
        let layers = self.model.layers().len();
        let reverse = index32("D", (layers - 1) * layer.direction().reverse_from())?;
        let lag = index32("steps of a chunk", count)?;
        let pipelining = pipelining::Params { lag, x_dir: y.dir, out_first: of_one.out_dir, unused: [0] };
        let own = matmul::Params { reverse, ..of_one };
        Ok(matmul::Arguments { own, pipelining: Some(pipelining) })
    }
}
