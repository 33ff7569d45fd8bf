//! The tests, whole or in part, on every kind of device here.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::ignored;
use crate::process::{self, Error};
use crate::stage::Outcome;

/// How much of the long tests to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// A part, for the gate.
    Sample,
    /// All of it, for the nightly tier.
    Whole,
}

/// Runs every test, and fails if the ignored tests differ from those that [`ignored`] lists. The suite itself fails
/// without any adapter.
pub fn all(arguments: &[String]) -> Result<Outcome, Error> {
    let mut command = process::cargo();
    command.args(["test", "--workspace", "--no-fail-fast"]).args(arguments);
    let output = process::run_and_capture(&mut command)?;
    // With arguments only some tests run, so the list cannot be compared.
    if arguments.is_empty() {
        ignored::check(&output)?;
    }
    Ok(Outcome::Passed)
}

/// Runs the comparisons with published numbers once for each strategy; the tests themselves leave the choice to the
/// planner.
pub fn strategies(extent: Extent) -> Result<Outcome, Error> {
    let strategies: &[&str] = match extent {
        Extent::Sample => &["streamed"],
        Extent::Whole => &["step", "persistent", "streamed", "multi_workgroup"],
    };
    for strategy in strategies {
        println!("strategy {strategy}");
        process::run(test("numbers", &["goldens::"]).env("WGRU_STRATEGY", strategy))?;
        process::run(test("conditional", &["published::"]).env("WGRU_STRATEGY", strategy))?;
    }
    Ok(Outcome::Passed)
}

/// Runs the tests for any device on the CPU path once for each of its instruction sets. One that this machine does
/// not have is left out, with a message.
pub fn instruction_sets(extent: Extent) -> Result<Outcome, Error> {
    let sets: &[&str] = match extent {
        Extent::Sample => &["portable"],
        Extent::Whole => &["avx512", "avx2", "neon", "portable"],
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
        let device = format!("cpu:{set}");
        let numbers: &[&str] = match extent {
            Extent::Sample => &["conventions::", "goldens::"],
            Extent::Whole => &[],
        };
        process::run(test("numbers", numbers).env("WGRU_DEVICE", &device))?;
        if extent == Extent::Whole {
            process::run(test("conditional", &["published::"]).env("WGRU_DEVICE", &device))?;
        }
    }
    Ok(Outcome::Passed)
}

/// How often the suites of random numbers run with fresh seeds.
const DRAWS: u64 = 3;

/// Runs the suites of random numbers with fresh seeds. A seed that fails is kept in `tests/seeds.txt`.
pub fn drawn_seeds() -> Result<Outcome, Error> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    for seed in now..now + DRAWS {
        let mut command = process::cargo();
        command.args(["test", "--quiet", "--no-fail-fast", "-p", "wgru", "--lib"]);
        command.args(["--test", "numbers", "--test", "devices", "--test", "import"]);
        // Here cases that the gate deals to the adapters by turns run on each.
        process::run(command.env("WGRU_SEED", seed.to_string()).env("WGRU_EVERY", "1"))?;
    }
    Ok(Outcome::Passed)
}

/// Runs the tests of the kept seeds with these seeds.
pub fn kept_seeds() -> Result<Outcome, Error> {
    for line in list(SEEDS, include_str!("../../tests/seeds.txt"))? {
        let [suite, name, seed] = line;
        process::run(test(suite, &["--exact", name]).env("WGRU_SEED", seed))?;
    }
    Ok(Outcome::Passed)
}

const SEEDS: &str = "tests/seeds.txt";

/// The lines of a list with so many words each, separated by bars; `#` begins a comment.
pub fn list<'a, const WORDS: usize>(file: &str, text: &'a str) -> Result<Vec<[&'a str; WORDS]>, Error> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let words = |line: &'a str| {
        let words: Vec<&str> = line.split('|').map(str::trim).collect();
        words.try_into().map_err(|_| Error::Other(format!("{file}: `{line}` has not {WORDS} parts")))
    };
    lines.map(words).collect()
}

/// Runs the soaks for minutes instead of seconds.
pub fn soaks() -> Result<Outcome, Error> {
    let mut soaks = test("devices", &["soak"]);
    process::run(soaks.env("WGRU_SOAK_SECONDS", "120").env("WGRU_SOAK", "600"))?;
    Ok(Outcome::Passed)
}

/// Builds the library without GPUs, and runs the suites of that build.
pub fn without_gpus() -> Result<Outcome, Error> {
    let mut command = process::cargo();
    command.args(["test", "--quiet", "-p", "wgru", "--no-default-features", "--lib", "--test", "numbers"]);
    process::run(command.env("WGRU_DEVICE", "cpu"))?;
    Ok(Outcome::Passed)
}

fn test(suite: &str, arguments: &[&str]) -> Command {
    let mut command = process::cargo();
    command.args(["test", "--quiet", "-p", "wgru", "--test", suite, "--"]).args(arguments);
    command
}
