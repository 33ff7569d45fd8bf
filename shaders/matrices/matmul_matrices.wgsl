// out = w x + bias for many rows of f16, by cooperative matrices: see lines.wgsl. A workgroup owns 2·HIGH rows × 2·WIDE
// columns. The sums pass through workgroup memory before they are stored, two matrices of each subgroup at a time.
//
// The device chooses the reduction order within a matrix, so the sums may differ from those of the other kernels.

override K: u32;               // features read
override WIDTH: u32;           // threads of a workgroup

const BESIDE: u32 = 2u * SIDE; // columns of a subgroup that are stored together

var<workgroup> starts: array<u32, 2u * HIGH>;                  // where the rows begin in x, or NONE
var<workgroup> sums: array<array<f32, SIDE * BESIDE>, 4>;      // [4 subgroups, SIDE rows, BESIDE columns]

const A_OCTET: u32 = X_OCTET;

// Where the first eight k of a row are. Of a row that is not there those of some other; its sums are not used.
fn a_at(dir: u32, first: u32, line: u32) -> u32 {
    let start = starts[line];
    return select(x_place(start), 0u, start == NONE);
}

fn a_eight(at: u32) -> Eight {
    return x_eight(at);
}

// Past N the last column, whose sums are not stored.
fn b_column(own: u32, line: u32) -> u32 {
    return min(own + line, N - 1u);
}

@compute @workgroup_size(WIDTH)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(subgroup_id) subgroup: u32,
) {
    let m0 = interleaved(group.y, (params.rows + 2u * HIGH - 1u) / (2u * HIGH)) * 2u * HIGH;
    let n0 = group.x * 2u * WIDE;
    let dir = group.z;
    if (known(lane, all_ended(dir, m0, 2u * HIGH)) != 0u) {
        return;
    }
    for (var i = lane; i < 2u * HIGH; i += WIDTH) {
        starts[i] = x_at(dir, m0 + i);
    }
    workgroupBarrier();
    multiply_all(lane, subgroup, dir, m0, n0);
}

// Stores the sums of the matrices of row `part` of each subgroup, from column `beside` of it on. Four rows lie side by
// side in the tiled arrays; the next column follows.
fn finish(lane: u32, dir: u32, m0: u32, n0: u32, part: u32, beside: u32) {
    for (var i = lane; i < 4u * SIDE * BESIDE; i += WIDTH) {
        let whose = i / (SIDE * BESIDE);
        let place = i % (SIDE * BESIDE);
        let m = place / (4u * BESIDE) * 4u + place % 4u;
        let n = place / 4u % BESIDE;
        let line = whose / 2u * HIGH + part * SIDE + m;
        let sum = select(sums[whose][m * BESIDE + n], 0.0, starts[line] == NONE);
        store(dir, m0 + line, n0 + whose % 2u * WIDE + beside + n, sum);
    }
}
