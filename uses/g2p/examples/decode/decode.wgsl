// The application's passes between two steps of the decoder: the embedding of the phoneme before, and the most probable next one.

override PHONEMES: u32 = 1; // P; the first is the end
override FEATURES: u32 = 1; // E
override STEPS: u32 = 1;    // S

@group(0) @binding(0) var<storage, read> embeddings: array<f32>;     // [P, E]
@group(0) @binding(1) var<storage, read_write> x: array<f32>;        // [B, E]
@group(0) @binding(2) var<storage, read_write> before: array<u32>;   // [B]: the phoneme before; P where the word has ended
@group(0) @binding(3) var<storage, read> scores: array<f32>;         // [B, P]
@group(0) @binding(4) var<storage, read_write> spoken: array<u32>;   // [B, 1 + S]: the number of phonemes, then these

// A thread for each number of x. Ended words are computed too, with the end before.
@compute @workgroup_size(64)
fn gather(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < arrayLength(&x)) {
        let phoneme = before[id.x / FEATURES] % PHONEMES;
        x[id.x] = embeddings[phoneme * FEATURES + id.x % FEATURES];
    }
}

// A thread for each word. The first of equal scores is taken, as on the host.
@compute @workgroup_size(64)
fn choose(@builtin(global_invocation_id) id: vec3<u32>) {
    let word = id.x;
    if (word >= arrayLength(&before) || before[word] == PHONEMES) {
        return;
    }
    var best = 0u;
    for (var phoneme = 1u; phoneme < PHONEMES; phoneme += 1u) {
        if (scores[word * PHONEMES + phoneme] > scores[word * PHONEMES + best]) {
            best = phoneme;
        }
    }
    if (best == 0u) {
        before[word] = PHONEMES;
        return;
    }
    let row = word * (1u + STEPS);
    let count = spoken[row] + 1u;
    spoken[row] = count;
    spoken[row + count] = best;
    before[word] = best;
}
