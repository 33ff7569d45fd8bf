// What a trial plants into mail.wgsl and grouped.wgsl: all workgroups wait for all before the first step, and every letter is late by
// up to DELAY looks, which is written before it by `kernels::exchange`.

// Waits until every workgroup of the dispatch has begun, unless this one has given up. For one thread of each: who have no letters
// for each other would else come through although they do not run side by side.
fn meet() {
    if (atomicLoad(&silent) == 0u) {
        return;
    }
    atomicAdd(&mail[1], 1u);
    let all = exchange_params.all * (exchange_params.proof - 1u);
    while (atomicLoad(&mail[1]) < all && patience > 0u) {
        patience -= 1u;
    }
    if (patience == 0u) {
        give_up(0u);
    }
}

fn delay(at: Place) {
    let looks = (((at.first + 1u) * (exchange + 1u) * 2654435761u) >> 8u) % max(DELAY, 1u);
    for (var i = 0u; i < looks; i++) {
        if (atomicLoad(&mail[0]) != 0u) {
            break;
        }
    }
}
