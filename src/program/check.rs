//! Checks of a program against a device's limits and against itself, before anything is allocated.

use super::{Buffer, Copy, Dispatch, Ends, Op, Program};
use crate::dims::Dims;
use crate::error::{Error, Result};
use crate::kernels::Access;
use crate::plan::Caps;

/// Checks every buffer against `caps`, and of every dispatch: that its grid and bindings are within `caps`,
/// that each buffer is as long as the kernel reaches, and that no buffer it writes is bound twice.
///
/// # Errors
/// [`Error::TooLarge`] for a size beyond the device's limits; [`Error::Internal`] for a program that contradicts
/// itself, which no caller can cause.
pub fn check(program: &Program, caps: &Caps) -> Result<()> {
    let Dims { batch, steps } = program.run_shape.dims;
    for buffer in &program.buffers {
        caps.check_array(&format!("{} of {batch} rows × {steps} steps", buffer.name), buffer.bytes())?;
    }
    let ends = program.ends.iter().flat_map(Ends::dispatches);
    ends.into_iter().try_for_each(|dispatch| check_dispatch(program, dispatch, caps))?;
    program.setup.iter().try_for_each(|copy| check_copy(program, copy))?;
    for op in &program.ops {
        match op {
            Op::Once(dispatch) | Op::Exchange { dispatch, .. } => check_dispatch(program, dispatch, caps)?,
            Op::Copies(copies) => copies.iter().try_for_each(|copy| check_copy(program, copy))?,
            Op::Steps { phases, .. } => {
                for dispatch in phases.iter().flatten() {
                    check_dispatch(program, dispatch, caps)?;
                }
            }
        }
    }
    Ok(())
}

fn check_copy(program: &Program, copy: &Copy) -> Result<()> {
    for (id, first) in [copy.from, copy.to] {
        let Buffer { name, words, .. } = &program.buffers[id];
        if first + copy.words > *words || copy.from.0 == copy.to.0 {
            let reason = format!("a copy of {} words from word {first} on, of {words}", copy.words);
            return Err(Error::internal(name, reason));
        }
    }
    Ok(())
}

