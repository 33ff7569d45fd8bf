//! Ticks: queued frames go to the device as batches, and their outputs come back.

use super::Pool;
use super::batches::groups;
use super::table::Rows;
use super::tick::{Flight, TickOutput, gather};
use crate::dims::at_least_one;
use crate::engine::any::{AnyPool, on};
use crate::engine::backend::{Begun, Ticks, UNDER_WAY};
use crate::engine::wait::{BLOCK, block_on};
use crate::error::{Error, Result};
use crate::sync::Wait;

/// Reads back the outputs of a tick, unless they have landed.
async fn land(states: &mut AnyPool, flight: &mut Flight, wait: Wait<'_>) -> Result<()> {
    if !flight.landed {
        let Flight { parts, y, out, .. } = flight;
        on!(AnyPool, states, states => states.finish(parts, [y, out], wait).await)?;
        flight.landed = true;
    }
    Ok(())
}

impl Pool {
    /// Advances every stream that has frames, by at most [`super::PoolOptions::frames`] of them, and returns their outputs. If
    /// the future of an earlier [`Pool::tick_async`] was dropped after its tick had begun, this call begins no tick, but finishes
    /// that one and returns its outputs.
    ///
    /// # Errors
    /// Those of [`Pool::begin`] and [`Pool::finish_into`]; [`Error::Mismatch`] where a tick of [`Pool::begin`] is in flight.
    pub fn tick(&mut self) -> Result<TickOutput> {
        let mut output = TickOutput::default();
        self.tick_into(&mut output)?;
        Ok(output)
    }

    /// [`Pool::tick`] into `output`, whose arrays are reused. On the CPU path with one thread, a tick with the sizes of an
    /// earlier one allocates nothing.
    ///
    /// # Errors
    /// Those of [`Pool::tick`].
    pub fn tick_into(&mut self, output: &mut TickOutput) -> Result<()> {
        self.engine.device().may_block()?;
        block_on(self.tick_waiting(output, BLOCK))
    }

    /// [`Pool::tick`], without blocking; except that the polling thread writes the file of a snapshot that is due
    /// ([`super::PoolOptions::snapshots`]).
    ///
    /// # Errors
    /// Those of [`Pool::tick`].
    pub async fn tick_async(&mut self) -> Result<TickOutput> {
        let mut output = TickOutput::default();
        self.tick_into_async(&mut output).await?;
        Ok(output)
    }

    /// [`Pool::tick_into`], without blocking, like [`Pool::tick_async`].
    ///
    /// # Errors
    /// Those of [`Pool::tick`].
    pub async fn tick_into_async(&mut self, output: &mut TickOutput) -> Result<()> {
        self.tick_waiting(output, Wait::Yield).await
    }

    async fn tick_waiting(&mut self, output: &mut TickOutput, wait: Wait<'_>) -> Result<()> {
        output.clear();
        match self.flights.front() {
            None => {}
            Some(flight) if flight.of_tick && self.flights.len() == 1 => {
                return self.finish_waiting(output, wait).await;
            }
            Some(_) => {
                let reason = format!("{} in flight: call Pool::finish_into first", self.flights.len());
                return Err(Error::Mismatch { name: "ticks".into(), reason });
            }
        }
        if !self.begin_waiting(wait).await? {
            output.snapshot_error = self.snapshot_error.take();
            return Ok(());
        }
        if let Some(flight) = self.flights.back_mut() {
            flight.of_tick = true;
        }
        self.finish_waiting(output, wait).await
    }

    /// Begins a tick and returns while the device works; returns whether there was anything to do. A tick takes what fits the
    /// device's buffers; the rest waits for the next. Two ticks may be in flight, so that the read-back of one overlaps the
    /// computation of the next. On the CPU path this call computes.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where two are in flight already; [`Error::Lost`] or [`Error::Device`] where the device fails, and on
    /// every call after it until [`Pool::rebuild`]; [`Error::Memory`] where there is no memory even for one stream's frames.
    /// Unless a tick had begun, no frame is lost: the next tick takes them.
    pub fn begin(&mut self) -> Result<bool> {
        self.engine.device().may_block()?;
        block_on(self.begin_waiting(BLOCK))
    }

    async fn begin_waiting(&mut self, wait: Wait<'_>) -> Result<bool> {
        self.check_failed()?;
        if self.flights.len() == UNDER_WAY {
            let reason = format!("{UNDER_WAY} are in flight: call Pool::finish_into first");
            return Err(Error::Mismatch { name: "ticks".into(), reason });
        }
        self.snapshot_if_due(wait).await;
        self.check_failed()?;
        self.table.sort_ready(self.options.frames);
        if self.table.ready() == 0 {
            return Ok(false);
        }
        let mut flight = self.spare.pop().unwrap_or_default();
        let (rows, frames) = match self.submit(&mut flight) {
            Ok(taken) => taken,
            Err(error) => {
                self.spare.push(flight);
                return Err(self.failed_with(error));
            }
        };
        self.table.take(rows, frames);
        self.flights.push_back(flight);
        self.ticks += 1;
        Ok(true)
    }

