//! Mesa's drivers in other versions than the system's: a small Debian that is unpacked under `target/`, once.
//!
//! A driver installed in place of the system's would change the device of every other suite. So programs run with the
//! loader and the libraries of the unpacked system. Unpacking needs root, Debian, 64-bit x86 and a network.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::debian::{self, Family};
use crate::process::{self, Error};

/// The time limit for unpacking.
const LIMIT: Duration = Duration::from_secs(600);
/// The loader of programs within the unpacked system, its libraries, and the descriptions of its drivers.
const LOADER: &str = "usr/lib64/ld-linux-x86-64.so.2";
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
const DRIVERS: &str = "usr/share/vulkan/icd.d";

/// An unpacked system.
pub struct Mesa {
    root: PathBuf,
}

impl Mesa {
    /// The system of a Debian release in a folder under `target/`, the smallest one with `packages` added; unpacked
    /// if it is missing.
    ///
    /// # Errors
    /// The reason why it cannot be unpacked here.
    pub fn unpacked(folder: &str, release: &str, packages: &str) -> Result<Self, Error> {
        let root = process::workspace_root().join("target").join(folder);
        let done = root.join("unpacked");
        if done.is_file() {
            return Ok(Self { root });
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
        // The files of an interrupted attempt would stop the next.
        if root.exists() {
            fs::remove_dir_all(&root)
                .map_err(|error| Error::Other(format!("{}: {error}", root.display())))?;
        }
        let mut debootstrap = process::in_workspace("debootstrap");
        debootstrap.args(["--variant=minbase", &format!("--include={packages}"), release]).arg(&root);
        process::run_within(&mut debootstrap, LIMIT)?;
        fs::write(&done, release).map_err(|error| Error::Other(format!("{}: {error}", done.display())))?;
        Ok(Self { root })
    }

    /// The words before a program's own that run it with the unpacked system's loader and libraries.
    pub fn runner(&self) -> [String; 3] {
        let [loader, libraries] = [LOADER, LIBRARIES].map(|part| self.root.join(part).display().to_string());
        [loader, "--library-path".to_owned(), libraries]
    }

    /// `command` with the driver of this name as the only one.
    pub fn drives<'a>(&self, command: &'a mut Command, driver: &str) -> &'a mut Command {
        // Two Mesas of different versions that write to one shader cache make each other crash.
        command.env("MESA_SHADER_CACHE_DISABLE", "true");
        command.env("VK_ICD_FILENAMES", self.root.join(DRIVERS).join(driver))
    }
}
