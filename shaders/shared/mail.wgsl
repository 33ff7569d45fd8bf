// The exchange between the workgroups that have the units of a tile between them: a value is its own flag.
//
// WGSL promises no order between stores to different places as another workgroup sees them, so every word here means
// something by itself. A letter is one number of one exchange of the chunk, in a place of its own: 0 before it is written,
// which the host sees to, and written once. So there is nothing to arm again, no place where an old letter could pass
// for a new one, and what one step leaves behind says nothing of another. Numbers are compared as integers only, since WGSL may
// assume that no NaN exists.
//
// Nothing promises that workgroups run side by side either. So a thread looks for letters a bounded number of times; when
// it gives up it says so in word 0, where the others look too, and its workgroup writes no more. That a chunk was done
// is never concluded from the absence of that word: each workgroup whose threads all came through adds itself to
// the chunk's proof, and a chunk begins only if the proof of the one before is complete.

@group(0) @binding(11) var<storage, read_write> mail: array<atomic<u32>>;  // abort, present, a proof for each chunk, the letters

override DEAD_GROUP: u32;      // For tests of the way out: this workgroup of each tile
override DEAD_CHUNK: u32;      // writes nothing more in this chunk of the run
override DEAD_FROM: u32;       // from this step of it on;
override DELAY: u32;           // every letter waits up to as many looks, and all workgroups wait for all before the first.

var<workgroup> silent: atomic<u32>;   // the first exchange that the workgroup has nothing to write in
var<workgroup> through: atomic<u32>;  // threads that came through

var<private> patience: u32;
var<private> slot: u32;        // word of the letters of the exchange in hand
var<private> exchange: u32;

// Whether the workgroup writes nothing more.
fn is_silent(at: Place) -> bool {
    let is_dead = at.first / OWN == DEAD_GROUP && params.proof - 2u == DEAD_CHUNK && now >= DEAD_FROM;
    return is_dead || exchange >= atomicLoad(&silent);
}

// What is missing in this exchange is needed for the next. The letters of this one are right, and other threads of the
// workgroup may have theirs still to write.
fn give_up(from_exchange: u32) {
    atomicMin(&silent, from_exchange);
    atomicStore(&mail[0], 1u);
}

// Waits until every workgroup of the dispatch has begun. For one thread of each, in a self-test: who have no letters for each
// other would else come through although they do not run side by side.
fn meet() {
    atomicAdd(&mail[1], 1u);
    while (atomicLoad(&mail[1]) < params.all * (params.proof - 1u) && patience > 0u) {
        patience -= 1u;
    }
    if (patience == 0u) {
        give_up(0u);
    }
}

fn write_letters(at: Place, value: Rows) {
    if (is_silent(at)) {
        return;
    }
    if (DELAY > 0u) {
        let looks = (((at.first + 1u) * (exchange + 1u) * 2654435761u) >> 8u) % max(DELAY, 1u);
        for (var i = 0u; i < looks; i++) {
            if (atomicLoad(&mail[0]) != 0u) {
                break;
            }
        }
    }
    for (var r = 0u; r < ROWS; r++) {
        atomicStore(&mail[slot + at.unit * ROWS + r], max(~bitcast<u32>(row(value, r)), 1u));
    }
}

// Takes every other workgroup's letters to the vector that begins at `to`.
fn read_letters(at: Place, to: u32) {
    let others = HIDDEN - at.count;
    for (var i = at.lane; i < others; i += WIDTH * AT_ONCE) {
        var units: array<u32, AT_ONCE>;
        for (var e = 0u; e < AT_ONCE; e++) {
            let other = min(i + e * WIDTH, others - 1u);
            units[e] = other + select(0u, at.count, other >= at.first);
        }
        var found = letters(slot, units);
        while (any(found == vec4<u32>(0u)) && patience > 0u) {
            patience -= 1u;
            if (patience % 64u == 0u && atomicLoad(&mail[0]) != 0u) {
                patience = 0u;
            }
            found = letters(slot, units);
        }
        if (any(found == vec4<u32>(0u))) {
            give_up(exchange + 1u);
        }
        for (var e = 0u; e < AT_ONCE; e++) {
            if (i + e * WIDTH < others) {
                vector[to + units[e]] = opened(found, e);
            }
        }
    }
}
