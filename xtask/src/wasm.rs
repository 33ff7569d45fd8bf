//! Checking that the library builds for `wasm32-unknown-unknown`: that nothing in it blocks or threads where a
//! browser could not.
//!
//! Where the toolchain lacks the target, rustup is asked to add it; where that fails the check is skipped, with
//! the reason.

use std::path::PathBuf;
use std::time::Duration;

use crate::process::{self, Error};
use crate::stage::Outcome;

const TARGET: &str = "wasm32-unknown-unknown";

/// How long rustup may take to download the target.
const RUSTUP_LIMIT: Duration = Duration::from_secs(120);

/// Checks the library for the target.
pub fn check() -> Result<Outcome, Error> {
    if !target_installed()? {
        let mut rustup = process::in_workspace("rustup");
        let added = process::run_within(rustup.args(["target", "add", TARGET]), RUSTUP_LIMIT);
        if let Err(reason) = added {
            println!("SKIPPED wasm check: {TARGET} is not installed and could not be added: {reason}");
            return Ok(Outcome::Skipped);
        }
    }
    let mut cargo = process::cargo();
    process::run(cargo.args(["check", "--target", TARGET, "-p", "wgru", "--lib"]))?;
    Ok(Outcome::Passed)
}

/// Whether the toolchain in use has the target's standard library.
fn target_installed() -> Result<bool, Error> {
    let sysroot = process::capture(process::rustc().args(["--print", "sysroot"]))?;
    let libraries: PathBuf = [sysroot.trim(), "lib", "rustlib", TARGET, "lib"].iter().collect();
    Ok(libraries.is_dir())
}
