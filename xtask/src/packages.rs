//! The system packages that give a machine a GPU adapter to test on.

use crate::debian::{self, Family};
use crate::process::Error;
use crate::stage::Outcome;

/// Mesa's software Vulkan driver and OpenGL ES, with their loaders.
const DEBIAN_PACKAGES: [&str; 5] =
    ["mesa-vulkan-drivers", "libvulkan1", "libegl1", "libgles2", "libgl1-mesa-dri"];

/// Installs the packages that the tests need, or lists them.
pub fn ensure() -> Result<Outcome, Error> {
    let advice = match debian::family() {
        Family::Debian => return ensure_on_debian(),
        Family::Fedora => {
            "the tests need a Vulkan driver and EGL: sudo dnf install mesa-vulkan-drivers \
             vulkan-loader mesa-dri-drivers mesa-libEGL libglvnd-gles"
        }
        Family::Arch => {
            "the tests need a Vulkan driver and EGL: sudo pacman -S --needed vulkan-swrast \
             vulkan-icd-loader mesa"
        }
        Family::OtherLinux => {
            "the tests need a Vulkan driver (Mesa's lavapipe will do) with the Vulkan loader, \
             and EGL with OpenGL ES"
        }
        Family::Desktop => "nothing to install: the system's GPU driver is enough",
    };
    println!("    {advice}");
    Ok(Outcome::Passed)
}

fn ensure_on_debian() -> Result<Outcome, Error> {
    let missing = debian::missing(&DEBIAN_PACKAGES)?;
    if missing.is_empty() {
        println!("    installed: {}", DEBIAN_PACKAGES.join(" "));
        return Ok(Outcome::Passed);
    }
    println!("    missing: {}", missing.join(" "));
    if debian::is_root() {
        debian::update_lists()?;
        debian::install(&missing)?;
        return Ok(Outcome::Passed);
    }
    println!(
        "SKIPPED system packages: installing takes root; if the tests find no adapter, run:\n    {}",
        debian::install_hint(&missing)
    );
    Ok(Outcome::Skipped)
}
