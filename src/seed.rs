//! The random numbers of tests, here and in `tests/`.

use std::ops::{Deref, DerefMut};

/// The seed where `WGRU_SEED` names no other.
const SEED: u64 = 20;

/// Random numbers that are the same in every run, or those of the seed in `WGRU_SEED`. A test that fails prints its seed.
pub struct Random {
    rng: fastrand::Rng,
    pub seed: u64,
}

impl Random {
    pub fn new() -> Self {
        let seed = std::env::var("WGRU_SEED");
        let seed =
            seed.map_or(SEED, |seed| seed.parse().unwrap_or_else(|_| panic!("WGRU_SEED={seed}: no u64")));
        Self { rng: fastrand::Rng::with_seed(seed), seed }
    }
}

impl Deref for Random {
    type Target = fastrand::Rng;

    fn deref(&self) -> &fastrand::Rng {
        &self.rng
    }
}

impl DerefMut for Random {
    fn deref_mut(&mut self) -> &mut fastrand::Rng {
        &mut self.rng
    }
}

impl Drop for Random {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("drawn with WGRU_SEED={}", self.seed);
        }
    }
}
