//! Checking that the library builds for `wasm32-unknown-unknown`.
//!
//! There are three ways, tried in this order; the output names the one taken:
//!
//! 1. the toolchain in use has the target;
//! 2. rustup adds the target to it;
//! 3. Debian's compiler builds the standard library from Debian's source of it.
//!
//! Where none can be taken the check is skipped, with the reason.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::debian::{self, Family, Version};
use crate::process::{self, Error};
use crate::stage::Outcome;

const TARGET: &str = "wasm32-unknown-unknown";

/// How long rustup may take to download the target.
const RUSTUP_LIMIT: Duration = Duration::from_secs(60);

/// Debian's recent compiler, its cargo, and the source of its standard library.
const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// The oldest compiler that the workspace supports.
const OLDEST_RUST: &str = env!("CARGO_PKG_RUST_VERSION");

/// Variables of the toolchain in use that must not reach Debian's.
const TOOLCHAIN_VARIABLES: [&str; 4] = ["CARGO", "RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH", "RUSTDOC"];

/// Optimising would only make the build scripts and macros slower to build:
/// nothing of the library is run.
const UNOPTIMISED: [&str; 3] =
    ["profile.dev.opt-level=0", "profile.dev.debug=false", r#"profile.dev.package."*".opt-level=0"#];

/// Checks the library for the target in the first way that is possible.
pub fn check() -> Result<Outcome, Error> {
    if target_installed()? {
        println!("    way: {TARGET} is installed in the toolchain in use");
        return check_with_target();
    }
    let rustup_problem = match add_target() {
        Ok(()) => {
            println!("    way: rustup added {TARGET} to the toolchain in use");
            return check_with_target();
        }
        Err(error) => error,
    };
    println!("    not with rustup: {rustup_problem}");
    match prepare_debian() {
        Ok(()) => {
            println!("    way: Debian's rustc, building the standard library from source");
            check_with_std_source()
        }
        Err(debian_problem) => {
            println!("    not with Debian's compiler: {debian_problem}");
            println!(
                "SKIPPED wasm check: {TARGET} is not installed and could not be added \
                 ({rustup_problem}; {debian_problem}). To install it: `rustup target add {TARGET}`"
            );
            Ok(Outcome::Skipped)
        }
    }
}

/// Whether the toolchain in use has the target's standard library.
fn target_installed() -> Result<bool, Error> {
    let sysroot = process::capture(process::rustc().args(["--print", "sysroot"]))?;
    let libraries: PathBuf = [sysroot.trim(), "lib", "rustlib", TARGET, "lib"].iter().collect();
    Ok(libraries.is_dir())
}

/// Has rustup add the target, and makes sure that the toolchain in use got it.
fn add_target() -> Result<(), Error> {
    let mut rustup = process::in_workspace("rustup");
    process::run_within(rustup.args(["target", "add", TARGET]), RUSTUP_LIMIT)?;
    if target_installed()? {
        return Ok(());
    }
    Err(Error::Other("rustup added the target to another toolchain than the one in use".to_owned()))
}

fn check_with_target() -> Result<Outcome, Error> {
    process::run(&mut check_command(process::cargo()))?;
    Ok(Outcome::Passed)
}

/// Makes sure that Debian's packages are there and recent enough.
fn prepare_debian() -> Result<(), Error> {
    if debian::family() != Family::Debian {
        return Err(Error::Other("this system is not a Debian".to_owned()));
    }
    if installed_and_recent()? {
        return Ok(());
    }
    if !debian::is_root() {
        return Err(Error::Other(format!("installing {} takes root", DEBIAN_PACKAGES.join(" "))));
    }
    debian::update_lists()?;
    for package in DEBIAN_PACKAGES {
        require_recent(package, debian::candidate_version(package)?)?;
    }
    debian::install(&DEBIAN_PACKAGES)
}

fn installed_and_recent() -> Result<bool, Error> {
    if !debian::missing(&DEBIAN_PACKAGES)?.is_empty() {
        return Ok(false);
    }
    let mut versions = Vec::new();
    for package in DEBIAN_PACKAGES {
        versions.push(debian::installed_version(package)?);
    }
    let alike = versions.iter().all(|version| *version == versions[0]);
    Ok(alike && versions[0].is_some() && versions[0] >= Version::parse(OLDEST_RUST))
}

fn require_recent(package: &str, candidate: Option<Version>) -> Result<(), Error> {
    match candidate {
        Some(version) if Some(version) >= Version::parse(OLDEST_RUST) => Ok(()),
        Some(version) => {
            Err(Error::Other(format!("apt has {package} {version}, and {OLDEST_RUST} is needed")))
        }
        None => Err(Error::Other(format!("apt has no package {package}"))),
    }
}

/// Checks with Debian's compiler, for which the standard library is built too.
fn check_with_std_source() -> Result<Outcome, Error> {
    process::run(&mut std_source_command())?;
    Ok(Outcome::Passed)
}

fn std_source_command() -> Command {
    let mut command = check_command(process::in_workspace(DEBIAN_CARGO));
    command.arg("-Zbuild-std=std,panic_abort");
    for setting in UNOPTIMISED {
        command.args(["--config", setting]);
    }
    for variable in TOOLCHAIN_VARIABLES {
        command.env_remove(variable);
    }
    // A released compiler takes -Z options only when told that it may.
    command
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTC", DEBIAN_RUSTC)
        .env("CARGO_TARGET_DIR", process::target_dir().join("wasm"));
    command
}

fn check_command(mut cargo: Command) -> Command {
    cargo.args(["check", "--target", TARGET, "-p", "wgru", "--lib"]);
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_rust_is_a_version() {
        assert!(Version::parse(OLDEST_RUST).is_some());
    }

    #[test]
    fn only_a_recent_candidate_will_do() {
        assert!(require_recent("x", Version::parse(OLDEST_RUST)).is_ok());
        assert!(require_recent("x", Version::parse("1.100.0+dfsg1")).is_ok());
        assert!(require_recent("x", Version::parse("1.63.0")).is_err());
        assert!(require_recent("x", None).is_err());
    }

    #[test]
    fn debian_is_run_by_its_own_paths_in_its_own_directory() {
        let command = std_source_command();
        assert_eq!(command.get_program(), DEBIAN_CARGO);
        let set: Vec<_> = command.get_envs().collect();
        assert!(set.contains(&("RUSTC".as_ref(), Some(DEBIAN_RUSTC.as_ref()))));
        assert!(set.contains(&("RUSTUP_TOOLCHAIN".as_ref(), None)));
        assert!(set.iter().any(|(name, value)| {
            *name == "CARGO_TARGET_DIR"
                && value.is_some_and(|path| std::path::Path::new(path).ends_with("wasm"))
        }));
    }
}
