// The activations of a layer's directions, the clip of their inputs and that of the state, all pipeline constants.

override GATE0: u32;
override GATE0_ALPHA: f32;
override GATE0_BETA: f32;
override CANDIDATE0: u32;
override CANDIDATE0_ALPHA: f32;
override CANDIDATE0_BETA: f32;
override OUTPUT0: u32;
override OUTPUT0_ALPHA: f32;
override OUTPUT0_BETA: f32;
override GATE1: u32;
override GATE1_ALPHA: f32;
override GATE1_BETA: f32;
override CANDIDATE1: u32;
override CANDIDATE1_ALPHA: f32;
override CANDIDATE1_BETA: f32;
override OUTPUT1: u32;
override OUTPUT1_ALPHA: f32;
override OUTPUT1_BETA: f32;
override ONE_SET: bool;    // whether the directions have the same activations, so that none has to be selected
override CLIPS: bool;      // whether the input of each activation is clamped
override CLIP: f32;        // to -CLIP .. CLIP

override STATE_CLIPS: bool;    // whether the new state is clamped
override STATE_CLIP: f32;      // to -STATE_CLIP .. STATE_CLIP

fn clipped(x: Rows) -> Rows {
    if (CLIPS) {
        return bounded(x, CLIP);
    }
    return x;
}

// The new state within its clip: c of an LSTM, h of the others.
fn kept(state: Rows) -> Rows {
    if (STATE_CLIPS) {
        return bounded(state, STATE_CLIP);
    }
    return state;
}

// f: r and z of a GRU, i, f and o of an LSTM, the only one of an RNN.
fn gate(dir: u32, x: Rows) -> Rows {
    if (ONE_SET || dir == 0u) {
        return activate(GATE0, GATE0_ALPHA, GATE0_BETA, clipped(x));
    }
    return activate(GATE1, GATE1_ALPHA, GATE1_BETA, clipped(x));
}

// g: n of a GRU, g of an LSTM.
fn candidate(dir: u32, x: Rows) -> Rows {
    if (ONE_SET || dir == 0u) {
        return activate(CANDIDATE0, CANDIDATE0_ALPHA, CANDIDATE0_BETA, clipped(x));
    }
    return activate(CANDIDATE1, CANDIDATE1_ALPHA, CANDIDATE1_BETA, clipped(x));
}

// h: of an LSTM's c', which the clip leaves alone.
fn output(dir: u32, x: Rows) -> Rows {
    if (ONE_SET || dir == 0u) {
        return activate(OUTPUT0, OUTPUT0_ALPHA, OUTPUT0_BETA, x);
    }
    return activate(OUTPUT1, OUTPUT1_ALPHA, OUTPUT1_BETA, x);
}
