//! The one error type of the crate. Every variant names the thing and carries the numbers.

use std::borrow::Cow;
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
    /// A product or sum of sizes does not fit the machine's integers.
    Overflow {
        /// What it was to be the size of.
        name: String,
        /// The sizes.
        sizes: Vec<usize>,
    },
    /// Something is larger than a device or a limit allows.
    TooLarge {
        /// What is too large.
        name: String,
        /// What was asked for.
        needed: u64,
        /// What is allowed.
        limit: u64,
        /// The unit of both numbers.
        unit: &'static str,
        /// The device or the option that sets the limit.
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
        /// The tensors that are there, the likeliest first; none where they would not help.
        found: Vec<String>,
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
    /// A buffer of the caller's cannot be bound to an array of a run.
    Buffer {
        /// The array.
        name: String,
        /// Why not.
        fault: BufferFault,
    },
    /// The device failed: lost, out of memory, or its driver reported an error.
    Device {
        /// The device.
        device: String,
        /// What it reported.
        reason: String,
    },
}

/// Why a buffer cannot be bound to an array; offsets and sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BufferFault {
    /// It ends before the array.
    TooSmall {
        /// The array's size.
        needed: u64,
        /// The buffer's size.
        has: u64,
        /// Where the array begins.
        offset: u64,
    },
    /// It was made without a usage.
    Usage {
        /// Which, as wgpu names it.
        missing: &'static str,
    },
    /// The array begins where the device binds none.
    Alignment {
        /// Where the array begins.
        offset: u64,
        /// What its offset has to be a multiple of.
        alignment: u64,
    },
    /// Another array lies in the same part of the same buffer, and one of them is written.
    Overlap {
        /// The other.
        other: String,
        /// Where the array and the other begin.
        offsets: [u64; 2],
        /// Their sizes.
        bytes: [u64; 2],
    },
    /// Another array lies in the same buffer, and a dispatch reads one and writes the other, which no API allows.
    Shared {
        /// The other.
        other: String,
    },
}

impl fmt::Display for BufferFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall { needed, has, offset } => write!(
                f,
                "needs {needed} bytes from offset {offset} on, the buffer has {has}: bind one of at least {} bytes",
                needed.saturating_add(*offset)
            ),
            Self::Usage { missing } => write!(f, "the buffer was made without the usage {missing}: add it"),
            Self::Alignment { offset, alignment } => {
                write!(
                    f,
                    "begins at offset {offset}, the device binds at multiples of {alignment} bytes alone"
                )
            }
            Self::Overlap { other, offsets: [own, others], bytes: [size, other_size] } => write!(
                f,
                "its {size} bytes from offset {own} on overlap the {other_size} bytes of {other} from offset {others} \
                 on, and one is written: move one of them"
            ),
            Self::Shared { other } => write!(
                f,
                "lies in the buffer of {other}, and one dispatch reads the one and writes the other: bind two buffers"
            ),
        }
    }
}

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The longest message in bytes.
const LONGEST: usize = 2000;
/// How many names a message lists.
const NAMES: usize = 20;
/// The longest name in a list, in characters.
const NAME: usize = 72;

/// Names for a message: `a, b, c`, at most 20 and then how many more there are. Of a name of more than 72 characters
/// the middle is left out.
pub fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let shown: Vec<_> = names.iter().take(NAMES).map(|name| shortened(name.as_ref(), NAME)).collect();
    match names.len().saturating_sub(NAMES) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A number of things for a message: `1 step`, `2 steps`.
pub fn count(number: usize, of: &str) -> String {
    format!("{number} {of}{}", if number == 1 { "" } else { "s" })
}

/// A message of at most 2000 bytes: of a longer one the middle is left out.
pub fn limited(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST {
        return text.into();
    }
    // In characters, so that the bytes of the longest encoding fit too.
    shortened(text, if text.is_ascii() { LONGEST - 2 } else { LONGEST / 4 })
}

/// `text` with its middle left out where it has more than `most` characters.
fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    let count = text.chars().count();
    if count <= most {
        return text.into();
    }
    let at = |index: usize| text.char_indices().nth(index).map_or(text.len(), |(at, _)| at);
    let tail = (most - 1) / 3;
    format!("{}…{}", &text[..at(most - 1 - tail)], &text[at(count - tail)..]).into()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&limited(&self.message()))
    }
}

