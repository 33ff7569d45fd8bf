//! Measurements of kernels: samples, each a correction of a prediction of the cost model.
//!
//! A sample says how many thousandths of the predicted time one candidate took at one shape. The planner multiplies
//! the model's time of a candidate by the mean of the samples nearby,
//!
//! ```text
//! factor = (m + Σ w(d) · ratio) / (m + Σ w(d)),   w(d) = (REACH / d − 1)²,   m = w(MODEL)
//! ```
//!
//! with d the distance from the sample in shape and in kind of kernel. At a sample itself d is 0, w is infinite and
//! the factor is the measured one. From REACH on the sample has no weight, and the model alone counts: a ratio of 1
//! at the distance MODEL.
//!
//! A candidate without samples is corrected by those of the other candidates, but less than by its own. Most of the
//! model's error at a shape is the same for all kernels there. If only the measured ones were corrected, an
//! unmeasured one would always be chosen where the model predicts too short a time, and never where it predicts too
//! long a one. So it takes their mean error, and the candidates differ only by what the model predicts of the
//! difference.
//!
//! Everything is in whole numbers, so that plans compare exactly.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::kind::{OCTAVE, Shape, Way};
use super::{Candidate, Cost};

/// From this distance on a sample has no weight: H four times as large, B sixteen times.
const REACH: u64 = 2 * OCTAVE;
/// The model counts as much as a sample at this distance.
const MODEL: u64 = OCTAVE * 5 / 4;
/// The largest ratio that a sample may have, in thousandths.
const MOST: u32 = 1_000_000;

/// The time of one candidate at one shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The layer and the batch.
    pub shape: Shape,
    /// The candidate.
    pub way: Way,
    /// Thousandths of the time that the model predicts.
    pub per_mille: u32,
}

impl Sample {
    /// The sample of a candidate that took so many `seconds`. `None` for one that is refused, and where
    /// [`Candidate::shape`] is `None`.
    pub fn new(candidate: &Candidate, seconds: f64) -> Option<Self> {
        let (shape, (recipe, _)) = (candidate.shape?, candidate.outcome.as_ref().ok()?);
        let ratio = 1000.0 * seconds / candidate.modelled()?.seconds();
        let per_mille = (ratio.round() as u32).clamp(1, MOST);
        Some(Self { shape, way: Way::of(&recipe.recurrence)?, per_mille })
    }

    /// Whether it is of the same candidate at the same shape.
    pub fn is_of(&self, other: &Self) -> bool {
        (self.shape, self.way) == (other.shape, other.way)
    }
}

/// Samples, cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measured(Arc<[Sample]>);

/// How samples corrected a prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Correction {
    /// The time that the model alone predicts.
    pub modelled: Cost,
    /// The nearest sample, by which it was corrected.
    pub basis: Basis,
}

/// The nearest sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// Of this candidate at this very shape.
    Measured,
    /// Of this candidate at this shape nearby.
    Near(Shape),
    /// Of another candidate at this shape.
    Beside(Shape),
}

impl Measured {
    /// All of them.
    pub fn samples(&self) -> &[Sample] {
        &self.0
    }

    /// `modelled`, corrected by the samples nearby; `None` without any.
    pub(super) fn correct(&self, shape: &Shape, way: &Way, modelled: Cost) -> Option<(Cost, Correction)> {
        if let Some(own) = self.0.iter().find(|sample| sample.shape == *shape && sample.way == *way) {
            let correction = Correction { modelled, basis: Basis::Measured };
            return Some((modelled.times(own.per_mille.into(), 1000), correction));
        }
        let (mut sum, mut weights) = (1000 * weight(MODEL), weight(MODEL));
        let mut nearest: Option<(u64, &Sample)> = None;
        for sample in self.0.iter() {
            let Some(far) = sample.shape.distance(shape) else { continue };
            // Sizes next to each other may round to a distance of 0.
            let distance = (far + sample.way.distance(way)).max(1);
            let weight = weight(distance);
            sum += weight * u128::from(sample.per_mille);
            weights += weight;
            if weight > 0 && nearest.is_none_or(|(least, _)| distance < least) {
                nearest = Some((distance, sample));
            }
        }
        let (_, sample) = nearest?;
        let basis = if sample.way == *way { Basis::Near(sample.shape) } else { Basis::Beside(sample.shape) };
        Some((modelled.times(sum, 1000 * weights), Correction { modelled, basis }))
    }
}

/// The weight of a sample at a distance of 1 or more.
const fn weight(distance: u64) -> u128 {
    // 1024 keeps the fraction fine enough at the end of the reach.
    let straight = (1024 * REACH.saturating_sub(distance) / distance) as u128;
    straight * straight
}

