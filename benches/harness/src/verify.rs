//! Compares a run with the f64 reference: all of it, or a sample if all of it would take too long.
//!
//! Batch rows are independent, so some of them are as good as all. A forward layer's first steps do not depend on
//! later ones. So if one row is still too long, its first steps are compared, and the final state is not. Where forward and
//! reverse layers alternate, no step can be left out: two whole rows are compared, however long that takes.

use wgru::io::OutputShape;
use wgru::model::{Direction, Model};
use wgru::reference::{self, Comparison, Tolerance, compare};
use wgru::{Batch, Options, Output};

use crate::outputs::{Axes, describe};

/// The most operations to compute with the reference, about a second's worth.
const BUDGET: f64 = 4e8;

/// A batch-major batch with zero states, as the benchmarks run it.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// `[B, T, I]`.
    pub x: &'a [f32],
    /// B, T and I.
    pub shape: [usize; 3],
    /// `[B]`.
    pub lengths: Option<&'a [u32]>,
}

impl<'a> Inputs<'a> {
    /// The batch.
    pub fn batch(&self) -> wgru::Result<Batch<'a>> {
        let batch = Batch::new(self.x, self.shape)?;
        Ok(match self.lengths {
            Some(lengths) => batch.lengths(lengths),
            None => batch,
        })
    }
}

/// The comparison nearest to its tolerance. `flops`: operations of one step of one sequence.
///
/// # Errors
/// Why a sample cannot be made; the array that exceeds its tolerance, its error and the tolerance.
pub fn require(
    model: &Model,
    inputs: Inputs<'_>,
    output: &Output,
    options: Options,
    flops: f64,
) -> Result<Comparison, String> {
    let (worst, found) = verify(model, inputs, output, options, flops)?;
    if worst.passes() { Ok(worst) } else { Err(found) }
}

/// The comparison nearest to its tolerance, and its description. `flops`: operations of one step of one sequence.
///
/// # Errors
/// Why a sample cannot be made.
fn verify(
    model: &Model,
    inputs: Inputs<'_>,
    output: &Output,
    options: Options,
    flops: f64,
) -> Result<(Comparison, String), String> {
    let [batch, steps, features] = inputs.shape;
    let forward = model.layers().iter().all(|layer| layer.direction() == Direction::Forward);
    let reverse = model.layers().iter().all(|layer| layer.direction() != Direction::Forward);
    let least = if forward || reverse { 1 } else { 2 };
    let rows = sample(batch, ((BUDGET / flops / steps as f64) as usize).max(least));
    let forward = forward && model.readout().is_none();
    let most = ((BUDGET / flops) as usize).clamp(1, steps);
    let kept = if rows.len() == 1 && forward && most < steps { most } else { steps };

    let pick = |data: &[f32], width: usize| -> Vec<f32> {
        rows.iter().flat_map(|row| &data[row * steps * width..][..kept * width]).copied().collect()
    };
    let x = pick(inputs.x, features);
    let lengths =
        inputs.lengths.map(|all| rows.iter().map(|&row| all[row].min(kept as u32)).collect::<Vec<u32>>());
    let sampled = Inputs { x: &x, shape: [rows.len(), kept, features], lengths: lengths.as_deref() };
    let sampled = sampled.batch().map_err(|error| error.to_string())?;
    let mut truth = reference::run(model, &sampled).map_err(|error| error.to_string())?;

    let states = |data: &[f32]| -> Vec<f32> {
        let width = data.len() / model.num_states() / batch;
        let of = |state: usize| {
            rows.iter().flat_map(move |row| data[(state * batch + row) * width..][..width].to_vec())
        };
        (0..model.num_states()).flat_map(of).collect()
    };
    let mut got = Output {
        y: pick(&output.y, model.output()),
        h_n: states(&output.h_n),
        c_n: output.c_n.as_deref().map(states),
        out: None,
    };
    if kept < steps {
        (truth.h_n, truth.c_n) = (Vec::new(), None);
        (got.h_n, got.c_n) = (Vec::new(), None);
    }
    let tolerance = Tolerance::stored(model, &sampled, options.precision());
    let all = compare(&truth, &got, tolerance);
    let share = |comparison: &Comparison| comparison.error / comparison.tolerance;
    let worst = all.into_iter().max_by(|a, b| share(a).total_cmp(&share(b))).ok_or("nothing to compare")?;
    let shapes = OutputShape::new(model, sampled.run_shape()).map_err(|error| error.to_string())?;
    let found = describe(&worst, &Axes::of(&shapes, sampled.run_shape()), Some(&rows));
    Ok((worst, found))
}

/// At most `most` of `count` rows, and at least one: first, last and between.
fn sample(count: usize, most: usize) -> Vec<usize> {
    let most = most.clamp(1, count);
    match most {
        1 => vec![count / 2],
        _ => (0..most).map(|i| i * (count - 1) / (most - 1)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Case, values};

    #[test]
    fn samples_reach_from_end_to_end() {
        assert_eq!(sample(5, 9), [0, 1, 2, 3, 4]);
        assert_eq!(sample(9, 3), [0, 4, 8]);
        assert_eq!(sample(9, 0), [4]);
    }

    /// A fault in one element is found if all is compared, and one in a sampled row if a sample is.
    #[test]
    fn a_fault_is_seen() {
        let mut rng = fastrand::Rng::with_seed(1);
        let case: Case = "lstm-b4-t6-i3-h5".parse().unwrap();
        let model = case.model(&mut rng).unwrap();
        let x = values(&mut rng, 4 * 6 * 3, 1.0);
        let inputs = Inputs { x: &x, shape: [4, 6, 3], lengths: Some(&[6, 2, 1, 5]) };
        let good = wgru::Device::cpu().load(&model).unwrap().run(&inputs.batch().unwrap()).unwrap();
        let check = |output: &Output, flops: f64| {
            verify(&model, inputs, output, Options::default(), flops).unwrap().0
        };
        assert!(check(&good, case.flops(1)).passes());
        for at in [0, 4 * 6 * 5 - 1] {
            let mut bad = good.clone();
            bad.y[at] += 0.01;
            assert!(!check(&bad, case.flops(1)).passes(), "y[{at}]");
        }
        let mut bad = good.clone();
        bad.h_n[7] = f32::NAN;
        assert!(!check(&bad, case.flops(1)).passes());
        // One row, and two of its steps: the third row has one step; the second of them is padding.
        let mut bad = good.clone();
        bad.y[2 * 6 * 5] += 0.01;
        assert!(!check(&bad, BUDGET / 2.0).passes());
        let mut bad = good.clone();
        bad.y[0] += 0.01;
        assert!(check(&bad, BUDGET / 2.0).passes());
    }
}
