// A fault that tests inject into grid_exchange.wgsl and multi_workgroup.wgsl: every workgroup waits for all others
// before the first step, and every exchange word is late by up to DELAY polls. `kernels::exchange` writes DELAY
// before this text.

// Waits until every workgroup of the dispatch has begun, unless this one, or another before this one began, has given
// up: so word 1 counts the workgroups that ran at once. One thread of each workgroup calls it. Without it, workgroups that exchange no words with each other would complete although they do not run
// side by side.
fn wait_for_all() {
    if (atomicLoad(&stops_from) == 0u) {
        return;
    }
    if (atomicLoad(&exchange_buffer[0]) != 0u) {
        give_up(0u);
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
    let polls = (((at.first + 1u) * (exchange + 1u) * 2654435761u) >> 8u) % max(DELAY, 1u);
    for (var i = 0u; i < polls; i++) {
        if (atomicLoad(&exchange_buffer[0]) != 0u) {
            break;
        }
    }
}
