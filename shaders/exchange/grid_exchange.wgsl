// The exchange between the workgroups that have the units of a tile between them: a value is its own flag.
//
// WGSL promises no order between stores to different places as another workgroup sees them, so every word here means
// something by itself. An exchange word is one number of one exchange of the chunk, in a place of its own: 0 before it is written,
// which the host sees to, and written once. So there is nothing to arm again, no place where an old exchange word could pass
// for a new one, and what one step leaves behind says nothing of another. Numbers are compared as integers only, since WGSL may
// assume that no NaN exists.
//
// Nothing promises that workgroups run side by side either. So a thread looks for words a bounded number of times; when
// it gives up it says so in word 0, where the others look too, and its workgroup writes no more. That a chunk was done
// is never concluded from the absence of that word: each workgroup whose threads all came through adds itself to
// the chunk's completion, and a chunk begins only if the completion of the one before is complete.

@group(0) @binding(11) var<storage, read_write> exchange_buffer: array<atomic<u32>>;  // abort, present, a completion for each chunk, the words

// Held against `kernels::exchange::Params`.
struct ExchangeParams {
    completion: u32,      // word of the exchange buffer that counts the workgroups which have completed this chunk
    all: u32,        // workgroups of the dispatch
    words: u32,    // word of the exchange buffer that the chunk's words begin with
    spin_limit: u32,   // how often a thread looks for words that are not there yet
    before: u32,     // workgroups that have to have completed the chunk before, 0 of the first
    unused0: u32,
    unused1: u32,
    unused2: u32,
}

@group(0) @binding(14) var<uniform> exchange_params: ExchangeParams;

var<workgroup> silent: atomic<u32>;   // the first exchange that the workgroup has nothing to write in
var<workgroup> through: atomic<u32>;  // threads that came through

var<private> spin_limit: u32;
var<private> slot: u32;        // word of the words of the exchange in hand
var<private> exchange: u32;

// Whether the workgroup writes nothing more.
fn is_silent(at: Place) -> bool {
    return exchange >= atomicLoad(&silent);
}

// What is missing in this exchange is needed for the next. The words of this one are right, and other threads of the
// workgroup may have theirs still to write.
// Word 0 says how far the thread that got farthest came: 1 for not even the first step, else 1 more than the exchanges it began.
fn give_up(from_exchange: u32) {
    atomicMin(&silent, from_exchange);
    atomicMax(&exchange_buffer[0], from_exchange + 1u);
}

fn write_words(at: Place, value: Rows) {
    if (is_silent(at)) {
        return;
    }
    for (var r = 0u; r < ROWS; r++) {
        atomicStore(&exchange_buffer[slot + at.unit * ROWS + r], max(~bitcast<u32>(row(value, r)), 1u));
    }
}

// Takes every other workgroup's words to the vector that begins at `to`.
fn read_words(at: Place, to: u32) {
    let others = HIDDEN - at.count;
    for (var i = at.lane; i < others; i += WIDTH * AT_ONCE) {
        var units: array<u32, AT_ONCE>;
        for (var e = 0u; e < AT_ONCE; e++) {
            let other = min(i + e * WIDTH, others - 1u);
            units[e] = other + select(0u, at.count, other >= at.first);
        }
        var found = load_words(slot, units);
        while (any(found == vec4<u32>(0u)) && spin_limit > 0u) {
            spin_limit -= 1u;
            if (spin_limit % 64u == 0u && atomicLoad(&exchange_buffer[0]) != 0u) {
                spin_limit = 0u;
            }
            // `spin_limit` is far below 2³¹, so this adds 0, but no compiler knows. Compilers merge loads of one address
            // that promise no order: without it the loop would compare what was loaded before it.
            found = load_words(slot + (spin_limit >> 31u), units);
        }
        if (any(found == vec4<u32>(0u))) {
            give_up(exchange + 1u);
        }
        for (var e = 0u; e < AT_ONCE; e++) {
            if (i + e * WIDTH < others) {
                vector[to + units[e]] = decoded(found, e);
            }
        }
    }
}
