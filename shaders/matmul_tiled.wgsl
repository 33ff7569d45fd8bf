// out = w x + bias for many rows: a workgroup owns 64 rows × 64 columns, a thread 4 × 4 of them; both
// operands pass through workgroup memory, 16 k at a time.

const TILE: u32 = 64u;          // rows and columns of a workgroup
const DEPTH: u32 = 16u;         // k of one pass through workgroup memory
const GROUPS: u32 = 16u;        // TILE / 4, vec4 across a tile
const PITCH: u32 = 17u;         // GROUPS, padded so that stores of one k do not meet in one bank

var<workgroup> x_tile: array<vec4<f32>, 272>;   // [DEPTH, PITCH] of 4 rows
var<workgroup> w_tile: array<vec4<f32>, 272>;   // [DEPTH, PITCH] of 4 columns

fn load_x(dir: u32, m: u32, k: u32) -> f32 {
    let at = x_at(dir, m);
    if (at == NONE || k >= K) {
        return 0.0;
    }
    return x_value(at + k);
}

fn load_w(dir: u32, k: u32, n: u32) -> f32 {
    if (k >= K || n >= N) {
        return 0.0;
    }
    return weight(dir, k, n);
}

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let m0 = group.y * TILE;
    let n0 = group.x * TILE;
    let dir = group.z;
    let across = lane % GROUPS;     // columns of the thread
    let down = lane / GROUPS;       // rows of the thread
    if (all_ended(m0, TILE)) {
        return;
    }

    // Column j of the thread, its 4 rows in the lanes: of the block of 64 k in hand, and of all before.
    var part0 = vec4<f32>(0.0);
    var part1 = vec4<f32>(0.0);
    var part2 = vec4<f32>(0.0);
    var part3 = vec4<f32>(0.0);
    var sum0 = vec4<f32>(0.0);
    var sum1 = vec4<f32>(0.0);
    var sum2 = vec4<f32>(0.0);
    var sum3 = vec4<f32>(0.0);

    for (var k0 = 0u; k0 < K; k0 += DEPTH) {
        workgroupBarrier();
        // Neighbouring threads read neighbouring k of x, and neighbouring columns of w.
        let xk = lane % DEPTH;
        let xm = lane / DEPTH;
        let m = m0 + xm * 4u;
        x_tile[xk * PITCH + xm] = vec4<f32>(load_x(dir, m, k0 + xk), load_x(dir, m + 1u, k0 + xk),
            load_x(dir, m + 2u, k0 + xk), load_x(dir, m + 3u, k0 + xk));
        let n = n0 + across * 4u;
        w_tile[down * PITCH + across] = vec4<f32>(load_w(dir, k0 + down, n), load_w(dir, k0 + down, n + 1u),
            load_w(dir, k0 + down, n + 2u), load_w(dir, k0 + down, n + 3u));
        workgroupBarrier();
        for (var row = 0u; row < DEPTH * PITCH; row += 4u * PITCH) {
            let a0 = x_tile[row + down];
            let b0 = w_tile[row + across];
            part0 = fma(vec4<f32>(b0.x), a0, part0);
            part1 = fma(vec4<f32>(b0.y), a0, part1);
            part2 = fma(vec4<f32>(b0.z), a0, part2);
            part3 = fma(vec4<f32>(b0.w), a0, part3);
            let a1 = x_tile[row + 1u * PITCH + down];
            let b1 = w_tile[row + 1u * PITCH + across];
            part0 = fma(vec4<f32>(b1.x), a1, part0);
            part1 = fma(vec4<f32>(b1.y), a1, part1);
            part2 = fma(vec4<f32>(b1.z), a1, part2);
            part3 = fma(vec4<f32>(b1.w), a1, part3);
            let a2 = x_tile[row + 2u * PITCH + down];
            let b2 = w_tile[row + 2u * PITCH + across];
            part0 = fma(vec4<f32>(b2.x), a2, part0);
            part1 = fma(vec4<f32>(b2.y), a2, part1);
            part2 = fma(vec4<f32>(b2.z), a2, part2);
            part3 = fma(vec4<f32>(b2.w), a2, part3);
            let a3 = x_tile[row + 3u * PITCH + down];
            let b3 = w_tile[row + 3u * PITCH + across];
            part0 = fma(vec4<f32>(b3.x), a3, part0);
            part1 = fma(vec4<f32>(b3.y), a3, part1);
            part2 = fma(vec4<f32>(b3.z), a3, part2);
            part3 = fma(vec4<f32>(b3.w), a3, part3);
        }
        if ((k0 / DEPTH) % 4u == 3u || k0 + DEPTH >= K) {
            sum0 += part0;
            sum1 += part1;
            sum2 += part2;
            sum3 += part3;
            part0 = vec4<f32>(0.0);
            part1 = vec4<f32>(0.0);
            part2 = vec4<f32>(0.0);
            part3 = vec4<f32>(0.0);
        }
    }
    let n = n0 + across * 4u;
    for (var r = 0u; r < 4u; r++) {
        let m = m0 + down * 4u + r;
        store(dir, m, n, sum0[r]);
        store(dir, m, n + 1u, sum1[r]);
        store(dir, m, n + 2u, sum2[r]);
        store(dir, m, n + 3u, sum3[r]);
    }
}
