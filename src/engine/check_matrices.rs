//! Whether a device multiplies cooperative matrices rightly: asked once, when it is opened with them.
//!
//! The feature is experimental, and drivers differ in what they make of it. So the kernels themselves are run on whole numbers, small
//! enough to be exact in f16 and in any order of sums: whatever is amiss gives another number.

use super::device::Device;
use super::run::Options;
use crate::dtype::Storage;
use crate::error::{Error, Result};
use crate::io::Batch;
use crate::model::{Activation, Activations, Cell, Direction, Function, Layer, Model, Weights};
use crate::plan::{Speed, Strategy};
use crate::reference;

/// B, T, I and H: more than a workgroup has, and no multiple of its tiles.
const SIZES: [usize; 4] = [70, 3, 37, 70];
/// What h is cut off at, so that no sum grows beyond what f16 can hold.
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
        let options = Options::default().reproducible(false).strategy(Strategy::Step).speed(speed);
        let options = options.weights(Storage::F16).activations(Storage::F16).poison(true);
        let engine = self.load_with_async(&model, options).await?;
        let (got, truth) = (engine.run_async(&batch).await?, reference::run(&model, &batch)?);
        let wrong = got.y.iter().zip(&truth.y).filter(|(got, truth)| f64::from(**got) != **truth).count();
        if wrong == 0 {
            return Ok(());
        }
        let (all, plan) = (truth.y.len(), engine.explain(batch.form())?);
        let reason = format!("its cooperative matrices give {wrong} wrong numbers of {all}, with {plan}");
        Err(Error::Device { device: self.info().to_string(), reason })
    }
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

/// Whole numbers from −1 to 1, the same each time.
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

    /// The check sees something: its numbers differ, and few of them are cut off.
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
}
