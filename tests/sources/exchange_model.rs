//! A model of the exchange of `shaders/exchange/grid_exchange.wgsl`, run in every order that relaxed atomics and
//! three preemptions allow. It has two workgroups of a thread each, two chunks of two exchanges, words written once,
//! a spin limit, the abort word, completion counts, and a host that runs an incomplete chunk again from its
//! beginning. Then the same for two pipelined layers, the second a chunk behind the first, with two preemptions.

use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering::Relaxed};
use loom::thread;
use std::sync::atomic::AtomicUsize;

const GROUPS: usize = 2;
const STEPS: usize = 3;
const CHUNKS: usize = 2;
/// Polls in a whole chunk.
const SPIN_LIMIT: u32 = 3;

/// An injected fault.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// The second workgroup stops writing from this step of this chunk on.
    Dies {
        chunk: usize,
        step: usize,
    },
}

struct ExchangeBuffer {
    abort: AtomicU32,
    completions: [AtomicU32; CHUNKS],
    words: [[AtomicU32; GROUPS]; STEPS],
}

/// h of one workgroup after a step: it depends on h of both before.
fn step(h: [u32; GROUPS], own: usize) -> u32 {
    3 * h[own] + 5 * h[1 - own] + own as u32
}

fn after(mut h: [u32; GROUPS], steps: usize) -> [u32; GROUPS] {
    for _ in 0..steps {
        h = [step(h, 0), step(h, 1)];
    }
    h
}

/// A workgroup in one chunk; its own h afterwards, if it completed.
fn workgroup(
    exchange_buffer: &ExchangeBuffer,
    own: usize,
    chunk: usize,
    start: [u32; GROUPS],
    fault: Fault,
) -> Option<u32> {
    let mut spin_limit = SPIN_LIMIT;
    let incomplete = chunk > 0 && exchange_buffer.completions[chunk - 1].load(Relaxed) != GROUPS as u32;
    if incomplete {
        exchange_buffer.abort.store(1, Relaxed);
        return None;
    }
    let mut h = start;
    for t in 0..STEPS {
        let mut next = h;
        next[own] = step(h, own);
        if own == 1 && fault == (Fault::Dies { chunk, step: t }) {
            return None;
        }
        if t + 1 < STEPS {
            exchange_buffer.words[t][own].store(!next[own], Relaxed);
            let mut found = exchange_buffer.words[t][1 - own].load(Relaxed);
            while found == 0 && spin_limit > 0 {
                spin_limit -= 1;
                if exchange_buffer.abort.load(Relaxed) != 0 {
                    spin_limit = 0;
                }
                thread::yield_now();
                found = exchange_buffer.words[t][1 - own].load(Relaxed);
            }
            if found == 0 {
                exchange_buffer.abort.store(1, Relaxed);
                return None;
            }
            next[1 - own] = !found;
            // The word is never an old one, nor that of another step.
            assert_eq!(next, after(start, t + 1));
        }
        h = next;
    }
    exchange_buffer.completions[chunk].fetch_add(1, Relaxed);
    Some(h[own])
}

/// All chunks, one dispatch after the other, with the host's part. Returns the first incomplete chunk.
fn run(fault: Fault) -> Option<usize> {
    let cell = |_| AtomicU32::new(0);
    let exchange_buffer = Arc::new(ExchangeBuffer {
        abort: AtomicU32::new(0),
        completions: std::array::from_fn(cell),
        words: std::array::from_fn(|_| std::array::from_fn(cell)),
    });
    let initial = [7, 11];
    // From one array to another, so that the states at the beginning of a failed chunk are kept.
    let mut states = [Some(initial); CHUNKS + 1];
    for chunk in 0..CHUNKS {
        for word in exchange_buffer.words.iter().flatten() {
            word.store(0, Relaxed);
        }
        let start = states[chunk].unwrap_or([0; GROUPS]);
        let other = {
            let exchange_buffer = exchange_buffer.clone();
            thread::spawn(move || workgroup(&exchange_buffer, 1, chunk, start, fault))
        };
        let first = workgroup(&exchange_buffer, 0, chunk, start, fault);
        // An array that not all workgroups have written is invalid.
        states[chunk + 1] = first.zip(other.join().unwrap()).map(|(a, b)| [a, b]);
    }
    let completed = |chunk: usize| exchange_buffer.completions[chunk].load(Relaxed) == GROUPS as u32;
    let failed = (0..CHUNKS).find(|&chunk| !completed(chunk));
    let end = match failed {
        None => states[CHUNKS],
        Some(chunk) => states[chunk].map(|start| after(start, (CHUNKS - chunk) * STEPS)),
    };
    assert_eq!(end, Some(after(initial, CHUNKS * STEPS)));
    failed
}

/// Slots of two pipelined layers: layer 1, of one workgroup, reads the result of layer 0 for the chunk before.
const SLOTS: usize = CHUNKS + 1;

/// h of layer 0, both units, and of layer 1.
type All = ([u32; GROUPS], u32);

