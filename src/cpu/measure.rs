//! Times every shape of tile that fits the registers. The numbers in `product::shapes` come from here.
//!
//! `RUSTFLAGS="--cfg measure" cargo test --release -p wgru --no-default-features --lib measure -- --nocapture`

use std::time::Instant;

use super::panel::{Panel, Stored};
use super::product::{Bf16, F16, F32, Number, Product, Rows, Sums};
use super::simd::{InstructionSet, Level, Simd, at_level};
use super::tiles::{Tile, needed};
use crate::dtype::Storage;

/// Rows of a product of many rows: whole tiles of every height.
const ROWS: usize = 48;

/// Blocks: whole tiles of every width.
const BLOCKS: usize = 8;

/// Rounds; the fastest counts.
const ROUNDS: usize = 9;

/// One product of `rows` rows with all blocks of `panel`, in tiles of R by U.
fn all<S: Simd, N: Number, const G: usize, const R: usize, const U: usize>(
    simd: S,
    words: &[N::Word],
    panel: &Panel,
    x: &[f32],
    sums: &mut [f32],
) {
    let (pitch, depth) = (panel.pitch(), panel.depth);
    let begin = vec![0.0; BLOCKS * G * S::LANES];
    let rows: Vec<&[f32]> = x.chunks_exact(depth).collect();
    for block in (0..BLOCKS).step_by(U) {
        let tile = Tile::measured(rows.len(), R, block, U, (block + U) % BLOCKS * pitch);
        let sums = Sums { to: &mut *sums, row: U * G * S::LANES, block: G * S::LANES };
        simd.run(Product::<N, G, R, U> {
            panel: words,
            pitch,
            depth,
            begin: &begin,
            rows: Rows::Each(&rows),
            tile,
            sums,
        });
    }
}

/// Times the shapes of R rows for `depth` numbers, and prints a line for each.
fn of_rows<S: Simd, const G: usize, const R: usize>(simd: S, set: InstructionSet, depth: usize) {
    if needed(G, R, 1) > S::REGISTERS {
        return;
    }
    // One or two rows are a whole product; three or more are a tile of one with many rows.
    let rows = if R > 2 { ROWS } else { R };
    let x: Vec<f32> = (0..rows * depth).map(|at| (at % 7) as f32).collect();
    let w: Vec<f32> = (0..depth * G * BLOCKS * S::LANES).map(|at| (at % 5) as f32).collect();
    let mut sums = vec![0.0; ROWS * BLOCKS * G * S::LANES];
    for storage in [Storage::F32, Storage::F16, Storage::Bf16] {
        let units = BLOCKS * S::LANES;
        let panel = Panel::new(&w, G * units, units, 0..G, S::LANES, storage);
        macro_rules! of {
            ($($u:literal)*) => {
                $(if const { needed(G, R, $u) <= S::REGISTERS } {
                    let mut once = || match panel.stored() {
                        Stored::F32(words) => all::<S, F32, G, R, $u>(simd, words, &panel, &x, &mut sums),
                        Stored::F16(words) => all::<S, F16, G, R, $u>(simd, words, &panel, &x, &mut sums),
                        Stored::Bf16(words) => all::<S, Bf16, G, R, $u>(simd, words, &panel, &x, &mut sums),
                    };
                    let operations = (2 * rows * depth * G * units) as f64;
                    let repeats = (2e7 / operations) as usize + 1;
                    let mut best = f64::INFINITY;
                    for _ in 0..ROUNDS {
                        let began = Instant::now();
                        (0..repeats).for_each(|_| once());
                        best = best.min(began.elapsed().as_secs_f64() / repeats as f64);
                    }
                    let gflops = operations / best * 1e-9;
                    println!("{set},{G},{storage},{depth},{R},{},{},{gflops:.1}", $u, needed(G, R, $u));
                })*
            };
        }
        of!(1 2 4 8);
    }
}

fn of_set<S: Simd>(simd: S, set: InstructionSet) {
    macro_rules! of {
        ($($g:literal)*) => {
            $(for depth in [64, 256, 512] {
                of_rows::<S, $g, 1>(simd, set, depth);
                of_rows::<S, $g, 2>(simd, set, depth);
                of_rows::<S, $g, 3>(simd, set, depth);
                of_rows::<S, $g, 4>(simd, set, depth);
                of_rows::<S, $g, 6>(simd, set, depth);
                of_rows::<S, $g, 8>(simd, set, depth);
            })*
        };
    }
    of!(1 2 3 4);
}

#[test]
fn tiles() {
    println!("set,gates,storage,depth,rows,blocks,registers,gflops");
    for set in InstructionSet::available().filter(|set| *set != InstructionSet::Portable) {
        if let Some(level) = Level::of(set) {
            at_level!(level, simd => of_set(simd, set));
        }
    }
}
