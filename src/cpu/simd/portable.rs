//! Plain code, vectorised by the compiler.

use super::{Simd, Work};
use crate::dtype::Storage;

/// Exists everywhere.
#[derive(Debug, Clone, Copy)]
pub(in crate::cpu) struct Portable;

type Vector = [f32; 4];

#[inline(always)]
fn each(of: impl Fn(usize) -> f32) -> Vector {
    std::array::from_fn(of)
}

impl Simd for Portable {
    type Vector = Vector;

    const LANES: usize = 4;
    const REGISTERS: usize = 16;

    // Where there are other sets this one is seldom used, and copies of it in its callers would be half of the CPU path's code.
    #[cfg_attr(not(target_arch = "wasm32"), inline(never))]
    #[cfg_attr(target_arch = "wasm32", inline)]
    fn run(self, work: impl Work) {
        work.run(self);
    }

    #[inline(always)]
    fn splat(self, value: f32) -> Vector {
        [value; 4]
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Vector {
        // SAFETY: the caller promises that so many numbers are there; an array needs no more alignment than its numbers.
        unsafe { from.cast::<Vector>().read() }
    }

    #[inline(always)]
    unsafe fn load_f16(self, from: *const u16) -> Vector {
        // SAFETY: as for `load`.
        let words: [u16; 4] = unsafe { from.cast::<[u16; 4]>().read() };
        words.map(Storage::open_f16)
    }

    #[inline(always)]
    unsafe fn load_bf16_first(self, from: *const u16) -> Vector {
        // SAFETY: the caller promises that so many pairs are there.
        let pairs: [[u16; 2]; 4] = unsafe { from.cast::<[[u16; 2]; 4]>().read() };
        pairs.map(|pair| f32::from_bits(u32::from(pair[0]) << 16))
    }

    #[inline(always)]
    unsafe fn load_bf16_second(self, from: *const u16, _: bool) -> Vector {
        // SAFETY: the caller promises that so many pairs are there.
        let pairs: [[u16; 2]; 4] = unsafe { from.cast::<[[u16; 2]; 4]>().read() };
        pairs.map(|pair| f32::from_bits(u32::from(pair[1]) << 16))
    }

    #[inline(always)]
    unsafe fn store(self, v: Vector, to: *mut f32) {
        // SAFETY: the caller promises that so many numbers may be written there.
        unsafe { to.cast::<Vector>().write(v) }
    }

    #[inline(always)]
    fn add(self, a: Vector, b: Vector) -> Vector {
        each(|i| a[i] + b[i])
    }

    #[inline(always)]
    fn sub(self, a: Vector, b: Vector) -> Vector {
        each(|i| a[i] - b[i])
    }

    #[inline(always)]
    fn mul(self, a: Vector, b: Vector) -> Vector {
        each(|i| a[i] * b[i])
    }

    #[inline(always)]
    fn div(self, a: Vector, b: Vector) -> Vector {
        each(|i| a[i] / b[i])
    }

    #[inline(always)]
    fn fma(self, a: Vector, b: Vector, c: Vector) -> Vector {
        // mul_add would be a call into a library where the target has no such instruction.
        each(|i| a[i] * b[i] + c[i])
    }

    #[inline(always)]
    fn min(self, a: Vector, b: Vector) -> Vector {
        each(|i| if a[i] < b[i] { a[i] } else { b[i] })
    }

    #[inline(always)]
    fn max(self, a: Vector, b: Vector) -> Vector {
        each(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }

    #[inline(always)]
    fn if_less(self, a: Vector, b: Vector, yes: Vector, no: Vector) -> Vector {
        each(|i| if a[i] < b[i] { yes[i] } else { no[i] })
    }

    #[inline(always)]
    fn exp2_whole(self, n: Vector) -> Vector {
        each(|i| f32::from_bits(((n[i] as i32).wrapping_add(127) as u32) << 23))
    }
}
