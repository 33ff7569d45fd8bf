// out = wᵀ x, all three [SIZE, SIZE]: a workgroup has 64 × 64 numbers of out, a thread 8 × 8 of them. Both operands have k
// as their first axis and pass through workgroup memory, DEPTH of k at a time, as in the library's matmul_tiled.

override SIZE: u32;             // a multiple of 64

const DEPTH: u32 = 16u;         // k of one pass through workgroup memory
const PITCH: u32 = 17u;         // vec4 across a tile, padded so that stores of one k do not meet in one bank

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;           // [k, m / 4]
@group(0) @binding(1) var<storage, read> w: array<vec4<f32>>;           // [k, n / 4]
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;   // [n, m / 4]

var<workgroup> x_tile: array<vec4<f32>, 272>;   // [DEPTH, PITCH] of 4 rows
var<workgroup> w_tile: array<vec4<f32>, 272>;   // [DEPTH, PITCH] of 4 columns

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let quads = SIZE / 4u;
    let across = lane % 8u;     // columns of the thread: 4 from 4·across on, and 4 that lie 32 further
    let down = lane / 8u;       // rows of the thread, likewise

    // Column j of the thread, its rows in the lanes: a the first four, b the others.
    let start = vec4<f32>(0.0);
    var a0 = start; var a1 = start; var a2 = start; var a3 = start; var a4 = start; var a5 = start; var a6 = start;
    var a7 = start;
    var b0 = start; var b1 = start; var b2 = start; var b3 = start; var b4 = start; var b5 = start; var b6 = start;
    var b7 = start;

    let own_k = lane / 16u;
    let own = lane % 16u;
    for (var k0 = 0u; k0 < SIZE; k0 += DEPTH) {
        workgroupBarrier();
        for (var k = own_k; k < DEPTH; k += 4u) {
            x_tile[k * PITCH + own] = x[(k0 + k) * quads + group.y * 16u + own];
            w_tile[k * PITCH + own] = w[(k0 + k) * quads + group.x * 16u + own];
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
    let m = group.y * 16u + down;
    let n = group.x * 64u + 4u * across;
    out[n * quads + m] = a0;
    out[(n + 1u) * quads + m] = a1;
    out[(n + 2u) * quads + m] = a2;
    out[(n + 3u) * quads + m] = a3;
    out[(n + 32u) * quads + m] = a4;
    out[(n + 33u) * quads + m] = a5;
    out[(n + 34u) * quads + m] = a6;
    out[(n + 35u) * quads + m] = a7;
    out[n * quads + m + 8u] = b0;
    out[(n + 1u) * quads + m + 8u] = b1;
    out[(n + 2u) * quads + m + 8u] = b2;
    out[(n + 3u) * quads + m + 8u] = b3;
    out[(n + 32u) * quads + m + 8u] = b4;
    out[(n + 33u) * quads + m + 8u] = b5;
    out[(n + 34u) * quads + m + 8u] = b6;
    out[(n + 35u) * quads + m + 8u] = b7;
}
