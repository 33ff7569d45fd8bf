//! Storage types of numbers in files and buffers, and their way to f32.

/// How a number is stored.
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
    /// Reads little-endian numbers as f32; f64 is rounded. Trailing bytes that make no whole number are left.
    pub fn decode(self, data: &[u8]) -> Vec<f32> {
        match self {
            Self::F16 => decode(data, |bytes| half::f16::from_le_bytes(bytes).to_f32()),
            Self::Bf16 => decode(data, |bytes| half::bf16::from_le_bytes(bytes).to_f32()),
            Self::F32 => decode(data, f32::from_le_bytes),
            Self::F64 => decode(data, |bytes| f64::from_le_bytes(bytes) as f32),
        }
    }
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

    #[test]
    fn every_type_reads_one_and_a_half() {
        assert_eq!(Dtype::F16.decode(&[0x00, 0x3e]), [1.5]);
        assert_eq!(Dtype::Bf16.decode(&[0xc0, 0x3f]), [1.5]);
        assert_eq!(Dtype::F32.decode(&1.5f32.to_le_bytes()), [1.5]);
        assert_eq!(Dtype::F64.decode(&1.5f64.to_le_bytes()), [1.5]);
    }
}
