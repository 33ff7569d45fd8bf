//! The one error type of the crate. Every variant names the thing and carries the numbers; [`Error::kind`] says what to do.

mod fault;
mod kind;
mod words;

use std::fmt;
use std::io;
use std::sync::Arc;

pub use self::fault::{BufferFault, StreamFault};
pub use self::kind::ErrorKind;
pub(crate) use self::words::Place;
pub use self::words::{count, limited, listed};

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong, with the name of the thing and the numbers.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Error {
    /// An array's shape is not the one that the model or the call needs.
    Shape {
        /// The array, as the caller knows it (`weight_hh_l0`, `x`).
        name: String,
        /// The expected shape.
        expected: Vec<usize>,
        /// The shape of the argument.
        got: Vec<usize>,
    },
    /// A slice's number of elements is not that of its shape.
    Length {
        /// The slice.
        name: String,
        /// The expected shape.
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
        /// The array or object of this size.
        name: String,
        /// The sizes.
        sizes: Vec<usize>,
    },
    /// Something is larger than a device or a limit allows.
    TooLarge {
        /// What is too large.
        name: String,
        /// The needed amount.
        needed: u64,
        /// The limit.
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
        /// The tensors in the file, the likeliest first; empty where they would not help.
        found: Vec<String>,
    },
    /// The source holds several recurrent stacks, or none, under the given prefix.
    Ambiguous {
        /// What the importer looked for.
        what: String,
        /// What was found instead.
        found: Vec<String>,
    },
    /// A file's content is not in its claimed format.
    Format {
        /// The file or array.
        name: String,
        /// The reason.
        reason: String,
        /// The error of the reader, if that is another library.
        source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    },
    /// A file can be read, but what it describes is invalid: the error is what a call with the same numbers would return.
    File {
        /// The error.
        fault: Box<Error>,
    },
    /// A file cannot be opened, read or written.
    Io {
        /// The path.
        path: String,
        /// The system's reason.
        source: Arc<io::Error>,
    },
    /// Parts of a model or of a call contradict each other, or an earlier call.
    Mismatch {
        /// The part at fault.
        name: String,
        /// The expected and the actual value.
        reason: String,
    },
    /// The model needs something that this version or device does not support.
    Unsupported {
        /// Its name.
        what: String,
    },
    /// No device matches the selector.
    NoDevice {
        /// The selector.
        selector: String,
        /// The adapters that were found.
        found: Vec<String>,
    },
    /// A call on a stream of a pool failed.
    Stream {
        /// Its number.
        stream: u64,
        /// The reason.
        fault: StreamFault,
    },
    /// A buffer of the caller's cannot be bound to an array of a run.
    Buffer {
        /// The array.
        name: String,
        /// The reason.
        fault: BufferFault,
    },
    /// The driver refused something or gave a wrong result; the device is still there.
    Device {
        /// The device.
        device: String,
        /// Its report.
        reason: String,
    },
    /// The device has no memory left.
    DeviceMemory {
        /// The device.
        device: String,
        /// What it lacks memory for, and its report.
        reason: String,
    },
    /// The device is lost, and every call that needs it fails from now on.
    Lost {
        /// The device.
        device: String,
        /// The reason.
        reason: String,
    },
    /// The states of a pool are unknown since a tick failed; [`Pool::rebuild`](crate::Pool::rebuild) continues.
    PoolFailed {
        /// The device.
        device: String,
        /// Why the tick failed; `None` where its future was dropped before its end.
        fault: Option<Box<Error>>,
    },
    /// The caller ended the run ([`Batch::interrupt`](crate::Batch::interrupt)). The numbers in its outputs are invalid.
    Interrupted,
    /// A fault of this crate, not of the input: please report it.
    Internal {
        /// Where it was detected.
        name: String,
        /// What is wrong.
        reason: String,
    },
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
            Self::Format { name, reason, .. } => format!("{name}: {reason}"),
            Self::File { fault } => fault.message(),
            Self::Io { path, source } => format!("{path}: {source}"),
            Self::Mismatch { name, reason } => format!("{name}: {reason}"),
            Self::Unsupported { what } => format!("not supported: {what}"),
            Self::NoDevice { selector, found } => {
                let adapters = if found.is_empty() { "no adapter".into() } else { listed(found) };
                format!("no device matches \"{selector}\"; found: auto, cpu, reference, {adapters}")
            }
            Self::Stream { stream, fault } => format!("stream {stream}: {fault}"),
            Self::Buffer { name, fault } => format!("{name}: {fault}"),
            Self::Device { device, .. }
            | Self::DeviceMemory { device, .. }
            | Self::Lost { device, .. }
            | Self::PoolFailed { device, .. } => format!("{device}: {}", self.without_device()),
            Self::Interrupted => "the run was interrupted by its caller, and its outputs are invalid".into(),
            Self::Internal { name, reason } => format!(
                "{name}: {reason} (a fault of wgru and not of the input: please report it with this message)"
            ),
        }
    }

    /// The message without the device's name.
    fn without_device(&self) -> String {
        match self {
            Self::Device { reason, .. } | Self::DeviceMemory { reason, .. } => reason.clone(),
            Self::Lost { reason, .. } => {
                format!("the device is lost ({reason}): open a device again and load the model on it")
            }
            Self::PoolFailed { fault, .. } => {
                let dropped = || "its future was dropped, or it panicked".into();
                format!(
                    "a tick failed ({}), so the states are unknown; Pool::rebuild restores those that were \
                     saved last",
                    fault.as_ref().map_or_else(dropped, |fault| fault.without_device())
                )
            }
            other => other.message(),
        }
    }

    /// Whether the device, which is still there, has no memory left or refused something, as drivers also do for lack of memory.
    pub(crate) fn is_of_device(&self) -> bool {
        matches!(self, Self::Device { .. } | Self::DeviceMemory { .. })
    }

    /// [`Error::Io`].
    pub(crate) fn io(path: impl fmt::Display, error: io::Error) -> Self {
        Self::Io { path: path.to_string(), source: Arc::new(error) }
    }

    /// [`Error::Format`] found by this crate.
    pub(crate) fn format(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Format { name: name.into(), reason: reason.into(), source: None }
    }

    /// [`Error::Format`] with the error of a format's reader: `reason: error`.
    pub(crate) fn unreadable(
        name: impl Into<String>,
        reason: &str,
        error: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::format(name, format!("{reason}: {error}")).because(error)
    }

    /// [`Error::Format`] with its reader's error as the source.
    pub(crate) fn because(self, error: impl std::error::Error + Send + Sync + 'static) -> Self {
        match self {
            Self::Format { name, reason, .. } => Self::Format { name, reason, source: Some(Arc::new(error)) },
            other => other,
        }
    }

    /// [`Error::Internal`].
    pub(crate) fn internal(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Internal { name: name.into(), reason: reason.into() }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(&**source),
            Self::Format { source, .. } => source.as_ref().map(|source| &**source as _),
            // Its message is that of the fault.
            Self::File { fault } => fault.source(),
            Self::Stream { fault, .. } => fault.source().map(|source| &**source as _),
            Self::PoolFailed { fault, .. } => fault.as_ref().map(|fault| &**fault as _),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error of a file is never a wrong use.
    #[test]
    fn an_error_of_a_file_is_one_of_the_file() {
        let name = || String::from("w");
        let sizes = || vec![2, 3];
        for error in [
            Error::Shape { name: name(), expected: sizes(), got: sizes() },
            Error::Length { name: name(), shape: sizes(), got: 7 },
            Error::Zero { name: name() },
            Error::Overflow { name: name(), sizes: sizes() },
            Error::NotFinite { name: name(), index: 4, shape: sizes(), value: f32::NAN },
            Error::Mismatch { name: name(), reason: "another".into() },
        ] {
            let text = error.to_string();
            let of_file = error.in_file();
            assert_eq!((of_file.kind(), of_file.to_string()), (ErrorKind::BadFile, text));
            // Applying it twice does no harm.
            assert!(
                matches!(of_file.in_file(), Error::File { fault } if !matches!(*fault, Error::File { .. }))
            );
        }
        let error = Error::Unsupported { what: name() }.in_file();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let memory = Error::Memory { name: name(), bytes: 8 }.in_file();
        assert_eq!(memory.kind(), ErrorKind::Limit);
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