impl Error {
    fn message(&self) -> String {
        match self {
            Self::Shape { name, expected, got } => {
                format!("{name}: expected {expected:?}, got {got:?}")
            }
            Self::Length { name, shape, got } => {
                let expected = shape.iter().fold(1usize, |all, &size| all.saturating_mul(size));
                format!("{name}: expected {} of shape {shape:?}, got {got}", count(expected, "element"))
            }
            Self::Zero { name } => format!("{name}: must be at least 1, got 0"),
            Self::Overflow { name, sizes } => format!("{name}: a size made of {sizes:?} overflows"),
            Self::TooLarge { name, needed, limit, unit, device } => {
                format!("{name}: needs {needed} {unit}, {device} allows {limit}")
            }
            Self::Memory { name, bytes } => format!("{name}: no memory for {bytes} bytes"),
            Self::NotFinite { name, index, shape, value } => {
                format!("{name}: element {} is {value}, must be finite", Place(*index, shape))
            }
            Self::MissingTensor { name, source, found } if found.is_empty() => {
                format!("{name}: no such tensor in {source}")
            }
            Self::MissingTensor { name, source, found } => {
                format!("{name}: no such tensor in {source}, which has {}", listed(found))
            }
            Self::Ambiguous { what, found } if found.is_empty() => {
                format!("{what}: none found")
            }
            Self::Ambiguous { what, found } => {
                format!("{what}: found {}: {}", found.len(), listed(found))
            }
            Self::Format { name, reason } => format!("{name}: {reason}"),
            Self::Io { path, reason } => format!("{path}: {reason}"),
            Self::Mismatch { name, reason } => format!("{name}: {reason}"),
            Self::Unsupported { what } => format!("not supported: {what}"),
            Self::NoDevice { selector, found } => {
                let adapters = if found.is_empty() { "no adapter".into() } else { listed(found) };
                format!("no device matches \"{selector}\"; found: auto, cpu, reference, {adapters}")
            }
            Self::Stream { stream, reason } => format!("stream {stream}: {reason}"),
            Self::Buffer { name, fault } => format!("{name}: {fault}"),
            Self::Device { device, reason } => format!("{device}: {reason}"),
        }
    }
}

impl std::error::Error for Error {}

/// An element by its flat index, in words: `[2, 0, 1] of [3, 4, 5]`, of a vector `7`.
pub(crate) struct Place<'a>(pub(crate) usize, pub(crate) &'a [usize]);

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_shows_twenty_names_and_then_a_count() {
        let names = |count: usize| (0..count).map(|i| format!("n{i}")).collect::<Vec<_>>();
        assert_eq!(listed(&names(0)), "");
        assert_eq!(listed(&["a", "b"]), "a, b");
        assert!(listed(&names(20)).ends_with("n18, n19"));
        assert!(listed(&names(21)).ends_with("n18, n19 and 1 more"));
        assert!(listed(&names(100_000)).ends_with("n19 and 99980 more"));
        let long = format!("begin{}end", "ü".repeat(1000));
        let shown = listed(&[long]);
        assert!(shown.starts_with("beginü") && shown.ends_with("üend"), "{shown}");
        assert_eq!(shown.chars().count(), NAME);
    }

    #[test]
    fn no_message_is_longer_than_two_kilobytes() {
        for c in ["x", "ü", "💧"] {
            let long = c.repeat(5000);
            let found = vec![long.clone(); 100];
            let errors = [
                Error::MissingTensor { name: long.clone(), source: "m".into(), found: found.clone() },
                Error::Ambiguous { what: "stacks".into(), found },
                Error::Unsupported { what: format!("{long}; try this") },
            ];
            for error in errors {
                let text = error.to_string();
                assert!(text.len() <= 2048, "{} bytes", text.len());
                assert!(text.contains(c) && text.contains('…'), "{text}");
            }
            let text = Error::Unsupported { what: format!("{long}; try this") }.to_string();
            assert!(text.starts_with("not supported: ") && text.ends_with("; try this"), "{text}");
        }
    }
}
