//! Storage types of numbers in files and on devices, and conversions from and to f32.

use crate::error::{Error, Result};

/// How a number is stored in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// IEEE 754 binary16.
    F16,
    /// The upper half of an f32.
    Bf16,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
}

impl Dtype {
    /// Reads little-endian numbers as f32; f64 is rounded. Trailing bytes of a partial number are ignored.
    pub fn decode(self, data: &[u8]) -> Vec<f32> {
        match self {
            Self::F16 => decode(data, |bytes| half::f16::from_le_bytes(bytes).to_f32()),
            Self::Bf16 => decode(data, |bytes| half::bf16::from_le_bytes(bytes).to_f32()),
            Self::F32 => decode(data, f32::from_le_bytes),
            Self::F64 => decode(data, |bytes| f64::from_le_bytes(bytes) as f32),
        }
    }
}

/// How weights or activations are stored on a device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Storage {
    /// IEEE 754 binary32.
    #[default]
    F32,
    /// IEEE 754 binary16: 11 bits of precision, up to 65,504.
    F16,
    /// The upper half of an f32: 8 bits of precision, the range of f32.
    Bf16,
}

impl Storage {
    /// Whether two numbers share a word of 32 bits.
    pub fn is_half(self) -> bool {
        self != Self::F32
    }

    /// Bytes of so many numbers, without padding.
    pub(crate) fn bytes(self, count: u64) -> u64 {
        count.saturating_mul(if self.is_half() { 2 } else { 4 })
    }

    /// `value` in this storage type: rounded to the nearest, ties to even.
    #[inline(always)]
    pub fn round(self, value: f32) -> f32 {
        match self {
            Self::F32 => value,
            Self::F16 => round_f16(value, f32::INFINITY.to_bits()),
            Self::Bf16 => round_bf16(value),
        }
    }

    /// [`Storage::round`], except that a finite number beyond the range of f16 becomes its largest, as in y of a run.
    #[inline(always)]
    pub(crate) fn saturated(self, value: f32) -> f32 {
        if self == Self::F16 { round_f16(value, LARGEST_F16) } else { self.round(value) }
    }

    /// [`Storage::round`] of every number.
    #[inline(always)]
    pub(crate) fn round_all(self, from: &[f32], to: &mut [f32]) {
        match self {
            Self::F32 => to.copy_from_slice(from),
            Self::F16 => each(from, to, |value| Self::F16.round(value)),
            Self::Bf16 => each(from, to, |value| Self::Bf16.round(value)),
        }
    }

    /// [`Storage::saturated`] of every number.
    #[inline(always)]
    pub(crate) fn saturated_all(self, from: &[f32], to: &mut [f32]) {
        match self {
            Self::F16 => each(from, to, |value| Self::F16.saturated(value)),
            _ => self.round_all(from, to),
        }
    }

    /// Checks numbers against the range of f16.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for one that is finite and beyond it, naming `name`.
    pub(crate) fn check_range(self, name: &str, values: &[f32]) -> Result<()> {
        if !self.is_half() {
            return Ok(());
        }
        match values.iter().find(|value| value.is_finite() && self.round(**value).is_infinite()) {
            Some(value) => {
                let reason = format!("{value} is beyond the range of {self}");
                Err(Error::Mismatch { name: name.into(), reason })
            }
            None => Ok(()),
        }
    }

    /// The largest relative error of [`Storage::round`]; 0 for f32.
    pub fn unit_roundoff(self) -> f64 {
        match self {
            Self::F32 => 0.0,
            Self::F16 => 2f64.powi(-11),
            Self::Bf16 => 2f64.powi(-8),
        }
    }

    /// The 16 bits of a number; for f32 the upper ones.
    pub(crate) fn word(self, value: f32) -> u16 {
        match self {
            Self::F32 => (value.to_bits() >> 16) as u16,
            Self::F16 => half::f16::from_f32(value).to_bits(),
            Self::Bf16 => half::bf16::from_f32(value).to_bits(),
        }
    }

    /// The number of a finite f16's 16 bits: exponent and bias are moved to those of f32. Compilers vectorise it.
    #[inline(always)]
    pub(crate) fn open_f16(word: u16) -> f32 {
        let magnitude = f32::from_bits(u32::from(word & 0x7fff) << 13) * f32::from_bits((127 + 112) << 23);
        f32::from_bits(magnitude.to_bits() | u32::from(word & 0x8000) << 16)
    }

