//! A program that is one matmul, over and over: what a device can do at best with the kernels of this crate.

use super::{Buffer, Dispatch, Op, Program, Role};
use crate::dims::Dims;
use crate::dtype::Precision;
use crate::kernels::{MatmulTiled, Rows, matmul};

/// `repeats` times `[size, size] · [size, size]`, with w in a scratch buffer of its own.
pub fn ceiling(size: u32, repeats: usize) -> Program {
    let dims = Dims { batch: size as usize, steps: 1 };
    let precision = Precision::default();
    let square = size as usize * size as usize;
    let buffer = |name: &str, role, words| Buffer { name: name.into(), role, words };
    let buffers = vec![
        buffer("x", Role::Input, square),
        buffer("bias", Role::Scratch, size as usize),
        buffer("w", Role::Scratch, square),
        buffer("out", Role::Output, square),
        buffer("order", Role::Order, 2 * size as usize),
    ];
    let sizes = matmul::Sizes { k: size, n: size };
    let kernel = MatmulTiled { sizes, precision, pipelined: false };
    let params = matmul::Params {
        rows: size,
        batch: size,
        padded: size,
        first: 0,
        times: 1,
        reverse: 1,
        x_step: 0,
        x_row: size,
        out_dir: 0,
        out_step: 0,
        out_tile: size,
        tile: 1,
        out_column: 1,
        order: 0,
        order_rows: size,
        skips: 0,
        first_column: 0,
        columns: size,
        unused: [0; 2],
    };
    let arguments = matmul::Arguments { own: params, pipelining: None };
    let dispatch = Dispatch::new(&kernel, &arguments, [size, 1], (0..5).collect());
    Program {
        form: dims.into(),
        precision,
        state: 1,
        hidden: 1,
        dirs: 1,
        rows: Rows::One,
        buffers,
        setup: Vec::new(),
        ops: vec![Op::Once(dispatch); repeats],
        states: Vec::new(),
        x: 0,
        mail: None,
        proofs: Vec::new(),
        together: None,
        order: 4,
        y: 3,
        out: None,
        readout: None,
        streams: None,
        ends: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Caps;
    use crate::program::check;

    #[test]
    fn it_holds_against_itself_and_the_least_of_devices() {
        for size in [64, 512, 2048] {
            check(&ceiling(size, 3), &Caps::webgpu_minimum()).unwrap();
        }
    }
}
