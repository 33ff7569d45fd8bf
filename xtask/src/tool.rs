//! Tools that a contributor may lack: whether they run, and the message if not.

use std::process::Command;
use std::time::Duration;

use crate::process::{self, Error};
use crate::stage::Outcome;

/// The time limit for rustup to download a toolchain.
const RUSTUP_LIMIT: Duration = Duration::from_secs(180);

/// The outcome of `stage` where it cannot run here, with the reason.
pub fn not_run(stage: &str, reason: impl std::fmt::Display) -> Result<Outcome, Error> {
    println!("SKIPPED {stage}: {reason}");
    Ok(Outcome::Skipped)
}

/// Whether a cargo subcommand is installed, or the reason why it cannot run.
pub fn subcommand(name: &str) -> Result<(), String> {
    let mut version = process::cargo();
    let found = process::capture(version.args([name, "--version"]).stderr(std::process::Stdio::null()));
    found
        .map(drop)
        .map_err(|_| format!("cargo-{name} is not installed (cargo install --locked cargo-{name})"))
}

/// The cargo of a toolchain, in the workspace, which rustup installs if it is missing; or the reason why there is
/// none.
pub fn cargo_of(toolchain: &str) -> Result<Command, String> {
    let of = |arguments: &[&str]| {
        let mut command = process::in_workspace("rustup");
        command.args(["run", toolchain]).args(arguments);
        command
    };
    let runs = |()| process::capture(&mut of(&["cargo", "--version"]));
    if runs(()).is_err() {
        let mut rustup = process::in_workspace("rustup");
        rustup.args(["toolchain", "install", toolchain, "--profile", "minimal"]);
        let added = process::run_within(&mut rustup, RUSTUP_LIMIT).and_then(runs);
        added.map_err(|reason| {
            format!("Rust {toolchain} is not installed and could not be added: {reason}")
        })?;
    }
    Ok(of(&["cargo"]))
}