    /// Two numbers in a word, the first in the lower half. For f32 the word is the first alone.
    pub(crate) fn pack(self, first: f32, second: f32) -> u32 {
        let bits = |value: f32| match self {
            Self::F32 => value.to_bits(),
            Self::F16 => u32::from(half::f16::from_f32(value).to_bits()),
            Self::Bf16 => u32::from(half::bf16::from_f32(value).to_bits()),
        };
        if self.is_half() { bits(first) | (bits(second) << 16) } else { bits(first) }
    }

    /// The two numbers of a word; for f32 the number and 0.
    pub(crate) fn unpack(self, word: u32) -> [f32; 2] {
        let halves = [word as u16, (word >> 16) as u16];
        match self {
            Self::F32 => [f32::from_bits(word), 0.0],
            Self::F16 => halves.map(|bits| half::f16::from_bits(bits).to_f32()),
            Self::Bf16 => halves.map(|bits| half::bf16::from_bits(bits).to_f32()),
        }
    }

    /// `features` in memory: where two share a word, rounded up to an even number.
    pub(crate) fn padded(self, features: usize) -> usize {
        if self.is_half() { features.next_multiple_of(2) } else { features }
    }

    /// The words of so many numbers.
    pub(crate) fn words(self, numbers: usize) -> usize {
        if self.is_half() { numbers.div_ceil(2) } else { numbers }
    }
}

impl std::fmt::Display for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        })
    }
}

/// The storage types of a run. States, sums, biases and peepholes are always f32.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Precision {
    /// Of the matrices.
    pub weights: Storage,
    /// Of x, of the sequences between layers, and of y.
    pub activations: Storage,
}

impl Precision {
    /// The 16-bit type among the two, if there is one.
    pub(crate) fn half(self) -> Option<Storage> {
        [self.weights, self.activations].into_iter().find(|storage| storage.is_half())
    }

    /// # Errors
    /// [`Error::Unsupported`] for one type of f16 and one of bf16.
    pub(crate) fn check(self) -> Result<()> {
        let Self { weights, activations } = self;
        if weights.is_half() && activations.is_half() && weights != activations {
            let what =
                format!("weights in {weights} with activations in {activations}: f16 or bf16, not both");
            return Err(Error::Unsupported { what });
        }
        Ok(())
    }
}

/// Applies `of` to each number.
#[inline(always)]
fn each(from: &[f32], to: &mut [f32], of: impl Fn(f32) -> f32) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = of(from);
    }
}

/// The bits of the largest number of f16, as f32.
const LARGEST_F16: u32 = 0x477f_e000;

/// To the nearest, ties to even; without a branch, so that compilers vectorise it. A finite number that would become infinite
/// becomes `beyond`.
#[inline(always)]
fn round_f16(value: f32, beyond: u32) -> f32 {
    const INFINITY: u32 = f32::INFINITY.to_bits();
    let sign = value.to_bits() & 0x8000_0000;
    let size = value.to_bits() ^ sign;
    // f16 has 13 bits less.
    let rounded = size.wrapping_add(0x0fff + (size >> 13 & 1)) & !0x1fff;
    let beyond = if size == INFINITY { INFINITY } else { beyond };
    let rounded = if rounded > LARGEST_F16 { beyond } else { rounded };
    // Below 2⁻¹⁴ f16 is a multiple of 2⁻²⁴, as f32 is from 0.5 to 1.
    let small = (f32::from_bits(size) + 0.5 - 0.5).to_bits();
    let rounded = if size < 0x3880_0000 { small } else { rounded };
    let rounded = if size > INFINITY { (size | 0x0040_0000) & !0x1fff } else { rounded };
    f32::from_bits(sign | rounded)
}

/// Like [`round_f16`].
#[inline(always)]
fn round_bf16(value: f32) -> f32 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    f32::from_bits(if value.is_nan() { bits | 0x0040_0000 } else { rounded } & 0xffff_0000)
}

