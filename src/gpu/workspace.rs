//! A program prepared on a device: its buffers, bind groups and parameter tables. Created once per shape and
//! used for every run of it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::context::Context;
use super::create::Creator;
use super::pipeline::Pipeline;
use super::readback::Staging;
use crate::error::{Error, Result};
use crate::kernels::{Access, Kernel, recurrence};
use crate::model::Constant;
use crate::program::{Buffer, BufferId, Copy, Dispatch, Op, Order, Program, Role, check};

/// A model's constants on a device, shared by every program of the model.
#[derive(Debug)]
pub struct Constants(HashMap<(Constant, usize), wgpu::Buffer>);

impl Constants {
    /// Uploads the words of `constants`, each from its column on.
    ///
    /// # Errors
    /// [`Error::TooLarge`] where one exceeds a binding, [`Error::Device`] where the device refuses.
    pub fn upload(context: &Context, constants: Vec<((Constant, usize), Vec<u32>)>) -> Result<Self> {
        for ((constant, _), data) in &constants {
            context.caps().check_array(&constant.to_string(), data.len() as u64 * 4)?;
        }
        let upload = || {
            let buffers = constants.iter().map(|((constant, first), data)| {
                let label = format!("wgru.constant.{constant:?}.{first}");
                // They are copied into programs that keep the constants of several layers in one array.
                let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
                ((*constant, *first), filled(&context.create, &label, usage, bytemuck::cast_slice(data)))
            });
            Self(buffers.collect())
        };
        context.checked("weights", upload)
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> u64 {
        self.0.values().map(wgpu::Buffer::size).sum()
    }

    /// The constant for `buffer` of a program, if it is a constant.
    ///
    /// # Errors
    /// [`Error::Internal`] for a constant that is not on the device.
    pub(super) fn of(&self, buffer: &Buffer) -> Result<Option<&wgpu::Buffer>> {
        let Role::Constant(constant, first) = buffer.role else { return Ok(None) };
        let found = self
            .0
            .get(&(constant, first))
            .ok_or_else(|| Error::internal(&buffer.name, "not among the constants on the device"));
        found.map(Some)
    }
}

/// A buffer of a program's own.
pub(super) fn own(create: &Creator, buffer: &Buffer) -> wgpu::Buffer {
    create.buffer(&wgpu::BufferDescriptor {
        label: Some(&format!("wgru.buffer.{}", buffer.name)),
        size: buffer.bytes(),
        usage: wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_DST
            | match buffer.role {
                // Sequences between layers are copied in a fallback, and with layer pipelining.
                Role::State | Role::Output | Role::Exchange | Role::Scratch | Role::End => {
                    wgpu::BufferUsages::COPY_SRC
                }
                _ => wgpu::BufferUsages::empty(),
            },
        mapped_at_creation: false,
    })
}

/// A buffer that holds `data` from the start.
pub(super) fn filled(create: &Creator, label: &str, usage: wgpu::BufferUsages, data: &[u8]) -> wgpu::Buffer {
    let buffer = create.buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: data.len() as u64,
        usage,
        mapped_at_creation: true,
    });
    // If the device could not create the buffer, the error scope around this call has the error.
    if let Ok(mut view) = buffer.get_mapped_range_mut(..) {
        view.copy_from_slice(data);
    }
    buffer.unmap();
    buffer
}

/// A dispatch with its bind groups.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) bindings: wgpu::BindGroup,
    pub(super) grid: [u32; 3],
    pub(super) flops: u64,
}

#[derive(Debug)]
pub(super) enum BoundOp {
    Once(Bound),
    /// Once for each round, after clearing these words of the exchange buffer.
    Exchange(Bound, Vec<[Range<usize>; 2]>),
    Copies(Vec<Copy>),
    Steps {
        first: usize,
        count: u32,
        phases: [Vec<Bound>; 2],
    },
    /// Not created yet, see [`Workspace::prepare_resets`].
    Later,
}

/// A program with its buffers and bind groups.
#[derive(Debug)]
pub struct Workspace {
    pub(super) program: Program,
    pub(super) buffers: Vec<wgpu::Buffer>,
    pub(super) ops: Vec<BoundOp>,
    pub(super) tables: Tables,
    pub(super) staging: Staging,
    /// The batch row at each place, in the device's order.
    pub(super) order: Order,
    /// One state array for upload, `[D, ⌈B/R⌉, P or H, R]`.
    pub(super) tiled: Vec<f32>,
    /// x for upload, in words of 16-bit numbers.
    pub(super) words: Vec<u32>,
    /// NaN bytes for the longest buffer that is not a constant, if `fill_nan` is set.
    pub(super) fill_nan: Option<Vec<u8>>,
}

