//! Chunks whose workgroups exchange values, and which may fail: their exchange buffer, and their completion counts.

use std::fmt;

use super::lower::{Chunk, Lowering, Slices, index32};
use super::{BufferId, Dispatch, Op, Program, Role, StateBuffers};
use crate::dims::product;
use crate::error::{Error, Result};
use crate::kernels::exchange::{Arguments, HEAD_WORDS, Params};
use crate::kernels::{Definition, MultiWorkgroup};
use crate::plan::Recurrence;

/// Exchange words begin at a multiple of so many words, so that they do not share cache lines with the completion
/// counts.
const ALIGNMENT: usize = 64;

/// The place in a program of a chunk that may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completion {
    /// Its first operation in [`Program::ops`], that of its projection.
    pub op: usize,
    /// Its layer; of pipelined layers the lowest that has steps left.
    pub layer: usize,
    /// The first step of that layer.
    pub first: usize,
    /// Which of the layer's two states it begins with; of pipelined layers, of all together.
    pub phase: usize,
    /// The completion count of a completed chunk: all its workgroups.
    pub all: u32,
}

/// An incomplete chunk, and where its workgroups stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incomplete {
    /// The chunk.
    pub chunk: Completion,
    /// Where its workgroups stopped.
    pub cause: Stopped,
}

/// Where the workgroups of a chunk with exchanges stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stopped {
    /// Not all workgroups of the dispatch were running when the spin limit was reached. Counted in the self-test alone.
    NotStarted {
        /// Workgroups that were running.
        started: u32,
        /// Workgroups of the dispatch.
        all: u32,
    },
    /// In the first exchange: values of other workgroups never became visible.
    NeverSeen,
    /// In a later exchange, from 1 on: values of other workgroups became visible before, and were late then.
    Late {
        /// Its number within the chunk, from 0.
        exchange: u32,
    },
    /// No thread reached the spin limit, but a workgroup did not complete the chunk.
    Ended,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted { started, all } => {
                write!(f, "only {started} of {all} workgroups were running when the spin limit was reached")
            }
            Self::NeverSeen => {
                write!(
                    f,
                    "never seen: in the first exchange, values of other workgroups did not become visible"
                )
            }
            Self::Late { exchange } => {
                write!(
                    f,
                    "late: values of exchange {exchange} came after the spin limit, those before it in time"
                )
            }
            Self::Ended => write!(f, "a workgroup ended without completing its steps"),
        }
    }
}

impl Stopped {
    /// From the two words at the head of the exchange buffer, for a chunk of `all` workgroups.
    fn of(head: [u32; HEAD_WORDS], all: u32) -> Self {
        match head {
            [0, _] => Self::Ended,
            [1, 0] => Self::Ended,
            [1, started] => Self::NotStarted { started, all },
            [2, _] => Self::NeverSeen,
            [farthest, _] => Self::Late { exchange: farthest - 2 },
        }
    }
}

impl Program {
    /// Words of the abort word and the completion counts of a run, at the head of [`Program::exchange_buffer`].
    pub fn completion_words(&self) -> usize {
        if self.completions.is_empty() { 0 } else { HEAD_WORDS + self.completions.len() }
    }

    /// The first incomplete chunk, by these words after a run.
    pub fn incomplete(&self, words: &[u32]) -> Option<Incomplete> {
        let (head, counts) = words.split_first_chunk().unwrap_or((&[0; HEAD_WORDS], &[]));
        let counts = counts.iter().map(Some).chain(std::iter::repeat(None));
        let mut chunks = self.completions.iter().zip(counts);
        let (&chunk, _) = chunks.find(|(chunk, count)| *count != Some(&chunk.all))?;
        Some(Incomplete { chunk, cause: Stopped::of(*head, chunk.all) })
    }
}

