//! Runs whose arrays are in the caller's buffers, and recordings of them into the caller's encoder.
//!
//! A recording is prepared once: that plans, compiles, allocates and makes bind groups. Recording it then creates nothing,
//! submits nothing, waits for nothing and writes to no queue. So several recordings, with passes of the caller's between them,
//! may go into one encoder, and run in that order.

mod given;
mod session;

use std::sync::Arc;

pub(super) use self::given::Of;
use self::given::{HostSinks, given};
use super::any::AnyBackend;
use super::gpu::GpuEngine;
use super::run::Engine;
use super::wait::{BLOCK, block_on};
use crate::dtype::Storage;
use crate::error::{Error, Result};
use crate::gpu::{Call, CommandEncoder, Given, Recordable, Recorded, Submittable};
use crate::io::{Batch, Bindings, OutputMut, OutputShape, RunShape, Sink, Source, zeros};
use crate::program::{BufferId, unpack_sequence};
use crate::sync::Wait;

/// A sequence run, or a step of a session, on the caller's buffers, to be recorded any number of times.
///
/// It may be recorded into any encoder of the engine's device. A run reads its buffers, and a step the session's states, when the
/// device executes it. So two recordings of a session in one encoder are two steps, and an encoder that is dropped has no effect.
/// All dispatches of a recording go into the caller's encoder, also where the crate itself would cut them into several
/// submissions. An operating system may reset a GPU that is busy with one submission for seconds: record long sequences in parts,
/// the final states of one being the h0 of the next.
#[derive(Debug)]
pub struct Recording {
    engine: Engine,
    recorded: Recorded,
    of: Of,
}

impl Engine {
    /// Prepares a run of `run_shape`, or `[B, T]` alone, on `bindings`, to be recorded: [`Recording::record`]. Arrays of
    /// `bindings` on the host are uploaded now, into buffers of the recording's own. Recordings of one run shape share everything
    /// but their bindings: the first compiles and allocates, the others make bind groups alone.
    ///
    /// The plan is one layer after the other without an exchange between workgroups, whatever the engine's options: layer
    /// pipelining and the exchange need the host to check their completion.
    ///
    /// # Errors
    /// [`Error::Buffer`] for a buffer that is too small, lacks the usage `STORAGE`, overlaps another, begins at a wrong offset or is of
    /// another device of the same [`wgpu::Instance`] (wgpu does not know those of another instance); [`Error::Mismatch`] where no output
    /// is bound;
    /// [`Error::Unsupported`] on a device other than a GPU and for outputs on the host, which a recording does not wait for;
    /// [`Error::TooLarge`] where the run does not fit at once; otherwise those of [`Engine::run`].
    pub fn recording(&self, run_shape: impl Into<RunShape>, bindings: Bindings<'_>) -> Result<Recording> {
        let run_shape = RunShape { resets: bindings.resets.is_some(), ..run_shape.into() };
        OutputShape::new(self.model(), run_shape)?;
        let recordable = self.gpu_of_recordings()?.recordable(run_shape)?;
        self.recording_of(&recordable, bindings, Of::Run)
    }

    /// Runs a batch of `run_shape`, or `[B, T]` alone, whose arrays are on the host or in the caller's buffers, in any mix. If
    /// all are on the host this is [`Engine::run`] into them, without a copy. Work that was submitted to the queue before is complete when the run begins.
    /// If no output is on the host, the call returns once the run is submitted.
    ///
    /// # Errors
    /// Those of [`Engine::recording`], except that outputs may be on the host; buffers are [`Error::Unsupported`] on a device
    /// other than a GPU.
    pub fn run_bound(&self, run_shape: impl Into<RunShape>, bindings: Bindings<'_>) -> Result<()> {
        self.device().may_block()?;
        let wait = bindings.interrupt.map_or(BLOCK, Wait::Interruptible);
        block_on(self.run_bound_waiting(run_shape.into(), bindings, wait))
    }

    /// [`Engine::run_bound`], without blocking.
    ///
    /// # Errors
    /// Those of [`Engine::run_bound`].
    pub async fn run_bound_async(
        &self,
        run_shape: impl Into<RunShape>,
        bindings: Bindings<'_>,
    ) -> Result<()> {
        self.run_bound_waiting(run_shape.into(), bindings, Wait::Yield).await
    }

