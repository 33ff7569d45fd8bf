//! A batch that does not fit the device at once, run in pieces.
//!
//! Rows are independent, so a batch is cut by rows first. If a single row is too long, each direction of each layer runs by
//! itself over pieces of steps, a reverse one from the end. Its states are carried from piece to piece. Merging the directions
//! and the readout are computed here. A piece also ends where states are reset, so no piece has resets itself. Every recurrent
//! sum has the terms and the order of a run at once, and so the same bits. Of a single row in pieces only the activation of
//! the readout may differ from the device's, within the tolerance.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::GpuEngine;
use crate::cpu::activate;
use crate::dims::Dims;
use crate::dtype::Storage;
use crate::engine::pieces::Pieces;
use crate::error::{Error, Result};
use crate::gpu::Way;
use crate::io::{Batch, Output, OutputMut, OutputShape, OwnedBatch, Padding, Resets, RunShape, Strides};
use crate::model::{Layer, Merge, Model, Readout, ReadoutSteps};
use crate::progress::{Progress, Tally};
use crate::sync::{Wait, lock};

/// How a batch is cut: the most rows and steps of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) rows: usize,
    pub(super) steps: usize,
}

/// A cut of a batch of `dims` that `fits`, found by halving; `None` where it fits as it is.
///
/// # Errors
/// Those of `fits` for a single step of a single row, or for a reason other than size.
pub(super) fn cut(dims: Dims, fits: impl Fn(Dims) -> Result<()>) -> Result<Option<Cut>> {
    let too_large = |dims: Dims| match fits(dims) {
        Ok(()) => Ok(None),
        Err(error @ (Error::TooLarge { .. } | Error::Overflow { .. })) => Ok(Some(error)),
        Err(error) => Err(error),
    };
    let Dims { batch: mut rows, mut steps } = dims;
    while let Some(error) = too_large(Dims { batch: rows, steps })? {
        match (rows, steps) {
            (1, 1) => return Err(error),
            (1, _) => steps = steps.div_ceil(2),
            _ => rows = rows.div_ceil(2),
        }
    }
    let cut = Cut { rows, steps };
    Ok((cut != Cut { rows: dims.batch, steps: dims.steps }).then_some(cut))
}

/// Pieces of one run shape.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    /// The layer and the direction, where a row is cut by steps.
    pub(super) part: Option<(usize, usize)>,
    /// The whole model, or that direction of that layer.
    pub(super) model: Cow<'a, Model>,
    pub(super) run_shape: RunShape,
    /// The number of pieces of this shape, if every sequence has all steps.
    pub(super) count: usize,
}

/// The pieces of a run of `run_shape` by `fits`, largest first within a part; one of the whole run shape if that fits.
///
/// # Errors
/// Those of [`cut`].
pub(super) fn pieces(
    model: &Model,
    run_shape: RunShape,
    fits: impl Fn(&Model, RunShape) -> Result<()>,
) -> Result<Vec<Piece<'_>>> {
    let Dims { batch, steps } = run_shape.dims;
    let found = cut(run_shape.dims, |dims| fits(model, RunShape { dims, ..run_shape }))?;
    let most = found.map_or(batch, |cut| cut.rows);
    if found.is_none_or(|cut| cut.steps == steps) {
        let of = |(batch, count)| {
            let run_shape = RunShape { dims: Dims { batch, steps }, ..run_shape };
            Piece { part: None, model: Cow::Borrowed(model), run_shape, count }
        };
        return Ok(sizes(batch, most).map(of).collect());
    }
    let mut all = Vec::new();
    for (layer, own) in model.layers().iter().enumerate() {
        for dir in 0..own.direction().count() {
            let part = Model::new(vec![own.one_direction(dir)])?;
            let run_shape = run_shape_of_row(steps, run_shape.projected && layer == 0);
            let of = |steps| RunShape { dims: Dims { batch: 1, steps }, ..run_shape };
            let most =
                cut(run_shape.dims, |dims| fits(&part, of(dims.steps)))?.map_or(steps, |cut| cut.steps);
            all.extend(sizes(steps, most).map(|(steps, count)| Piece {
                part: Some((layer, dir)),
                model: Cow::Owned(part.clone()),
                run_shape: of(steps),
                count: count * batch,
            }));
        }
    }
    Ok(all)
}

