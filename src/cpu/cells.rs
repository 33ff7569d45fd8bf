//! One direction of a layer on the CPU, row after row: both products into one array of gates, then the gates.

use super::activation::{Functions, General, Standard};
use crate::dtype::Storage;
use crate::io::{Fill, Strides};
use crate::model::{Cell, Forget, Reset, Update, has_enclosed_bias};
use crate::progress::Progress;

/// One direction's constants, as [`crate::model::pack`] gives them.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) cell: Cell,
    pub(super) input: usize,
    pub(super) hidden: usize,
    /// P, features of h.
    pub(super) state: usize,
    /// Whether it walks from the last step to the first.
    pub(super) reverse: bool,
    /// Its place among the layer's directions.
    pub(super) direction: usize,
    /// The activations and their clip, where they are not the cell's own.
    pub(super) functions: Option<General>,
    /// What the new state is clamped to; infinity for not at all.
    pub(super) state_clip: f32,
    /// `[I, G·H]`.
    pub(super) w_ih: Vec<f32>,
    /// `[P, G·H]`.
    pub(super) w_hh: Vec<f32>,
    /// `[G·H]`.
    pub(super) bias: Vec<f32>,
    /// `[H]`, or empty.
    pub(super) b_hn: Vec<f32>,
    /// `[3·H]`, or empty.
    pub(super) peepholes: Vec<f32>,
    /// `[H, P]`, or empty.
    pub(super) w_hr: Vec<f32>,
    /// What x and y are rounded to.
    pub(super) activations: Storage,
}

/// Arrays of one row.
#[derive(Debug, Default)]
pub(super) struct RowScratch {
    /// `[I]`, or `[G·H]` of a projected one: x as its storage type keeps it.
    x: Vec<f32>,
    /// `[G·H]`, from x.
    from_x: Vec<f32>,
    /// `[G·H]`, from h.
    from_h: Vec<f32>,
    /// `[H]`: r ⊙ h of a GRU, h before the projection of an LSTM.
    units: Vec<f32>,
}

/// A sequence array and where its elements lie.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    pub(super) data: &'a [f32],
    pub(super) strides: Strides,
    pub(super) steps: usize,
    pub(super) lengths: Option<&'a [u32]>,
    /// Whether each step holds `w_ih x` of every direction, `[D·G·H]`.
    pub(super) projected: bool,
}

impl Input<'_> {
    /// Steps of sequence `b`.
    pub(super) fn length(&self, b: usize) -> usize {
        self.lengths.map_or(self.steps, |lengths| lengths[b] as usize)
    }
}

impl Packed {
    /// Runs every sequence of `x`. `h`: `[B, P]`, `c`: `[B, H]`, updated; `y`: of which this fills its own
    /// direction. c is empty where the cell has none.
    pub(super) fn run(
        &self,
        x: Input<'_>,
        (h, c): (&mut [f32], &mut [f32]),
        scratch: &mut RowScratch,
        (y, strides, fill): (&mut [f32], Strides, Fill),
        progress: &Progress,
    ) {
        scratch.from_x.resize(self.bias.len(), 0.0);
        scratch.from_h.resize(self.bias.len(), 0.0);
        scratch.units.resize(self.hidden, 0.0);
        let mut c_rows = c.chunks_exact_mut(self.hidden);
        for (b, h) in h.chunks_exact_mut(self.state).enumerate() {
            let c = c_rows.next().unwrap_or_default();
            let length = x.length(b);
            let y_at = |time: usize| b * strides.row + time * strides.step + self.direction * strides.dir;
            for step in 0..length {
                let time = if self.reverse { length - 1 - step } else { step };
                self.project(x, b * x.strides.row + time * x.strides.step, scratch);
                match &self.functions {
                    None => self.step(&Standard, h, c, scratch),
                    Some(general) => self.step(general, h, c, scratch),
                }
                self.emit(h, &mut y[y_at(time)..][..self.state]);
            }
            let repeats = fill == Fill::Last && !self.reverse && length > 0;
            for time in length..x.steps {
                let y = &mut y[y_at(time)..][..self.state];
                if repeats { self.emit(h, y) } else { y.fill(0.0) }
            }
            progress.end(1);
        }
    }

    /// The biases and `w_ih x` of the step at `at`, into `from_x`.
    fn project(&self, x: Input<'_>, at: usize, scratch: &mut RowScratch) {
        let RowScratch { x: own, from_x, .. } = scratch;
        from_x.copy_from_slice(&self.bias);
        if x.projected {
            let xw = &x.data[at + self.direction * from_x.len()..][..from_x.len()];
            from_x.iter_mut().zip(self.stored(xw, own)).for_each(|(sum, xw)| *sum += xw);
        } else {
            let x = &x.data[at..][..self.input];
            accumulate(&self.w_ih, self.stored(x, own), from_x);
        }
    }

    /// x as its storage type keeps it, in `own` where that is not as it is.
    fn stored<'a>(&self, x: &'a [f32], own: &'a mut Vec<f32>) -> &'a [f32] {
        if !self.activations.is_half() {
            return x;
        }
        own.clear();
        own.extend(x.iter().map(|&value| self.activations.round(value)));
        own
    }

    /// Writes h to y as its storage type keeps it.
    fn emit(&self, h: &[f32], y: &mut [f32]) {
        match self.activations {
            Storage::F32 => y.copy_from_slice(h),
            storage => y.iter_mut().zip(h).for_each(|(y, &h)| *y = storage.saturated(h)),
        }
    }