impl FromIterator<Sample> for Measured {
    /// Of several samples of one candidate at one shape the first is kept.
    fn from_iter<I: IntoIterator<Item = Sample>>(samples: I) -> Self {
        let mut kept: Vec<Sample> = Vec::new();
        for sample in samples {
            if !kept.iter().any(|known| known.is_of(&sample)) {
                kept.push(sample);
            }
        }
        Self(kept.into())
    }
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Measured => f.write_str("measured"),
            Self::Near(shape) => write!(f, "measured nearby: {shape}"),
            Self::Beside(shape) => write!(f, "others measured nearby: {shape}"),
        }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.shape, self.way, self.per_mille)
    }
}

impl FromStr for Sample {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [shape, way, per_mille] = words[..] else {
            return Err("not a shape, a candidate and thousandths of the predicted time".into());
        };
        let per_mille = per_mille.parse().ok().filter(|ratio| (1..=MOST).contains(ratio));
        let per_mille = per_mille.ok_or_else(|| format!("no whole number from 1 to {MOST}"))?;
        Ok(Self { shape: shape.parse()?, way: way.parse()?, per_mille })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dims::Dims;
    use crate::model::{Cell, Direction, Layer, Model, Weights};
    use crate::plan::{Caps, Plan, alternatives, plan};

    fn gru(hidden: usize, layers: usize) -> Model {
        let w = || vec![0.5; 3 * hidden * hidden];
        let weights = || Weights { w_ih: w(), w_hh: w(), ..Weights::default() };
        let layer = || Layer::new(Cell::GRU, Direction::Forward, hidden, hidden, vec![weights()]).unwrap();
        Model::new((0..layers).map(|_| layer()).collect()).unwrap()
    }

    fn planned(model: &Model, [batch, steps]: [usize; 2], caps: &Caps) -> Plan {
        plan(model, Dims::new(batch, steps).unwrap(), crate::plan::Request::default(), caps).unwrap()
    }

    fn candidates(model: &Model, [batch, steps]: [usize; 2], caps: &Caps) -> Vec<Candidate> {
        let request = crate::plan::Request::default();
        let all = alternatives(model, Dims::new(batch, steps).unwrap(), request, caps).unwrap();
        all[0].iter().filter(|candidate| candidate.outcome.is_ok()).cloned().collect()
    }

    /// Caps in which each candidate takes so many times the model's time, where `times` has a number for it.
    fn measured(model: &Model, dims: [usize; 2], times: impl Fn(usize) -> Option<f64>) -> Caps {
        let caps = Caps::webgpu_minimum();
        let all = candidates(model, dims, &caps).into_iter().enumerate();
        let samples = all.filter_map(|(index, candidate)| {
            let seconds = candidate.modelled().unwrap().seconds() * times(index)?;
            Sample::new(&candidate, seconds)
        });
        Caps { measured: samples.collect(), ..caps }
    }

    /// The corrections of all candidates, as a factor of the model's time.
    fn factors(model: &Model, dims: [usize; 2], caps: &Caps) -> Vec<f64> {
        let of = |candidate: &Candidate| {
            let (_, cost) = candidate.outcome.as_ref().ok()?;
            Some(cost.seconds() / candidate.modelled()?.seconds())
        };
        candidates(model, dims, caps).iter().filter_map(of).collect()
    }

    #[test]
    fn at_a_measured_shape_the_measured_best_is_taken() {
        let (model, dims) = (gru(64, 1), [16, 50]);
        let count = candidates(&model, dims, &Caps::webgpu_minimum()).len();
        assert!(count > 8);
        for best in 0..count {
            let caps = measured(&model, dims, |index| Some(if index == best { 1e-3 } else { 1.0 }));
            let all = candidates(&model, dims, &caps);
            let plan = planned(&model, dims, &caps);
            let (recipe, cost) = all[best].outcome.clone().unwrap();
            assert_eq!((&plan.layers[0], plan.cost), (&recipe, cost));
            assert_eq!(cost, all[best].modelled().unwrap().times(1, 1000));
            assert!(all.iter().all(|candidate| candidate.correction.unwrap().basis == Basis::Measured));
        }
    }

    #[test]
    fn far_away_the_model_decides_alone() {
        let plain = Caps::webgpu_minimum();
        let caps = measured(&gru(64, 1), [16, 50], |index| Some(if index == 0 { 0.01 } else { 3.0 }));
        for (hidden, dims) in [(256, [16, 50]), (16, [16, 50]), (64, [256, 50]), (64, [1, 50])] {
            let model = gru(hidden, 1);
            assert_eq!(planned(&model, dims, &caps), planned(&model, dims, &plain), "{hidden}, {dims:?}");
            assert_eq!(candidates(&model, dims, &caps), candidates(&model, dims, &plain));
        }
    }

