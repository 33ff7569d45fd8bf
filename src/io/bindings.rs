//! Where the arrays of a run are: on the host, or in buffers of the caller's on the engine's device.

use crate::error::{Error, Result};
use crate::sync::Interrupt;

/// Where an array is that a run reads. Converts from a slice, a `&wgpu::Buffer`, or a buffer and an offset in bytes.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a, T = f32> {
    /// On the host.
    Host(&'a [T]),
    /// On the engine's device, in a buffer with the usage `STORAGE`.
    Buffer {
        /// The buffer.
        buffer: &'a wgpu::Buffer,
        /// The offset of the array, in bytes: a multiple of the device's `min_storage_buffer_offset_alignment`.
        offset: u64,
    },
}

/// Where an array is that a run writes. Converts from a slice, a `&wgpu::Buffer`, or a buffer and an offset in bytes.
#[derive(Debug)]
pub enum Sink<'a> {
    /// On the host.
    Host(&'a mut [f32]),
    /// On the engine's device, in a buffer with the usage `STORAGE`.
    Buffer {
        /// The buffer.
        buffer: &'a wgpu::Buffer,
        /// The offset of the array, in bytes: a multiple of the device's `min_storage_buffer_offset_alignment`.
        offset: u64,
    },
}

impl<'a, T> From<&'a [T]> for Source<'a, T> {
    fn from(slice: &'a [T]) -> Self {
        Self::Host(slice)
    }
}

impl<'a, T> From<&'a Vec<T>> for Source<'a, T> {
    fn from(vector: &'a Vec<T>) -> Self {
        Self::Host(vector)
    }
}

impl<'a, T> From<&'a wgpu::Buffer> for Source<'a, T> {
    fn from(buffer: &'a wgpu::Buffer) -> Self {
        Self::Buffer { buffer, offset: 0 }
    }
}

impl<'a, T> From<(&'a wgpu::Buffer, u64)> for Source<'a, T> {
    fn from((buffer, offset): (&'a wgpu::Buffer, u64)) -> Self {
        Self::Buffer { buffer, offset }
    }
}

impl<'a> From<&'a mut [f32]> for Sink<'a> {
    fn from(slice: &'a mut [f32]) -> Self {
        Self::Host(slice)
    }
}

impl<'a> From<&'a mut Vec<f32>> for Sink<'a> {
    fn from(vector: &'a mut Vec<f32>) -> Self {
        Self::Host(vector)
    }
}

impl<'a> From<&'a wgpu::Buffer> for Sink<'a> {
    fn from(buffer: &'a wgpu::Buffer) -> Self {
        Self::Buffer { buffer, offset: 0 }
    }
}

impl<'a> From<(&'a wgpu::Buffer, u64)> for Sink<'a> {
    fn from((buffer, offset): (&'a wgpu::Buffer, u64)) -> Self {
        Self::Buffer { buffer, offset }
    }
}

/// The arrays of a run, on the host or in buffers, in any mix. An array without a binding is not read or written.
///
/// An array has the same layout in a buffer as on the host: x and y that of the [`RunShape`](crate::RunShape), row-major, states
/// `[L·D, B, P]` and `[L·D, B, H]`, all f32; lengths are u32. Where [`Options::activations`](crate::Options::activations) are f16 or bf16,
/// x and y have that type in a buffer, two numbers in a word; the features of each step (of y each direction's) are padded to an even
/// number. The readout's output and the states are always f32.
///
/// ```no_run
/// # fn main() -> Result<(), wgru::Error> {
/// # let (wgpu_device, queue): (wgpu::Device, wgpu::Queue) = unimplemented!();
/// # let model: wgru::Model = unimplemented!();
/// # let (observations, actions): (wgpu::Buffer, wgpu::Buffer) = unimplemented!();
/// use wgru::{Bindings, Device, Dims};
///
/// let engine = Device::from_wgpu(wgpu_device.clone(), queue.clone()).load(&model)?;
/// let bindings = Bindings::new(&observations).y(&actions);
/// let recording = engine.recording(Dims::new(64, 16)?, bindings)?;
/// let mut encoder = wgpu_device.create_command_encoder(&Default::default());
/// // Passes of the application's own that write observations, then:
/// recording.record(&mut encoder);
/// // passes that read actions.
/// queue.submit([encoder.finish()]);
/// # Ok(())
/// # }
/// ```
///
/// # Tensors of another library
/// The buffers may be those of a library that runs on the same device, with the same version of wgpu: x is one of its outputs, and y
/// one of its inputs. The caller has to ensure three things:
///
/// * Order. The library's work is submitted before the run; a queue executes submissions in order.
/// * Offset. Most libraries allocate several tensors in one buffer, so the offset is part of a tensor's position. The tensor must stay
///   there until the run has been submitted, or as long as a recording of it is used.
/// * Sharing. Several arrays may be in one buffer. The exceptions are y with the readout's output, and resets with y, of which a
///   dispatch reads one and writes the other ([`BufferFault::Shared`](crate::BufferFault::Shared)). Bind each of those in a run of its
///   own, or make the library give each tensor a buffer.
///
/// With Burn 0.22, `Device::wgpu_options().setup(…)` shares the device. `try_into_primitive::<Wgpu>()` and `client.get_resource` give a
/// tensor's buffer, which also keeps it in its place. `Device::flush` submits, and `MemoryConfiguration::ExclusivePages` gives each
/// tensor a buffer. The program `benches/peers/rust/burn-buffers` in the repository is an example.
#[derive(Debug)]
pub struct Bindings<'a> {
    pub(crate) x: Source<'a>,
    pub(crate) lengths: Option<Source<'a, u32>>,
    pub(crate) resets: Option<Source<'a, u32>>,
    pub(crate) h0: Option<Source<'a>>,
    pub(crate) c0: Option<Source<'a>>,
    pub(crate) y: Option<Sink<'a>>,
    pub(crate) h_n: Option<Sink<'a>>,
    pub(crate) c_n: Option<Sink<'a>>,
    pub(crate) out: Option<Sink<'a>>,
    pub(crate) interrupt: Option<&'a Interrupt<'a>>,
}