/// The sizes of pieces of at most `most` that `all` is cut into, with the number of each.
fn sizes(all: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    [(most, all / most), (all % most, 1)].into_iter().filter(|(size, count)| size * count > 0)
}

/// The run shape of `steps` steps of one direction of a layer of one row.
fn run_shape_of_row(steps: usize, projected: bool) -> RunShape {
    RunShape { projected, ..Dims { batch: 1, steps }.into() }
}

/// The caller's summary of the pieces; `None` where `all` is one piece, the whole run.
pub(super) fn summary(all: &[Piece<'_>]) -> Option<Pieces> {
    let most = |of: fn(Dims) -> usize| all.iter().map(|piece| of(piece.run_shape.dims)).max().unwrap_or(0);
    let (rows, steps) = (most(|dims| dims.batch), most(|dims| dims.steps));
    let count = all.iter().map(|piece| piece.count).sum();
    let by_steps = all.iter().any(|piece| piece.part.is_some());
    (count > 1 || by_steps).then_some(Pieces { count, rows, steps, by_steps })
}

impl GpuEngine {
    /// Runs a batch, in pieces if needed.
    pub(super) async fn run_in_pieces(
        &self,
        batch: &Batch<'_>,
        output: &mut OutputMut<'_>,
        wait: Wait<'_>,
        progress: &Arc<Progress>,
    ) -> Result<()> {
        let (cut, rows) = (self.cut(batch.run_shape())?, batch.dims().batch);
        let pieces = cut.map_or(1, |cut| rows.div_ceil(cut.rows));
        if let Some(cut) = cut {
            log::debug!(
                target: "wgru::run",
                "a batch of {rows} × {} is run in pieces of at most {} × {} rows and steps",
                batch.dims().steps, cut.rows, cut.steps
            );
        }
        let way = Way { wait, tally: &Arc::new(Tally::new(progress.clone(), pieces)) };
        match cut {
            None => self.run_piece(batch, output, way).await,
            Some(cut) if cut.rows < rows => self.run_rows(batch, cut, output, way).await,
            Some(_) => self.run_row(batch, output, 0, way).await,
        }
    }

    /// How a batch of `run_shape` has to be cut.
    pub(super) fn cut(&self, run_shape: RunShape) -> Result<Option<Cut>> {
        if self.is_ready(run_shape) {
            return Ok(None);
        }
        cut(run_shape.dims, |dims| self.planner().fits(self.model(), RunShape { dims, ..run_shape }))
    }

    /// An engine for one direction of one layer. Its weights are uploaded a second time.
    pub(super) fn part(&self, layer: usize, dir: usize) -> Result<Arc<GpuEngine>> {
        let known = lock(&self.parts).get(&(layer, dir)).cloned();
        if let Some(engine) = known {
            return Ok(engine);
        }
        let model = Model::new(vec![self.model().layers()[layer].one_direction(dir)])?;
        let new = self.of_part(model, layer, dir)?;
        Ok(lock(&self.parts).entry((layer, dir)).or_insert(Arc::new(new)).clone())
    }

    async fn run_piece(&self, batch: &Batch<'_>, output: &mut OutputMut<'_>, way: Way<'_>) -> Result<()> {
        self.run_at_once(batch, output, way).await
    }

    fn output(&self, run_shape: RunShape) -> Result<Output> {
        Output::zeros(&OutputShape::new(self.model(), run_shape)?)
    }

    /// Runs the rows that a piece holds at a time.
    async fn run_rows(
        &self,
        batch: &Batch<'_>,
        cut: Cut,
        output: &mut OutputMut<'_>,
        way: Way<'_>,
    ) -> Result<()> {
        let Dims { batch: rows, steps } = batch.dims();
        let mut part: Option<Output> = None;
        for first in (0..rows).step_by(cut.rows) {
            let count = cut.rows.min(rows - first);
            let piece = OwnedBatch::of_rows(batch, self.model().num_states(), first, count);
            let run_shape = piece.borrow().run_shape();
            let mut own = match part.take().filter(|_| count == cut.rows) {
                Some(own) => own,
                None => self.output(run_shape)?,
            };
            if cut.steps < steps {
                self.run_row(&piece.borrow(), &mut own.borrow(), rows - first - 1, way).await?;
            } else {
                self.run_piece(&piece.borrow(), &mut own.borrow(), way).await?;
            }
            self.place_rows(&own, run_shape, first, output, batch.run_shape());
            part = Some(own);
        }
        Ok(())
    }

    /// Copies the outputs of a piece that begins at row `first` to their place.
    fn place_rows(
        &self,
        from: &Output,
        piece: RunShape,
        first: usize,
        to: &mut OutputMut<'_>,
        run_shape: RunShape,
    ) {
        let model = self.model();
        let dirs = model.output() / model.state_size();
        let sequence = |from: &[f32], to: &mut [f32], dirs: usize, features: usize| {
            let own = Strides::of(piece.y, piece.dims, dirs, features);
            let all = Strides::of(run_shape.y, run_shape.dims, dirs, features);
            for row in 0..piece.dims.batch {
                for step in 0..piece.dims.steps {
                    for dir in 0..dirs {
                        let at = row * own.row + step * own.step + dir * own.dir;
                        let place = (first + row) * all.row + step * all.step + dir * all.dir;
                        to[place..place + features].copy_from_slice(&from[at..at + features]);
                    }
                }
            }
        };
        let states = |from: &[f32], to: &mut [f32], features: usize| {
            let (own, all) = (piece.dims.batch * features, run_shape.dims.batch * features);
            for (from, to) in from.chunks_exact(own).zip(to.chunks_exact_mut(all)) {
                to[first * features..][..own].copy_from_slice(from);
            }
        };
        sequence(&from.y, to.y, dirs, model.state_size());
        states(&from.h_n, to.h_n, model.state_size());
        if let (Some(from), Some(to)) = (&from.c_n, &mut to.c_n) {
            states(from, to, model.hidden());
        }
        if let (Some(from), Some(to), Some(readout)) = (&from.out, &mut to.out, model.readout()) {
            match readout.steps() {
                ReadoutSteps::Every => sequence(from, to, 1, readout.outputs()),
                ReadoutSteps::Last => {
                    to[first * readout.outputs()..][..from.len()].copy_from_slice(from);
                }
            }
        }
    }

    /// Runs a single row, some steps at a time: layer by layer, direction by direction; `later` rows come after it.
    async fn run_row(
        &self,
        batch: &Batch<'_>,
        output: &mut OutputMut<'_>,
        later: usize,
        way: Way<'_>,
    ) -> Result<()> {
        let model = self.model();
        let RunShape { dims: Dims { steps, .. }, padding, .. } = batch.run_shape();
        let length = batch.lengths_of().map_or(steps, |lengths| lengths[0] as usize);
        let OutputMut { y, h_n, c_n, out } = output;
        let c_n = c_n.as_deref_mut().unwrap_or_default();
        batch.initial_states(h_n, c_n);
        let (dirs, state) = (model.layers()[0].direction().count(), model.state_size());
        let (mut below, mut own): (Vec<f32>, Vec<f32>) = (Vec::new(), Vec::new());
        for (index, layer) in model.layers().iter().enumerate() {
            own.clear();
            own.resize(steps * dirs * state, 0.0);
            for dir in 0..dirs {
                let at = index * dirs + dir;
                let walk = Walk {
                    engine: self.part(index, dir)?,
                    reverse: layer.direction().is_reverse(dir),
                    length,
                    repeats: padding == Padding::Last,
                    projected: index == 0 && batch.run_shape().projected,
                    resets: batch.resets_of(),
                    left: model.num_states() * (later + 1) - at,
                };
                let h = &mut h_n[at * state..][..state];
                let c = c_n.chunks_exact_mut(model.hidden()).nth(at).unwrap_or_default();
                let x = match index {
                    0 if batch.run_shape().projected && dirs > 1 => &one_of(batch.x(), steps, dirs, dir),
                    0 => batch.x(),
                    _ => &below[..],
                };
                let place = |t: usize| t * dirs * state + dir * state;
                walk.run(x, steps, (h, c), way, |t, from| own[place(t)..][..state].copy_from_slice(from))
                    .await?;
            }
            merge(layer, &mut own, self.precision().activations);
            std::mem::swap(&mut below, &mut own);
        }
        y.copy_from_slice(&below);
        if let (Some(out), Some(readout)) = (out, model.readout()) {
            match readout.steps() {
                ReadoutSteps::Every => apply(readout, y, out),
                ReadoutSteps::Last if length > 0 => {
                    apply(readout, &y[(length - 1) * readout.input()..][..readout.input()], out);
                }
                ReadoutSteps::Last => apply(readout, &vec![0.0; readout.input()], out),
            }
        }
        Ok(())
    }
}

/// The walk of one direction of one layer over a row.
struct Walk<'a> {
    engine: Arc<GpuEngine>,
    reverse: bool,
    /// Steps of the row without padding.
    length: usize,
    /// Whether y past the end repeats the last output of a forward direction.
    repeats: bool,
    /// Whether x is `w_ih x` already.
    projected: bool,
    /// Where the row's states are reset, and so pieces end.
    resets: Option<Resets<'a>>,
    /// The number of walks left, with this one.
    left: usize,
}

