//! Chunks whose workgroups exchange values, and which may fail: where they write to each other, and how it is known that they
//! came through.

use super::lower::{Chunk, Lowering, Slices, index32};
use super::{BufferId, Dispatch, Op, Program, Role};
use crate::dims::product;
use crate::error::{Error, Result};
use crate::kernels::grouped::{Fault, HEAD_WORDS};
use crate::kernels::{Kernel, Params};
use crate::plan::Recurrence;

/// Words that the letters begin at a multiple of, so that they lie in lines of their own.
const ALIGNMENT: usize = 64;

/// Where a chunk of a program is that may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// Its first operation in [`Program::ops`], of its projection.
    pub op: usize,
    /// Its layer.
    pub layer: usize,
    /// Its first step.
    pub first: usize,
    /// Which of the layer's states it begins with.
    pub phase: usize,
    /// Workgroups that prove it.
    pub all: u32,
}

impl Program {
    /// Words that say whether the chunks of a run came through, at the head of [`Program::mail`].
    pub fn proof_words(&self) -> usize {
        if self.proofs.is_empty() { 0 } else { HEAD_WORDS + self.proofs.len() }
    }

    /// The first chunk that did not, by these words after a run.
    pub fn unproven(&self, words: &[u32]) -> Option<&Proof> {
        let counts = words.get(HEAD_WORDS..).unwrap_or_default();
        self.proofs.iter().enumerate().find(|(i, proof)| counts.get(*i) != Some(&proof.all)).map(|(_, p)| p)
    }
}

impl Lowering<'_> {
    /// Everything that workgroups write to each other: all chunks' proofs, and one chunk's letters.
    pub(super) fn mail(&mut self) -> Result<()> {
        let (mut proofs, mut letters) = (0, 0);
        for (recipe, layer) in self.plan.layers.iter().zip(self.model.layers()) {
            if let Recurrence::Grouped { kernel: Kernel::Grouped { cell, .. }, .. } = recipe.recurrence {
                proofs += self.plan.form.dims.steps.div_ceil(recipe.chunk);
                let exchanges = cell.product_count() as usize;
                let sizes = [&[recipe.chunk, exchanges], &self.tiled(1, layer.hidden())[..]].concat();
                letters = letters.max(product("letters", &sizes)?);
            }
        }
        if proofs > 0 {
            self.letters_from = (HEAD_WORDS + proofs).next_multiple_of(ALIGNMENT);
            let words = self.letters_from + letters;
            self.program.mail = Some(self.buffer("mail", Role::Mail, &[words])?);
        }
        Ok(())
    }

    /// A chunk that may fail.
    pub(super) fn exchange(
        &mut self,
        kernel: Kernel,
        layer: usize,
        chunk: Chunk,
        patience: u32,
        phase: usize,
        (named, matrices): (&[(&'static str, BufferId)], &[Slices; 2]),
    ) -> Result<Op> {
        let grid = kernel.grid(index32("B", self.plan.form.dims.batch)?, index32("D", self.dirs())?);
        let all = product("workgroups", &grid.map(|count| count as usize))?;
        let all = index32("workgroups", all)?;
        let word = HEAD_WORDS + self.program.proofs.len();
        let mail = self.program.mail.ok_or_else(|| Error::Mismatch {
            name: kernel.name().into(),
            reason: "no mail in the program".into(),
        })?;
        let named = [named, &[("mail", mail)]].concat();
        let model = self.model;
        let dispatches = self.step(kernel, &model.layers()[layer], chunk, &named, matrices)?;
        let [mut dispatch] = <[Dispatch; 1]>::try_from(dispatches).map_err(|all| Error::Mismatch {
            name: kernel.name().into(),
            reason: format!("{} slices of its matrix", all.len()),
        })?;
        if let Params::Step(params) = &mut dispatch.params {
            params.proof = index32("proofs", word)?;
            params.all = all;
            params.letters = index32("mail", self.letters_from)?;
            params.patience = patience;
            params.before = self.program.proofs.last().map_or(0, |proof| proof.all);
        }
        let from = if self.program.proofs.is_empty() { 0 } else { self.letters_from };
        self.program.proofs.push(Proof { op: chunk.op, layer, first: chunk.first, phase, all });
        let mut rounds = vec![[from..self.program.buffers[mail].words, 0..0]];
        if let Kernel::Grouped { fault: Fault::Again { times }, .. } = kernel {
            rounds.resize(times.max(1) as usize, [0..HEAD_WORDS, word..word + 1]);
        }
        Ok(Op::Exchange { dispatch, rounds })
    }
}
