//! The rows of the decoder that advance together: a session whose rows are hypotheses.

use std::collections::BTreeMap;

use wgru::{Engine, Session, State, StepOutput};

use crate::END;
use crate::error::Result;
use crate::network::Network;

/// Above this many rows a session has a multiple of them; below, a power of two. So few sessions serve all numbers of rows.
const STEP: usize = 32;

/// Sessions of the decoder by their number of rows, one of which is in use.
pub(crate) struct Rows<'a> {
    engine: &'a Engine,
    network: &'a Network,
    sessions: BTreeMap<usize, (Session, StepOutput)>,
    /// Rows of the session in use.
    size: usize,
    /// The embeddings of the phonemes before a step, `[size, E]`.
    x: Vec<f32>,
}

/// Rows of the session for `rows` rows.
pub(crate) fn session_rows(rows: usize) -> usize {
    if rows <= STEP { rows.next_power_of_two() } else { rows.next_multiple_of(STEP) }
}

impl<'a> Rows<'a> {
    pub(crate) fn new(engine: &'a Engine, network: &'a Network) -> Self {
        Self { engine, network, sessions: BTreeMap::new(), size: 0, x: Vec::new() }
    }

    /// Rows of the session in use; those that no hypothesis uses are computed too.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// The number of phonemes, the end included.
    pub(crate) fn phonemes(&self) -> usize {
        self.network.phonemes().len()
    }

    /// Starts `rows` rows with the states `h`, `[rows, H]`.
    pub(crate) fn start(&mut self, h: &[f32], rows: usize) -> Result<()> {
        let size = session_rows(rows);
        let mut state = State { h: h.to_vec(), c: None };
        state.h.resize(size * self.network.decoder().state_size(), 0.0);
        let session = match self.sessions.entry(size) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let session = self.engine.session(size)?;
                let output = session.output()?;
                entry.insert((session, output))
            }
        };
        session.0.set_state(&state)?;
        self.size = size;
        Ok(())
    }

    /// Row i gets the state of row `from[i]`. The states go through the host.
    pub(crate) fn gather(&mut self, from: &[usize]) -> Result<()> {
        let Some((session, _)) = self.sessions.get_mut(&self.size) else { return Ok(()) };
        let (h, width) = (session.state()?.h, self.network.decoder().state_size());
        let rows: Vec<f32> = from.iter().flat_map(|&row| &h[row * width..][..width]).copied().collect();
        self.start(&rows, from.len())
    }

    /// A step of every row after the phonemes `before`, at most [`Rows::size`]. Returns the scores of the next phonemes, `[size, P]`.
    pub(crate) fn step(&mut self, before: &[u32]) -> Result<&[f32]> {
        let Some((session, output)) = self.sessions.get_mut(&self.size) else { return Ok(&[]) };
        let (table, features) = (self.network.phoneme_rows(), self.network.decoder().input());
        self.x.clear();
        for row in 0..self.size {
            let phoneme = before.get(row).copied().unwrap_or(END) as usize;
            self.x.extend_from_slice(&table[phoneme * features..][..features]);
        }
        session.step_into(&self.x, output)?;
        Ok(output.out.as_deref().unwrap_or_default())
    }
}
