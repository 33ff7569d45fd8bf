// out = w x + bias for many rows of f16, by cooperative matrices. A workgroup owns TILE rows × TILE columns, a
// subgroup a quarter of them, two matrices high and two wide. Both operands pass through workgroup memory, DEPTH of k
// at a time, and so do the sums before they are stored. A workgroup has four or more subgroups; the fifth repeats the
// work of the first.
//
// The device chooses the reduction order within a matrix, so the sums may differ from those of the other kernels.

override K: u32;               // features read
override WIDTH: u32;           // threads of a workgroup

const DEPTH: u32 = 32u;        // k of one pass through workgroup memory
const TILE: u32 = 4u * SIDE;   // rows and columns of a workgroup
const PITCH: u32 = DEPTH + 8u; // numbers from a row or column to the next, padded against bank conflicts

var<workgroup> starts: array<u32, TILE>;            // where the rows begin in x, or NONE
var<workgroup> x_tile: array<f16, TILE * PITCH>;    // [TILE rows, PITCH] of k
var<workgroup> w_tile: array<f16, TILE * PITCH>;    // [TILE columns, PITCH] of k
var<workgroup> sums: array<f32, TILE * TILE>;       // [TILE rows, TILE columns]

// Feature k of the row that begins at `start`.
fn x_number(start: u32, k: u32) -> f16 {
    if (start == NONE || k >= K) {
        return 0.0h;
    }
    return x[start + k];
}

@compute @workgroup_size(WIDTH)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(subgroup_id) subgroup: u32,
) {
    let m0 = interleaved(group.y, (params.rows + TILE - 1u) / TILE) * TILE;
    let n0 = group.x * TILE;
    let dir = group.z;
    if (known(lane, all_ended(dir, m0, TILE)) != 0u) {
        return;
    }
    for (var i = lane; i < TILE; i += WIDTH) {
        starts[i] = x_at(dir, m0 + i);
    }

    let down = subgroup / 2u % 2u * 2u * SIDE;   // first row and column of the subgroup
    let right = subgroup % 2u * 2u * SIDE;
    var c00 = MatrixC();
    var c01 = MatrixC();
    var c10 = MatrixC();
    var c11 = MatrixC();
    for (var k0 = 0u; k0 < K; k0 += DEPTH) {
        workgroupBarrier();
        // Neighbouring threads read neighbouring k of x, and neighbouring columns of w; past N the last column, whose
        // sums are not stored.
        for (var i = lane; i < TILE * DEPTH; i += WIDTH) {
            let k = i % DEPTH;
            x_tile[i / DEPTH * PITCH + k] = x_number(starts[i / DEPTH], k0 + k);
        }
        for (var i = lane; i < TILE * DEPTH / 4u; i += WIDTH) {
            let n = i % TILE;
            let k = i / TILE * 4u;
            let quad = four(dir, k0 + k, min(n0 + n, N - 1u));
            let at = n * PITCH + k;
            w_tile[at] = quad.x;
            w_tile[at + 1u] = quad.y;
            w_tile[at + 2u] = quad.z;
            w_tile[at + 3u] = quad.w;
        }
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k += SIDE) {
            let a0 = coopLoadT<MatrixA>(&x_tile[down * PITCH + k], PITCH);
            let a1 = coopLoadT<MatrixA>(&x_tile[(down + SIDE) * PITCH + k], PITCH);
            let b0 = coopLoad<MatrixB>(&w_tile[right * PITCH + k], PITCH);
            let b1 = coopLoad<MatrixB>(&w_tile[(right + SIDE) * PITCH + k], PITCH);
            c00 = coopMultiplyAdd(a0, b0, c00);
            c01 = coopMultiplyAdd(a0, b1, c01);
            c10 = coopMultiplyAdd(a1, b0, c10);
            c11 = coopMultiplyAdd(a1, b1, c11);
        }
    }
    let at = down * TILE + right;
    coopStoreT(c00, &sums[at], TILE);
    coopStoreT(c01, &sums[at + SIDE], TILE);
    coopStoreT(c10, &sums[at + SIDE * TILE], TILE);
    coopStoreT(c11, &sums[at + SIDE * TILE + SIDE], TILE);
    workgroupBarrier();
    // Four rows lie side by side in the tiled arrays; the next column follows.
    for (var i = lane; i < TILE * TILE; i += WIDTH) {
        let m = i / (4u * TILE) * 4u + i % 4u;
        let n = i / 4u % TILE;
        store(dir, m0 + m, n0 + n, sums[m * TILE + n]);
    }
}
