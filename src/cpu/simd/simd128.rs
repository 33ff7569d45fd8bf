//! The vectors of WebAssembly, in builds that enable them (`-C target-feature=+simd128`, and `+relaxed-simd` for multiply-adds that
//! round as the processor does).

use std::arch::wasm32::{self as arch, v128};

use super::{InstructionSet, Simd, Work};
use crate::dtype::Storage;

/// Which set it is.
pub(super) const SET: InstructionSet =
    if cfg!(target_feature = "relaxed-simd") { InstructionSet::RelaxedSimd } else { InstructionSet::Simd128 };

/// Exists in every build that enables them.
#[derive(Debug, Clone, Copy)]
pub(in crate::cpu) struct Simd128(());

impl Simd128 {
    pub(super) fn new() -> Self {
        Self(())
    }
}

impl Simd for Simd128 {
    type Vector = v128;

    const LANES: usize = 4;
    // Of a processor's 16 a browser's compiler keeps one for itself, and a product takes one before it is added.
    const REGISTERS: usize = 14;

    #[inline]
    fn run(self, work: impl Work) {
        work.run(self);
    }

    #[inline(always)]
    fn splat(self, value: f32) -> v128 {
        arch::f32x4_splat(value)
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> v128 {
        // SAFETY: the caller promises that so many numbers are there; the instruction needs no alignment.
        unsafe { arch::v128_load(from.cast()) }
    }

    #[inline(always)]
    unsafe fn load_f16(self, from: *const u16) -> v128 {
        // SAFETY: as for `load`, in words of 16 bits; an array needs no more alignment than its numbers.
        let words: [u16; 4] = unsafe { from.cast::<[u16; 4]>().read() };
        let [a, b, c, d] = words.map(Storage::open_f16);
        arch::f32x4(a, b, c, d)
    }

    #[inline(always)]
    unsafe fn load_bf16_first(self, from: *const u16) -> v128 {
        // SAFETY: the caller promises that so many pairs are there; the instruction needs no alignment.
        arch::i32x4_shl(unsafe { arch::v128_load(from.cast()) }, 16)
    }

    #[inline(always)]
    unsafe fn load_bf16_second(self, from: *const u16, _: bool) -> v128 {
        // SAFETY: as above.
        arch::v128_and(unsafe { arch::v128_load(from.cast()) }, arch::i32x4_splat(!0xFFFF))
    }

    #[inline(always)]
    unsafe fn store(self, v: v128, to: *mut f32) {
        // SAFETY: the caller promises that so many numbers may be written there; the instruction needs no alignment.
        unsafe { arch::v128_store(to.cast(), v) }
    }

    #[inline(always)]
    fn add(self, a: v128, b: v128) -> v128 {
        arch::f32x4_add(a, b)
    }

    #[inline(always)]
    fn sub(self, a: v128, b: v128) -> v128 {
        arch::f32x4_sub(a, b)
    }

    #[inline(always)]
    fn mul(self, a: v128, b: v128) -> v128 {
        arch::f32x4_mul(a, b)
    }

    #[inline(always)]
    fn div(self, a: v128, b: v128) -> v128 {
        arch::f32x4_div(a, b)
    }

    #[inline(always)]
    fn fma(self, a: v128, b: v128, c: v128) -> v128 {
        #[cfg(target_feature = "relaxed-simd")]
        return arch::f32x4_relaxed_madd(a, b, c);
        #[cfg(not(target_feature = "relaxed-simd"))]
        arch::f32x4_add(arch::f32x4_mul(a, b), c)
    }

    #[inline(always)]
    fn min(self, a: v128, b: v128) -> v128 {
        // pmin is `its second < its first ? its second : its first`.
        arch::f32x4_pmin(b, a)
    }

    #[inline(always)]
    fn max(self, a: v128, b: v128) -> v128 {
        arch::f32x4_pmax(b, a)
    }

    #[inline(always)]
    fn if_less(self, a: v128, b: v128, yes: v128, no: v128) -> v128 {
        arch::v128_bitselect(yes, no, arch::f32x4_lt(a, b))
    }

    #[inline(always)]
    fn exp2_whole(self, n: v128) -> v128 {
        arch::i32x4_shl(arch::i32x4_add(arch::i32x4_trunc_sat_f32x4(n), arch::i32x4_splat(127)), 23)
    }
}
