//! States that are reset within a sequence: `reset_states` before each step that is a dispatch of its own, and the
//! text with which a kernel of many steps resets them itself.
//!
//! resets: a word for each batch row and step, `[B, T]` or `[T, B]`. initial: the states before the run, h of the
//! layer, `[⌈B/R⌉, P, R]`, and after it c, `[⌈B/R⌉, H, R]`, of an LSTM. Layers have one direction, forward.

use super::recurrence::{Arguments, INDEX, ORDER, PARAMS, Params};
use super::source::{self, wgsl};
use super::{Access, Binding, Definition, Kernel, Rows, Takes, Work, pipelining, shape};
use crate::io::Layout;

/// The order of the words that say where states are reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResetOrder {
    /// `[B, T]`.
    BatchMajor,
    /// `[T, B]`.
    TimeMajor,
}

impl From<Layout> for ResetOrder {
    /// The order of an x of this layout.
    fn from(x: Layout) -> Self {
        match x {
            Layout::BatchMajor => Self::BatchMajor,
            Layout::TimeMajor | Layout::DirectionMajor => Self::TimeMajor,
        }
    }
}

impl ResetOrder {
    pub(super) fn constant(self) -> (&'static str, f64) {
        ("TIME_MAJOR", f64::from(u8::from(self == Self::TimeMajor)))
    }
}

pub(super) const RESETS: Binding = Binding::new(14, "resets", Access::Read);
pub(super) const INITIAL: Binding = Binding::new(15, "initial", Access::Read);
const STATES: Binding = Binding::new(6, "states", Access::ReadWrite);

/// The text that all kernels with resets include, and the initial states where these are not zero.
pub(super) const BEGUN: &str = wgsl!("resets/begun.wgsl");
pub(super) const INITIAL_KEPT: &str = wgsl!("resets/initial.wgsl");

/// Words of `resets`.
pub(super) fn words(params: &Params) -> u64 {
    u64::from(params.batch) * u64::from(params.times)
}

/// States of a layer, h or c, that are reset before a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResetStates {
    /// P of h, H of c.
    pub features: u32,
    /// The place of the array in `initial`, in units: 0 of h, P of c. `None` where states begin with zero.
    pub before: Option<u32>,
    /// The order of `resets`.
    pub order: ResetOrder,
    /// Rows of a thread.
    pub rows: Rows,
    /// Threads of a workgroup.
    pub width: u32,
}

impl Definition for ResetStates {
    fn name(&self) -> &'static str {
        "reset_states"
    }

    fn variant(&self) -> String {
        let zero = if self.before.is_none() { " to zero" } else { "" };
        format!("{zero} ({} × {} threads)", self.rows, self.width)
    }

    fn parts(&self) -> Vec<&'static str> {
        let initial = if self.before.is_some() { INITIAL_KEPT } else { wgsl!("resets/initial_zero.wgsl") };
        let order = [wgsl!("shared/order.wgsl"), wgsl!("shared/index.wgsl")];
        let frame = [[wgsl!("shared/recurrence.wgsl"), pipelining::text(false)], order].concat();
        [&[source::rows(self.rows)][..], &frame, &[BEGUN, initial, wgsl!("resets/reset_states.wgsl")]]
            .concat()
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let sizes = ["K", "HIDDEN", "UNITS", "N"].map(|name| (name, f64::from(self.features)));
        let own = [
            ("WIDTH", f64::from(self.width)),
            ("BEFORE", f64::from(self.before.unwrap_or(0))),
            self.order.constant(),
        ];
        [&sizes[..], &own].concat()
    }

    fn bindings(&self) -> Vec<Binding> {
        let initial = self.before.map(|_| INITIAL);
        [PARAMS, INDEX, STATES, ORDER, RESETS].into_iter().chain(initial).collect()
    }

    fn threads(&self) -> u32 {
        self.width
    }

    fn grid(&self, rows: u32, dirs: u32) -> [u32; 3] {
        shape::grid([self.features, self.width], self.rows, [rows, dirs])
    }

    fn most_rows(&self, limit: u32) -> u32 {
        limit.saturating_mul(self.rows.count())
    }

    fn iterations_of_sizes(&self) -> Option<u64> {
        Some(u64::from(self.rows.count()))
    }

    fn work(&self) -> (Work, Work) {
        // Each number is loaded and stored, with its initial value; of each row also its length, its number and its
        // word.
        (Work::default(), Work::of_loads(6, self.width, self.rows))
    }
}

impl Takes<Arguments> for ResetStates {
    fn kernel(&self, _: &Arguments) -> Kernel {
        (*self).into()
    }

    fn extents(&self, arguments: &Arguments, _: u32) -> Vec<u64> {
        let params = &arguments.own;
        let tiled =
            |features: u32| u64::from(params.tiles) * u64::from(features) * u64::from(self.rows.count());
        let order = 2 * u64::from(params.tiles) * u64::from(self.rows.count());
        let initial = self.before.map(|before| tiled(before + self.features));
        [tiled(self.features), order, words(params)].into_iter().chain(initial).collect()
    }

    fn flops(&self, _: &Arguments) -> u64 {
        0
    }
}
