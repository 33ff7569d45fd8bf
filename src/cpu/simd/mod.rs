//! Vectors of f32 in the instruction set that is chosen at run time.
//!
//! A [`Simd`] is a token that exists only where the processor has its instructions, so its methods are safe. They become single
//! instructions only within a function that is compiled for them. So code that uses them is a [`Work`], inlined into such a
//! function, together with everything that it calls.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod portable;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;

use std::fmt;

/// The instructions that the CPU path uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InstructionSet {
    /// 16 numbers at once, on x86-64.
    Avx512,
    /// 8 numbers at once, with FMA and F16C, on x86-64.
    Avx2,
    /// 4 numbers at once, on 64-bit Arm.
    Neon,
    /// 4 numbers at once, on WebAssembly in builds with `relaxed-simd`. Products are rounded before they are added or not, as the
    /// processor does it faster, so bits may differ between machines.
    RelaxedSimd,
    /// 4 numbers at once, on WebAssembly in builds without. Products are rounded before they are added.
    Simd128,
    /// Plain code, vectorised by the compiler. Products are rounded before they are added. Not in WebAssembly with vectors, where it would
    /// only make the module larger.
    Portable,
}

impl InstructionSet {
    /// Every one, fastest first.
    pub const ALL: [Self; 6] =
        [Self::Avx512, Self::Avx2, Self::Neon, Self::RelaxedSimd, Self::Simd128, Self::Portable];

    /// Its name, as in a device selector.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::RelaxedSimd => "relaxed-simd",
            Self::Simd128 => "simd128",
            Self::Portable => "portable",
        }
    }

    /// Whether this machine has it.
    pub fn is_available(self) -> bool {
        Level::of(self).is_some()
    }

    /// Those that this machine has, fastest first.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|set| set.is_available())
    }
}

impl fmt::Display for InstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The token of a set that this machine has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Level {
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
    #[cfg(target_arch = "aarch64")]
    Neon(neon::Neon),
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Simd128(simd128::Simd128),
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    Portable(portable::Portable),
}

/// Evaluates `$body` with the token of `$level` as `$simd`.
macro_rules! at_level {
    ($level:expr, $simd:ident => $body:expr) => {
        match $level {
            #[cfg(target_arch = "x86_64")]
            $crate::cpu::simd::Level::Avx512($simd) => $body,
            #[cfg(target_arch = "x86_64")]
            $crate::cpu::simd::Level::Avx2($simd) => $body,
            #[cfg(target_arch = "aarch64")]
            $crate::cpu::simd::Level::Neon($simd) => $body,
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            $crate::cpu::simd::Level::Simd128($simd) => $body,
            #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
            $crate::cpu::simd::Level::Portable($simd) => $body,
        }
    };
}
pub(super) use at_level;

impl Level {
    /// `None` where this machine does not have `set`.
    pub(super) fn of(set: InstructionSet) -> Option<Self> {
        match set {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => avx512::Avx512::detect().map(Self::Avx512),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => avx2::Avx2::detect().map(Self::Avx2),
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => Some(Self::Neon(neon::Neon::new())),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            simd128::SET => Some(Self::Simd128(simd128::Simd128::new())),
            #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
            InstructionSet::Portable => Some(Self::Portable(portable::Portable)),
            #[allow(unreachable_patterns, reason = "which sets there are depends on the target")]
            _ => None,
        }
    }

    /// The fastest that this machine has.
    pub(super) fn best() -> Self {
        let best = InstructionSet::ALL.into_iter().find_map(Self::of);
        best.unwrap_or(Self::least())
    }

    /// The one that every machine of the target has.
    fn least() -> Self {
        #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
        return Self::Portable(portable::Portable);
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        return Self::Simd128(simd128::Simd128::new());
    }

