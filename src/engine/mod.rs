//! What a user holds: a [`Device`], an [`Engine`] (a model made ready on it), an output of a sequence run,
//! and a [`Session`] that steps.

mod device;
mod gpu;
mod run;
mod select;
mod session;

pub use device::{Device, DeviceInfo};
pub use run::{Engine, Options};
pub use session::Session;
