//! What a device can do at best: the ceilings that figures are held against.

use std::time::Instant;

use wgru::Device;

/// A device's ceilings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// The best of several large matmuls, in 10⁹ operations a second. On a GPU by this crate's own kernel, on the CPU
    /// by the `gemm` crate on one thread.
    pub gflops: f64,
    /// The best of several large copies, in 10⁹ bytes a second, read and written.
    pub gbs: f64,
}

/// Measurements of each, after one that does not count.
const RUNS: usize = 6;

impl Peak {
    /// Measures `device`; none for the reference.
    ///
    /// # Errors
    /// What the device says.
    pub fn of(device: &Device) -> Result<Self, wgru::Error> {
        match device.ceilings()? {
            Some(ceilings) => Ok(Self {
                gflops: best(|| ceilings.matmul().map(|once| (once.amount, once.seconds)))?,
                gbs: best(|| ceilings.copy().map(|once| (once.amount, once.seconds)))?,
            }),
            None => Ok(Self { gflops: best(cpu_matmul())?, gbs: best(cpu_copy())? }),
        }
    }
}

/// The highest rate, in 10⁹ a second, by the device's clock where it has one.
fn best<E>(mut once: impl FnMut() -> Result<(f64, Option<f64>), E>) -> Result<f64, E> {
    once()?;
    let mut best = 0.0f64;
    for _ in 0..RUNS {
        let start = Instant::now();
        let (amount, seconds) = once()?;
        let seconds = seconds.unwrap_or_else(|| start.elapsed().as_secs_f64());
        best = best.max(amount / seconds * 1e-9);
    }
    Ok(best)
}

/// `[384, 384] · [384, 384]`, which stays in a core's own cache.
fn cpu_matmul() -> impl FnMut() -> Result<(f64, Option<f64>), wgru::Error> {
    const SIZE: usize = 384;
    const REPEATS: usize = 8;
    let mut rng = fastrand::Rng::with_seed(1);
    let a = super::case::values(&mut rng, SIZE * SIZE, 1.0);
    let b = super::case::values(&mut rng, SIZE * SIZE, 1.0);
    let mut out = vec![0.0f32; SIZE * SIZE];
    move || {
        for _ in 0..REPEATS {
            // SAFETY: every pointer is to SIZE · SIZE elements, row-major, and `out` is borrowed by nobody else.
            unsafe {
                gemm::gemm(
                    SIZE,
                    SIZE,
                    SIZE,
                    out.as_mut_ptr(),
                    1,
                    SIZE as isize,
                    false,
                    a.as_ptr(),
                    1,
                    SIZE as isize,
                    b.as_ptr(),
                    1,
                    SIZE as isize,
                    0.0,
                    1.0,
                    false,
                    false,
                    false,
                    gemm::Parallelism::None,
                );
            }
        }
        std::hint::black_box(&mut out);
        Ok((2.0 * (SIZE * SIZE * SIZE * REPEATS) as f64, None))
    }
}

/// A copy that no cache holds.
fn cpu_copy() -> impl FnMut() -> Result<(f64, Option<f64>), wgru::Error> {
    const BYTES: usize = 64 << 20;
    let (from, mut to) = (vec![1u8; BYTES], vec![0u8; BYTES]);
    move || {
        to.copy_from_slice(std::hint::black_box(&from));
        std::hint::black_box(&mut to);
        Ok((2.0 * BYTES as f64, None))
    }
}
