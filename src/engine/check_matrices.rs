//! Checks that a device multiplies cooperative matrices correctly, once, when it is opened with them.
//!
//! The feature is experimental, and drivers implement it differently. So the check runs the kernels themselves on whole numbers,
//! small enough to be exact in f16 and in any reduction order: any fault changes a number.
//!
//! One known risk: naga 30 declares Vulkan's memory model for such kernels, but does not mark loads and stores of workgroup
//! memory as visible to other threads. A driver could then treat barriers as weaker than the kernels need.

use super::any::on;
use super::backend::Backend;
use super::device::Device;
use super::options::Options;
use crate::dtype::Storage;
use crate::error::{Error, Result};
use crate::io::Batch;
use crate::model::{Activation, Activations, Cell, Direction, Function, Layer, Model, Weights};
use crate::plan::{Candidate, Only, Speed, Strategy};
use crate::reference;

/// B, T, I and H: more than one workgroup's, and no multiples of its tiles.
const SIZES: [usize; 4] = [70, 3, 37, 70];
/// h is clipped at ± this, so that no sum grows beyond the range of f16.
const MOST: f32 = 64.0;

impl Device {
    /// # Errors
    /// [`Error::Device`] where a number is wrong, or the device fails.
    pub(super) async fn check_matrices(&self) -> Result<()> {
        let [batch, steps, input, _] = SIZES;
        let mut numbers = Numbers(1);
        let model = model(&mut numbers)?;
        let x = numbers.take(batch * steps * input);
        let batch = Batch::new(&x, [batch, steps, input])?;
        let speed = Speed { matrix: 1, ..Speed::DISCRETE };
        let options = Options {
            only: Only { strategy: Some(Strategy::Step), ..Only::default() },
            speed: Some(speed.into()),
            fill_nan: true,
            ..Options::default().reproducible(false).weights(Storage::F16).activations(Storage::F16)
        };
        let truth = reference::run(&model, &batch)?;
        let engine = self.load_with(&model, options.clone())?;
        // Both kernels by their option: the planner may choose others at other sizes.
        let all = on!(AnyBackend, &engine.0.backend, backend => backend.alternatives(batch.run_shape()))?;
        for only in all.iter().flatten().filter_map(by_matrices) {
            let engine = self.load_with(&model, Options { only, ..options.clone() })?;
            let got = engine.run_async(&batch).await?;
            let wrong = got.y.iter().zip(&truth.y).filter(|(got, truth)| f64::from(**got) != **truth).count();
            if wrong > 0 {
                let (all, plan) = (truth.y.len(), engine.explain(batch.run_shape())?);
                let reason =
                    format!("its cooperative matrices give {wrong} wrong numbers of {all}, with {plan}");
                return Err(Error::Device { device: self.info().to_string(), reason });
            }
        }
        Ok(())
    }
}

/// The option that makes the planner take this candidate, if its products are by matrices.
fn by_matrices(candidate: &Candidate) -> Option<Only> {
    let (recipe, _) = candidate.outcome.as_ref().ok()?;
    recipe.recurrence.is_by_matrices().then_some(Only {
        strategy: Some(candidate.strategy),
        rows: Some(candidate.rows),
        variant: Some(candidate.variant),
        pipelining: None,
    })
}

/// A layer without activations, whose weights are −1, 0 and 1.
fn model(numbers: &mut Numbers) -> Result<Model> {
    let [_, _, input, hidden] = SIZES;
    let weights = Weights {
        w_ih: numbers.take(hidden * input),
        w_hh: numbers.take(hidden * hidden),
        ..Weights::default()
    };
    let layer = Layer::new(Cell::Rnn, Direction::Forward, input, hidden, vec![weights])?;
    let identity = Activation::new(Function::Affine, 1.0, 0.0)?;
    let all = Activations { gate: identity, candidate: identity, output: identity };
    Model::new(vec![layer.with_activations(vec![all])?.with_state_clip(MOST)?])
}

/// Whole numbers from −1 to 1, the same at every run.
struct Numbers(u32);

impl Numbers {
    fn take(&mut self, count: usize) -> Vec<f32> {
        let next = |_| {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (self.0 >> 16) as f32 % 3.0 - 1.0
        };
        (0..count).map(next).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dims::Dims;
    use crate::kernels::Projection;
    use crate::kernels::matrices::{Matrices, PRECISION};
    use crate::plan::{Caps, Request, alternatives};

    /// The check is not trivial: its numbers differ, and few of them are clipped.
    #[test]
    fn the_numbers_are_whole_and_differ() {
        let [batch, steps, input, _] = SIZES;
        let mut numbers = Numbers(1);
        let model = model(&mut numbers).unwrap();
        let x = numbers.take(batch * steps * input);
        let truth = reference::run(&model, &Batch::new(&x, [batch, steps, input]).unwrap()).unwrap();
        assert!(truth.y.iter().all(|y| y.fract() == 0.0 && y.abs() <= f64::from(MOST)));
        let within = truth.y.iter().filter(|y| **y != 0.0 && y.abs() < f64::from(MOST)).count();
        assert!(2 * within > truth.y.len(), "{within} of {}", truth.y.len());
    }

    /// Both kernels are run: the candidates include one by matrices, with a projection by matrices.
    #[test]
    fn what_is_run_is_by_matrices() {
        let [batch, steps, ..] = SIZES;
        let model = model(&mut Numbers(1)).unwrap();
        let speed = Speed { matrix: 1, ..Speed::DISCRETE };
        for (side, subgroup) in [(8, 8), (16, 32), (16, 64)] {
            let matrices = Some(Matrices { side, subgroup });
            let caps = Caps { max_workgroup_bytes: 32 << 10, matrices, speed, ..Caps::webgpu_minimum() };
            let request = Request { precision: PRECISION, any_reduction_order: true, ..Request::default() };
            let all = alternatives(&model, Dims::new(batch, steps).unwrap(), request, &caps).unwrap();
            let run: Vec<&Candidate> = all.iter().flatten().filter(|c| by_matrices(c).is_some()).collect();
            assert!(!run.is_empty(), "{caps:?}");
            for candidate in run {
                let projection = candidate.outcome.as_ref().unwrap().0.projection;
                assert!(matches!(projection, Projection::MatmulMatrices(_)), "{projection}");
            }
        }
    }
}
