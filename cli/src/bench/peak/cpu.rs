//! The processor's peaks, with the instructions and the threads of a device.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use wgru::{CpuInfo, InstructionSet};

use super::RUNS;
use wgru_harness::measure::Peak;

/// Independent chains of additions: enough to hide the latency, few enough for the registers of every instruction
/// set.
const CHAINS: usize = 10;

/// Multiply-adds in each chain: some 5 ms.
const ROUNDS: usize = 1 << 21;

/// Bytes of the copy: in most cases more than the caches hold.
const COPY: usize = 64 << 20;

/// Measures both.
pub fn peak(info: CpuInfo) -> Peak {
    let threads = info.threads.max(1);
    let (lanes, sums) = of(info.instructions);
    let operations = 2 * CHAINS * ROUNDS * lanes * threads;
    let of_sums = least((0..threads).map(|_| move || sums(ROUNDS)).collect());

    let (from, mut to) = (vec![1u8; COPY], vec![0u8; COPY]);
    let parts = from.chunks(COPY.div_ceil(threads)).zip(to.chunks_mut(COPY.div_ceil(threads)));
    let copies = parts.map(|(from, to)| || to.copy_from_slice(black_box(from))).collect();
    let of_copy = least(copies);
    Peak { gflops: operations as f64 / of_sums * 1e-9, gbs: (2 * COPY) as f64 / of_copy * 1e-9 }
}

/// The shortest time in seconds of all `jobs` together, each on a thread of its own.
fn least(jobs: Vec<impl FnMut() + Send>) -> f64 {
    let barrier = Barrier::new(jobs.len());
    let times: Vec<Vec<f64>> = thread::scope(|scope| {
        let start = |job| scope.spawn(|| timed(&barrier, job));
        let threads: Vec<_> = jobs.into_iter().map(start).collect();
        // None of the jobs panics.
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    // A run is timed from when the first thread begins. The first run warms up caches and clocks.
    let run = |index: usize| times.iter().map(|own| own[index]).fold(0.0, f64::max);
    (1..=RUNS).map(run).fold(f64::INFINITY, f64::min)
}

/// The seconds of each run of `job`, from when all threads have started until the last is done.
fn timed(barrier: &Barrier, mut job: impl FnMut()) -> Vec<f64> {
    let once = |_| {
        barrier.wait();
        let start = Instant::now();
        job();
        barrier.wait();
        start.elapsed().as_secs_f64()
    };
    (0..=RUNS).map(once).collect()
}

/// The width of a vector, and a loop of so many rounds of products and additions in registers.
fn of(set: InstructionSet) -> (usize, fn(usize)) {
    match set {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a device that uses these instructions is on a machine that has them.
        InstructionSet::Avx512 => (16, |rounds| unsafe { avx512(rounds) }),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        InstructionSet::Avx2 => (8, |rounds| unsafe { avx2(rounds) }),
        #[cfg(target_arch = "aarch64")]
        // SAFETY: as above.
        InstructionSet::Neon => (4, |rounds| unsafe { neon(rounds) }),
        _ => (4, portable),
    }
}

/// A function of this name that computes with these instructions.
macro_rules! sums {
    ($name:ident, $features:literal, $splat:expr, $fma:expr) => {
        #[target_feature(enable = $features)]
        fn $name(rounds: usize) {
            let factor = $splat(black_box(0.5));
            let mut sums = [$splat(black_box(1.0)); CHAINS];
            for _ in 0..rounds {
                for sum in &mut sums {
                    *sum = $fma(*sum, factor, factor);
                }
            }
            black_box(&sums);
        }
    };
}

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_set1_ps, _mm512_fmadd_ps, _mm512_set1_ps};

#[cfg(target_arch = "x86_64")]
sums!(avx512, "avx512f", _mm512_set1_ps, _mm512_fmadd_ps);
#[cfg(target_arch = "x86_64")]
sums!(avx2, "avx2,fma", _mm256_set1_ps, _mm256_fmadd_ps);

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::{vdupq_n_f32, vfmaq_f32};

// factor + sum · factor
#[cfg(target_arch = "aarch64")]
sums!(neon, "neon", vdupq_n_f32, |sum, factor, _| vfmaq_f32(factor, sum, factor));

/// The same without vector instructions, where products are rounded before they are added.
fn portable(rounds: usize) {
    let factor = [black_box(0.5f32); 4];
    let mut sums = [[black_box(1.0f32); 4]; CHAINS];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = std::array::from_fn(|lane| sum[lane] * factor[lane] + factor[lane]);
        }
    }
    black_box(&sums);
}
