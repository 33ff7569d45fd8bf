//! What the processor can do at best, for a benchmark to hold its figures against.

use std::hint::black_box;

use super::Processor;
use super::simd::{Simd, Work, at_level};
use super::team::Late;

/// Products and sums in registers alone: nothing that reads memory can be faster.
struct Sums {
    rounds: usize,
}

/// Sums under way at once: enough to hide how long each takes, few enough for the registers of every set.
const CHAINS: usize = 10;

/// Rounds of one measurement on each thread.
const ROUNDS: usize = 1 << 20;

impl Work for Sums {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let factor = simd.splat(black_box(0.5));
        let mut sums = [simd.splat(black_box(1.0)); CHAINS];
        for _ in 0..self.rounds {
            for sum in &mut sums {
                *sum = simd.fma(*sum, factor, factor);
            }
        }
        let mut out = [0.0; 16];
        for sum in sums {
            simd.write(sum, &mut out);
            black_box(&mut out);
        }
    }
}

impl Processor {
    /// Keeps every thread busy with products and sums; the floating-point operations that were done.
    pub(crate) fn compute(&self) -> f64 {
        let work = |_| at_level!(self.level, simd => simd.run(Sums { rounds: ROUNDS }));
        let threads = self.on_all(&work);
        (2 * CHAINS * ROUNDS * self.level.lanes() * threads) as f64
    }

    /// Copies on every thread what no cache holds; the bytes read and written.
    pub(crate) fn copy(&self, from: &[u8], to: &mut [u8]) -> f64 {
        let len = (from.len() / self.threads()).max(1);
        let parts: Vec<_> = from.chunks(len).zip(to.chunks_mut(len).map(std::sync::Mutex::new)).collect();
        let work = |index: usize| {
            if let Some((from, to)) = parts.get(index) {
                crate::sync::lock(to).copy_from_slice(black_box(from));
            }
        };
        let threads = self.on_all(&work);
        (2 * len * threads) as f64
    }

    /// Does `work` on every thread, or on this one alone where another run has the others; how many did.
    fn on_all(&self, work: &(dyn Fn(usize) + Sync)) -> usize {
        match self.team.lease(self.threads()) {
            Some(mut lease) => {
                // Nothing in it panics.
                let _ = lease.run(self.threads(), Late::Awaited, work, &|| {});
                self.threads()
            }
            None => {
                work(0);
                1
            }
        }
    }
}
