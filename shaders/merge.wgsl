// y of a layer that merges both directions: thread = a word, workgroups (x, y) = words, SIDE workgroups in a row.

// Checked against `kernels::merge::Params`.
struct MergeParams {
    words: u32,      // words of out
    unused0: u32,
    unused1: u32,
    unused2: u32,
}

@group(0) @binding(0) var<uniform> params: MergeParams;

override WIDTH: u32;       // threads of a workgroup, one word each
override SIDE: u32;        // workgroups in a row of a grid of several rows
override MODE: u32;        // 0: the sum, 1: the product, 2: the mean

fn merged(forward: f32, reverse: f32) -> f32 {
    if (MODE == 1u) {
        return forward * reverse;
    }
    let sum = forward + reverse;
    return select(sum, sum * 0.5, MODE == 2u);
}

@compute @workgroup_size(WIDTH)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
    let at = (group.y * SIDE + group.x) * WIDTH + lane;
    if (at < params.words) {
        out[at] = merged_word(both[at], both[params.words + at]);
    }
}