impl<'a> Bindings<'a> {
    /// x: `[B, T, I]`, or in the order of [`RunShape::x`](crate::RunShape::x); `w_ih x` where the run shape is projected.
    pub fn new(x: impl Into<Source<'a>>) -> Self {
        let (lengths, states, sinks) = (None, [None; 2], [(); 4].map(|()| None));
        let ([h0, c0], [y, h_n, c_n, out]) = (states, sinks);
        Self { x: x.into(), lengths, resets: None, h0, c0, y, h_n, c_n, out, interrupt: None }
    }

    /// The steps of each sequence, `[B]` of u32, as in [`Batch::lengths`](crate::Batch::lengths). Values in a buffer that are
    /// above T count as T; the device computes each row's rank by comparing all pairs of rows, B² comparisons in total.
    pub fn lengths(mut self, lengths: impl Into<Source<'a, u32>>) -> Self {
        self.lengths = Some(lengths.into());
        self
    }

    /// The resets, u32: for a run `[B, T]`, or `[T, B]` where x is time-major, as in [`Batch::resets`](crate::Batch::resets); for
    /// a session's step `[B]`, as in [`StepInput::resets`](crate::StepInput::resets).
    pub fn resets(mut self, resets: impl Into<Source<'a, u32>>) -> Self {
        self.resets = Some(resets.into());
        self
    }

    /// Initial hidden states, `[L·D, B, P]`; zeros by default.
    pub fn h0(mut self, h0: impl Into<Source<'a>>) -> Self {
        self.h0 = Some(h0.into());
        self
    }

    /// Initial cell states of an LSTM, `[L·D, B, H]`; zeros by default.
    pub fn c0(mut self, c0: impl Into<Source<'a>>) -> Self {
        self.c0 = Some(c0.into());
        self
    }

    /// The last layer's h at every step, as in [`Output::y`](crate::Output::y).
    pub fn y(mut self, y: impl Into<Sink<'a>>) -> Self {
        self.y = Some(y.into());
        self
    }

    /// Every layer's final h, `[L·D, B, P]`. It may be exactly the array of h0: then the state is advanced in place.
    pub fn h_n(mut self, h_n: impl Into<Sink<'a>>) -> Self {
        self.h_n = Some(h_n.into());
        self
    }

    /// Every layer's final c, `[L·D, B, H]`. It may be exactly the array of c0.
    pub fn c_n(mut self, c_n: impl Into<Sink<'a>>) -> Self {
        self.c_n = Some(c_n.into());
        self
    }

    /// The readout, as in [`Output::out`](crate::Output::out).
    pub fn out(mut self, out: impl Into<Sink<'a>>) -> Self {
        self.out = Some(out.into());
        self
    }

    /// What may end a run that blocks before it is done, as in [`Batch::interrupt`](crate::Batch::interrupt). Steps, ticks and recordings, which are short or do not wait, do not ask.
    pub fn interrupt(mut self, interrupt: &'a Interrupt<'a>) -> Self {
        self.interrupt = Some(interrupt);
        self
    }

    /// Steps and ticks move states, which can be all that their caller wants; of a run nothing else is left.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where no output is bound.
    pub(crate) fn check_outputs(&self) -> Result<()> {
        if self.y.is_some() || self.h_n.is_some() || self.c_n.is_some() || self.out.is_some() {
            return Ok(());
        }
        let reason =
            "none of y, h_n, c_n and out is bound, so the run would leave nothing: bind at least one".into();
        Err(Error::Mismatch { name: "outputs".into(), reason })
    }

    /// The name of the first array that is in a buffer.
    pub(crate) fn first_buffer(&self) -> Option<&'static str> {
        fn is<T>(source: &Source<'_, T>) -> bool {
            matches!(source, Source::Buffer { .. })
        }
        let sources = [("h0", &self.h0), ("c0", &self.c0)];
        let sinks = [("y", &self.y), ("h_n", &self.h_n), ("c_n", &self.c_n), ("out", &self.out)];
        let is_sink = |sink: &Option<Sink<'_>>| matches!(sink, Some(Sink::Buffer { .. }));
        let in_sources = sources.into_iter().find(|(_, source)| source.as_ref().is_some_and(is));
        let in_sinks = sinks.into_iter().find(|(_, sink)| is_sink(sink)).map(|(name, _)| name);
        is(&self.x)
            .then_some("x")
            .or(self.lengths.as_ref().is_some_and(is).then_some("lengths"))
            .or(self.resets.as_ref().is_some_and(is).then_some("resets"))
            .or(in_sources.map(|(name, _)| name))
            .or(in_sinks)
    }
}