    /// One step of a row whose input [`Packed::project`] has seen.
    fn step(&self, functions: &impl Functions, h: &mut [f32], c: &mut [f32], scratch: &mut RowScratch) {
        let RowScratch { from_x, from_h, units, .. } = scratch;
        from_h.fill(0.0);
        if has_enclosed_bias(self.cell) {
            from_h[2 * self.hidden..].copy_from_slice(&self.b_hn);
        }
        match self.cell {
            Cell::Gru { reset: Reset::After, update } => {
                accumulate(&self.w_hh, h, from_h);
                self.gru_after(functions, update, from_x, from_h, h);
            }
            Cell::Gru { reset: Reset::Before, update } => {
                self.gru_before(functions, update, from_x, from_h, units, h);
            }
            Cell::Lstm { forget } => {
                accumulate(&self.w_hh, h, from_h);
                if self.w_hr.is_empty() {
                    self.lstm(functions, forget, from_x, from_h, h, c);
                } else {
                    self.lstm(functions, forget, from_x, from_h, units, c);
                    h.fill(0.0);
                    accumulate(&self.w_hr, units, h);
                }
            }
            Cell::Rnn => {
                accumulate(&self.w_hh, h, from_h);
                for ((h, x), r) in h.iter_mut().zip(&*from_x).zip(&*from_h) {
                    *h = self.clamped(functions.rnn(x + r));
                }
            }
        }
    }

    /// The new state within its clip; NaN stays NaN.
    fn clamped(&self, state: f32) -> f32 {
        state.clamp(-self.state_clip, self.state_clip)
    }

    fn gru_after(
        &self,
        functions: &impl Functions,
        update: Update,
        from_x: &[f32],
        from_h: &[f32],
        h: &mut [f32],
    ) {
        let hidden = h.len();
        for (unit, h) in h.iter_mut().enumerate() {
            let r = functions.gate(from_x[unit] + from_h[unit]);
            let z = functions.gate(from_x[hidden + unit] + from_h[hidden + unit]);
            let n = functions.candidate(from_x[2 * hidden + unit] + r * from_h[2 * hidden + unit]);
            *h = self.clamped(blend(update, z, *h, n));
        }
    }

    /// `h`: `[H]`, before any projection.
    fn lstm(
        &self,
        functions: &impl Functions,
        forget: Forget,
        from_x: &[f32],
        from_h: &[f32],
        h: &mut [f32],
        c: &mut [f32],
    ) {
        let hidden = c.len();
        let peepholes = self.peepholes.get(..3 * hidden);
        for (unit, (h, c)) in h.iter_mut().zip(c).enumerate() {
            let pre = |gate: usize| from_x[gate * hidden + unit] + from_h[gate * hidden + unit];
            let peep = |place: usize, c: f32| peepholes.map_or(0.0, |p| p[place * hidden + unit] * c);
            let i = functions.gate(pre(0) + peep(0, *c));
            let f = match forget {
                Forget::Own => functions.gate(pre(1) + peep(1, *c)),
                Forget::Coupled => 1.0 - i,
            };
            *c = self.clamped(f * *c + i * functions.candidate(pre(2)));
            *h = functions.gate(pre(3) + peep(2, *c)) * functions.output(*c);
        }
    }

    /// The gates' columns first, then r ⊙ h through the candidate's columns.
    fn gru_before(
        &self,
        functions: &impl Functions,
        update: Update,
        from_x: &[f32],
        from_h: &mut [f32],
        reset_h: &mut [f32],
        h: &mut [f32],
    ) {
        let hidden = self.hidden;
        let (gates, candidate) = from_h.split_at_mut(2 * hidden);
        accumulate_columns(&self.w_hh, 3 * hidden, 0, h, gates);
        for ((rh, h), (x, r)) in reset_h.iter_mut().zip(&*h).zip(from_x.iter().zip(&*gates)) {
            *rh = functions.gate(x + r) * h;
        }
        accumulate_columns(&self.w_hh, 3 * hidden, 2 * hidden, reset_h, candidate);
        for unit in 0..hidden {
            let z = functions.gate(from_x[hidden + unit] + gates[hidden + unit]);
            let n = functions.candidate(from_x[2 * hidden + unit] + candidate[unit]);
            h[unit] = self.clamped(blend(update, z, h[unit], n));
        }
    }
}

fn blend(update: Update, z: f32, h: f32, n: f32) -> f32 {
    match update {
        Update::Keeps => z * h + (1.0 - z) * n,
        Update::Takes => (1.0 - z) * h + z * n,
    }
}

/// `sum += v w`; `w`: `[len(v), len(sum)]`.
pub(super) fn accumulate(w: &[f32], v: &[f32], sum: &mut [f32]) {
    accumulate_columns(w, sum.len(), 0, v, sum);
}

/// `sum += v w` over the columns of `w`, `[len(v), pitch]`, from `first` on.
fn accumulate_columns(w: &[f32], pitch: usize, first: usize, v: &[f32], sum: &mut [f32]) {
    for (row, &v) in w.chunks_exact(pitch).zip(v) {
        for (sum, w) in sum.iter_mut().zip(&row[first..]) {
            *sum += v * w;
        }
    }
}
