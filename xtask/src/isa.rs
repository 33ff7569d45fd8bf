//! The kernels held to the compilers of real GPUs, without these: the program `wgru-isa` compiles them with the driver of AMD's
//! GPUs, which comes up without hardware where it is told which chip to take.
//!
//! Mesa can do so up to 25; 26 has dropped it. Where that version cannot be unpacked the stage is skipped, with the reason.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::mesa::Mesa;
use crate::process::{self, Error};
use crate::stage::Outcome;
use crate::tool;

/// The release whose Mesa has the null device.
const RELEASE: &str = "trixie";
/// The driver and its loader.
const PACKAGES: &str = "mesa-vulkan-drivers,libvulkan1";
/// The chips, as the driver and `wgru-isa` call them.
const CHIPS: [&str; 4] = ["navi31", "navi21", "gfx1201", "vega10"];

/// What is done with the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Those of few cases are held to the rules and the records.
    Short,
    /// Those of all cases are.
    Whole,
    /// The records are written anew.
    Keep,
}

/// Compiles the kernels for each chip, and fails where one breaks a rule or is worse than its record.
pub fn run(task: Task) -> Result<Outcome, Error> {
    let mesa = match Mesa::unpacked("mesa-trixie", RELEASE, PACKAGES) {
        Ok(mesa) => mesa,
        Err(reason) => return tool::not_run("isa", format!("no compiler of AMD's GPUs: {reason}")),
    };
    process::run(process::cargo().args(["build", "--quiet", "-p", "wgru-isa"]))?;
    let program: PathBuf = ["target", "debug", "wgru-isa"].iter().collect();
    if let Err(reason) = process::capture(command(&mesa, &program, CHIPS[0]).arg("probe")) {
        return tool::not_run("isa", format!("the driver does not come up: {reason}"));
    }
    let mut failed = Vec::new();
    for chip in CHIPS {
        let mut command = command(&mesa, &program, chip);
        command.arg(match task {
            Task::Short => "short",
            Task::Whole => "whole",
            Task::Keep => "keep",
        });
        if process::run(command.arg(format!("benches/records/isa-{chip}.csv"))).is_err() {
            failed.push(chip);
        }
    }
    match failed.as_slice() {
        [] => Ok(Outcome::Passed),
        _ => Err(Error::Other(format!(
            "kernels for {} break rules or are worse than their record",
            failed.join(", ")
        ))),
    }
}

/// The program for a chip, with the unpacked driver.
fn command(mesa: &Mesa, program: &Path, chip: &str) -> Command {
    let [loader, rest @ ..] = mesa.runner();
    let mut command = process::in_workspace(loader);
    command.args(rest).arg(program).arg(chip);
    for name in ["AMD_FORCE_FAMILY", "RADV_FORCE_FAMILY"] {
        command.env(name, chip);
    }
    // The driver looks for it, and needs nothing in it.
    command.env("XDG_RUNTIME_DIR", std::env::temp_dir());
    mesa.drives(&mut command, "radeon_icd.json");
    command
}
