// The exchange between the workgroups to which the units of a tile are distributed: a value is its own flag.
//
// WGSL promises no order between stores to different places as another workgroup sees them, so each exchange word has
// to be valid by itself. It is one number of one exchange of the chunk, in a place of its own. The host sets it to 0,
// and it is written once, with a value other than 0. So no flags have to be reset, an old exchange word cannot be
// taken for a new one, and the words of one step are independent of all others. Numbers are compared as integers
// only, since WGSL may assume that no NaN exists.
//
// Nothing guarantees that workgroups run side by side either. So a thread polls at most `spin_limit` times. When it
// gives up it sets the abort word, word 0, which the others poll too, and its workgroup stops writing. A zero abort
// word does not prove that a chunk was completed: each workgroup whose threads all completed adds 1 to the chunk's
// completion count. A chunk begins only if the completion count of the one before is complete.

@group(0) @binding(11) var<storage, read_write> exchange_buffer: array<atomic<u32>>;  // abort word, workgroups that have begun, completion count of each chunk, exchange words

// Checked against `kernels::exchange::Params`.
struct ExchangeParams {
    completion: u32,   // the word of the chunk's completion count
    all: u32,          // workgroups of the dispatch
    words: u32,        // the first exchange word of the chunk
    spin_limit: u32,   // polls without success before a thread gives up
    before: u32,       // the completion count that the chunk before must have, 0 for the first
    unused0: u32,
    unused1: u32,
    unused2: u32,
}

@group(0) @binding(14) var<uniform> exchange_params: ExchangeParams;

var<workgroup> stops_from: atomic<u32>;   // the first exchange in which the workgroup writes nothing
var<workgroup> through: atomic<u32>;  // threads that completed

var<private> spin_limit: u32;
var<private> slot: u32;        // the first word of the current exchange
var<private> exchange: u32;

// Whether the workgroup has stopped writing.
fn has_stopped(at: Place) -> bool {
    return exchange >= atomicLoad(&stops_from);
}

// Called when words of this exchange are missing: the next one needs them. The workgroup's words of this exchange are
// valid, and other threads may not have written theirs yet, so it stops writing from the next on.
// Word 0 is the progress of the workgroup that got farthest before it gave up: 1 without any step, else 1 more than the
// exchanges that it began. A workgroup counts once: after that its threads poll no more, and give up in each exchange.
fn give_up(from_exchange: u32) {
    if (atomicMin(&stops_from, from_exchange) == 0xffffffffu) {
        atomicMax(&exchange_buffer[0], from_exchange + 1u);
    }
}

fn write_words(at: Place, value: Rows) {
    if (has_stopped(at)) {
        return;
    }
    for (var r = 0u; r < ROWS; r++) {
        atomicStore(&exchange_buffer[slot + at.unit * ROWS + r], max(~bitcast<u32>(row(value, r)), 1u));
    }
}

// Reads every other workgroup's words into the vector that begins with block `to`.
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
            // `spin_limit` is far below 2³¹, so this adds 0, which no compiler can know. Compilers merge relaxed
            // loads of one address: without it the loop would compare the value loaded before it.
            found = load_words(slot + (spin_limit >> 31u), units);
        }
        if (any(found == vec4<u32>(0u))) {
            give_up(exchange + 1u);
        }
        for (var e = 0u; e < AT_ONCE; e++) {
            if (i + e * WIDTH < others) {
                set_element(to, units[e], decoded(found, e));
            }
        }
    }
}
