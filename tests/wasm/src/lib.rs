//! The CPU path against the reference in every instruction set of the build, as a module of WebAssembly that `run.mjs` runs.
//!
//! There is no `std` for output and no thread: [`run`] leaves its report in memory, and [`report`] returns its
//! address.

mod checks;

use std::sync::{Mutex, PoisonError};

static REPORT: Mutex<String> = Mutex::new(String::new());

fn set_report(text: String) {
    *REPORT.lock().unwrap_or_else(PoisonError::into_inner) = text;
}

/// Runs every check with numbers drawn from `seed`, and returns how many failed. The report's first line has the
/// instruction sets and the number of runs, each further line a failure. A panic ends the module with its message in the report.
#[unsafe(no_mangle)]
pub extern "C" fn run(seed: u64) -> u32 {
    std::panic::set_hook(Box::new(|panic| set_report(format!("{panic}"))));
    let (summary, failures) = checks::run(seed);
    set_report([&[summary][..], &failures].concat().join("\n"));
    failures.len() as u32
}

/// Where the report begins in memory.
#[unsafe(no_mangle)]
pub extern "C" fn report() -> *const u8 {
    REPORT.lock().unwrap_or_else(PoisonError::into_inner).as_ptr()
}

/// The report's bytes.
#[unsafe(no_mangle)]
pub extern "C" fn report_length() -> usize {
    REPORT.lock().unwrap_or_else(PoisonError::into_inner).len()
}
