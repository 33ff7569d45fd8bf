//! Matches the bindings of a run to its program: checks each array's shape and buffer.

use crate::dims::{Dims, check_len};
use crate::error::{Error, Result};
use crate::gpu::{Context, Given, Place, Placed, check_places};
use crate::io::{Batch, Bindings, OutputShape, Sink, Source, check_lengths};
use crate::model::Model;
use crate::program::{BufferId, End, Program};

/// The kind of run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Of {
    /// A run that starts from h0.
    Run,
    /// A session's step.
    Session,
    /// A pool's tick.
    Pool,
}

/// Arrays that are read back to the host.
pub(in crate::engine) type HostSinks<'a> = Vec<(BufferId, &'a mut [f32])>;

/// Pairs of arrays, of which the second may be the same buffer as the first.
const IN_PLACE: [[&str; 2]; 2] = [["h0", "h_n"], ["c0", "c_n"]];
/// Pairs of arrays, of which one dispatch reads the first and writes the second.
const AT_ONCE: [[&str; 2]; 2] = [["y", "out"], ["resets", "y"]];

/// Binds `bindings` to the arrays of `program`; also returns the arrays that are read back to the host.
///
/// # Errors
/// [`Error::Buffer`], [`Error::Length`], [`Error::Mismatch`] for lengths beyond T, numbers beyond the range of x's storage
/// type and a run without outputs, [`Error::Unsupported`] for an array that the model or the run does not have.
pub(in crate::engine) fn given<'a>(
    context: &Context,
    model: &Model,
    program: &Program,
    bindings: Bindings<'a>,
    of: Of,
) -> Result<(Vec<(BufferId, Given<'a>)>, HostSinks<'a>)> {
    let (run_shape, Dims { batch, .. }) = (program.run_shape, program.run_shape.dims);
    let shape = OutputShape::new(model, run_shape)?;
    let states = |features: usize| vec![model.num_states(), batch, features];
    let outputs = if of == Of::Run { bindings.check_outputs() } else { Ok(()) };
    let Bindings { x, lengths, resets, h0, c0, y, h_n, c_n, out, interrupt: _ } = bindings;
    let ends = program.ends.as_ref();
    let mut all = All { program, given: Vec::new(), placed: Vec::new(), sinks: Vec::new() };

    if let Source::Host(x) = x {
        let mut batch = Batch::of_form(run_shape, run_shape.features(model), x)?;
        if let Some(Source::Host(lengths)) = lengths {
            batch = batch.lengths(lengths);
        }
        batch.check(model)?;
        // If the lengths are on the device, the host does not know which elements are padding.
        if !matches!(lengths, Some(Source::Buffer { .. })) {
            batch.check_range(program.precision.activations)?;
        }
    }
    all.source(run_shape.x_name(), Some(program.x), x)?;
    if let Some(lengths) = lengths {
        refuse(of == Of::Session, "lengths of a session's step, which every stream takes")?;
        match lengths {
            Source::Host(lengths) => {
                check_lengths(lengths, run_shape.dims)?;
                all.given.push((program.order, Given::Lengths(lengths)));
            }
            Source::Buffer { buffer, offset } => {
                let id = ends.map(|ends| ends.lengths.array);
                all.buffer("lengths", id, Place { buffer: buffer.clone(), offset }, false)?;
            }
        }
    }
    if let Some(resets) = resets {
        refuse(of == Of::Pool, "resets of a pool's tick: see Pool::reset")?;
        let (name, shape) =
            if of == Of::Session { ("resets [B]", [batch, 1]) } else { run_shape.resets_shape() };
        match resets {
            Source::Host(words) => {
                check_len(name, if of == Of::Session { &shape[..1] } else { &shape }, words.len())?;
                all.given.push((known(name, program.resets)?, Given::Words(words)));
            }
            Source::Buffer { buffer, offset } => {
                all.buffer("resets", program.resets, Place { buffer: buffer.clone(), offset }, false)?;
            }
        }
    } else if run_shape.resets {
        let reason = "a recording that was prepared with them needs them; prepare another without".into();
        return Err(Error::Mismatch { name: "resets".into(), reason });
    }
    let end = |ends: Option<&Vec<End>>, index: usize| Some(ends?.get(index)?.array);
    let [initial, last] = [ends.map(|ends| &ends.initial), ends.map(|ends| &ends.last)];
    let widths = [model.state_size(), model.hidden()];
    for (index, (name, source)) in [("h0", h0), ("c0", c0)].into_iter().enumerate() {
        let Some(source) = source else { continue };
        refuse(of != Of::Run, &format!("{name} of a session or a pool, which keep states of their own"))?;
        refuse(index == 1 && !model.cell().has_c(), &format!("{name}: {} has no cell state", model.cell()))?;
        if let Source::Host(states_of) = source {
            check_len(
                &format!("{name} [L·D, B, {}]", ["P", "H"][index]),
                &states(widths[index]),
                states_of.len(),
            )?;
        }
        all.source(name, end(initial, index), source)?;
    }
    all.sink("y", Some(program.y), y, &shape.y)?;
    for (index, (name, sink)) in [("h_n", h_n), ("c_n", c_n)].into_iter().enumerate() {
        let Some(sink) = sink else { continue };
        refuse(of == Of::Pool, &format!("{name} of a pool's tick, whose states stay in the pool"))?;
        refuse(index == 1 && !model.cell().has_c(), &format!("{name}: {} has no cell state", model.cell()))?;
        all.sink(name, end(last, index), Some(sink), &states(widths[index]))?;
    }
    refuse(out.is_some() && program.out.is_none(), "out: the model has no readout")?;
    all.sink("out", program.out, out, shape.out.as_deref().unwrap_or(&[]))?;
    check_places(&all.placed, context.storage_alignment(), &IN_PLACE, &AT_ONCE)?;
    outputs?;
    Ok((all.given, all.sinks))
}

fn refuse(is_refused: bool, what: &str) -> Result<()> {
    if is_refused { Err(Error::Unsupported { what: what.into() }) } else { Ok(()) }
}

/// The bindings so far.
struct All<'p, 'a> {
    program: &'p Program,
    given: Vec<(BufferId, Given<'a>)>,
    placed: Vec<Placed<'static>>,
    sinks: HostSinks<'a>,
}

impl<'a> All<'_, 'a> {
    fn source(&mut self, name: &'static str, id: Option<BufferId>, source: Source<'a>) -> Result<()> {
        match source {
            Source::Host(numbers) => {
                self.given.push((known(name, id)?, Given::Numbers(numbers)));
                Ok(())
            }
            Source::Buffer { buffer, offset } => {
                self.buffer(name, id, Place { buffer: buffer.clone(), offset }, false)
            }
        }
    }

    fn sink(
        &mut self,
        name: &'static str,
        id: Option<BufferId>,
        sink: Option<Sink<'a>>,
        shape: &[usize],
    ) -> Result<()> {
        match sink {
            None => Ok(()),
            Some(Sink::Host(numbers)) => {
                check_len(name, shape, numbers.len())?;
                let id = known(name, id)?;
                self.given.push((id, Given::Own));
                self.sinks.push((id, numbers));
                Ok(())
            }
            Some(Sink::Buffer { buffer, offset }) => {
                self.buffer(name, id, Place { buffer: buffer.clone(), offset }, true)
            }
        }
    }

    fn buffer(
        &mut self,
        name: &'static str,
        id: Option<BufferId>,
        place: Place,
        written: bool,
    ) -> Result<()> {
        let id = known(name, id)?;
        let bytes = self.program.buffers[id].bytes();
        self.placed.push(Placed { name, place: place.clone(), bytes, written });
        self.given.push((id, Given::Place(place)));
        Ok(())
    }
}

/// Every recorded program has the arrays that were not refused before.
fn known(name: &str, id: Option<BufferId>) -> Result<BufferId> {
    id.ok_or_else(|| Error::internal(name, "not an array of the program"))
}
