//! What a device can do at best: the ceilings that figures are held against.

use std::time::Instant;

use wgru::Device;

/// A device's ceilings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// The best of several measurements, in 10⁹ operations a second: on a GPU of large matmuls by this crate's own
    /// kernel, on the CPU of products and sums in registers, on every thread.
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
    pub fn of(device: &Device) -> Result<Option<Self>, wgru::Error> {
        let Some(mut ceilings) = device.ceilings()? else { return Ok(None) };
        Ok(Some(Self {
            gflops: best(|| ceilings.matmul().map(|once| (once.amount, once.seconds)))?,
            gbs: best(|| ceilings.copy().map(|once| (once.amount, once.seconds)))?,
        }))
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