    async fn run_bound_waiting(
        &self,
        run_shape: RunShape,
        bindings: Bindings<'_>,
        wait: Wait<'_>,
    ) -> Result<()> {
        let run_shape = RunShape { resets: bindings.resets.is_some(), ..run_shape };
        OutputShape::new(self.model(), run_shape)?;
        let Some(name) = bindings.first_buffer() else {
            return self.run_on_host(run_shape, bindings, wait).await;
        };
        let gpu = self.gpu_for(name)?;
        let mut own = gpu.begin_bound(run_shape)?;
        let result = self.submit_bound(&mut own, bindings, Of::Run, wait).await;
        gpu.end_bound(own);
        result
    }

    /// Binds, submits, and reads back the outputs on the host.
    async fn submit_bound(
        &self,
        own: &mut Submittable,
        bindings: Bindings<'_>,
        of: Of,
        wait: Wait<'_>,
    ) -> Result<()> {
        let (call, sinks) = self.bound(own, bindings, of, None)?;
        self.submit(call, sinks, wait).await
    }

    /// A call of `own` on `bindings` with one additional array, if given; and the arrays to be read back.
    pub(super) fn bound<'s, 'a>(
        &self,
        own: &'s mut Submittable,
        bindings: Bindings<'a>,
        of: Of,
        more: Option<(BufferId, Given<'a>)>,
    ) -> Result<(Call<'s>, HostSinks<'a>)> {
        let gpu = self.gpu_of_recordings()?;
        let program = own.recordable().program();
        let (mut given, sinks) = given(&gpu.context, self.model(), program, bindings, of)?;
        given.extend(more);
        Ok((own.bind(&gpu.context, &given)?, sinks))
    }

    /// Submits a bound call, and reads back its outputs on the host.
    pub(super) async fn submit(&self, call: Call<'_>, sinks: HostSinks<'_>, wait: Wait<'_>) -> Result<()> {
        let gpu = self.gpu_of_recordings()?;
        let arrays: Vec<BufferId> = sinks.iter().map(|(id, _)| *id).collect();
        let recordable = call.recordable().clone();
        call.run(&gpu.context, &arrays, wait, |words| read(&recordable, words, sinks)).await
    }

    async fn run_on_host(&self, run_shape: RunShape, bindings: Bindings<'_>, wait: Wait<'_>) -> Result<()> {
        let outputs = bindings.check_outputs();
        let Bindings { x, lengths, resets, h0, c0, y, h_n, c_n, out, interrupt } = bindings;
        let x = on_host(Some(x)).unwrap_or_default();
        let mut batch = Batch::of_form(run_shape, run_shape.features(self.model()), x)?;
        if let Some(lengths) = on_host(lengths) {
            batch = batch.lengths(lengths);
        }
        if let Some(resets) = on_host(resets) {
            batch = batch.resets(resets);
        }
        if let Some(h0) = on_host(h0) {
            batch = batch.h0(h0);
        }
        if let Some(c0) = on_host(c0) {
            batch = batch.c0(c0);
        }
        if let Some(interrupt) = interrupt {
            batch = batch.interrupt(interrupt);
        }
        let shape = OutputShape::new(self.model(), run_shape)?;
        for (name, sink, shape) in [
            ("y", &y, Some(&shape.y[..])),
            ("h_n", &h_n, Some(&shape.h[..])),
            ("c_n", &c_n, shape.c.as_ref().map(|shape| &shape[..])),
            ("out", &out, shape.out.as_deref()),
        ] {
            let Some(Sink::Host(sink)) = sink else { continue };
            let shape = shape.ok_or_else(|| Error::Unsupported {
                what: format!("{name}, which the model does not have"),
            })?;
            crate::dims::check_len(name, shape, sink.len())?;
        }
        self.check_batch(&batch)?;
        outputs?;
        // A run writes every output; those that the caller does not want go to arrays of its own.
        let mut own: [Vec<f32>; 4] = Default::default();
        let [own_y, own_h, own_c, own_out] = &mut own;
        let c = shape.c.as_ref().map(|shape| array(c_n, shape, "c_n", own_c)).transpose()?;
        let out = shape.out.as_ref().map(|shape| array(out, shape, "out", own_out)).transpose()?;
        let y = array(y, &shape.y, "y", own_y)?;
        let h_n = array(h_n, &shape.h, "h_n", own_h)?;
        self.run_waiting(&batch, OutputMut { y, h_n, c_n: c, out }, wait).await
    }

    /// The engine's GPU side, for a recording.
    pub(super) fn gpu_of_recordings(&self) -> Result<&GpuEngine> {
        self.gpu_for("a recording").map_err(|_| Error::Unsupported {
            what: format!(
                "a recording on {}: only a GPU's work is recorded; run it instead",
                self.device().info()
            ),
        })
    }

    /// The engine's GPU side, or the error for the array `name`.
    fn gpu_for(&self, name: &str) -> Result<&GpuEngine> {
        match &self.0.backend {
            AnyBackend::Gpu(gpu) => Ok(gpu),
            AnyBackend::Cpu(_) | AnyBackend::Reference(_) => Err(Error::Unsupported {
                what: format!("{name} in a buffer of a GPU on {}: bind a slice", self.device().info()),
            }),
        }
    }

    /// A recording of `recordable` on `bindings`.
    fn recording_of(
        &self,
        recordable: &Arc<Recordable>,
        bindings: Bindings<'_>,
        of: Of,
    ) -> Result<Recording> {
        let recorded = self.recorded(recordable, bindings, of, None)?;
        Ok(Recording { engine: self.clone(), recorded, of })
    }

    /// The bound call of a recording: `recordable` on `bindings`, with one additional array, if given.
    pub(super) fn recorded(
        &self,
        recordable: &Arc<Recordable>,
        bindings: Bindings<'_>,
        of: Of,
        more: Option<(BufferId, Given<'_>)>,
    ) -> Result<Recorded> {
        let gpu = self.gpu_of_recordings()?;
        let (mut given, sinks) = given(&gpu.context, self.model(), recordable.program(), bindings, of)?;
        if let Some((id, _)) = sinks.first() {
            let name = &recordable.program().buffers[*id].name;
            let what = format!(
                "{name} on the host in a recording, which does not wait: bind a buffer, or use run_bound, step_bound or tick_bound"
            );
            return Err(Error::Unsupported { what });
        }
        given.extend(more);
        recordable.bind(&gpu.context, &given)
    }
}

impl Recording {
    /// Records the run, or the step, into `encoder`, which has to be of the engine's device and outside of passes. Nothing is
    /// created, submitted or waited for.
    pub fn record(&self, encoder: &mut CommandEncoder) {
        self.recorded.record(encoder);
    }

    /// The same on other bindings. Creates bind groups and, for arrays on the host, buffers; both share everything else.
    ///
    /// # Errors
    /// Those of [`Engine::recording`].
    pub fn rebind(&self, bindings: Bindings<'_>) -> Result<Self> {
        self.engine.recording_of(self.recorded.recordable(), bindings, self.of)
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}

/// The array of a sink that is known to be on the host; without a sink `own`, with room for it.
fn array<'a>(
    sink: Option<Sink<'a>>,
    shape: &[usize],
    name: &str,
    own: &'a mut Vec<f32>,
) -> Result<&'a mut [f32]> {
    match sink {
        Some(Sink::Host(array)) => Ok(array),
        Some(Sink::Buffer { .. }) | None => {
            *own = zeros(name, shape)?;
            Ok(own)
        }
    }
}

/// The slice of a source that is known to be on the host.
fn on_host<T>(source: Option<Source<'_, T>>) -> Option<&[T]> {
    match source {
        Some(Source::Host(slice)) => Some(slice),
        Some(Source::Buffer { .. }) | None => None,
    }
}

/// Copies what a run read back to its destinations.
fn read(recordable: &Recordable, mut words: &[u32], sinks: HostSinks<'_>) {
    let program = recordable.program();
    for (id, to) in sinks {
        let (own, rest) = words.split_at(program.buffers[id].words);
        words = rest;
        let storage = if id == program.y { program.precision.activations } else { Storage::F32 };
        if storage.is_half() {
            unpack_sequence(storage, program.state, own, to);
        } else {
            to.iter_mut().zip(own).for_each(|(to, word)| *to = f32::from_bits(*word));
        }
    }
}
