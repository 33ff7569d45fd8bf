//! Takes apart what a run copied for the caller.

use crate::gpu::Workspace;
use crate::io::OutputMut;
use crate::program::{Incomplete, unpack_sequence, untile};

/// Reads everything that a run copied, or returns its first incomplete chunk.
pub(super) fn read_all(
    workspace: &Workspace,
    data: &[u32],
    output: &mut OutputMut<'_>,
) -> Option<Incomplete> {
    let (mut data, completion) = data.split_at(data.len() - workspace.program().completion_words());
    if let Some(incomplete) = workspace.program().incomplete(completion) {
        return Some(incomplete);
    }
    read_outputs(workspace, &mut data, output.y, output.out.as_deref_mut());
    let c_n = output.c_n.as_deref_mut().unwrap_or_default();
    read_states(workspace, data, output.h_n, c_n);
    None
}

/// Takes y and the readout from the beginning of `data`.
pub(super) fn read_outputs(workspace: &Workspace, data: &mut &[u32], y: &mut [f32], out: Option<&mut [f32]>) {
    let program = workspace.program();
    let mut take = |words: usize| {
        let (head, tail) = data.split_at(words);
        *data = tail;
        head
    };
    let words = take(program.buffers[program.y].words);
    let storage = program.precision.activations;
    if storage.is_half() {
        unpack_sequence(storage, program.state, words, y);
    } else {
        y.copy_from_slice(bytemuck::cast_slice(words));
    }
    if let Some(out) = out {
        out.copy_from_slice(bytemuck::cast_slice(take(out.len())));
    }
}

/// `data`: the tiled h of every layer, then the tiled c of every layer; `h`: `[L·D, B, P]`; `c`: `[L·D, B, H]`.
pub(super) fn read_states(workspace: &Workspace, mut data: &[u32], h: &mut [f32], c: &mut [f32]) {
    let program = workspace.program();
    let batch = program.run_shape.dims.batch;
    for (states, features) in [(h, program.state), (c, program.hidden)] {
        let tiled = batch.div_ceil(program.rows.count() as usize) * program.rows.count() as usize * features;
        for to in states.chunks_exact_mut(batch * features) {
            let (head, tail) = data.split_at(tiled);
            untile(program.rows, workspace.rows(), bytemuck::cast_slice(head), to);
            data = tail;
        }
    }
}
