//! Recorded programs: in an encoder of the caller's, on buffers of the caller's.
//!
//! The parts that every recording of a program shares (constants, scratch, tables, pipelines) are created once ([`Recordable`]).
//! A recording ([`Recorded`]) is its bind groups. Recording it creates nothing, writes to no queue and waits for nothing: its
//! parameters are in uniform tables, and recordings differ in their bind groups alone. Recordings may share their scratch, since
//! each is recorded as a whole and a queue executes commands in order.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::context::Context;
use super::create::Creator;
use super::execute::{Part, SUBMISSION, parts};
use super::pipeline::Pipeline;
use super::place::Place;
use super::workspace::{Binder, Bound, BoundOp, Constants, Tables, binding_of, filled, own};
use crate::dims::Dims;
use crate::error::{BufferFault, Error, Result};
use crate::io::RunShape;
use crate::kernels::Kernel;
use crate::program::{Buffer, BufferId, Copy, End, Op, Program, Role, StateBuffers, check, pack_sequence};
use crate::sync::lock;

/// The caller's data for an array of a recording's program.
#[derive(Debug)]
pub enum Given<'a> {
    /// A buffer of the caller's.
    Place(Place),
    /// Numbers, which are uploaded into a buffer of their own; for x in the device's storage type.
    Numbers(&'a [f32]),
    /// Words, likewise.
    Words(&'a [u32]),
    /// The steps of each row, from which the order of rows follows.
    Lengths(&'a [u32]),
    /// A buffer of the program's own.
    Own,
}

/// An array of a program that is a buffer of another program.
pub type Foreign = (BufferId, wgpu::Buffer);

/// A program, with everything that its recordings share.
#[derive(Debug)]
pub struct Recordable {
    program: Program,
    tables: Tables,
    pipelines: HashMap<Kernel, Arc<Pipeline>>,
    /// By the number of the buffer; `None` for those that each recording has at positions of its own.
    shared: Vec<Option<wgpu::Buffer>>,
    /// The order of rows that all have T steps.
    full: wgpu::Buffer,
    /// Arrays that a recording has no other position for, created when first needed.
    own: Mutex<HashMap<BufferId, wgpu::Buffer>>,
    /// Whether the states are a session's, and persist from one recording to the next.
    keeps: bool,
    /// NaN for the longest array that a run must write, if `fill_nan` is set.
    fill_nan: Option<wgpu::Buffer>,
}

impl Recordable {
    /// Checks `program` and creates its buffers and pipelines. `foreign`: buffers of others that it works on, the states of a
    /// session or the slots of a pool.
    ///
    /// # Errors
    /// Those of [`check`]; [`crate::Error::DeviceMemory`] where memory runs out, [`crate::Error::Device`] where the device
    /// refuses a pipeline.
    pub fn new(
        context: &Context,
        program: Program,
        constants: &Constants,
        foreign: &[Foreign],
        fill_nan: bool,
    ) -> Result<Self> {
        context.check_fault()?;
        check(&program, context.caps())?;
        program.buffers.iter().try_for_each(|buffer| constants.of(buffer).map(drop))?;
        let pipelines = context.compile(program.kernels(program.always()))?;
        let create = || Self::create(context, program, constants, foreign, pipelines, fill_nan);
        context.checked("buffers of a recording", create)
    }

    fn create(
        context: &Context,
        program: Program,
        constants: &Constants,
        foreign: &[Foreign],
        pipelines: HashMap<Kernel, Arc<Pipeline>>,
        fill_nan: bool,
    ) -> Self {
        let create = &context.create;
        let words = |name: &str, words: &[u32]| {
            filled(create, name, wgpu::BufferUsages::STORAGE, bytemuck::cast_slice(words))
        };
        let rows = program.ends.as_ref().and_then(|ends| ends.rows);
        let shared = program.buffers.iter().enumerate().map(|(id, buffer)| {
            let foreign = foreign.iter().find(|(other, _)| *other == id);
            match (foreign, buffer.role) {
                (Some((_, buffer)), _) => Some(buffer.clone()),
                // A constant that is missing was refused before.
                (_, Role::Constant(..)) => constants.of(buffer).ok().flatten().cloned(),
                (_, Role::Slots) if rows == Some(id) => {
                    let all: Vec<u32> = (0..).take(buffer.words).collect();
                    Some(words("wgru.buffer.rows", &all))
                }
                (_, Role::State | Role::Scratch) => Some(own(create, buffer)),
                _ => None,
            }
        });
        let shared = shared.collect();
        let mut order = program.new_order();
        order.set(None, program.run_shape.dims.steps as u32);
        let full = words("wgru.buffer.order.full", order.words());
        let tables = Tables::new(context, &program);
        let longest = program.buffers.iter().filter(|buffer| is_written(buffer)).map(Buffer::bytes).max();
        let nan = longest.filter(|_| fill_nan).map(|bytes| vec![0xff; bytes as usize]);
        let fill_nan = nan.map(|nan| filled(create, "wgru.buffer.nan", wgpu::BufferUsages::COPY_SRC, &nan));
        let keeps = foreign.iter().any(|(id, _)| program.buffers[*id].role == Role::State);
        Self { program, tables, pipelines, shared, full, own: Mutex::default(), keeps, fill_nan }
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Makes a recording on the arrays that are `given`. x is required. Without lengths every row has T steps. Without initial
    /// states they are zero, and final states are not copied. y and the readout default to arrays of the program's own.
    ///
    /// # Errors
    /// [`Error::DeviceMemory`] where memory runs out, [`Error::Buffer`] where a buffer is of another device.
    pub fn bind(self: &Arc<Self>, context: &Context, given: &[(BufferId, Given<'_>)]) -> Result<Recorded> {
        context.check_fault()?;
        let upload = |(id, words): (BufferId, Cow<'_, [u32]>)| {
            let label = format!("wgru.buffer.{}", self.program.buffers[id].name);
            let words = bytemuck::cast_slice(&words);
            (id, filled(&context.create, &label, wgpu::BufferUsages::STORAGE, words))
        };
        let place = || self.placed(&context.create, given, upload);
        let placed = context.checked("buffers of a recording", place)?;
        self.bound(context, placed)
    }

    /// The positions of what is `given`, for [`Recordable::bound`]. Arrays on the host are written to arrays of the program's
    /// own, for the next submission.
    ///
    /// # Errors
    /// Those of [`Recordable::bind`].
    pub(super) fn written(
        &self,
        context: &Context,
        given: &[(BufferId, Given<'_>)],
    ) -> Result<Vec<(BufferId, Place)>> {
        context.check_fault()?;
        let write = |(id, words): (BufferId, Cow<'_, [u32]>)| {
            let buffer = self.own(&context.create, id);
            context.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&words));
            (id, buffer)
        };
        context.checked("arrays of a run", || self.placed(&context.create, given, write))
    }

    /// The positions of everything that is `given`; `from_host` finds a position for an array on the host.
    fn placed(
        &self,
        create: &Creator,
        given: &[(BufferId, Given<'_>)],
        from_host: impl Fn((BufferId, Cow<'_, [u32]>)) -> (BufferId, wgpu::Buffer),
    ) -> Vec<(BufferId, Place)> {
        let placed = given.iter().map(|(id, given)| {
            let (id, buffer) = match given {
                Given::Place(place) => return (*id, place.clone()),
                Given::Own => (*id, self.own(create, *id)),
                Given::Numbers(numbers) => from_host((*id, self.words(*id, numbers))),
                Given::Words(words) => from_host((*id, Cow::Borrowed(words))),
                Given::Lengths(lengths) => {
                    let mut order = self.program.new_order();
                    order.set(Some(lengths), self.program.run_shape.dims.steps as u32);
                    from_host((self.program.order, Cow::Borrowed(order.words())))
                }
            };
            (id, start(buffer))
        });
        placed.collect()
    }

    /// A recording on arrays at their positions.
    ///
    /// # Errors
    /// Those of [`Recordable::bind`].
    pub(super) fn bound(
        self: &Arc<Self>,
        context: &Context,
        placed: Vec<(BufferId, Place)>,
    ) -> Result<Recorded> {
        let program = &self.program;
        let resets = placed.iter().any(|(id, _)| Some(*id) == program.resets);
        let of_resets = if resets { program.of_resets() } else { &[] };
        let pipelines = context.compile(program.kernels(of_resets))?;
        let bind = || self.bind_unchecked(context, placed.clone(), (of_resets, &pipelines));
        context.checked("buffers of a recording", bind).map_err(|error| self.named(context, &placed, error))
    }

    /// `error` of binding what is `placed`; where the device refused a buffer of another device, that which it is.
    fn named(&self, context: &Context, placed: &[(BufferId, Place)], error: Error) -> Error {
        let foreign = |(_, place): &&(BufferId, Place)| !place.is_of(context);
        match placed.iter().filter(|_| matches!(error, Error::Device { .. })).find(foreign) {
            Some((id, _)) => Error::Buffer {
                name: self.program.buffers[*id].name.clone(),
                fault: BufferFault::OtherDevice,
            },
            None => error,
        }
    }

    fn bind_unchecked(
        self: &Arc<Self>,
        context: &Context,
        placed: Vec<(BufferId, Place)>,
        (of_resets, of_them): (&[Op], &HashMap<Kernel, Arc<Pipeline>>),
    ) -> Recorded {
        let Self { program, tables, pipelines, shared, full, .. } = &**self;
        let create = &context.create;
        let mut places: Vec<Option<Place>> = shared.iter().map(|buffer| buffer.clone().map(start)).collect();
        placed.iter().for_each(|(id, place)| places[*id] = Some(place.clone()));
        let (mut before, mut after, mut cleared) = (Vec::new(), Vec::new(), Vec::new());
        if let Some(ends) = &program.ends {
            let is_given = |end: &&End| places[end.array].is_some();
            before.extend([&ends.lengths].into_iter().filter(is_given));
            let order = if before.is_empty() { full.clone() } else { self.own(create, program.order) };
            before.extend(ends.initial.iter().filter(is_given));
            after.extend(ends.last.iter().filter(is_given));
            // A session's states are those after the previous step.
            for (index, end) in ends.initial.iter().enumerate().filter(|_| !self.keeps) {
                let of =
                    |state: &StateBuffers| if index == 0 { Some(state.h[0]) } else { state.c.map(|c| c[0]) };
                if !is_given(&end) {
                    cleared.extend(program.states.iter().filter_map(of));
                }
            }
            places[program.order].get_or_insert(start(order));
        }
        for id in program.output_arrays() {
            if places[id].is_none() {
                places[id] = Some(start(self.own(create, id)));
            }
        }
        // An array that is not given is not bound, or only by an operation that is skipped.
        let places: Vec<Place> =
            places.into_iter().map(|place| place.unwrap_or(start(full.clone()))).collect();
        let at = |id: BufferId| {
            let Place { buffer, offset } = &places[id];
            binding_of(buffer, *offset, program.buffers[id].bytes())
        };
        let binder = Binder { context, tables, pipelines };
        let bind = |ends: Vec<&End>| {
            let dispatches = ends.into_iter().flat_map(|end| &end.dispatches);
            dispatches.map(|dispatch| binder.bind(dispatch, at)).collect()
        };
        let (before, after) = (bind(before), bind(after));
        let mut ops = Binder { pipelines: of_them, ..binder }.bind_all(of_resets, at);
        ops.extend(binder.bind_all(program.always(), at));
        Recorded { program: self.clone(), placed, places, cleared, before, ops, after }
    }

    /// `numbers` of an array in the device's storage type.
    fn words<'a>(&self, id: BufferId, numbers: &'a [f32]) -> Cow<'a, [u32]> {
        let RunShape { dims: Dims { batch, steps }, .. } = self.program.run_shape;
        let storage = self.program.precision.activations;
        if id != self.program.x || !storage.is_half() {
            return Cow::Borrowed(bytemuck::cast_slice(numbers));
        }
        let mut words = Vec::new();
        pack_sequence(storage, numbers.len() / (batch * steps), numbers, &mut words);
        Cow::Owned(words)
    }

    fn own(&self, create: &Creator, id: BufferId) -> wgpu::Buffer {
        lock(&self.own).entry(id).or_insert_with(|| own(create, &self.program.buffers[id])).clone()
    }
}

fn start(buffer: wgpu::Buffer) -> Place {
    Place { buffer, offset: 0 }
}

/// Whether a run writes it before it reads it.
fn is_written(buffer: &Buffer) -> bool {
    matches!(buffer.role, Role::Scratch | Role::Output)
}

/// A program with the buffers that it is recorded on.
#[derive(Debug)]
pub struct Recorded {
    program: Arc<Recordable>,
    /// The arrays that it was bound to.
    placed: Vec<(BufferId, Place)>,
    /// By the number of the buffer.
    places: Vec<Place>,
    /// States that start at zero.
    cleared: Vec<BufferId>,
    before: Vec<Bound>,
    ops: Vec<BoundOp>,
    after: Vec<Bound>,
}

impl Recorded {
    /// Its program.
    pub fn recordable(&self) -> &Arc<Recordable> {
        &self.program
    }

    /// Whether it was bound to these arrays.
    pub(super) fn is_on(&self, placed: &[(BufferId, Place)]) -> bool {
        self.placed == placed
    }

    /// The position of an array.
    pub fn place(&self, id: BufferId) -> &Place {
        &self.places[id]
    }

    /// Records the whole run.
    pub fn record(&self, encoder: &mut wgpu::CommandEncoder) {
        self.record_in_parts(encoder, u64::MAX, |_| ());
    }

    /// Records the whole run, and calls `between` after so many floating-point operations, or [`SUBMISSION`] dispatches if they
    /// are bounded.
    pub(super) fn record_in_parts(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        flops: u64,
        mut between: impl FnMut(&mut wgpu::CommandEncoder),
    ) {
        self.fill_nan(encoder);
        for &id in &self.cleared {
            encoder.clear_buffer(&self.places[id].buffer, 0, None);
        }
        let Self { program, before, ops, after, .. } = self;
        let [before, after] =
            [before, after].map(|bounds| bounds.iter().map(|bound| Part::Dispatch(bound, None)));
        let mut rest = before.chain(parts(ops, 0)).chain(after).peekable();
        loop {
            while let Some(part) = rest.next_if(|part| !matches!(part, Part::Dispatch(..))) {
                match part {
                    Part::Copies(copies) => self.copy(encoder, copies),
                    // Parts of multi-workgroup kernels, which are not recorded.
                    Part::Clear(_) | Part::Dispatch(..) => {}
                }
            }
            if rest.peek().is_none() {
                break;
            }
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: Some("wgru.pass"),
                timestamp_writes: None,
            });
            let (mut count, mut done, mut full) = (0, 0, false);
            while let Some(Part::Dispatch(bound, index)) =
                rest.next_if(|part| !full && matches!(part, Part::Dispatch(..)))
            {
                bound.dispatch(&mut pass, index.map(|t| t * program.tables.stride));
                (count, done) = (count + 1, done + bound.flops);
                full = flops < u64::MAX && (done >= flops || count >= SUBMISSION);
            }
            drop(pass);
            if full {
                between(encoder);
            }
        }
        // A session's step ends in the phase where it began, so that the next recording is the next step.
        for state in program.program.states.iter().filter(|_| program.keeps) {
            if let ([to, from], 1) = (state.h, state.changes % 2)
                && to != from
            {
                let bytes = program.program.buffers[to].bytes();
                encoder.copy_buffer_to_buffer(
                    &self.places[from].buffer,
                    0,
                    &self.places[to].buffer,
                    0,
                    bytes,
                );
            }
        }
    }

    /// Records copies between arrays of the program's own.
    fn copy(&self, encoder: &mut wgpu::CommandEncoder, copies: &[Copy]) {
        for Copy { from, to, words } in copies {
            let at =
                |(id, word): (BufferId, usize)| (&self.places[id], self.places[id].offset + word as u64 * 4);
            let ((from, from_byte), (to, to_byte)) = (at(*from), at(*to));
            encoder.copy_buffer_to_buffer(&from.buffer, from_byte, &to.buffer, to_byte, *words as u64 * 4);
        }
    }

    /// Fills the arrays that the run must write with NaN, except the caller's.
    fn fill_nan(&self, encoder: &mut wgpu::CommandEncoder) {
        let Self { program: recordable, places, .. } = self;
        let (Some(fill_nan), Recordable { program, shared, own, .. }) = (&recordable.fill_nan, &**recordable)
        else {
            return;
        };
        let own = lock(own);
        for (id, buffer) in program.buffers.iter().enumerate().filter(|(_, buffer)| is_written(buffer)) {
            let is_own = shared[id].is_some() || own.get(&id) == Some(&places[id].buffer);
            if is_own {
                encoder.copy_buffer_to_buffer(fill_nan, 0, &places[id].buffer, 0, buffer.bytes());
            }
        }
    }
}
