//! States: what persists from step to step in a session, and what a run starts from.

use super::zeros;
use crate::dims::check_len;
use crate::error::{Error, Result};
use crate::model::Model;

/// The states of B streams, which persist from step to step in a session. `T` is f32, and f64 for the reference.
#[derive(Debug, Clone, PartialEq)]
pub struct State<T = f32> {
    /// Every layer's h, `[L·D, B, P]`: layer-major, forward then reverse.
    pub h: Vec<T>,
    /// Every layer's c, `[L·D, B, H]`; LSTM only.
    pub c: Option<Vec<T>>,
}

impl<T: Copy + Default> State<T> {
    /// Zero states.
    ///
    /// # Errors
    /// [`crate::Error::Memory`].
    pub(crate) fn zeros(model: &Model, batch: usize) -> Result<Self> {
        let shape = |features| [model.num_states(), batch, features];
        let c = model.cell().has_c().then(|| zeros("c [L·D, B, H]", &shape(model.hidden())));
        Ok(Self { h: zeros("h [L·D, B, P]", &shape(model.state_size()))?, c: c.transpose()? })
    }

    /// Sets the states of the rows whose number of `resets`, `[B]`, is not 0 to zero; `count` = L·D.
    pub(crate) fn reset_rows(&mut self, resets: &[u32], count: usize) {
        for array in [Some(&mut self.h), self.c.as_mut()].into_iter().flatten() {
            let features = array.len() / (count * resets.len());
            let rows = array.chunks_exact_mut(features).zip(resets.iter().cycle());
            rows.filter(|(_, reset)| **reset != 0).for_each(|(row, _)| row.fill(T::default()));
        }
    }

    /// h, `[B, P]`, and c, `[B, H]`, of state `index` of `count` = L·D; c is empty where the cell has none.
    pub(crate) fn layer_mut(&mut self, index: usize, count: usize) -> (&mut [T], &mut [T]) {
        let part = |array: &mut Vec<T>| index * (array.len() / count)..(index + 1) * (array.len() / count);
        let c = self.c.as_mut().map_or(&mut [][..], |c| {
            let range = part(c);
            &mut c[range]
        });
        let range = part(&mut self.h);
        (&mut self.h[range], c)
    }
}

impl State {
    /// Checks states that are to replace others against `model`.
    ///
    /// # Errors
    /// [`Error::Length`] where one does not fit, [`Error::Unsupported`] for a c where the cell has none,
    /// [`Error::Mismatch`] for an LSTM without c.
    pub(crate) fn check(&self, model: &Model, batch: usize) -> Result<()> {
        check_states(model, batch, [("h", Some(&self.h[..])), ("c", self.c.as_deref())])?;
        if model.cell().has_c() && self.c.is_none() {
            let reason = format!("the state of {} needs one", model.cell());
            return Err(Error::Mismatch { name: "c".into(), reason });
        }
        Ok(())
    }
}

/// # Errors
/// Those of [`crate::Batch::check`], for states alone.
pub(crate) fn check_states(
    model: &Model,
    batch: usize,
    [(h_name, h), (c_name, c)]: [(&str, Option<&[f32]>); 2],
) -> Result<()> {
    let shape = |features| [model.num_states(), batch, features];
    if let Some(h) = h {
        check_len(&format!("{h_name} [L·D, B, P]"), &shape(model.state_size()), h.len())?;
    }
    if let Some(c) = c {
        if !model.cell().has_c() {
            return Err(Error::Unsupported { what: format!("{c_name}: {} has no cell state", model.cell()) });
        }
        check_len(&format!("{c_name} [L·D, B, H]"), &shape(model.hidden()), c.len())?;
    }
    Ok(())
}
