//! The checks that do not run the code: formatting, clippy and rustdoc.

use std::process::Command;

use crate::process::{self, Error};
use crate::stage::{Outcome, Stage};

/// The three checks, each of which treats a warning as a failure.
pub fn stages() -> Vec<Stage> {
    vec![
        Stage::new("format", || passes(&mut format())),
        Stage::new("clippy", || passes(&mut clippy())),
        Stage::new("documentation", || passes(&mut documentation())),
    ]
}

fn passes(command: &mut Command) -> Result<Outcome, Error> {
    process::run(command)?;
    Ok(Outcome::Passed)
}

fn format() -> Command {
    let mut command = process::cargo();
    command.args(["fmt", "--all", "--check"]);
    command
}

fn clippy() -> Command {
    let mut command = process::cargo();
    command.args(["clippy", "--workspace", "--all-targets"]);
    command.args(["--", "-D", "warnings"]);
    command
}

fn documentation() -> Command {
    let mut command = process::cargo();
    command.args(["doc", "--workspace", "--no-deps", "--all-features"]).env("RUSTDOCFLAGS", "-Dwarnings");
    command
}
