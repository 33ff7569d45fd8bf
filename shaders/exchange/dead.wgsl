// A fault that tests inject into grid_exchange.wgsl: one workgroup of each tile stops writing. `kernels::exchange`
// writes DEAD_GROUP, DEAD_CHUNK and DEAD_FROM before this text.

fn is_dead(at: Place) -> bool {
    return at.first / OWN == DEAD_GROUP && exchange_params.completion - 2u == DEAD_CHUNK && now >= DEAD_FROM;
}
