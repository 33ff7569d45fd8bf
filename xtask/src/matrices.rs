//! The suite of cooperative matrices on a software driver that has them: Mesa's lavapipe, from 26 on, which stable
//! distributions do not have yet. Where it cannot be unpacked the stage is skipped, with the reason.

use crate::mesa::Mesa;
use crate::process::{self, Error};
use crate::stage::Outcome;
use crate::tool;

/// The release whose Mesa is new enough.
const RELEASE: &str = "sid";
/// The driver, and the loaders that wgpu opens.
const PACKAGES: &str = "mesa-vulkan-drivers,libvulkan1,libegl1,libgles2";

/// Unpacks the driver if it is missing, and runs the suite on it.
pub fn run() -> Result<Outcome, Error> {
    let mesa = match Mesa::unpacked("mesa", RELEASE, PACKAGES) {
        Ok(mesa) => mesa,
        Err(reason) => {
            return tool::not_run("matrices", format!("no driver of cooperative matrices: {reason}"));
        }
    };
    let mut command = process::cargo();
    command.args(["test", "-p", "wgru", "--test", "conditional", "--", "matrices::"]);
    command.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", mesa.runner().join(" "));
    // With this variable the suite fails where no adapter has matrices.
    process::run(mesa.drives(&mut command, "lvp_icd.json").env("WGRU_MATRICES", "1"))?;
    Ok(Outcome::Passed)
}
