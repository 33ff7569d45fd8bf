// Broadcasts thread 0's value of a condition that is the same for all threads. naga requires this form: matrices may
// be used only under a condition that it can prove uniform.
// A vector of four, so that the variables which a driver lays out after it stay aligned for loads of whole rows.
var<workgroup> flag: vec4<u32>;

fn known(lane: u32, condition: bool) -> u32 {
    if (lane == 0u) {
        flag = vec4<u32>(select(0u, 1u, condition));
    }
    return workgroupUniformLoad(&flag).x;
}
