//! The one error type of the crate. Every variant names the thing and carries the numbers.

use std::fmt;

/// What can go wrong, with the name of the thing and the numbers.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// An array has another shape than the model or the call needs.
    Shape {
        /// The array, as the caller knows it (`weight_hh_l0`, `x`).
        name: String,
        /// The shape that is needed.
        expected: Vec<usize>,
        /// The shape that was given.
        got: Vec<usize>,
    },
    /// A slice has another number of elements than its shape says.
    Length {
        /// The slice.
        name: String,
        /// The shape its elements were to fill.
        shape: Vec<usize>,
        /// The number of elements given.
        got: usize,
    },
    /// A dimension is 0 where at least 1 is needed.
    Zero {
        /// The dimension, with its letter: `T (steps)`.
        name: String,
    },
    /// A product of sizes does not fit the machine's integers.
    Overflow {
        /// What the product was to size.
        name: String,
        /// Its factors.
        factors: Vec<usize>,
    },
    /// Something is larger than the device allows.
    TooLarge {
        /// What is too large.
        name: String,
        /// What was asked for.
        needed: u64,
        /// What the device allows.
        limit: u64,
        /// The unit of both numbers.
        unit: &'static str,
        /// The device that sets the limit.
        device: String,
    },
    /// The host's memory does not hold an array.
    Memory {
        /// The array.
        name: String,
        /// Its bytes.
        bytes: usize,
    },
    /// A weight, or an input from a file, is NaN or infinite.
    NotFinite {
        /// The tensor.
        name: String,
        /// The element's flat index in row-major order.
        index: usize,
        /// The tensor's shape.
        shape: Vec<usize>,
        /// Its value.
        value: f32,
    },
    /// A tensor that the model needs is not in the file.
    MissingTensor {
        /// Its full name.
        name: String,
        /// The file or source.
        source: String,
    },
    /// The source holds several recurrent stacks, or none, under the asked prefix.
    Ambiguous {
        /// What was looked for.
        what: String,
        /// What was found instead.
        found: Vec<String>,
    },
    /// A file's content cannot be read as what it claims to be.
    Format {
        /// The file or array.
        name: String,
        /// Why not.
        reason: String,
    },
    /// A file cannot be opened, read or written.
    Io {
        /// The path.
        path: String,
        /// The system's reason.
        reason: String,
    },
    /// Parts of one model contradict each other.
    Mismatch {
        /// The part at fault.
        name: String,
        /// What it should be, and what it is.
        reason: String,
    },
    /// The model asks for something that this version or device does not do.
    Unsupported {
        /// What, by name.
        what: String,
    },
    /// No device answers to the selector.
    NoDevice {
        /// The selector.
        selector: String,
        /// The adapters that were found.
        found: Vec<String>,
    },
    /// A stream of a pool cannot do what is asked of it.
    Stream {
        /// Its number.
        stream: u64,
        /// Why not.
        reason: String,
    },
    /// The device failed: lost, out of memory, or its driver reported an error.
    Device {
        /// The device.
        device: String,
        /// What it reported.
        reason: String,
    },
}

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape { name, expected, got } => {
                write!(f, "{name}: expected {expected:?}, got {got:?}")
            }
            Self::Length { name, shape, got } => {
                write!(f, "{name}: expected {shape:?} elements in shape, got {got} elements")
            }
            Self::Zero { name } => write!(f, "{name}: must be at least 1, got 0"),
            Self::Overflow { name, factors } => {
                write!(f, "{name}: the product of {factors:?} overflows")
            }
            Self::TooLarge { name, needed, limit, unit, device } => {
                write!(f, "{name}: needs {needed} {unit}, {device} allows {limit}")
            }
            Self::Memory { name, bytes } => write!(f, "{name}: no memory for {bytes} bytes"),
            Self::NotFinite { name, index, shape, value } => {
                write!(f, "{name}: element {} is {value}, must be finite", Place(*index, shape))
            }
            Self::MissingTensor { name, source } => {
                write!(f, "{name}: no such tensor in {source}")
            }
            Self::Ambiguous { what, found } if found.is_empty() => {
                write!(f, "{what}: none found")
            }
            Self::Ambiguous { what, found } => {
                write!(f, "{what}: found {}: {}", found.len(), found.join(", "))
            }
            Self::Format { name, reason } => write!(f, "{name}: {reason}"),
            Self::Io { path, reason } => write!(f, "{path}: {reason}"),
            Self::Mismatch { name, reason } => write!(f, "{name}: {reason}"),
            Self::Unsupported { what } => write!(f, "not supported: {what}"),
            Self::NoDevice { selector, found } => {
                let adapters = if found.is_empty() { "no adapter".into() } else { found.join(", ") };
                write!(f, "no device matches \"{selector}\"; found: auto, cpu, reference, {adapters}")
            }
            Self::Stream { stream, reason } => write!(f, "stream {stream}: {reason}"),
            Self::Device { device, reason } => write!(f, "{device}: {reason}"),
        }
    }
}

impl std::error::Error for Error {}

/// An element by its flat index, in words: `[2, 0, 1] of [3, 4, 5]`, of a vector `7`.
struct Place<'a>(usize, &'a [usize]);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(index, shape) = *self;
        if shape.len() < 2 || shape.contains(&0) {
            return write!(f, "{index}");
        }
        let mut rest = index;
        let mut place: Vec<usize> = shape
            .iter()
            .rev()
            .map(|size| {
                let at = rest % size;
                rest /= size;
                at
            })
            .collect();
        place.reverse();
        write!(f, "{place:?} of {shape:?}")
    }
}