impl Workspace {
    /// Checks `program` and creates its buffers and pipelines. With `fill_nan`, every array that a run must write is filled with
    /// NaN before the run.
    ///
    /// # Errors
    /// Those of [`check`]; [`Error::DeviceMemory`] where memory runs out, [`Error::Device`] where the device refuses a pipeline.
    pub fn new(context: &Context, program: Program, constants: &Constants, fill_nan: bool) -> Result<Self> {
        Self::with_streams(context, program, constants, None, fill_nan)
    }

    /// [`Workspace::new`] for a program whose rows' states are in `streams`, if it is a program for streams.
    ///
    /// # Errors
    /// Those of [`Workspace::new`]; [`Error::Internal`] where it needs other slots.
    pub fn with_streams(
        context: &Context,
        program: Program,
        constants: &Constants,
        streams: Option<&wgpu::Buffer>,
        fill_nan: bool,
    ) -> Result<Self> {
        check(&program, context.caps())?;
        let staging_bytes = Staging::bytes(&program);
        let largest = context.caps().max_buffer_bytes;
        context.caps().check("read-back of all outputs", staging_bytes, largest, "bytes in one buffer")?;
        for buffer in &program.buffers {
            constants.of(buffer)?;
            let held = streams.map_or(0, wgpu::Buffer::size);
            if buffer.role == Role::Streams && held < buffer.bytes() {
                let reason = format!("the slots have {held} bytes, the program needs {}", buffer.bytes());
                return Err(Error::internal(&buffer.name, reason));
            }
        }
        let pipelines = context.compile(program.kernels(program.always()))?;
        let create = || Self::create(context, program, (constants, streams), &pipelines, fill_nan);
        context.checked("buffers", create)
    }

    fn create(
        context: &Context,
        program: Program,
        (constants, streams): (&Constants, Option<&wgpu::Buffer>),
        pipelines: &HashMap<Kernel, Arc<Pipeline>>,
        fill_nan: bool,
    ) -> Self {
        let buffers: Vec<wgpu::Buffer> = program
            .buffers
            .iter()
            .map(|buffer| match (buffer.role, streams) {
                (Role::Constant(constant, first), _) => constants.0[&(constant, first)].clone(),
                (Role::Streams, Some(streams)) => streams.clone(),
                _ => own(&context.create, buffer),
            })
            .collect();

        let tables = Tables::new(context, &program);
        let binder = Binder { context, tables: &tables, pipelines };
        let later = program.ops[..program.only_with_resets].iter().map(|_| BoundOp::Later);
        let always = binder.bind_all(program.always(), |id| buffers[id].as_entire_binding());
        let ops = later.chain(always).collect();
        let working = program.buffers.iter().filter(|b| !matches!(b.role, Role::Constant(..)));
        let largest = working.map(|b| b.words * 4).max().unwrap_or(0);
        let staging = Staging::new(&context.create, &program);
        let fill_nan = fill_nan.then(|| vec![0xff; largest]);
        let longest = program.state_arrays(0).map(|id| program.buffers[id].words).max().unwrap_or(0);
        let order = program.new_order();
        let (tiled, words) = (vec![0.0; longest], Vec::new());
        let this = Self { program, buffers, ops, tables, staging, order, tiled, words, fill_nan };
        if !this.program.setup.is_empty() {
            let mut encoder = this.encoder(context);
            this.copy_within(&mut encoder, &this.program.setup);
            context.queue.submit([encoder.finish()]);
        }
        this
    }

    /// Creates what only a run with resets needs, once.
    ///
    /// # Errors
    /// [`Error::Device`] where the device refuses a pipeline, or memory runs out.
    pub fn prepare_resets(&mut self, context: &Context) -> Result<()> {
        let Self { program, buffers, ops, tables, .. } = self;
        let (of_resets, later) = (program.of_resets(), &mut ops[..program.only_with_resets]);
        if !matches!(later.first(), Some(BoundOp::Later)) {
            return Ok(());
        }
        let pipelines = context.compile(program.kernels(of_resets))?;
        let binder = Binder { context, tables, pipelines: &pipelines };
        let bind = || binder.bind_all(of_resets, |id| buffers[id].as_entire_binding());
        let bound = context.checked("resets", bind)?;
        later.iter_mut().zip(bound).for_each(|(op, bound)| *op = bound);
        Ok(())
    }

    /// Records copies from buffer to buffer.
    pub(super) fn copy_within(&self, encoder: &mut wgpu::CommandEncoder, copies: &[Copy]) {
        for Copy { from, to, words } in copies {
            let bytes = |at: usize| at as u64 * 4;
            let [source, target] = [from.0, to.0].map(|id| &self.buffers[id]);
            encoder.copy_buffer_to_buffer(source, bytes(from.1), target, bytes(to.1), bytes(*words));
        }
    }