    pub(super) fn set(self) -> InstructionSet {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => InstructionSet::Avx512,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => InstructionSet::Avx2,
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => InstructionSet::Neon,
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Self::Simd128(_) => simd128::SET,
            #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
            Self::Portable(_) => InstructionSet::Portable,
        }
    }

    /// The same, or vectors of half the length where layers of so many units would leave half of every vector empty. The same
    /// processors compute these faster. Both round alike, so that no bit changes.
    pub(super) fn for_units(self, units: usize) -> Self {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) if units <= 8 => Self::of(InstructionSet::Avx2).unwrap_or(self),
            level => {
                let _ = units;
                level
            }
        }
    }

    /// Numbers in a vector.
    pub(super) fn lanes(self) -> usize {
        fn of<S: Simd>(_: S) -> usize {
            S::LANES
        }
        at_level!(self, simd => of(simd))
    }

    /// Registers for vectors.
    pub(super) fn registers(self) -> usize {
        fn of<S: Simd>(_: S) -> usize {
            S::REGISTERS
        }
        at_level!(self, simd => of(simd))
    }
}

/// The most lanes of a vector of any set.
pub(super) const MOST_LANES: usize = 16;

/// Code to run in an instruction set. `run` and all that it calls have to be `#[inline(always)]`.
pub(super) trait Work {
    fn run<S: Simd>(self, simd: S);
}

/// Vectors of one instruction set.
pub(super) trait Simd: Copy + Send + Sync + 'static {
    type Vector: Copy;

    /// Numbers in a vector.
    const LANES: usize;
    /// Registers for vectors.
    const REGISTERS: usize;

    /// Does `work` in a function compiled for these instructions.
    fn run(self, work: impl Work);

    fn splat(self, value: f32) -> Self::Vector;

    /// # Safety
    /// `from` points to [`Simd::LANES`] numbers.
    unsafe fn load(self, from: *const f32) -> Self::Vector;
    /// # Safety
    /// `from` points to [`Simd::LANES`] f16 numbers.
    unsafe fn load_f16(self, from: *const u16) -> Self::Vector;
    /// The first numbers of pairs.
    ///
    /// # Safety
    /// `from` points to [`Simd::LANES`] pairs of bf16 numbers.
    unsafe fn load_bf16_first(self, from: *const u16) -> Self::Vector;
    /// The second numbers of pairs. `is_tight`: there is no register for a mask.
    ///
    /// # Safety
    /// As for [`Simd::load_bf16_first`].
    unsafe fn load_bf16_second(self, from: *const u16, is_tight: bool) -> Self::Vector;
    /// # Safety
    /// `to` points to [`Simd::LANES`] numbers that may be written.
    unsafe fn store(self, v: Self::Vector, to: *mut f32);

    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn div(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a · b + c, rounded once where the instruction set has a fused multiply-add.
    fn fma(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// a · b + `sum`, like [`Simd::fma`], for a loop that keeps its sums in registers.
    #[inline(always)]
    fn accumulate(self, sum: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        self.fma(a, b, sum)
    }
    /// The smaller; b where either is NaN.
    fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The larger; b where either is NaN.
    fn max(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a < b ? yes : no` for each.
    fn if_less(self, a: Self::Vector, b: Self::Vector, yes: Self::Vector, no: Self::Vector) -> Self::Vector;
    /// 2ⁿ of whole numbers from −126 to 127; unspecified for others.
    fn exp2_whole(self, n: Self::Vector) -> Self::Vector;

    /// A compiler barrier that depends on `done` and may change any memory: later loads stay behind it and take no register
    /// before it. It emits no instruction.
    #[inline(always)]
    fn wait_for(self, _done: Self::Vector) {}

    /// Prefetches this address into the L2 cache, where there is an instruction for it.
    #[inline(always)]
    fn fetch(self, _: *const u8) {}

    /// Loads the first numbers of `from`.
    #[inline(always)]
    fn read(self, from: &[f32]) -> Self::Vector {
        // SAFETY: the slice has been cut to as many.
        unsafe { self.load(from[..Self::LANES].as_ptr()) }
    }

    /// Stores over the first numbers of `to`.
    #[inline(always)]
    fn write(self, v: Self::Vector, to: &mut [f32]) {
        // SAFETY: the slice has been cut to as many.
        unsafe { self.store(v, to[..Self::LANES].as_mut_ptr()) }
    }
}