/// Layer 1 after a chunk, from layer 0's states after it.
fn above(h: u32, below: [u32; GROUPS]) -> u32 {
    7 * h + below[0] + 2 * below[1]
}

/// All layers after a slot, step by step, from their states before it.
fn after_slot((below, h): All, slot: usize) -> All {
    let h = if slot > 0 { above(h, below) } else { h };
    (if slot < CHUNKS { after(below, STEPS) } else { below }, h)
}

/// All slots, one dispatch after the other, each completed by the workgroups of both layers; with the host's part.
/// Returns the first incomplete slot.
fn run_pipelined(fault: Fault) -> Option<usize> {
    let cell = |_| AtomicU32::new(0);
    let words = || ExchangeBuffer {
        abort: AtomicU32::new(0),
        completions: std::array::from_fn(cell),
        words: std::array::from_fn(|_| std::array::from_fn(cell)),
    };
    let (exchange_buffer, completions): (_, Arc<[AtomicU32; SLOTS]>) =
        (Arc::new(words()), Arc::new(std::array::from_fn(cell)));
    let all = GROUPS as u32 + 1;
    let initial: All = ([7, 11], 13);
    // From one array to another; an incomplete slot leaves invalid states in the other.
    let mut states = [Some(initial); SLOTS + 1];
    for slot in 0..SLOTS {
        for word in exchange_buffer.words.iter().flatten() {
            word.store(0, Relaxed);
        }
        let begins = slot == 0 || completions[slot - 1].load(Relaxed) == all;
        let (below, h) = states[slot].unwrap_or(([0; GROUPS], 0));
        let walk = |own: usize| {
            let (exchange_buffer, completions) = (exchange_buffer.clone(), completions.clone());
            move || {
                // Layer 0 has no steps in the last slot: its states are copied.
                let done = match slot < CHUNKS {
                    _ if !begins => None,
                    true => workgroup(&exchange_buffer, own, slot, below, fault),
                    false => Some(below[own]),
                };
                done.inspect(|_| _ = completions[slot].fetch_add(1, Relaxed))
            }
        };
        let second = {
            let completions = completions.clone();
            move || {
                let done = begins.then(|| if slot > 0 { above(h, below) } else { h });
                done.inspect(|_| _ = completions[slot].fetch_add(1, Relaxed))
            }
        };
        let (first, other, second) = match slot {
            0 => {
                let other = thread::spawn(walk(1));
                (walk(0)(), other.join().unwrap(), second())
            }
            // Both layers have steps.
            1 => {
                let (other, second) = (thread::spawn(walk(1)), thread::spawn(second));
                (walk(0)(), other.join().unwrap(), second.join().unwrap())
            }
            _ => (walk(0)(), walk(1)(), second()),
        };
        states[slot + 1] = first.zip(other).zip(second).map(|((a, b), h)| ([a, b], h));
    }
    let failed = (0..SLOTS).find(|&slot| completions[slot].load(Relaxed) != all);
    let from = failed.unwrap_or(SLOTS);
    let end = states[from].map(|start| (from..SLOTS).fold(start, after_slot));
    assert_eq!(end, Some((0..SLOTS).fold(initial, after_slot)));
    failed
}

/// Runs `check` in every order that so many preemptions allow.
fn in_every_order(preemptions: usize, check: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(check);
}

#[test]
fn completed_chunks_are_right_and_incomplete_ones_are_run_again() {
    let outcomes = std::sync::Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let counts = outcomes.clone();
    in_every_order(3, move || {
        counts[usize::from(run(Fault::None).is_some())].fetch_add(1, Relaxed);
    });
    // In some orders every chunk completes, in some not.
    let [completed, failed] = outcomes.each_ref().map(|count| count.load(Relaxed));
    assert!(completed > 0 && failed > 0, "{completed} completed, {failed} failed");
}

#[test]
fn a_workgroup_that_stops_is_never_counted_as_completed() {
    for chunk in 0..CHUNKS {
        for step in 0..STEPS {
            in_every_order(3, move || {
                let failed = run(Fault::Dies { chunk, step });
                assert!(failed.is_some_and(|failed| failed <= chunk), "{failed:?}");
            });
        }
    }
}

#[test]
fn pipelined_layers_are_completed_together_and_run_again_together() {
    let outcomes = std::sync::Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let counts = outcomes.clone();
    in_every_order(2, move || {
        counts[usize::from(run_pipelined(Fault::None).is_some())].fetch_add(1, Relaxed);
    });
    let [completed, failed] = outcomes.each_ref().map(|count| count.load(Relaxed));
    assert!(completed > 0 && failed > 0, "{completed} completed, {failed} failed");
    for chunk in 0..CHUNKS {
        in_every_order(2, move || {
            let failed = run_pipelined(Fault::Dies { chunk, step: 1 });
            assert!(failed.is_some_and(|failed| failed <= chunk), "{failed:?}");
        });
    }
}