    /// The buffer of an array.
    pub fn buffer(&self, id: BufferId) -> &wgpu::Buffer {
        &self.buffers[id]
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The batch row at each place of the state arrays.
    pub fn rows(&self) -> &[u32] {
        self.order.rows()
    }
}

/// The uniform tables of a program.
#[derive(Debug)]
pub(super) struct Tables {
    /// The position of each set of parameters in its table.
    slots: HashMap<Vec<u8>, u64>,
    params: wgpu::Buffer,
    indices: wgpu::Buffer,
    /// Bytes from one entry to the next.
    pub(super) stride: u32,
}

impl Tables {
    pub(super) fn new(context: &Context, program: &Program) -> Self {
        let alignment = context.device.limits().min_uniform_buffer_offset_alignment;
        // Both are powers of two, and no entry is longer than 128 bytes.
        let stride = alignment.max(128);

        let mut params: Vec<Vec<u8>> = Vec::new();
        let mut slots = HashMap::new();
        let mut longest = 1;
        for op in &program.ops {
            if let Op::Steps { count, .. } = op {
                longest = longest.max(*count);
            }
        }
        for uniform in program.dispatches().flat_map(|dispatch| &dispatch.uniforms) {
            slots.entry(uniform.clone()).or_insert_with(|| {
                params.push(uniform.clone());
                (params.len() as u64 - 1) * u64::from(stride)
            });
        }
        let count = params.len();
        let params_data = table(params.into_iter(), count, stride);
        let entries =
            (0..longest).map(|t| bytemuck::bytes_of(&recurrence::Index { t, unused: [0; 3] }).to_vec());
        let index_data = table(entries, longest as usize, stride);
        let uniform = wgpu::BufferUsages::UNIFORM;
        let params = filled(&context.create, "wgru.table.params", uniform, &params_data);
        let indices = filled(&context.create, "wgru.table.steps", uniform, &index_data);
        Self { slots, params, indices, stride }
    }
}

/// Makes the bind groups of a program.
pub(super) struct Binder<'a> {
    pub(super) context: &'a Context,
    pub(super) tables: &'a Tables,
    pub(super) pipelines: &'a HashMap<Kernel, Arc<Pipeline>>,
}

impl Binder<'_> {
    /// Binds `ops` to the buffers that `place` returns.
    pub(super) fn bind_all<'b>(
        &self,
        ops: &[Op],
        place: impl Fn(BufferId) -> wgpu::BindingResource<'b>,
    ) -> Vec<BoundOp> {
        let bind = |dispatch: &Dispatch| self.bind(dispatch, &place);
        let ops = ops.iter().map(|op| match op {
            Op::Once(dispatch) => BoundOp::Once(bind(dispatch)),
            Op::Exchange { dispatch, rounds } => BoundOp::Exchange(bind(dispatch), rounds.clone()),
            Op::Copies(copies) => BoundOp::Copies(copies.clone()),
            Op::Steps { first, count, phases } => BoundOp::Steps {
                first: *first,
                count: *count,
                phases: [0, 1].map(|phase: usize| phases[phase].iter().map(bind).collect()),
            },
        });
        ops.collect()
    }

    pub(super) fn bind<'b>(
        &self,
        dispatch: &Dispatch,
        place: impl Fn(BufferId) -> wgpu::BindingResource<'b>,
    ) -> Bound {
        let Dispatch { kernel, uniforms, buffers, grid, flops, .. } = dispatch;
        // Both maps were filled from the dispatches of this program.
        let pipeline = self.pipelines[kernel].clone();
        let mut slots = uniforms.iter().map(|uniform| self.tables.slots[uniform]);
        let mut storage = buffers.iter();
        let entries: Vec<wgpu::BindGroupEntry<'_>> = kernel
            .bindings()
            .iter()
            .map(|binding| {
                let uniform = |buffer, offset: u64, size: u32| binding_of(buffer, offset, u64::from(size));
                let resource = match binding.access {
                    Access::Params(size) => uniform(&self.tables.params, slots.next().unwrap_or(0), size),
                    Access::StepIndex(size) => uniform(&self.tables.indices, 0, size),
                    Access::Read | Access::ReadWrite => {
                        let id: BufferId = storage.next().copied().unwrap_or(0);
                        place(id)
                    }
                };
                wgpu::BindGroupEntry { binding: binding.index, resource }
            })
            .collect();
        let bindings = self.context.create.bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&format!("wgru.{}.bindings", kernel.name())),
            layout: &pipeline.layout,
            entries: &entries,
        });
        Bound { pipeline, bindings, grid: *grid, flops: *flops }
    }
}

/// A binding of `bytes` bytes of a buffer from `offset` on.
pub(super) fn binding_of(buffer: &wgpu::Buffer, offset: u64, bytes: u64) -> wgpu::BindingResource<'_> {
    let size = wgpu::BufferSize::new(bytes);
    wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size })
}

/// Entries at multiples of `stride`.
fn table(entries: impl Iterator<Item = Vec<u8>>, count: usize, stride: u32) -> Vec<u8> {
    let stride = stride as usize;
    let mut data = vec![0; count.max(1) * stride];
    for (slot, entry) in data.chunks_exact_mut(stride).zip(entries) {
        slot[..entry.len()].copy_from_slice(&entry);
    }
    data
}