fn decode<const N: usize>(data: &[u8], read: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    data.chunks_exact(N)
        .map(|chunk| {
            let mut bytes = [0; N];
            bytes.copy_from_slice(chunk);
            read(bytes)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has the bits of the crate `half`: also at ties, beyond f16, for subnormals, infinities and NaN.
    #[test]
    fn numbers_are_rounded_as_their_formats_say() {
        let mut rng = crate::seed::Random::new();
        let special = [0.0, -0.0, 1e-40, 6e-8, 65_504.0, 65_519.9, 65_520.0, 1e30, f32::INFINITY, f32::NAN];
        // Every number of f16, the midpoints between neighbours, and the f32 neighbours of all these.
        let near = (0..0x7c00).flat_map(|word| {
            let bits = half::f16::from_bits(word).to_f32().to_bits();
            let next = half::f16::from_bits(word + 1).to_f32().min(65_536.0).to_bits();
            let half = bits + (next - bits) / 2;
            [bits, half.wrapping_sub(1), half, half + 1, next - 1].map(f32::from_bits)
        });
        let ties = (0..200).map(|at| f32::from_bits(0x3f80_8000 + (at << 16)));
        let random: Vec<f32> = (0..40_000).map(|_| f32::from_bits(rng.u32(..))).collect();
        let all: Vec<f32> = special.into_iter().chain(near).chain(ties).chain(random).collect();
        let all: Vec<f32> = all.iter().flat_map(|&value| [value, -value]).collect();
        let same = |a: f32, b: f32| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
        let f16 = |value: f32| half::f16::from_f32(value).to_f32();
        let within = |value: f32| if value.is_finite() { value.clamp(-65_504.0, 65_504.0) } else { value };
        type Rounding<'a> = &'a dyn Fn(f32) -> f32;
        let formats: [(Storage, Rounding<'_>, Rounding<'_>); 3] = [
            (Storage::F32, &|value| value, &|value| value),
            (Storage::F16, &f16, &|value| f16(within(value))),
            (Storage::Bf16, &|value| half::bf16::from_f32(value).to_f32(), &|value| {
                half::bf16::from_f32(value).to_f32()
            }),
        ];
        let (mut rounded, mut saturated) = (vec![9.0; all.len()], vec![9.0; all.len()]);
        for (storage, of, within) in formats {
            storage.round_all(&all, &mut rounded);
            storage.saturated_all(&all, &mut saturated);
            for ((&from, &rounded), &saturated) in all.iter().zip(&rounded).zip(&saturated) {
                assert!(same(rounded, of(from)), "{storage}: {from:e} became {rounded:e}");
                assert!(same(saturated, within(from)), "{storage}, saturated: {from:e} became {saturated:e}");
                assert!(same(rounded, storage.round(from)) && same(saturated, storage.saturated(from)));
            }
        }
    }

    #[test]
    fn words_hold_two_halves() {
        for storage in [Storage::F16, Storage::Bf16] {
            let word = storage.pack(1.5, -0.25);
            assert_eq!(storage.unpack(word), [1.5, -0.25]);
            assert_eq!((storage.padded(5), storage.words(5)), (6, 3));
            let off = (f64::from(storage.round(0.1)) - 0.1).abs() / 0.1;
            assert!(off > 0.0 && off <= storage.unit_roundoff(), "{storage}: {off}");
        }
        assert_eq!(Storage::F32.unpack(Storage::F32.pack(0.1, 9.0)), [0.1, 0.0]);
    }

    #[test]
    fn infinities_and_nan_are_kept_in_16_bits() {
        for storage in [Storage::F32, Storage::F16, Storage::Bf16] {
            assert!(
                storage.saturated(f32::NAN).is_nan() && storage.saturated(-f32::NAN).is_nan(),
                "{storage}"
            );
            assert_eq!(storage.saturated(f32::INFINITY), f32::INFINITY, "{storage}");
            assert_eq!(storage.saturated(f32::NEG_INFINITY), f32::NEG_INFINITY, "{storage}");
        }
        assert_eq!(Storage::F16.saturated(-1e30), -65_504.0);
        assert_eq!(Storage::F16.saturated(65_519.0), 65_504.0);
    }

    #[test]
    fn every_finite_f16_is_opened() {
        for word in (0..=u16::MAX).filter(|&word| half::f16::from_bits(word).is_finite()) {
            let exact = half::f16::from_bits(word).to_f32();
            assert_eq!(Storage::open_f16(word).to_bits(), exact.to_bits(), "{word:#x}");
        }
    }

    #[test]
    fn every_type_reads_one_and_a_half() {
        assert_eq!(Dtype::F16.decode(&[0x00, 0x3e]), [1.5]);
        assert_eq!(Dtype::Bf16.decode(&[0xc0, 0x3f]), [1.5]);
        assert_eq!(Dtype::F32.decode(&1.5f32.to_le_bytes()), [1.5]);
        assert_eq!(Dtype::F64.decode(&1.5f64.to_le_bytes()), [1.5]);
    }
}
