// out = w x + bias for many rows: a workgroup owns 64 rows × 64 columns, a thread 8 × 8 of them. Both operands pass
// through workgroup memory, DEPTH of k at a time.

override K: u32;               // features read
override DEPTH: u32;           // k of one pass through workgroup memory: 8 or 16

const TILE: u32 = 64u;          // rows and columns of a workgroup
const PITCH: u32 = 17u;         // vec4 across a tile, padded so that stores of one k do not conflict in one bank
const GROUPS: u32 = 16u;        // vec4 across a tile that are used

var<workgroup> x_tile: array<vec4<f32>, DEPTH * PITCH>;   // [DEPTH, PITCH] of 4 rows
var<workgroup> w_tile: array<vec4<f32>, DEPTH * PITCH>;   // [DEPTH, PITCH] of 4 columns

// Where rows m to m + 3 of x begin, or NONE.
fn starts_of(dir: u32, m: u32) -> vec4<u32> {
    let row0 = row_of(m);
    let row1 = row_after(row0);
    let row2 = row_after(row1);
    let row3 = row_after(row2);
    let starts = vec4<u32>(x_at_row(dir, row0), x_at_row(dir, row1), x_at_row(dir, row2), x_at_row(dir, row3));
    return select(vec4<u32>(NONE), starts, vec4<u32>(m, m + 1u, m + 2u, m + 3u) < vec4<u32>(params.rows));
}

// Feature k of four rows.
fn load_x(starts: vec4<u32>, k: u32) -> vec4<f32> {
    let is_there = (starts != vec4<u32>(NONE)) & vec4<bool>(k < K);
    let at = select(vec4<u32>(0u), starts, is_there) + select(0u, k, k < K);
    return select(vec4<f32>(0.0), vec4<f32>(x_value(at.x), x_value(at.y), x_value(at.z), x_value(at.w)), is_there);
}

// Four k of column n; past N those of the last column, whose sums are not stored.
fn load_w(dir: u32, k: u32, n: u32) -> vec4<f32> {
    if (k >= K) {
        return vec4<f32>(0.0);
    }
    return quad(quad_at(dir, k, min(n, N - 1u)));
}

// Bias of columns n to n + 3; past N that of the last column.
fn bias4(dir: u32, n: u32) -> vec4<f32> {
    let first = dir * params.columns + params.first_column;
    let at = vec4<u32>(first) + min(vec4<u32>(n, n + 1u, n + 2u, n + 3u), vec4<u32>(N - 1u));
    return vec4<f32>(bias[at.x], bias[at.y], bias[at.z], bias[at.w]);
}

// Stores columns n to n + 3 of a row, of which column n goes to `at`.
fn store4(at: u32, n: u32, values: vec4<f32>) {
    let column = params.out_column;
    if (n + 3u < N) {
        out[at] = values.x;
        out[at + column] = values.y;
        out[at + 2u * column] = values.z;
        out[at + 3u * column] = values.w;
        return;
    }
    for (var j = 0u; j < 4u; j++) {
        if (n + j < N) {
            out[at + j * column] = values[j];
        }
    }
}

// Stores columns n to n + 3 and n + 32 to n + 35 of row m, which is at `row`.
fn store8(dir: u32, m: u32, row: Row, n: u32, left: vec4<f32>, right: vec4<f32>) {
    if (m < params.rows) {
        let at = out_at_row(dir, row) + (params.first_column + n) * params.out_column;
        store4(at, n, left);
        store4(at + 32u * params.out_column, n + 32u, right);
    }
}

