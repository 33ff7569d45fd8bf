//! Checking that the library builds for machines that cannot be run here: for WebAssembly that nothing in it blocks or threads
//! where a browser could not, for 64-bit Arm that its vectors are there.
//!
//! Where the toolchain lacks a target, rustup is asked to add it; where that fails the check is skipped, with
//! the reason.

use std::path::PathBuf;
use std::time::Duration;

use crate::process::{self, Error};
use crate::stage::Outcome;

const WASM: &str = "wasm32-unknown-unknown";
pub const ARM: &str = "aarch64-unknown-linux-gnu";

/// How long rustup may take to download a target.
const RUSTUP_LIMIT: Duration = Duration::from_secs(120);

/// Checks the library for WebAssembly, and the CPU path by itself with its vectors.
pub fn wasm() -> Result<Outcome, Error> {
    let all = check(WASM, &[], "")?;
    let alone = check(WASM, &["--no-default-features"], "-C target-feature=+simd128")?;
    Ok(if alone == Outcome::Skipped { alone } else { all })
}

/// Checks the library for 64-bit Arm.
pub fn arm() -> Result<Outcome, Error> {
    check(ARM, &[], "")
}

fn check(target: &str, arguments: &[&str], flags: &str) -> Result<Outcome, Error> {
    if !is_ready(target)? {
        return Ok(Outcome::Skipped);
    }
    let mut cargo = process::cargo();
    cargo.args(["check", "--target", target, "-p", "wgru", "--lib"]).args(arguments);
    if !flags.is_empty() {
        cargo.env("RUSTFLAGS", flags);
    }
    process::run(&mut cargo)?;
    Ok(Outcome::Passed)
}

/// Whether the toolchain in use has the target's standard library, or has it now; says why not.
pub fn is_ready(target: &str) -> Result<bool, Error> {
    if is_installed(target)? {
        return Ok(true);
    }
    let mut rustup = process::in_workspace("rustup");
    let added = process::run_within(rustup.args(["target", "add", target]), RUSTUP_LIMIT);
    if let Err(reason) = &added {
        println!("SKIPPED check: {target} is not installed and could not be added: {reason}");
    }
    Ok(added.is_ok())
}

/// Whether the toolchain in use has the target's standard library.
fn is_installed(target: &str) -> Result<bool, Error> {
    let sysroot = process::capture(process::rustc().args(["--print", "sysroot"]))?;
    let libraries: PathBuf = [sysroot.trim(), "lib", "rustlib", target, "lib"].iter().collect();
    Ok(libraries.is_dir())
}
