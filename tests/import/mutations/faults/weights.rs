//! Faults of the weights: rows of gates, conventions of the GRU, peepholes, projections, biases.

use wgru::Cell;
use wgru::model::{Forget, Reset, Update};

use super::{Fault, before};
use crate::mutations::draft::{Draft, swap_blocks, transposed};

pub fn all() -> Vec<Fault> {
    [gates(), gru(), lstm(), biases()].concat()
}

fn gates() -> Vec<Fault> {
    vec![
        before("GRU: r and z swapped", |draft| draft.swap_gates(3, [0, 1])),
        before("GRU: r and n swapped", |draft| draft.swap_gates(3, [0, 2])),
        before("GRU: z and n swapped", |draft| draft.swap_gates(3, [1, 2])),
        before("GRU: r and z swapped in the biases only", |draft| {
            if draft.gates() == 3 {
                draft.each(|weights, _| {
                    let biases = weights.b_ih.iter_mut().chain(&mut weights.b_hh);
                    biases.for_each(|values| swap_blocks(values, 3, [0, 1]));
                });
            }
        }),
        before("LSTM: i and f swapped", |draft| draft.swap_gates(4, [0, 1])),
        before("LSTM: i and g swapped", |draft| draft.swap_gates(4, [0, 2])),
        before("LSTM: i and o swapped", |draft| draft.swap_gates(4, [0, 3])),
        before("LSTM: f and g swapped", |draft| draft.swap_gates(4, [1, 2])),
        before("LSTM: f and o swapped", |draft| draft.swap_gates(4, [1, 3])),
        before("LSTM: g and o swapped", |draft| draft.swap_gates(4, [2, 3])),
        before("GRU: R transposed", |draft| transpose_r(draft, 3)),
        before("LSTM: R transposed", |draft| transpose_r(draft, 4)),
        before("RNN: R transposed", |draft| transpose_r(draft, 1)),
        before("GRU: R_n transposed, R_r and R_z not", |draft| {
            let block = draft.hidden * draft.hidden;
            if draft.gates() == 3 {
                let hidden = draft.hidden;
                draft.each(|weights, _| {
                    let turned = transposed(&weights.w_hh[2 * block..], hidden);
                    weights.w_hh.splice(2 * block.., turned);
                });
            }
        }),
        before("W read column by column", |draft| {
            draft.each(|weights, input| weights.w_ih = transposed(&weights.w_ih, input));
        }),
        before("R read column by column", |draft| {
            let state = draft.state;
            draft.each(|weights, _| weights.w_hh = transposed(&weights.w_hh, state));
        }),
    ]
}

/// Transposes the matrix of each gate, where it is square.
fn transpose_r(draft: &mut Draft, gates: usize) {
    if draft.gates() == gates && draft.state == draft.hidden {
        let hidden = draft.hidden;
        draft.each(|weights, _| {
            let blocks = weights.w_hh.chunks_exact(hidden * hidden);
            weights.w_hh = blocks.flat_map(|block| transposed(block, hidden)).collect();
        });
    }
}

fn gru() -> Vec<Fault> {
    vec![
        before("GRU: reset before for after", |draft| {
            if let Cell::Gru { reset: reset @ Reset::After, .. } = &mut draft.cell {
                *reset = Reset::Before;
            }
        }),
        before("GRU: reset after for before", |draft| {
            if let Cell::Gru { reset: reset @ Reset::Before, .. } = &mut draft.cell {
                *reset = Reset::After;
            }
        }),
        before("GRU: z takes where it keeps", |draft| {
            if let Cell::Gru { update: update @ Update::Keeps, .. } = &mut draft.cell {
                *update = Update::Takes;
            }
        }),
        before("GRU: z keeps where it takes", |draft| {
            if let Cell::Gru { update: update @ Update::Takes, .. } = &mut draft.cell {
                *update = Update::Keeps;
            }
        }),
        before("GRU: c_n outside the reset product", |draft| move_n(draft, true)),
        before("GRU: b_n inside the reset product", |draft| move_n(draft, false)),
    ]
}

