//! What a caller can do about an error.

use super::{Error, StreamFault};

/// What a caller can do about an [`Error`]; [`Error::kind`] says which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The arguments do not fit the model, each other, or an earlier call. Change the call: it fails again as it is.
    WrongUse,
    /// The system does not open, read or write a file. `std::error::Error::source` is the [`std::io::Error`]; its kind
    /// says whether the file is missing, or may not be read.
    Io,
    /// A file can be opened, but it is damaged, contradicts itself, or does not match the importer's options. Get the file again,
    /// or look at these options.
    BadFile,
    /// The model or the call is valid, but this version or this device does not support it. Use another device, or leave out what
    /// the message names.
    Unsupported,
    /// More than the device, the host's memory or an option allows. Use less at once, or raise the limit that the message names.
    Limit,
    /// No device matches the selector; the message lists those that were found. Select one of them, or the CPU path.
    NoDevice,
    /// The device was destroyed, reset or taken away, and stays lost. Open a device and load the model again; pools go
    /// on with [`Pool::rebuild`](crate::Pool::rebuild).
    LostDevice,
    /// The driver refused something, or gave a wrong result, and the device is still there. Try again, another device, or another
    /// version of the driver.
    Driver,
    /// The caller ended the run. The engine can be used as before.
    Interrupted,
    /// A fault of this crate. Please report it, with the message; other calls still work.
    Internal,
}

impl Error {
    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Shape { .. }
            | Self::Length { .. }
            | Self::Zero { .. }
            | Self::NotFinite { .. }
            | Self::Mismatch { .. }
            | Self::Buffer { .. } => ErrorKind::WrongUse,
            Self::Stream { fault: StreamFault::QueueFull { .. }, .. } => ErrorKind::Limit,
            Self::Stream { .. } => ErrorKind::WrongUse,
            Self::Io { .. } => ErrorKind::Io,
            Self::MissingTensor { .. } | Self::Ambiguous { .. } | Self::Format { .. } | Self::File { .. } => {
                ErrorKind::BadFile
            }
            Self::Unsupported { .. } => ErrorKind::Unsupported,
            Self::Overflow { .. }
            | Self::TooLarge { .. }
            | Self::Memory { .. }
            | Self::DeviceMemory { .. } => ErrorKind::Limit,
            Self::NoDevice { .. } => ErrorKind::NoDevice,
            Self::Lost { .. } => ErrorKind::LostDevice,
            Self::Device { .. } => ErrorKind::Driver,
            // A future that was dropped half way.
            Self::PoolFailed { fault, .. } => {
                fault.as_ref().map_or(ErrorKind::WrongUse, |fault| fault.kind())
            }
            Self::Interrupted => ErrorKind::Interrupted,
            Self::Internal { .. } => ErrorKind::Internal,
        }
    }

    /// The error as an error of a file: what would be wrong use in a call is a bad file.
    pub(crate) fn in_file(self) -> Self {
        match (self.kind(), &self) {
            (ErrorKind::WrongUse, _) | (_, Self::Overflow { .. }) => Self::File { fault: Box::new(self) },
            _ => self,
        }
    }
}