    /// Submits the frames of the ready streams; returns the number of streams, in the order of
    /// [`super::table::Table::sort_ready`], and the most frames of each.
    fn submit(&mut self, flight: &mut Flight) -> Result<(usize, usize)> {
        let (mut most, mut frames) = (usize::MAX, self.options.frames);
        loop {
            let error = match self.submit_rows(flight, most, frames) {
                Ok(rows) => return Ok((rows, frames)),
                Err(error) => error,
            };
            // Nothing has moved. If there is no memory for all rows, there may be for half of them, or for half of the frames of
            // one; the others wait.
            let (rows, steps) = self.groups.last().map_or((0, 0), |group| (group.rows.end, group.steps));
            let is_memory = matches!(error, Error::Memory { .. }) || error.is_of_device();
            if (rows < 2 && steps < 2) || !is_memory || self.is_broken() {
                return Err(error);
            }
            if rows < 2 {
                frames = steps / 2
            } else {
                most = rows / 2
            }
            log::debug!(target: "wgru::pool", "a tick of {rows} streams is reduced to half of them, or of their frames: {error}");
        }
    }

    /// [`Pool::submit`] of at most the first `most` streams and `frames` of each.
    fn submit_rows(&mut self, flight: &mut Flight, most: usize, frames: usize) -> Result<usize> {
        let Self { engine, table, states, x, groups: all, .. } = self;
        let (model, rows, progress) = (engine.model(), Rows { table, most: frames }, &engine.0.progress);
        on!(AnyPool, states, states => {
            groups(rows.all_frames().take(most), &**states, frames, all);
            // Groups beyond the device's buffers wait for the next tick.
            all.truncate(states.fitting(all));
        });
        flight.lay_out(all, rows, model)?;
        gather(all, rows, model.input(), x)?;
        let Begun { groups, landed } =
            on!(AnyPool, states, states => states.begin(all, rows, x, flight.arrays(), progress))?;
        let taken = all[..groups].last().map_or(0, |group| group.rows.end);
        flight.truncate(taken);
        flight.landed = landed;
        Ok(taken)
    }

    /// Waits for the oldest tick that was begun and returns its outputs.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where none was begun; [`Error::Lost`] or [`Error::Device`] where the device fails.
    pub fn finish_into(&mut self, output: &mut TickOutput) -> Result<()> {
        self.engine.device().may_block()?;
        block_on(self.finish_waiting(output, BLOCK))
    }

    /// [`Pool::finish_into`], without blocking.
    ///
    /// # Errors
    /// Those of [`Pool::finish_into`].
    pub async fn finish_into_async(&mut self, output: &mut TickOutput) -> Result<()> {
        self.finish_waiting(output, Wait::Yield).await
    }

    async fn finish_waiting(&mut self, output: &mut TickOutput, wait: Wait<'_>) -> Result<()> {
        output.clear();
        let Some(flight) = self.flights.front_mut() else {
            self.check_failed()?;
            return Err(Error::Mismatch { name: "ticks".into(), reason: "none is in flight".into() });
        };
        if let Err(error) = land(&mut self.states, flight, wait).await {
            return Err(self.failed_with(error));
        }
        if let Some(mut flight) = self.flights.pop_front() {
            flight.hand_over(output);
            output.snapshot_error = self.snapshot_error.take();
            self.spare.push(flight);
        }
        Ok(())
    }

    /// Reads back the outputs of every tick that was begun, for [`Pool::finish_into`], so that they are not lost with a device
    /// whose states have been saved.
    pub(super) async fn land_all(&mut self, wait: Wait<'_>) -> Result<()> {
        for flight in &mut self.flights {
            if let Err(error) = land(&mut self.states, flight, wait).await {
                return Err(self.failed_with(error));
            }
        }
        Ok(())
    }

    /// Makes room for `streams` streams, and prepares everything that ticks of up to `frames` frames of each of them need, so
    /// that no such tick compiles or allocates. On a GPU there is a program for every power of two of rows and of frames; at most
    /// 64 programs and 1 GiB are kept, those of the fewest frames first.
    ///
    /// # Errors
    /// Those of [`Pool::begin`].
    pub fn prepare(&mut self, streams: usize, frames: usize) -> Result<()> {
        self.check_failed()?;
        at_least_one("streams of a tick", streams)?;
        at_least_one("frames of a tick", frames)?;
        let (streams, frames) = (streams.min(self.options.most), frames.min(self.options.frames));
        if self.capacity() < streams {
            self.grow(streams)?;
        }
        on!(AnyPool, &mut self.states, states => states.prepare(streams, frames))
    }
}
