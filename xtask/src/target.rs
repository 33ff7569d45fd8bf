//! Checks that the library builds for other machines, and runs its CPU path as they would. For WebAssembly the checks
//! are that nothing in it blocks or threads where a browser could not, and its vectors in Node; for 64-bit Arm its
//! vectors, in an emulator.
//!
//! Where the toolchain lacks a target, the task adds it with rustup, and installs the programs that run it with apt;
//! where that fails the check is skipped, with the reason.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::debian::{self, Family};
use crate::process::{self, Error};
use crate::stage::Outcome;
use crate::suites::Extent;

pub const WASM: &str = "wasm32-unknown-unknown";
pub const ARM: &str = "aarch64-unknown-linux-gnu";

/// Programs, and the packages of Debian that have them.
type Programs = (&'static [&'static str], &'static [&'static str]);

const NODE: Programs = (&["node"], &["nodejs"]);
const EMULATOR: Programs = (
    &["qemu-aarch64", "aarch64-linux-gnu-gcc"],
    &["qemu-user", "gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
);
/// The folder of the last package's libraries.
const ARM_LIBRARIES: &str = "/usr/aarch64-linux-gnu";

/// The suites that run on the CPU path alone.
const CPU_SUITES: [&str; 7] =
    ["allocation::", "bits::", "conventions::", "cpu::", "goldens::", "projected::", "resets::"];
/// Of those suites, the ones that the gate runs.
const SAMPLED: [&str; 2] = ["bits::", "goldens::"];
/// A test of the library that starts itself as another process, which an emulator cannot.
const NOT_EMULATED: [&str; 2] = ["--skip", "a_process_that_dies_leaves_nothing_for_good"];

/// The crate whose checks run in WebAssembly.
const WASM_CHECKS: &str = "wgru-wasm-checks";

/// The time limit for rustup to download a target.
const RUSTUP_LIMIT: Duration = Duration::from_secs(120);

/// Checks the library for WebAssembly, and the CPU path by itself; runs the latter in Node with its vectors and
/// without.
pub fn wasm() -> Result<Outcome, Error> {
    let vectors = "-C target-feature=+simd128";
    let relaxed = "-C target-feature=+simd128,+relaxed-simd";
    for (arguments, flags) in
        [(&[][..], ""), (&["--no-default-features"], vectors), (&["--no-default-features"], relaxed)]
    {
        if check(WASM, arguments, flags)? == Outcome::Skipped {
            return Ok(Outcome::Skipped);
        }
    }
    if let Err(reason) = provide(NODE) {
        println!("SKIPPED running in Node: {reason}");
        return Ok(Outcome::Skipped);
    }
    for (set, flags) in [("simd128", vectors), ("portable", "")] {
        let mut build = process::cargo();
        build.args(["build", "--target", WASM, "-p", WASM_CHECKS]).env("RUSTFLAGS", flags);
        process::run(&mut build)?;
        let module: PathBuf = ["target", WASM, "debug", "wgru_wasm_checks.wasm"].iter().collect();
        process::run(process::in_workspace("node").arg("tests/wasm/run.mjs").arg(module).arg(set))?;
    }
    Ok(Outcome::Passed)
}

/// Checks the library for 64-bit Arm, and runs the suites of its CPU path or one of them, in an emulator on other
/// machines.
pub fn arm(extent: Extent) -> Result<Outcome, Error> {
    if check(ARM, &[], "")? == Outcome::Skipped {
        return Ok(Outcome::Skipped);
    }
    let mut emulator = None;
    if !cfg!(all(target_os = "linux", target_arch = "aarch64")) {
        let libraries = Path::new(ARM_LIBRARIES).join("lib");
        let has_libraries = || match libraries.is_dir() {
            true => Ok(()),
            false => Err(Error::Other(format!("{} is not there", libraries.display()))),
        };
        if let Err(reason) = provide(EMULATOR).and_then(|()| has_libraries()) {
            println!("SKIPPED running for {ARM}: {reason}");
            return Ok(Outcome::Skipped);
        }
        emulator = Some(format!("qemu-aarch64 -L {ARM_LIBRARIES}"));
    }
    let run = |what: &[&str], tests: &[&str]| {
        let mut test = process::cargo();
        test.args(["test", "--quiet", "--target", ARM, "-p", "wgru", "--no-default-features"]);
        test.args(what).arg("--").args(tests).env("WGRU_DEVICE", "cpu:neon");
        if let Some(emulator) = &emulator {
            test.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc");
            test.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", emulator);
        }
        process::run(&mut test)
    };
    match extent {
        Extent::Sample => run(&["--test", "numbers"], &SAMPLED)?,
        Extent::Whole => {
            run(&["--lib"], &NOT_EMULATED)?;
            run(&["--test", "numbers"], &CPU_SUITES)?;
        }
    }
    Ok(Outcome::Passed)
}

/// Checks that the programs run, installs them if not, and returns the reason if they do not.
fn provide((programs, packages): Programs) -> Result<(), Error> {
    let runs = |program: &&str| process::capture(Command::new(program).arg("--version")).is_ok();
    let Some(missing) = programs.iter().find(|program| !runs(program)) else { return Ok(()) };
    if debian::family() != Family::Debian {
        return Err(Error::Other(format!(
            "`{missing}` does not run; installing it is known for Debian alone"
        )));
    }
    if !debian::is_root() {
        let hint = debian::install_hint(packages);
        return Err(Error::Other(format!("`{missing}` does not run, and installing it takes root: {hint}")));
    }
    debian::update_lists()?;
    debian::install(packages)
}

fn check(target: &str, arguments: &[&str], flags: &str) -> Result<Outcome, Error> {
    if !is_ready(target)? {
        return Ok(Outcome::Skipped);
    }
    let mut cargo = process::cargo();
    cargo.args(["check", "--target", target, "-p", "wgru", "--lib"]).args(arguments);
    process::run(cargo.env("RUSTFLAGS", format!("-D warnings {flags}").trim_end()))?;
    Ok(Outcome::Passed)
}

/// Whether the toolchain in use has the target's standard library, or has it now; prints the reason if not.
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
