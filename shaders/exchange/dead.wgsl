// A fault that is planted into grid_exchange.wgsl: a workgroup of each tile that writes nothing more. DEAD_GROUP, DEAD_CHUNK and DEAD_FROM are
// written before it by `kernels::exchange`.

fn is_dead(at: Place) -> bool {
    return at.first / OWN == DEAD_GROUP && exchange_params.completion - 2u == DEAD_CHUNK && now >= DEAD_FROM;
}
