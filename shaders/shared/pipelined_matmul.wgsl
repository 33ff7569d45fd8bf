// A matmul for several layers, which read one x each.
fn x_of(dir: u32) -> u32 {
    return dir * pipelining.x_dir;
}

fn first_of_out() -> u32 {
    return pipelining.out_first;
}
