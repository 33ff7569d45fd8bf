//! Checks the kernels with the compilers of real GPUs, without the hardware, by the program `wgru-isa`.
//!
//! AMD's compiler is its Vulkan driver, which starts without hardware when it is told which chip to assume: Mesa can
//! do so up to 25, and no longer in 26. NVIDIA's are those of CUDA, which compile CUDA C++. Where one is not
//! available the stage says so, with the reason.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::mesa::Mesa;
use crate::process::{self, Error};
use crate::stage::Outcome;
use crate::tool;

/// The release whose Mesa has the null device, its driver, and its loader.
const RELEASE: &str = "trixie";
const PACKAGES: &str = "mesa-vulkan-drivers,libvulkan1";
/// The wheels with CUDA's compilers, and the assembler's counterpart.
const WHEELS: [&str; 3] =
    ["nvidia-cuda-nvcc-cu12==12.9.86", "nvidia-cuda-nvrtc-cu12==12.9.86", "nvidia-cuda-nvdisasm==13.5.37"];
/// The time limit for fetching them.
const LIMIT: Duration = Duration::from_secs(300);

/// The chips, as their compilers and `wgru-isa` name them.
const AMD: [&str; 4] = ["navi31", "navi21", "gfx1201", "vega10"];
const NVIDIA: [&str; 5] = ["sm_80", "sm_86", "sm_89", "sm_90", "sm_120"];

/// The task for the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Checks the kernels of few cases against the rules and the records, with AMD's compiler.
    Short,
    /// Checks those of all cases, with both.
    Whole,
    /// Writes the records anew.
    Keep,
}

/// Compiles the kernels for each chip, and fails where one breaks a rule or is worse than its record.
pub fn run(task: Task) -> Result<Outcome, Error> {
    process::run(process::cargo().args(["build", "--quiet", "-p", "wgru-isa"]))?;
    let amd = Mesa::unpacked("mesa-trixie", RELEASE, PACKAGES).map(Compiler::Amd);
    let mut compilers = vec![("AMD's GPUs", &AMD[..], amd)];
    if task != Task::Short {
        compilers.push(("NVIDIA's GPUs", &NVIDIA[..], wheels().map(Compiler::Nvidia)));
    }
    let mut outcome = Outcome::Passed;
    let mut failed = Vec::new();
    for (whose, chips, compiler) in compilers {
        let compiler = compiler.and_then(|compiler| {
            let probed = process::capture(compiler.command(chips[0]).arg("probe"));
            probed.map(|_| compiler)
        });
        match compiler {
            Ok(compiler) => failed.extend(chips.iter().filter(|chip| !compiler.passes(chip, task))),
            Err(reason) => outcome = tool::not_run("isa", format!("no compiler of {whose}: {reason}"))?,
        }
    }
    if failed.is_empty() {
        return Ok(outcome);
    }
    let chips: Vec<&str> = failed.into_iter().copied().collect();
    Err(Error::Other(format!("kernels for {} break rules or are worse than their record", chips.join(", "))))
}

/// The place of a compiler.
enum Compiler {
    Amd(Mesa),
    Nvidia(PathBuf),
}

impl Compiler {
    /// Whether all kernels of a chip pass, or their record could be written.
    fn passes(&self, chip: &str, task: Task) -> bool {
        let mut command = self.command(chip);
        command.arg(match task {
            Task::Short => "short",
            Task::Whole => "whole",
            Task::Keep => "keep",
        });
        process::run(command.arg(format!("benches/records/isa-{chip}.csv"))).is_ok()
    }

    /// The program for a chip.
    fn command(&self, chip: &str) -> Command {
        let program: PathBuf = ["target", "debug", "wgru-isa"].iter().collect();
        match self {
            Self::Amd(mesa) => {
                let [loader, rest @ ..] = mesa.runner();
                let mut command = process::in_workspace(loader);
                command.args(rest).arg(program).arg(chip);
                for name in ["AMD_FORCE_FAMILY", "RADV_FORCE_FAMILY"] {
                    command.env(name, chip);
                }
                // The driver requires the folder, and reads nothing from it.
                command.env("XDG_RUNTIME_DIR", std::env::temp_dir());
                mesa.drives(&mut command, "radeon_icd.json");
                command
            }
            Self::Nvidia(wheels) => {
                let mut command = process::in_workspace(process::workspace_root().join(program));
                command.arg(chip).env("CUDA_WHEELS", wheels);
                command
            }
        }
    }
}

/// The folder of CUDA's wheels, which are fetched if they are missing.
fn wheels() -> Result<PathBuf, Error> {
    let folder = process::workspace_root().join("target").join("cuda");
    let (done, wanted) = (folder.join("installed"), WHEELS.join(" "));
    if fs::read_to_string(&done).is_ok_and(|there| there == wanted) {
        return Ok(folder);
    }
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(Error::Other("its wheels are for Linux on 64-bit x86".into()));
    }
    let failed = |path: &Path, reason| Error::Other(format!("{}: {reason}", path.display()));
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|reason| failed(&folder, reason))?;
    }
    let mut pip = process::in_workspace("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--target"]);
    process::run_within(pip.arg(&folder).args(WHEELS), LIMIT)?;
    fs::write(&done, wanted).map_err(|reason| failed(&done, reason))?;
    Ok(folder)
}
