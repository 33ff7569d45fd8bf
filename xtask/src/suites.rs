//! The tests, whole or in part, on what they can be run on.

use crate::process::{self, Error};
use crate::stage::Outcome;

/// How much of what takes long is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// A part, for the gate.
    Sample,
    /// All of it, for the nightly tier.
    Whole,
}

/// The suites that compare with numbers from elsewhere.
const NUMBERS: [&str; 3] = ["cases", "goldens", "vectors"];
/// The suites that take any device.
const ANY_DEVICE: [&str; 7] =
    ["backends", "cases", "conventions", "goldens", "models", "projected", "vectors"];
/// Of them, what the gate runs on a second instruction set.
const SAMPLED: [&str; 2] = ["conventions", "goldens"];

/// Runs every test. The suite itself fails where there is no adapter.
pub fn all(arguments: &[String]) -> Result<Outcome, Error> {
    let mut command = process::cargo();
    command.args(["test", "--workspace", "--no-fail-fast"]).args(arguments);
    process::run(&mut command)?;
    Ok(Outcome::Passed)
}

/// Runs [`NUMBERS`] once for each strategy; the tests themselves leave the choice to the planner.
pub fn strategies(extent: Extent) -> Result<Outcome, Error> {
    let strategies: &[&str] = match extent {
        Extent::Sample => &["streamed"],
        Extent::Whole => &["step", "resident", "streamed", "grouped"],
    };
    for strategy in strategies {
        println!("strategy {strategy}");
        process::run(tests(&NUMBERS).env("WGRU_STRATEGY", strategy))?;
    }
    Ok(Outcome::Passed)
}

/// Runs [`ANY_DEVICE`] on the CPU path once for each of its instruction sets; one that this machine does not have is left
/// out, with a word.
pub fn instruction_sets(extent: Extent) -> Result<Outcome, Error> {
    let (sets, suites): (&[&str], &[&str]) = match extent {
        Extent::Sample => (&["portable"], &SAMPLED),
        Extent::Whole => (&["avx512", "avx2", "neon", "portable"], &ANY_DEVICE),
    };
    for &set in sets {
        let is_here = match set {
            #[cfg(target_arch = "x86_64")]
            "avx512" => std::arch::is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            "avx2" => std::arch::is_x86_feature_detected!("avx2"),
            "neon" => cfg!(target_arch = "aarch64"),
            other => other == "portable",
        };
        if !is_here {
            println!("left out: this machine has no {set}");
            continue;
        }
        println!("instruction set {set}");
        process::run(tests(suites).env("WGRU_DEVICE", format!("cpu:{set}")))?;
    }
    Ok(Outcome::Passed)
}

/// Runs the soaks for minutes instead of seconds.
pub fn soaks() -> Result<Outcome, Error> {
    process::run(tests(&["pool_soak"]).env("WGRU_SOAK_SECONDS", "120"))?;
    process::run(tests(&["exchange"]).args(["--", "soak"]).env("WGRU_SOAK", "600"))?;
    Ok(Outcome::Passed)
}

/// Builds the library without GPUs, and runs what it has then.
pub fn without_gpus() -> Result<Outcome, Error> {
    let mut command = process::cargo();
    command.args(["test", "--quiet", "-p", "wgru", "--no-default-features", "--lib"]);
    process::run(command.args(["--test", "cpu", "--test", "allocation"]))?;
    Ok(Outcome::Passed)
}

fn tests(suites: &[&str]) -> std::process::Command {
    let mut command = process::cargo();
    command.args(["test", "--quiet"]).args(suites.iter().flat_map(|suite| ["--test", suite]));
    command
}
