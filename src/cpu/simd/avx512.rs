//! AVX-512 (F).

use std::arch::asm;
use std::arch::x86_64::{self as arch, __m512, _CMP_LT_OQ, _MM_FROUND_CUR_DIRECTION, _MM_HINT_T1};

use super::{Simd, Work};

/// Exists only where the instructions do.
#[derive(Debug, Clone, Copy)]
pub(in crate::cpu) struct Avx512(());

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        has.then_some(Self(()))
    }
}

#[target_feature(enable = "avx512f,avx2,fma,f16c")]
fn within(simd: Avx512, work: impl Work) {
    work.run(simd);
}

/// See [`Simd::wait_for`].
#[inline]
#[target_feature(enable = "avx512f,avx2,fma,f16c")]
fn wait_for(done: __m512) {
    // SAFETY: it is a comment to the assembler: no instruction, nothing changed.
    unsafe { asm!("/* {0} */", in(zmm_reg) done, options(nostack, preserves_flags)) };
}

// SAFETY of every block below. Instructions: `detect` alone makes a token, where the processor has AVX-512F, AVX2, FMA and F16C,
// and blocks use no others. Pointers: a load or store touches as many numbers as [`Simd`] has its callers promise, and needs no
// alignment; a prefetch is a hint and touches nothing.
#[allow(clippy::undocumented_unsafe_blocks, reason = "one reason for all, above")]
impl Simd for Avx512 {
    type Vector = __m512;

    const LANES: usize = 16;
    const REGISTERS: usize = 32;

    #[inline]
    fn run(self, work: impl Work) {
        unsafe { within(self, work) }
    }

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        unsafe { arch::_mm512_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m512 {
        unsafe { arch::_mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_f16(self, from: *const u16) -> __m512 {
        // _mm512_cvtph_ps leaves exceptions enabled; the variant that suppresses them takes registers alone.
        unsafe {
            arch::_mm512_cvt_roundph_ps::<_MM_FROUND_CUR_DIRECTION>(arch::_mm256_loadu_si256(from.cast()))
        }
    }

    #[inline(always)]
    unsafe fn load_bf16_first(self, from: *const u16) -> __m512 {
        unsafe {
            arch::_mm512_castsi512_ps(arch::_mm512_slli_epi32::<16>(arch::_mm512_loadu_si512(from.cast())))
        }
    }

    #[inline(always)]
    unsafe fn load_bf16_second(self, from: *const u16, _: bool) -> __m512 {
        unsafe {
            let upper = arch::_mm512_set1_epi32(!0xFFFF);
            arch::_mm512_castsi512_ps(arch::_mm512_and_si512(arch::_mm512_loadu_si512(from.cast()), upper))
        }
    }

    #[inline(always)]
    unsafe fn store(self, v: __m512, to: *mut f32) {
        unsafe { arch::_mm512_storeu_ps(to, v) }
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        unsafe { arch::_mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        unsafe { arch::_mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        unsafe { arch::_mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        unsafe { arch::_mm512_div_ps(a, b) }
    }

    #[inline(always)]
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { arch::_mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        unsafe { arch::_mm512_min_ps(a, b) }
    }

    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        unsafe { arch::_mm512_max_ps(a, b) }
    }

    #[inline(always)]
    fn if_less(self, a: __m512, b: __m512, yes: __m512, no: __m512) -> __m512 {
        unsafe { arch::_mm512_mask_blend_ps(arch::_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), no, yes) }
    }

    #[inline(always)]
    fn exp2_whole(self, n: __m512) -> __m512 {
        unsafe { arch::_mm512_scalef_ps(arch::_mm512_set1_ps(1.0), n) }
    }

    #[inline(always)]
    fn wait_for(self, done: __m512) {
        unsafe { wait_for(done) }
    }

    #[inline(always)]
    fn fetch(self, at: *const u8) {
        // It reads nothing, so the address may be any.
        unsafe { arch::_mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }
}
