//! The suite of cooperative matrices on a software driver that has them: Mesa's lavapipe, from 26 on.
//!
//! Stable distributions have older ones, and a newer one in place of the system's would change what every other suite runs on.
//! So a whole small system is unpacked under `target/`, once, and the tests run with its loader and libraries. Where that cannot
//! be done (it takes root, Debian and a network) the stage is skipped, with the reason.

use std::path::Path;
use std::time::Duration;

use crate::debian::{self, Family};
use crate::process::{self, Error};
use crate::stage::Outcome;

/// The release whose Mesa is new enough.
const SUITE: &str = "sid";
/// The driver, and the loaders that wgpu opens.
const PACKAGES: &str = "mesa-vulkan-drivers,libvulkan1,libegl1,libgles2";
/// How long unpacking may take.
const LIMIT: Duration = Duration::from_secs(600);
/// The loader of programs within the unpacked system, its libraries, and the driver's description.
const LOADER: &str = "usr/lib64/ld-linux-x86-64.so.2";
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
const DRIVER: &str = "usr/share/vulkan/icd.d/lvp_icd.json";

/// Unpacks the driver where it is not there yet, and runs the suite on it.
pub fn run() -> Result<Outcome, Error> {
    let root = process::workspace_root().join("target").join("mesa");
    if let Err(reason) = unpack(&root) {
        println!("SKIPPED matrices: no driver of cooperative matrices: {reason}");
        return Ok(Outcome::Skipped);
    }
    let [loader, libraries, driver] = [LOADER, LIBRARIES, DRIVER].map(|part| root.join(part));
    let runner = format!("{} --library-path {}", loader.display(), libraries.display());
    let mut command = process::cargo();
    command.args(["test", "-p", "wgru", "--test", "conditional", "--", "matrices::"]);
    // Two Mesas of other versions that write to one cache of shaders make each other crash.
    command.env("MESA_SHADER_CACHE_DISABLE", "true");
    command.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", runner);
    // The suite fails where it is asked for and there is none.
    process::run(command.env("VK_ICD_FILENAMES", driver).env("WGRU_MATRICES", "1"))?;
    Ok(Outcome::Passed)
}

fn unpack(root: &Path) -> Result<(), Error> {
    let done = root.join("unpacked");
    if done.is_file() {
        return Ok(());
    }
    let other = |reason: &str| Err(Error::Other(reason.to_owned()));
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) || debian::family() != Family::Debian {
        return other("it is unpacked on Debian and 64-bit x86 alone");
    }
    if !debian::is_root() {
        return other("unpacking takes root");
    }
    let missing = debian::missing(&["debootstrap"])?;
    if !missing.is_empty() {
        debian::update_lists()?;
        debian::install(&missing)?;
    }
    // What an interrupted attempt has left would stop the next.
    if root.exists() {
        std::fs::remove_dir_all(root)
            .map_err(|error| Error::Other(format!("{}: {error}", root.display())))?;
    }
    let mut debootstrap = process::in_workspace("debootstrap");
    debootstrap.args(["--variant=minbase", &format!("--include={PACKAGES}"), SUITE]).arg(root);
    process::run_within(&mut debootstrap, LIMIT)?;
    std::fs::write(&done, SUITE).map_err(|error| Error::Other(format!("{}: {error}", done.display())))
}