/// Adds the n part of one bias to the other's; a reset after the product makes that differ.
fn move_n(draft: &mut Draft, out: bool) {
    let hidden = draft.hidden;
    if !matches!(draft.cell, Cell::Gru { reset: Reset::After, .. }) {
        return;
    }
    draft.each(|weights, _| {
        let (from, to) = match out {
            true => (&mut weights.b_hh, &mut weights.b_ih),
            false => (&mut weights.b_ih, &mut weights.b_hh),
        };
        let Some(from) = from else { return };
        let to = to.get_or_insert_with(|| vec![0.0; 3 * hidden]);
        for (from, to) in from[2 * hidden..].iter_mut().zip(&mut to[2 * hidden..]) {
            *to += *from;
            *from = 0.0;
        }
    });
}

fn lstm() -> Vec<Fault> {
    vec![
        before("LSTM: f coupled where it has rows of its own", |draft| {
            if draft.cell == Cell::LSTM {
                draft.cell = Cell::Lstm { forget: Forget::Coupled };
            }
        }),
        before("LSTM: f of its rows where it is coupled", |draft| {
            if draft.cell.has_c() {
                draft.cell = Cell::LSTM;
            }
        }),
        before("LSTM: peepholes dropped", |draft| draft.each(|weights, _| weights.peepholes = None)),
        before("LSTM: p_i dropped", |draft| drop_peephole(draft, 0)),
        before("LSTM: p_f dropped", |draft| drop_peephole(draft, 1)),
        before("LSTM: p_o dropped", |draft| drop_peephole(draft, 2)),
        before("LSTM: p_i and p_f swapped", |draft| swap_peepholes(draft, [0, 1])),
        before("LSTM: p_i and p_o swapped", |draft| swap_peepholes(draft, [0, 2])),
        before("LSTM: p_f and p_o swapped", |draft| swap_peepholes(draft, [1, 2])),
        before("LSTM: rows of the projection in reverse", |draft| {
            let hidden = draft.hidden;
            draft.each(|weights, _| {
                if let Some(w_hr) = &mut weights.w_hr {
                    *w_hr = w_hr.chunks_exact(hidden).rev().flatten().copied().collect();
                }
            });
        }),
        before("LSTM: projection read column by column", |draft| {
            let hidden = draft.hidden;
            draft.each(|weights, _| {
                if let Some(w_hr) = &mut weights.w_hr {
                    *w_hr = transposed(w_hr, hidden);
                }
            });
        }),
    ]
}

fn drop_peephole(draft: &mut Draft, gate: usize) {
    let hidden = draft.hidden;
    draft.each(|weights, _| {
        if let Some(peepholes) = &mut weights.peepholes {
            peepholes[gate * hidden..][..hidden].fill(0.0);
        }
    });
}

/// p_f of a coupled f has no effect.
fn swap_peepholes(draft: &mut Draft, gates: [usize; 2]) {
    draft.each(|weights, _| {
        if let Some(peepholes) = &mut weights.peepholes {
            swap_blocks(peepholes, 3, gates);
        }
    });
}

fn biases() -> Vec<Fault> {
    vec![
        before("b_ih dropped", |draft| draft.each(|weights, _| weights.b_ih = None)),
        before("b_hh dropped", |draft| draft.each(|weights, _| weights.b_hh = None)),
        before("GRU: b_ih and b_hh swapped", |draft| {
            if matches!(draft.cell, Cell::Gru { reset: Reset::After, .. }) {
                draft.each(|weights, _| std::mem::swap(&mut weights.b_ih, &mut weights.b_hh));
            }
        }),
        before("b_ih counted twice", |draft| {
            draft.each(|weights, _| weights.b_ih.iter_mut().flatten().for_each(|b| *b *= 2.0));
        }),
    ]
}
