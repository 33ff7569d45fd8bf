//! NEON of 64-bit Arm, which every such processor has.

use std::arch::aarch64::{self as arch, float32x4_t};
use std::arch::asm;

use super::{Simd, Work};

/// Exists on every machine of this architecture.
#[derive(Debug, Clone, Copy)]
pub(in crate::cpu) struct Neon(());

impl Neon {
    pub(super) fn new() -> Self {
        Self(())
    }
}

// SAFETY of every block below. Instructions: every processor of the architecture has them; those in `asm!` read and write the
// named registers alone. Pointers: a load or store touches as many numbers as [`Simd`] has its callers promise, and needs no more
// alignment than its numbers have.
#[allow(clippy::undocumented_unsafe_blocks, unused_unsafe, reason = "one reason for all, above")]
impl Simd for Neon {
    type Vector = float32x4_t;

    const LANES: usize = 4;
    const REGISTERS: usize = 32;

    #[inline]
    fn run(self, work: impl Work) {
        work.run(self);
    }

    #[inline(always)]
    fn splat(self, value: f32) -> float32x4_t {
        unsafe { arch::vdupq_n_f32(value) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> float32x4_t {
        unsafe { arch::vld1q_f32(from) }
    }

    #[inline(always)]
    unsafe fn load_f16(self, from: *const u16) -> float32x4_t {
        // Vectors of f16 are not stable in Rust; every such processor has the instruction that converts them.
        let opened: float32x4_t;
        unsafe {
            asm!(
                "fcvtl {opened:v}.4s, {words:v}.4h", opened = lateout(vreg) opened, words = in(vreg) arch::vld1_u16(from),
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        opened
    }

    #[inline(always)]
    unsafe fn load_bf16_first(self, from: *const u16) -> float32x4_t {
        unsafe {
            arch::vreinterpretq_f32_u32(arch::vshlq_n_u32::<16>(arch::vreinterpretq_u32_u16(
                arch::vld1q_u16(from),
            )))
        }
    }

    #[inline(always)]
    unsafe fn load_bf16_second(self, from: *const u16, _: bool) -> float32x4_t {
        unsafe {
            let pairs = arch::vreinterpretq_u32_u16(arch::vld1q_u16(from));
            arch::vreinterpretq_f32_u32(arch::vandq_u32(pairs, arch::vdupq_n_u32(!0xFFFF)))
        }
    }

    #[inline(always)]
    unsafe fn store(self, v: float32x4_t, to: *mut f32) {
        unsafe { arch::vst1q_f32(to, v) }
    }

    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { arch::vaddq_f32(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { arch::vsubq_f32(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { arch::vmulq_f32(a, b) }
    }

    #[inline(always)]
    fn div(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { arch::vdivq_f32(a, b) }
    }

    #[inline(always)]
    fn fma(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        unsafe { arch::vfmaq_f32(c, a, b) }
    }

    #[inline(always)]
    fn min(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { arch::vbslq_f32(arch::vcltq_f32(a, b), a, b) }
    }

    #[inline(always)]
    fn max(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { arch::vbslq_f32(arch::vcgtq_f32(a, b), a, b) }
    }

    #[inline(always)]
    fn if_less(self, a: float32x4_t, b: float32x4_t, yes: float32x4_t, no: float32x4_t) -> float32x4_t {
        unsafe { arch::vbslq_f32(arch::vcltq_f32(a, b), yes, no) }
    }

    #[inline(always)]
    fn exp2_whole(self, n: float32x4_t) -> float32x4_t {
        unsafe {
            let biased = arch::vaddq_s32(arch::vcvtq_s32_f32(n), arch::vdupq_n_s32(127));
            arch::vreinterpretq_f32_s32(arch::vshlq_n_s32::<23>(biased))
        }
    }

    #[inline(always)]
    fn wait_for(self, done: float32x4_t) {
        unsafe { asm!("/* {0:v} */", in(vreg) done, options(nostack, preserves_flags)) };
    }
}
