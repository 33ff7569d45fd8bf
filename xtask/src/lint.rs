//! The checks that do not run the code: formatting, clippy, rustdoc, and pages made from records.

use std::process::Command;

use crate::process::{self, Error};
use crate::stage::{Outcome, Stage};

/// The checks. Each treats a warning as a failure.
pub fn stages() -> Vec<Stage> {
    vec![
        Stage::new("format", || passes(&mut format())),
        Stage::new("clippy", || passes(&mut clippy())),
        Stage::new("documentation", || passes(&mut documentation())),
        Stage::new("charts and tables", charts),
    ]
}

fn passes(command: &mut Command) -> Result<Outcome, Error> {
    process::run(command)?;
    Ok(Outcome::Passed)
}

/// Whether the charts and tables of the pages are those that the records give.
fn charts() -> Result<Outcome, Error> {
    const PYTHON: &str = "python3";
    if process::capture(process::in_workspace(PYTHON).arg("--version")).is_err() {
        println!("not run: needs {PYTHON}");
        return Ok(Outcome::Skipped);
    }
    passes(process::in_workspace(PYTHON).args(["benches/charts.py", "--check"]))
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
