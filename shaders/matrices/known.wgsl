// What thread 0 says of a condition that is the same for all, in a form in which naga believes it: matrices must not depend on
// another.
// Four, so that what a driver lays out after it stays aligned for loads of whole rows.
var<workgroup> flag: vec4<u32>;

fn known(lane: u32, condition: bool) -> u32 {
    if (lane == 0u) {
        flag = vec4<u32>(select(0u, 1u, condition));
    }
    return workgroupUniformLoad(&flag).x;
}
