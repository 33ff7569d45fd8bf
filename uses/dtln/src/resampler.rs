//! Sound of another sampling rate, sample by sample:
//!
//! ```text
//! y[n] = Σ_j x[i − j] g(p/L + j − D)      n·M = i·L + p, rates M : L in lowest terms
//! g(u) = c sinc(c u) cos²(πu / 2(D + 1))   c the cutoff, in Nyquist frequencies of x
//! ```
//!
//! A windowed sinc (Smith, *Digital Audio Resampling*). Each of the L phases has its taps, and sums to 1.

use std::f64::consts::PI;

/// Zero crossings of the sinc on each side.
const CROSSINGS: f64 = 16.0;
/// The cutoff below the lower of both Nyquist frequencies.
const CUTOFF: f64 = 0.94;
/// The most taps of all phases together, 64 MiB.
const MOST_TAPS: usize = 1 << 24;

/// Resamples one channel. Allocates nothing after it was made.
#[derive(Debug)]
pub struct Resampler {
    /// `[L, taps]`, that on the newest sample first.
    taps: Vec<f32>,
    /// The last samples, the newest at `at`; stored twice, so that they lie in a row.
    past: Vec<f32>,
    at: usize,
    /// Samples of a tap row.
    width: usize,
    /// Rates in lowest terms, out and in.
    out: u32,
    given: u32,
    /// The place of the next output before the newest sample, in 1/L of a sample.
    phase: u32,
}

impl Resampler {
    /// From one rate to another, in samples a second; `None` for a rate of 0 and for rates that have almost no common factor.
    pub fn new(from: u32, to: u32) -> Option<Self> {
        let factor = greatest_common(from, to);
        if from == 0 || to == 0 {
            return None;
        }
        let (given, out) = (from / factor, to / factor);
        let cutoff = CUTOFF * (f64::from(to) / f64::from(from)).min(1.0);
        let half = (CROSSINGS / cutoff).ceil();
        let width = 2 * half as usize + 1;
        width.checked_mul(out as usize).filter(|&taps| taps <= MOST_TAPS)?;
        let tap = |offset: f64| {
            let window =
                if offset.abs() > half { 0.0 } else { (PI * offset / (2.0 * (half + 1.0))).cos().powi(2) };
            let angle = PI * cutoff * offset;
            let sinc = if angle.abs() < 1e-9 { 1.0 } else { angle.sin() / angle };
            sinc * window
        };
        let mut taps = Vec::with_capacity(width * out as usize);
        for phase in 0..out {
            let offset = |j: usize| f64::from(phase) / f64::from(out) + j as f64 - half;
            let sum: f64 = (0..width).map(|j| tap(offset(j))).sum();
            taps.extend((0..width).map(|j| (tap(offset(j)) / sum) as f32));
        }
        Some(Self { taps, past: vec![0.0; 2 * width], at: 0, width, out, given, phase: 0 })
    }

    /// The delay of the filter, in samples in.
    pub fn delay(&self) -> usize {
        self.width / 2
    }

    /// The most outputs of one sample.
    pub fn most(&self) -> usize {
        self.out.div_ceil(self.given) as usize
    }

    /// A sample in; `out` gets each sample that it completes: after N samples, ⌈N·L/M⌉ in all.
    pub fn push(&mut self, sample: f32, mut out: impl FnMut(f32)) {
        self.at = self.at.checked_sub(1).unwrap_or(self.width - 1);
        self.past[self.at] = sample;
        self.past[self.at + self.width] = sample;
        while self.phase < self.out {
            let taps = &self.taps[self.phase as usize * self.width..][..self.width];
            let past = &self.past[self.at..][..self.width];
            out(taps.iter().zip(past).map(|(tap, x)| tap * x).sum());
            self.phase += self.given;
        }
        self.phase -= self.out;
    }

    /// Begins again.
    pub fn reset(&mut self) {
        self.past.fill(0.0);
        (self.at, self.phase) = (0, 0);
    }
}

fn greatest_common(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(from: u32, to: u32, x: impl Fn(f64) -> f64, seconds: f64) -> (Vec<f32>, f64) {
        let mut resampler = Resampler::new(from, to).unwrap();
        let (mut out, given) = (Vec::new(), (seconds * f64::from(from)) as usize);
        for n in 0..given {
            resampler.push(x(n as f64 / f64::from(from)) as f32, |y| out.push(y));
            let expected = ((n as u64 + 1) * u64::from(to)).div_ceil(u64::from(from));
            assert_eq!(out.len() as u64, expected, "{from} to {to}, {n}");
        }
        (out, resampler.delay() as f64 / f64::from(from))
    }

    #[test]
    fn a_tone_comes_out_delayed_and_in_its_level() {
        for (from, to) in [
            (48_000, 16_000),
            (16_000, 48_000),
            (44_100, 16_000),
            (16_000, 44_100),
            (8_000, 16_000),
            (96_000, 16_000),
        ] {
            for hertz in [0.0, 200.0, 1000.0, 3000.0] {
                let tone = |t: f64| (2.0 * PI * hertz * t).cos();
                let (out, delay) = run(from, to, tone, 0.2);
                for (n, y) in out.iter().enumerate().skip(to as usize / 20) {
                    let expected = tone(n as f64 / f64::from(to) - delay);
                    assert!(
                        (f64::from(*y) - expected).abs() < 2e-3,
                        "{from} to {to}, {hertz} Hz, {n}: {y}, expected {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn tones_above_the_lower_rate_are_gone() {
        for (from, hertz) in [(48_000, 9_500.0), (48_000, 15_000.0), (44_100, 20_000.0)] {
            let (out, _) = run(from, 16_000, |t| (2.0 * PI * hertz * t).sin(), 0.2);
            let loudest = out.iter().skip(800).fold(0.0f32, |all, y| all.max(y.abs()));
            assert!(loudest < 2e-3, "{from}, {hertz} Hz: {loudest}");
        }
    }

    #[test]
    fn it_begins_again_and_refuses_rates_that_are_none() {
        let mut resampler = Resampler::new(44_100, 16_000).unwrap();
        let collect = |resampler: &mut Resampler| {
            let mut out = Vec::new();
            (0..500).for_each(|n| resampler.push((n as f32 * 0.1).sin(), |y| out.push(y)));
            out
        };
        let first = collect(&mut resampler);
        assert_ne!(collect(&mut resampler), first);
        resampler.reset();
        assert_eq!(collect(&mut resampler), first);
        assert!(Resampler::new(0, 16_000).is_none() && Resampler::new(16_000, 0).is_none());
        assert!(Resampler::new(1_000_003, 1_000_033).is_none());
    }
}