impl Lowering<'_> {
    /// The exchange buffer: the completion counts of all chunks, and one chunk's exchange words.
    pub(super) fn exchange_buffer(&mut self) -> Result<()> {
        let (mut completions, mut words) = (0, 0);
        // Pipelined layers have their chunks in the same dispatches.
        let layers = self.model.layers().len();
        let (stages, at_once) = if self.plan.pipelining.is_some() { (1, layers) } else { (layers, 1) };
        for (recipe, layer) in self.plan.layers.iter().zip(self.model.layers()).take(stages) {
            if let Recurrence::MultiWorkgroup { kernel, .. } = &recipe.recurrence {
                completions += self.plan.run_shape.dims.steps.div_ceil(recipe.chunk) + at_once - 1;
                let exchanges = kernel.cell.product_count() as usize;
                let sizes = [&[recipe.chunk, exchanges], &self.tiled(at_once, layer.hidden())[..]].concat();
                words = words.max(product("exchange words", &sizes)?);
            }
        }
        if completions > 0 {
            self.words_from = (HEAD_WORDS + completions).next_multiple_of(ALIGNMENT);
            let words = self.words_from + words;
            self.program.exchange_buffer = Some(self.buffer("exchange_buffer", Role::Exchange, &[words])?);
        }
        Ok(())
    }

    /// Adds a chunk that may fail, of layer `index` or of all layers that are pipelined from it on. Their states swap
    /// after each.
    pub(super) fn exchange(
        &mut self,
        kernel: MultiWorkgroup,
        index: usize,
        chunk: Chunk,
        spin_limit: u32,
        state: StateBuffers,
        (named, matrices): (&[(&'static str, BufferId)], &[Slices; 2]),
    ) -> Result<Op> {
        let (steps, lag) = (self.plan.run_shape.dims.steps, self.plan.layers[index].chunk);
        let slot = chunk.first / lag;
        let phase = slot % 2;
        // The number of pipelined layers that have taken all their steps.
        let ended = (slot + 1).saturating_sub(steps.div_ceil(lag));
        let (layer, first) = (index + ended, chunk.first - ended * lag);
        let dirs = index32("D", chunk.layers * self.dirs())?;
        let grid = kernel.grid(index32("B", self.plan.run_shape.dims.batch)?, dirs);
        let all = product("workgroups", &grid.map(|count| count as usize))?;
        let all = index32("workgroups", all)?;
        let word = HEAD_WORDS + self.program.completions.len();
        let exchange_buffer = self
            .program
            .exchange_buffer
            .ok_or_else(|| Error::internal(kernel.name(), "no exchange buffer in the program"))?;
        let h = [
            ("h_prev", state.h[phase]),
            ("h_next", state.h[1 - phase]),
            ("exchange_buffer", exchange_buffer),
        ];
        let mut named = [named, &h].concat();
        if let Some(c) = state.c {
            named.extend([("c_prev", c[phase]), ("c_next", c[1 - phase])]);
        }
        let [w_hh, _] = matrices;
        let [(_, w)] = w_hh[..] else {
            let reason = format!("{} slices of its matrix", w_hh.len());
            return Err(Error::internal(kernel.name(), reason));
        };
        named.push(("w", w));
        let steps = self.arguments(&self.model.layers()[index], chunk, 0)?;
        let exchange = Params {
            completion: index32("completions", word)?,
            all,
            words: index32("exchange_buffer", self.words_from)?,
            spin_limit,
            before: self.program.completions.last().map_or(0, |completion| completion.all),
            unused: [0; 3],
        };
        let buffers = self.bound(&kernel, &named)?;
        let arguments = Arguments { steps, exchange };
        let dispatch = Dispatch::new(&kernel, &arguments, [steps.own.batch, dirs], buffers);
        let from = if self.program.completions.is_empty() { 0 } else { self.words_from };
        self.program.completions.push(Completion { op: chunk.op, layer, first, phase, all });
        let mut rounds = vec![[from..self.program.buffers[exchange_buffer].words, 0..0]];
        rounds.resize(kernel.fault.times(), [0..HEAD_WORDS, word..word + 1]);
        Ok(Op::Exchange { dispatch, rounds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_says_where_workgroups_stopped() {
        let of = |head| Stopped::of(head, 8);
        assert_eq!(of([0, 0]), Stopped::Ended);
        assert_eq!(of([1, 5]), Stopped::NotStarted { started: 5, all: 8 });
        // Without the self-test's count the start is unknown.
        assert_eq!(of([1, 0]), Stopped::Ended);
        assert_eq!(of([2, 8]), Stopped::NeverSeen);
        assert_eq!(of([3, 8]), Stopped::Late { exchange: 1 });
        assert!(of([40, 8]).to_string().contains("exchange 38"));
    }
}
