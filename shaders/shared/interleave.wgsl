// Which of `count` parts a workgroup takes, the parts being in the order of falling length: from both ends in turn, so that
// workgroups that are assigned to a device's cores by halves, as some do it, have long and short ones in each.
fn interleaved(index: u32, count: u32) -> u32 {
    return select(index / 2u, count - 1u - index / 2u, index % 2u == 1u);
}
