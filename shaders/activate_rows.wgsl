// The activation of a readout, in place: LANES threads a row, workgroups (x, y) = WIDTH / LANES rows, SIDE workgroups in a row.

// Checked against `kernels::activate_rows::Params`.
struct ActivateParams {
    rows: u32,      // rows of out
    unused0: u32,
    unused1: u32,
    unused2: u32,
}

@group(0) @binding(0) var<uniform> params: ActivateParams;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;     // [rows, COLUMNS]

override WIDTH: u32;       // threads of a workgroup, at most 64
override SIDE: u32;        // workgroups in a row of a grid of several rows
override COLUMNS: u32;     // O
override LANES: u32;       // threads of a row, a power of two
override FUNCTION: u32;    // of `of_number`, where each number is by itself
override SOFTMAX: u32;     // 0: each number is by itself, 1: softmax, 2: its logarithm

var<workgroup> parts: array<f32, 64>;

// The largest of the numbers of a row's threads, or their sum. Its order depends on LANES alone.
fn of_row(is_sum: bool, lane: u32, thread: u32, own: f32) -> f32 {
    parts[thread] = own;
    for (var apart = LANES / 2u; apart > 0u; apart /= 2u) {
        workgroupBarrier();
        if (lane < apart) {
            let other = parts[thread + apart];
            parts[thread] = select(max(parts[thread], other), parts[thread] + other, is_sum);
        }
    }
    workgroupBarrier();
    let all = parts[thread - lane];
    workgroupBarrier();
    return all;
}

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let lane = thread % LANES;
    let row = (group.y * SIDE + group.x) * (WIDTH / LANES) + thread / LANES;
    let first = row * COLUMNS + lane;
    // Threads past the last row have no columns, and take part in the barriers.
    let end = select(first, (row + 1u) * COLUMNS, row < params.rows);
    if (SOFTMAX == 0u) {
        for (var at = first; at < end; at += LANES) {
            out[at] = activate(FUNCTION, 0.0, 0.0, out[at]);
        }
        return;
    }
    // `max` drops a NaN, which comes back in the difference.
    var most = -3.4028234e38;
    for (var at = first; at < end; at += LANES) {
        most = max(most, out[at]);
    }
    most = of_row(false, lane, thread, most);
    var sum = 0.0;
    for (var at = first; at < end; at += LANES) {
        sum += power(out[at] - most);
    }
    sum = of_row(true, lane, thread, sum);
    let log_of_sum = logarithm(sum);
    for (var at = first; at < end; at += LANES) {
        let difference = out[at] - most;
        out[at] = select(power(difference) / sum, difference - log_of_sum, SOFTMAX == 2u);
    }
}
