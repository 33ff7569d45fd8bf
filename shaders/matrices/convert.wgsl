// Stores k from `start` on of the vector, rounded to f16, to workgroup memory.
fn convert(lane: u32, dir: u32, first: u32, start: u32) {
    for (var i = lane; i < TILES * OCTETS; i += WIDTH) {
        let place = i % OCTETS;
        let tile = i / OCTETS;
        let k = start + 8u * place;
        let state = vector_of(dir, min(first + tile, params.tiles - 1u)) + k;
        var columns: array<Rows, 8>;
        if (k < K) {
            for (var j = 0u; j < 8u; j++) {
                columns[j] = within_f16(vector_at(state + min(j, K - 1u - k)));
            }
        }
        if (K % 8u != 0u) {
            for (var j = 0u; j < 8u; j++) {
                columns[j] = select(Rows(0.0), columns[j], Mask(k + j < K));
            }
        }
        for (var r = 0u; r < ROWS; r++) {
            let line = tile * ROWS + r;
            let e = Eight(
                vec4<f16>(vec4<f32>(row(columns[0], r), row(columns[1], r), row(columns[2], r), row(columns[3], r))),
                vec4<f16>(vec4<f32>(row(columns[4], r), row(columns[5], r), row(columns[6], r), row(columns[7], r))),
            );
            a_lines[line / HIGH][line % HIGH][place] = octet(e);
        }
    }
}
