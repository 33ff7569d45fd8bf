//! Numbers as files store them, and their conversion to f32.

use std::fmt;

use wgru::dtype::Dtype;

/// How an element is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// A float.
    Float(Dtype),
    /// An integer of so many bytes, at most 8.
    Int {
        /// Its size in bytes.
        bytes: usize,
        /// Whether it is signed.
        signed: bool,
    },
    /// A byte, 0 or 1.
    Bool,
}

/// Numbers as f32, and what their conversion lost.
pub struct Numbers {
    /// The numbers.
    pub data: Vec<f32>,
    /// Integers that f32 cannot represent: it represents all up to 2²⁴.
    pub inexact: usize,
    /// Finite numbers beyond the range of f32, which are now infinite.
    pub beyond: usize,
}

impl Stored {
    /// Bytes of an element.
    pub fn size(self) -> usize {
        match self {
            Self::Float(Dtype::F16 | Dtype::Bf16) => 2,
            Self::Float(Dtype::F32) => 4,
            Self::Float(Dtype::F64) => 8,
            Self::Int { bytes, .. } => bytes,
            Self::Bool => 1,
        }
    }

    /// Reads little-endian elements; trailing bytes of an incomplete element are ignored.
    pub fn read(self, bytes: &[u8]) -> Numbers {
        let mut inexact = 0;
        let data: Vec<f32> = match self {
            Self::Float(dtype) => dtype.decode(bytes),
            Self::Bool => bytes.iter().map(|&byte| f32::from(u8::from(byte != 0))).collect(),
            Self::Int { bytes: size, signed } => {
                let number = |chunk: &[u8]| {
                    let is_negative = signed && chunk.last().is_some_and(|byte| byte & 0x80 != 0);
                    let mut all = [if is_negative { 0xff } else { 0 }; 16];
                    all[..size].copy_from_slice(chunk);
                    let whole = i128::from_le_bytes(all);
                    inexact += usize::from((whole as f32) as i128 != whole);
                    whole as f32
                };
                bytes.chunks_exact(size).map(number).collect()
            }
        };
        let beyond = match self {
            Self::Float(Dtype::F64) => {
                let finite =
                    bytes.chunks_exact(8).map(|chunk| chunk[7] & 0x7f != 0x7f || chunk[6] & 0xf0 != 0xf0);
                data.iter().zip(finite).filter(|(value, finite)| value.is_infinite() && *finite).count()
            }
            _ => 0,
        };
        Numbers { data, inexact, beyond }
    }
}

/// NumPy's names.
impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Float(Dtype::F16) => f.write_str("float16"),
            Self::Float(Dtype::Bf16) => f.write_str("bfloat16"),
            Self::Float(Dtype::F32) => f.write_str("float32"),
            Self::Float(Dtype::F64) => f.write_str("float64"),
            Self::Int { bytes, signed } => write!(f, "{}int{}", if signed { "" } else { "u" }, 8 * bytes),
            Self::Bool => f.write_str("bool"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_of_every_size_and_sign() {
        for bytes in [1, 2, 4, 8] {
            for signed in [false, true] {
                let stored = Stored::Int { bytes, signed };
                let least = if signed { -(1i128 << (8 * bytes - 1)) } else { 0 };
                let most = if signed { -1 - least } else { (1 << (8 * bytes)) - 1 };
                let all = [least, most, 0, 1, 100];
                let file: Vec<u8> =
                    all.iter().flat_map(|value| value.to_le_bytes()[..bytes].to_vec()).collect();
                let numbers = stored.read(&file);
                assert_eq!(numbers.data, all.map(|value| value as f32), "{stored}");
                // f32 cannot represent 2³¹ − 1 and the like; it represents powers of two.
                assert_eq!(numbers.inexact, usize::from(bytes > 2), "{stored}");
            }
        }
        assert_eq!(Stored::Bool.read(&[0, 1, 2]).data, [0.0, 1.0, 1.0]);
    }

    #[test]
    fn what_f32_cannot_hold_is_counted() {
        let file: Vec<u8> =
            [1e300, f64::INFINITY, f64::NAN, 1.0, -1e39, 3e38].iter().flat_map(|v| v.to_le_bytes()).collect();
        let numbers = Stored::Float(Dtype::F64).read(&file);
        assert_eq!((numbers.beyond, numbers.inexact), (2, 0));
        assert!(
            numbers.data[0].is_infinite() && numbers.data[4] == f32::NEG_INFINITY && numbers.data[3] == 1.0
        );
    }
}