fn check_dispatch(program: &Program, dispatch: &Dispatch, caps: &Caps) -> Result<()> {
    let Dispatch { kernel, uniforms, buffers, extents, grid, iterations, .. } = dispatch;
    let name = kernel.name();
    let largest = grid.iter().copied().max().unwrap_or(0);
    caps.check(name, u64::from(largest), u64::from(caps.max_workgroups), "workgroups in a dimension")?;
    caps.check(name, u64::from(kernel.threads()), u64::from(caps.max_threads), "threads in a workgroup")?;
    let memory = u64::from(kernel.workgroup_bytes());
    caps.check(name, memory, u64::from(caps.max_workgroup_bytes), "bytes of workgroup memory")?;
    if let Some(most) = caps.max_iterations {
        caps.check(name, *iterations, most, "loop iterations of a thread")?;
    }
    caps.check(name, buffers.len() as u64, u64::from(caps.max_storage_buffers), "storage buffers")?;

    let bindings = kernel.bindings();
    let storage: Vec<_> = bindings.iter().filter(|b| b.access.is_storage()).collect();
    let params = bindings.iter().filter_map(|binding| match binding.access {
        Access::Params(bytes) => Some(bytes as usize),
        _ => None,
    });
    let mismatch =
        |binding: &str, reason: String| Err(Error::internal(format!("{binding} of {name}"), reason));
    if storage.len() != buffers.len() || extents.len() != buffers.len() {
        let reason = format!("{} storage bindings, {} buffers", storage.len(), buffers.len());
        return mismatch("bindings", reason);
    }
    if !params.eq(uniforms.iter().map(Vec::len)) {
        return mismatch("parameters", format!("{} of another size", uniforms.len()));
    }
    for ((binding, &id), &extent) in storage.iter().zip(buffers).zip(extents) {
        let buffer = &program.buffers[id];
        if (buffer.words as u64) < extent {
            let reason = format!("reaches {extent} words, {} has {}", buffer.name, buffer.words);
            return mismatch(binding.name, reason);
        }
        let bound = buffers.iter().filter(|&&other| other == id).count();
        if binding.access == Access::ReadWrite && bound > 1 {
            return mismatch(binding.name, format!("{} is written and bound twice", buffer.name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dims::Dims;
    use crate::dtype::{Precision, Storage};
    use crate::io::RunShape;
    use crate::kernels::Kernel;
    use crate::model::{Cell, Direction, Layer, Merge, Model, Weights};
    use crate::plan::{Exchange, Fault, Only, Recurrence, Request, Strategy, plan};
    use crate::program::lower;

    /// Caps of the smallest device that can run every strategy.
    fn caps() -> Caps {
        let exchange =
            Exchange { workgroups: 1 << 10, workgroup_bytes: 1 << 15, steps: 3, fault: Fault::None };
        let (exchange, max_workgroup_bytes) = (Some(exchange), 1 << 15);
        Caps { exchange, max_workgroup_bytes, max_storage_buffers: 10, ..Caps::webgpu_minimum() }
    }

    fn program(cell: Cell, run_shape: impl Into<RunShape>, strategy: Strategy, caps: &Caps) -> Program {
        program_of(
            cell,
            run_shape,
            Only { strategy: Some(strategy), pipelining: Some(0), ..Only::default() },
            caps,
        )
    }

    fn program_of(cell: Cell, run_shape: impl Into<RunShape>, only: Only, caps: &Caps) -> Program {
        let strategy = only.strategy.unwrap();
        // More units than one workgroup has, so that there are several.
        let (input, hidden) = (5, if strategy == Strategy::MultiWorkgroup { 260 } else { 7 });
        let rows = cell.gates() * hidden;
        let layer = |input| {
            let w_ih = vec![0.5; rows * input];
            let weights = Weights { w_ih, w_hh: vec![0.5; rows * hidden], ..Weights::default() };
            Layer::new(cell, Direction::Forward, input, hidden, vec![weights]).unwrap()
        };
        let model = Model::new(vec![layer(input), layer(hidden), layer(hidden)]).unwrap();
        let request = Request { only, ..Request::default() };
        let plan = plan(&model, run_shape, request, caps).unwrap();
        let is_multi_workgroup = matches!(plan.layers[0].recurrence, Recurrence::MultiWorkgroup { .. });
        assert_eq!(
            is_multi_workgroup,
            strategy == Strategy::MultiWorkgroup && plan.run_shape.dims.steps > 1,
            "{plan}"
        );
        lower(&model, &plan).unwrap()
    }

    #[test]
    fn programs_of_every_cell_pass() {
        let caps = caps();
        for cell in [Cell::GRU, Cell::ORIGINAL_GRU, Cell::LSTM] {
            for (batch, steps) in [(1, 1), (3, 5), (66, 5000)] {
                for strategy in Strategy::ALL {
                    let steps = if strategy == Strategy::MultiWorkgroup { steps.min(50) } else { steps };
                    let run_shape = RunShape::from(Dims::new(batch, steps).unwrap());
                    for projected in [false, true] {
                        let run_shape = RunShape { projected, ..run_shape };
                        check(&program(cell, run_shape, strategy, &caps), &caps).unwrap();
                        let only = Only { strategy: Some(strategy), pipelining: Some(2), ..Only::default() };
                        let pipelining = program_of(cell, run_shape, only, &caps);
                        assert_eq!(pipelining.setup.is_empty(), steps < 3);
                        check(&pipelining, &caps).unwrap();
                    }
                }
            }
        }
    }

    #[test]
    fn a_buffer_one_element_short_is_found() {
        let caps = caps();
        let run_shape = RunShape::from(Dims::new(3, 5).unwrap());
        let strategies = Strategy::ALL.into_iter();
        for (strategy, projected) in strategies.flat_map(|strategy| [(strategy, false), (strategy, true)]) {
            for pipelining in [0, 2] {
                let only = Only { strategy: Some(strategy), pipelining: Some(pipelining), ..Only::default() };
                let good = program_of(Cell::LSTM, RunShape { projected, ..run_shape }, only, &caps);
                assert_eq!(good.buffers.iter().any(|buffer| buffer.name == "w_ih.0"), !projected);
                for id in 0..good.buffers.len() {
                    let mut bad = good.clone();
                    bad.buffers[id].words -= 1;
                    let error = check(&bad, &caps).expect_err(&good.buffers[id].name);
                    assert!(matches!(error, Error::Internal { .. }), "{error}");
                }
            }
        }
    }

    #[test]
    fn a_word_less_of_what_is_merged_is_found() {
        let caps = caps();
        let layer = |input: usize, merge: Merge| {
            let weights = Weights { w_ih: vec![0.5; 7 * input], w_hh: vec![0.5; 49], ..Weights::default() };
            let layer = Layer::new(Cell::Rnn, Direction::Bidirectional, input, 7, vec![weights; 2]).unwrap();
            layer.with_merge(merge).unwrap()
        };
        let stack = vec![layer(5, Merge::Sum), layer(7, Merge::Concat), layer(14, Merge::Mul)];
        let model = Model::new(stack).unwrap();
        for storage in [Storage::F32, Storage::F16] {
            let precision = Precision { weights: storage, activations: storage };
            let plan = plan(&model, Dims::new(3, 5).unwrap(), precision, &caps).unwrap();
            let good = lower(&model, &plan).unwrap();
            check(&good, &caps).unwrap();
            let merges = |program: &Program| {
                let merge = |dispatch: &&Dispatch| matches!(dispatch.kernel, Kernel::MergeDirections(_));
                program.dispatches().filter(merge).count()
            };
            assert_eq!(merges(&good), 2, "{plan}");
            for id in 0..good.buffers.len() {
                let mut bad = good.clone();
                bad.buffers[id].words -= 1;
                let error = check(&bad, &caps).expect_err(&good.buffers[id].name);
                assert!(matches!(error, Error::Internal { .. }), "{error}");
            }
        }
    }

    #[test]
    fn writing_what_is_read_and_reaching_too_far_are_found() {
        let caps = Caps::webgpu_minimum();
        let mut program = program(Cell::GRU, Dims::new(3, 5).unwrap(), Strategy::Step, &caps);
        let Op::Steps { phases, .. } = &mut program.ops[1] else { panic!("the second op is the steps") };
        let dispatch = phases[0][0].clone();
        phases[0][0].buffers[5] = dispatch.buffers[4];
        let error = check(&program, &caps).unwrap_err();
        assert!(error.to_string().contains("bound twice"), "{error}");

        let Op::Steps { phases, .. } = &mut program.ops[1] else { panic!("the second op is the steps") };
        phases[0][0] = dispatch;
        let good = phases[1][0].clone();
        phases[1][0].extents[2] += 1000;
        let error = check(&program, &caps).unwrap_err();
        assert!(error.to_string().contains("reaches"), "{error}");

        let Op::Steps { phases, .. } = &mut program.ops[1] else { panic!("the second op is the steps") };
        phases[1][0] = good;
        phases[1][0].uniforms[0].pop();
        let error = check(&program, &caps).unwrap_err();
        assert!(error.to_string().contains("another size"), "{error}");
    }

    #[test]
    fn what_exceeds_the_device_is_named_with_its_numbers() {
        let caps = Caps::webgpu_minimum();
        let program = program(Cell::GRU, Dims::new(3, 5).unwrap(), Strategy::Step, &caps);
        let small = Caps { max_binding_bytes: 256, ..caps };
        let error = check(&program, &small).unwrap_err();
        let Error::TooLarge { needed, limit: 256, .. } = error else { panic!("{error}") };
        assert_eq!(needed, 3 * 5 * 5 * 4);
    }
}
