//! AVX2 with FMA and F16C.

use std::arch::asm;
use std::arch::x86_64::{self as arch, __m256, __m256i, _CMP_LT_OQ, _MM_HINT_T1};

use super::{Simd, Work};

/// Exists only where the instructions do.
#[derive(Debug, Clone, Copy)]
pub(in crate::cpu) struct Avx2(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        has.then_some(Self(()))
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn within(simd: Avx2, work: impl Work) {
    work.run(simd);
}

/// a · b + `sum` in the register of `sum`. The compiler would put some results into the register of a or b and move them back,
/// with sixteen registers through memory.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn accumulate(mut sum: __m256, a: __m256, b: __m256) -> __m256 {
    // SAFETY: these instructions, which the function is compiled for, read and write the named registers alone.
    unsafe {
        asm!(
            "vfmadd231ps {0}, {1}, {2}", inout(ymm_reg) sum, in(ymm_reg) a, in(ymm_reg) b,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sum
}

/// The upper 16 of every 32 bits, by shifts. A mask, or the zero that the compiler makes of it, would take a register.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn upper_halves(mut pairs: __m256i) -> __m256 {
    // SAFETY: these instructions, which the function is compiled for, read and write the named registers alone.
    unsafe {
        asm!(
            "vpsrld {0}, {0}, 16", "vpslld {0}, {0}, 16", inout(ymm_reg) pairs,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    arch::_mm256_castsi256_ps(pairs)
}

// SAFETY of every block below. Instructions: `detect` alone makes a token, where the processor has AVX2, FMA and F16C, and blocks
// use no others. Pointers: a load or store touches as many numbers as [`Simd`] has its callers promise, and needs no alignment; a
// prefetch is a hint and touches nothing.
#[allow(clippy::undocumented_unsafe_blocks, reason = "one reason for all, above")]
impl Simd for Avx2 {
    type Vector = __m256;

    const LANES: usize = 8;
    const REGISTERS: usize = 16;

    #[inline]
    fn run(self, work: impl Work) {
        unsafe { within(self, work) }
    }

    #[inline(always)]
    fn splat(self, value: f32) -> __m256 {
        unsafe { arch::_mm256_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m256 {
        unsafe { arch::_mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_f16(self, from: *const u16) -> __m256 {
        unsafe { arch::_mm256_cvtph_ps(arch::_mm_loadu_si128(from.cast())) }
    }

    #[inline(always)]
    unsafe fn load_bf16_first(self, from: *const u16) -> __m256 {
        unsafe {
            arch::_mm256_castsi256_ps(arch::_mm256_slli_epi32::<16>(arch::_mm256_loadu_si256(from.cast())))
        }
    }

    #[inline(always)]
    unsafe fn load_bf16_second(self, from: *const u16, is_tight: bool) -> __m256 {
        unsafe {
            let pairs = arch::_mm256_loadu_si256(from.cast());
            if is_tight {
                return upper_halves(pairs);
            }
            arch::_mm256_castsi256_ps(arch::_mm256_and_si256(pairs, arch::_mm256_set1_epi32(!0xFFFF)))
        }
    }

    #[inline(always)]
    unsafe fn store(self, v: __m256, to: *mut f32) {
        unsafe { arch::_mm256_storeu_ps(to, v) }
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        unsafe { arch::_mm256_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        unsafe { arch::_mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        unsafe { arch::_mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        unsafe { arch::_mm256_div_ps(a, b) }
    }

    #[inline(always)]
    fn fma(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { arch::_mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn accumulate(self, sum: __m256, a: __m256, b: __m256) -> __m256 {
        unsafe { accumulate(sum, a, b) }
    }

    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        unsafe { arch::_mm256_min_ps(a, b) }
    }

    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        unsafe { arch::_mm256_max_ps(a, b) }
    }

    #[inline(always)]
    fn if_less(self, a: __m256, b: __m256, yes: __m256, no: __m256) -> __m256 {
        unsafe { arch::_mm256_blendv_ps(no, yes, arch::_mm256_cmp_ps::<_CMP_LT_OQ>(a, b)) }
    }

    #[inline(always)]
    fn exp2_whole(self, n: __m256) -> __m256 {
        unsafe {
            arch::_mm256_castsi256_ps(arch::_mm256_slli_epi32::<23>(arch::_mm256_add_epi32(
                arch::_mm256_cvtps_epi32(n),
                arch::_mm256_set1_epi32(127),
            )))
        }
    }

    #[inline(always)]
    fn wait_for(self, done: __m256) {
        unsafe {
            let done = arch::_mm256_castps256_ps128(done);
            asm!("/* {0} */", in(xmm_reg) done, options(nostack, preserves_flags));
        }
    }

    #[inline(always)]
    fn fetch(self, at: *const u8) {
        // It reads nothing, so the address may be any.
        unsafe { arch::_mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }
}