    #[test]
    fn a_measurement_fades_with_the_distance() {
        let caps = measured(&gru(64, 1), [16, 50], |_| Some(3.0));
        let mut last = 3.001;
        for batch in [17, 20, 32, 64, 128, 200, 250, 256] {
            let factors = factors(&gru(64, 1), [batch, 50], &caps);
            let most = factors.iter().copied().fold(0.0, f64::max);
            assert!(most < last && factors.iter().all(|factor| *factor >= 1.0), "{batch}: {factors:?}");
            last = most;
        }
        assert_eq!(last, 1.0);
    }

    /// The model's error at a shape neither favours an unmeasured candidate there nor rules it out.
    #[test]
    fn a_candidate_that_was_not_measured_has_the_error_of_the_others() {
        let (model, dims) = (gru(64, 1), [16, 50]);
        let plain = Caps::webgpu_minimum();
        let alone = planned(&model, dims, &plain);
        for (left_out, candidate) in candidates(&model, dims, &plain).iter().enumerate() {
            for ratio in [0.3, 3.0] {
                let caps = measured(&model, dims, |index| (index != left_out).then_some(ratio));
                let own = factors(&model, dims, &caps)[left_out];
                assert!((own / ratio).ln().abs() < 0.1, "{:?}: {own}", candidate.strategy);
                let basis = candidates(&model, dims, &caps)[left_out].correction.unwrap().basis;
                assert!(matches!(basis, Basis::Beside(_)), "{basis}");
                // The planner may only choose differently among candidates that are equal within that error.
                let picked = planned(&model, dims, &caps);
                let is_picked = |c: &&Candidate| c.outcome.as_ref().is_ok_and(|o| o.0 == picked.layers[0]);
                let all = candidates(&model, dims, &plain);
                let modelled = all.iter().find(is_picked).and_then(Candidate::modelled).unwrap();
                assert!(modelled.seconds() <= 1.1 * alone.cost.seconds(), "{picked}");
            }
        }
    }

    /// Pipelined layers are compared with layers one after the other as by the model alone.
    #[test]
    fn a_pipelined_stack_is_corrected_as_its_layers_are() {
        let (stack, dims) = (gru(32, 4), [1, 1000]);
        let alone = planned(&stack, dims, &Caps::webgpu_minimum());
        let caps = measured(&gru(32, 1), dims, |_| Some(2.0));
        let twice = planned(&stack, dims, &caps);
        assert_eq!(
            alone.pipelining.map(|pipelining| pipelining.steps),
            twice.pipelining.map(|pipelining| pipelining.steps)
        );
        assert!(alone.pipelining.is_some(), "{alone}");
        assert_eq!((&twice.layers, twice.cost), (&alone.layers, alone.cost.times(2, 1)));
    }

    /// Samples may favour another kernel in the first layer than above it. Layers are still pipelined.
    #[test]
    fn pipelined_layers_share_one_kernel_whatever_is_fastest_for_each() {
        let (stack, dims) = (gru(32, 4), Dims::new(1, 1000).unwrap());
        let plain = Caps::webgpu_minimum();
        let best = planned(&stack, [1, 1000], &plain).layers[0].recurrence.clone();
        let all = candidates(&stack, [1, 1000], &plain);
        let is_best = |index: usize| all[index].outcome.as_ref().is_ok_and(|(own, _)| own.recurrence == best);
        // The model's choice is slow for the layers above; the first, of an x that is projected already, keeps it.
        let caps = measured(&gru(32, 1), [1, 1000], |index| Some(if is_best(index) { 20.0 } else { 1.0 }));
        let run_shape = crate::io::RunShape { projected: true, ..dims.into() };
        let of = |pipelining: Option<usize>| {
            let only = crate::plan::Only { pipelining, ..crate::plan::Only::default() };
            let request = crate::plan::Request { only, ..crate::plan::Request::default() };
            plan(&stack, run_shape, request, &caps).unwrap()
        };
        let in_turn = of(Some(0)).layers;
        assert_ne!(in_turn[0].recurrence, in_turn[1].recurrence);
        for plan in [of(None), of(Some(100))] {
            assert!(plan.pipelining.is_some(), "{plan}");
        }
    }

    #[test]
    fn layers_without_samples_are_left_to_the_model() {
        let (model, dims) = (gru(64, 1), [16, 50]);
        let caps = measured(&model, dims, |_| Some(3.0));
        let run_shape = crate::io::RunShape { projected: true, ..Dims::new(16, 50).unwrap().into() };
        let all = alternatives(&model, run_shape, crate::plan::Request::default(), &caps).unwrap();
        for candidate in &all[0] {
            assert_eq!((candidate.correction, Sample::new(candidate, 1.0)), (None, None));
        }
    }
}