/// The share of direction `dir` in each step of x, for a single row of a projected layer.
fn one_of(x: &[f32], steps: usize, dirs: usize, dir: usize) -> Vec<f32> {
    let features = x.len() / steps / dirs;
    x.chunks_exact(features).skip(dir).step_by(dirs).flatten().copied().collect()
}

impl Walk<'_> {
    /// Walks from the states `h` and `c`, which become the final ones; `keep` gets y of each step. `x`: `steps` steps.
    async fn run(
        &self,
        x: &[f32],
        steps: usize,
        (h, c): (&mut [f32], &mut [f32]),
        way: Way<'_>,
        mut keep: impl FnMut(usize, &[f32]),
    ) -> Result<()> {
        let input = x.len() / steps;
        let run_shape = run_shape_of_row(self.length.max(1), self.projected);
        let most = self.engine.cut(run_shape)?.map_or(run_shape.dims.steps, |cut| cut.steps);
        let mut pieces = self.pieces(most);
        if self.reverse {
            pieces.reverse();
        }
        way.tally.set_pieces(pieces.len() * self.left);
        let (h0, c0) = (h.to_vec(), c.to_vec());
        for piece in pieces {
            let (first, count) = (piece.start, piece.len());
            if self.resets.is_some_and(|resets| resets.at(0, first)) {
                h.copy_from_slice(&h0);
                c.copy_from_slice(&c0);
            }
            // Resets cut pieces of any length: rounding up keeps the number of shapes small.
            let room = if self.resets.is_some() { count.next_power_of_two().min(most) } else { count };
            let mut x = Cow::Borrowed(&x[first * input..][..count * input]);
            if room > count {
                x.to_mut().resize(room * input, 0.0);
            }
            let (shape, length) = ([1, room, input], [count as u32]);
            let batch = if self.projected { Batch::projected(&x, shape) } else { Batch::new(&x, shape) };
            let mut batch = batch?.h0(h);
            if room > count {
                batch = batch.lengths(&length);
            }
            if !c.is_empty() {
                batch = batch.c0(c);
            }
            let mut own = self.engine.output(batch.run_shape())?;
            self.engine.run_piece(&batch, &mut own.borrow(), way).await?;
            h.copy_from_slice(&own.h_n);
            c.copy_from_slice(own.c_n.as_deref().unwrap_or_default());
            let y = own.y.chunks_exact(h.len()).take(count);
            y.enumerate().for_each(|(step, y)| keep(first + step, y));
            if self.repeats && !self.reverse && piece.end == self.length {
                let last = &own.y[(count - 1) * h.len()..][..h.len()];
                (self.length..steps).for_each(|t| keep(t, last));
            }
        }
        Ok(())
    }

    /// The steps of each piece, at most `most`; a piece also begins at each reset.
    fn pieces(&self, most: usize) -> Vec<Range<usize>> {
        let is_reset = |step: &usize| self.resets.is_some_and(|resets| resets.at(0, *step));
        let mut ends: Vec<usize> = (1..self.length).filter(is_reset).collect();
        ends.push(self.length);
        let firsts = std::iter::once(0).chain(ends.iter().copied());
        let parts = firsts.zip(&ends);
        let cut =
            |(first, &end): (usize, &usize)| (first..end).step_by(most).map(move |at| at..end.min(at + most));
        parts.flat_map(cut).collect()
    }
}