// Stores four rows from m on. A loop, so that a driver that keeps it compiles the stores of a row once.
fn store_rows(dir: u32, m: u32, n: u32, left: mat4x4<f32>, right: mat4x4<f32>) {
    let left_bias = bias4(dir, n);
    let right_bias = bias4(dir, n + 32u);
    var lefts = left;
    var rights = right;
    var row = row_of(m);
    for (var i = 0u; i < 4u; i++) {
        store8(dir, m + i, row, n, lefts[i] + left_bias, rights[i] + right_bias);
        row = row_after(row);
    }
}

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let m0 = interleaved(group.y, (params.rows + TILE - 1u) / TILE) * TILE;
    let n0 = group.x * TILE;
    let dir = group.z;
    let across = lane % 8u;     // columns of the thread: 4 from 4·across on, and 4 that lie 32 further
    let down = lane / 8u;       // rows of the thread, likewise
    if (all_ended(dir, m0, TILE)) {
        return;
    }

    // Column j of the thread, its rows in the lanes: a the first four, b the others.
    let start = vec4<f32>(zero());
    var a0 = start; var a1 = start; var a2 = start; var a3 = start; var a4 = start; var a5 = start; var a6 = start;
    var a7 = start;
    var b0 = start; var b1 = start; var b2 = start; var b3 = start; var b4 = start; var b5 = start; var b6 = start;
    var b7 = start;

    // Of x a thread loads one k, of four rows in each `stride` groups; of w four k of four columns, which keeps only some threads busy if
    // passes are less deep.
    let stride = TILE / DEPTH;
    let x_k = lane % DEPTH;
    let x_group = lane / DEPTH;
    let w_k = 4u * (lane / GROUPS);
    let w_group = lane % GROUPS;
    var starts: array<vec4<u32>, 4>;
    for (var i = 0u; i < DEPTH / 4u; i++) {
        starts[i] = starts_of(dir, m0 + 4u * (x_group + i * stride));
    }
    for (var k0 = 0u; k0 < K; k0 += DEPTH) {
        workgroupBarrier();
        // Neighbouring threads read neighbouring k of x, and neighbouring columns of w.
        for (var i = 0u; i < DEPTH / 4u; i++) {
            x_tile[x_k * PITCH + x_group + i * stride] = load_x(starts[i], k0 + x_k);
        }
        if (w_k < DEPTH) {
            let k = k0 + w_k;
            let n = n0 + 4u * w_group;
            let q0 = load_w(dir, k, n);
            let q1 = load_w(dir, k, n + 1u);
            let q2 = load_w(dir, k, n + 2u);
            let q3 = load_w(dir, k, n + 3u);
            let at = w_k * PITCH + w_group;
            w_tile[at] = vec4<f32>(q0.x, q1.x, q2.x, q3.x);
            w_tile[at + PITCH] = vec4<f32>(q0.y, q1.y, q2.y, q3.y);
            w_tile[at + 2u * PITCH] = vec4<f32>(q0.z, q1.z, q2.z, q3.z);
            w_tile[at + 3u * PITCH] = vec4<f32>(q0.w, q1.w, q2.w, q3.w);
        }
        workgroupBarrier();
        for (var k = 0u; k < DEPTH * PITCH; k += PITCH) {
            let x0 = x_tile[k + down];
            let x1 = x_tile[k + down + 8u];
            let w0 = w_tile[k + across];
            let w1 = w_tile[k + across + 8u];
            a0 = fma(vec4<f32>(w0.x), x0, a0);
            a1 = fma(vec4<f32>(w0.y), x0, a1);
            a2 = fma(vec4<f32>(w0.z), x0, a2);
            a3 = fma(vec4<f32>(w0.w), x0, a3);
            a4 = fma(vec4<f32>(w1.x), x0, a4);
            a5 = fma(vec4<f32>(w1.y), x0, a5);
            a6 = fma(vec4<f32>(w1.z), x0, a6);
            a7 = fma(vec4<f32>(w1.w), x0, a7);
            b0 = fma(vec4<f32>(w0.x), x1, b0);
            b1 = fma(vec4<f32>(w0.y), x1, b1);
            b2 = fma(vec4<f32>(w0.z), x1, b2);
            b3 = fma(vec4<f32>(w0.w), x1, b3);
            b4 = fma(vec4<f32>(w1.x), x1, b4);
            b5 = fma(vec4<f32>(w1.y), x1, b5);
            b6 = fma(vec4<f32>(w1.z), x1, b6);
            b7 = fma(vec4<f32>(w1.w), x1, b7);
        }
    }
    let m = m0 + 4u * down;
    let n = n0 + 4u * across;
    let a_left = transpose(mat4x4<f32>(a0, a1, a2, a3));
    let a_right = transpose(mat4x4<f32>(a4, a5, a6, a7));
    let b_left = transpose(mat4x4<f32>(b0, b1, b2, b3));
    let b_right = transpose(mat4x4<f32>(b4, b5, b6, b7));
    store_rows(dir, m, n, a_left, a_right);
    store_rows(dir, m + 32u, n, b_left, b_right);
}
