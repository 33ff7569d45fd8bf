//! Work whose panics become errors.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::Error;
use crate::sync::panic_words;

/// A panic of the work, with its message. The message is `None` where a thread ended because another had panicked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Panicked(pub(super) Option<String>);

/// The panic payload of a thread that waits for a thread which has panicked.
pub(super) struct Freed;

impl Panicked {
    fn of(panic: &(dyn Any + Send)) -> Self {
        Self((!panic.is::<Freed>()).then(|| panic_words(panic)))
    }
}

/// The error of a run one of whose threads has panicked.
pub(super) fn failed(Panicked(words): Panicked) -> Error {
    let words = words.unwrap_or_default();
    let reason = format!(
        "a thread of the run panicked; discard the outputs of this run, the engine can still be used: {words}"
    );
    Error::internal("cpu", reason)
}

/// Does `work`. A panic of it ends here, unless panics end the process.
pub(super) fn caught(work: impl FnOnce()) -> Result<(), Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let panicked = Panicked::of(&*panic);
        // A message can be dropped; the drop of any other payload may panic.
        if !panic.is::<&str>() && !panic.is::<String>() && !panic.is::<Freed>() {
            std::mem::forget(panic);
        }
        panicked
    })
}