/// `[T, 2, P]` to the layer's output: `[T, P]` if it merges both directions. Rounded as the device stores it.
fn merge(layer: &Layer, y: &mut Vec<f32>, storage: Storage) {
    if layer.merge() == Merge::Concat {
        return;
    }
    let state = layer.state_size();
    for at in 0..y.len() / 2 {
        let (step, unit) = (at / state, at % state);
        let [forward, reverse] = [0, state].map(|dir| y[2 * step * state + dir + unit]);
        y[at] = storage.saturated(layer.merge().of(forward, reverse));
    }
    y.truncate(y.len() / 2);
}

/// `out = f(W y + b)` for each step of y, in the reduction order of the kernels; exponentials are those of the CPU path.
fn apply(readout: &Readout, y: &[f32], out: &mut [f32]) {
    for (y, out) in y.chunks_exact(readout.input()).zip(out.chunks_exact_mut(readout.outputs())) {
        for (index, (out, w)) in out.iter_mut().zip(readout.w().chunks_exact(readout.input())).enumerate() {
            let sum = w.iter().zip(y).fold(0.0, |sum: f32, (w, y)| w.mul_add(*y, sum));
            *out = sum + readout.b().map_or(0.0, |b| b[index]);
        }
    }
    activate(readout.activation(), out, readout.outputs());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(rows: usize, numbers: usize) -> impl Fn(Dims) -> Result<()> {
        move |Dims { batch, steps }| {
            let too_large = |needed: usize, limit: usize| Error::TooLarge {
                name: "x".into(),
                needed: needed as u64,
                limit: limit as u64,
                unit: "numbers",
                device: "a device".into(),
            };
            match (batch > rows, batch * steps > numbers) {
                (true, _) => Err(too_large(batch, rows)),
                (_, true) => Err(too_large(batch * steps, numbers)),
                _ => Ok(()),
            }
        }
    }

    #[test]
    fn rows_are_cut_before_steps() {
        let cut = |batch, steps, rows, numbers| cut(Dims { batch, steps }, limit(rows, numbers)).unwrap();
        assert_eq!(cut(10, 10, 10, 100), None);
        assert_eq!(cut(10, 10, 5, 100), Some(Cut { rows: 5, steps: 10 }));
        assert_eq!(cut(11, 10, 11, 60), Some(Cut { rows: 6, steps: 10 }));
        assert_eq!(cut(3, 100, 3, 30), Some(Cut { rows: 1, steps: 25 }));
        assert_eq!(cut(1, 7, 1, 1), Some(Cut { rows: 1, steps: 1 }));
    }

    #[test]
    fn sizes_add_up() {
        let of = |all, most| sizes(all, most).collect::<Vec<_>>();
        assert_eq!(of(10, 10), [(10, 1)]);
        assert_eq!(of(11, 4), [(4, 2), (3, 1)]);
        assert_eq!(of(12, 4), [(4, 3)]);
    }

    #[test]
    fn a_batch_that_fits_in_no_piece_is_an_error() {
        let dims = Dims { batch: 4, steps: 4 };
        let error = cut(dims, limit(4, 0)).unwrap_err();
        assert!(matches!(error, Error::TooLarge { needed: 1, limit: 0, .. }), "{error}");
        let error = cut(dims, |_| Err(Error::Unsupported { what: "it".into() })).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    }
}
