// What a trial plants into grid_exchange.wgsl and multi_workgroup.wgsl: all workgroups wait for all before the first step, and every exchange word is late by
// up to DELAY looks, which is written before it by `kernels::exchange`.

// Waits until every workgroup of the dispatch has begun, unless this one has given up. For one thread of each: who have no words
// for each other would else come through although they do not run side by side.
fn meet() {
    if (atomicLoad(&silent) == 0u) {
        return;
    }
    atomicAdd(&exchange_buffer[1], 1u);
    let all = exchange_params.all * (exchange_params.completion - 1u);
    while (atomicLoad(&exchange_buffer[1]) < all && spin_limit > 0u) {
        spin_limit -= 1u;
    }
    if (spin_limit == 0u) {
        give_up(0u);
    }
}

fn delay(at: Place) {
    let looks = (((at.first + 1u) * (exchange + 1u) * 2654435761u) >> 8u) % max(DELAY, 1u);
    for (var i = 0u; i < looks; i++) {
        if (atomicLoad(&exchange_buffer[0]) != 0u) {
            break;
        }
    }
}
