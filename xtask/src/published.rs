//! Checks of a published crate beside its tests: licences and sources of dependencies, the stated Rust version,
//! correct lower bounds, features by themselves, and spelling.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::process::{self, Error};
use crate::stage::{Outcome, Stage};
use crate::surface;
use crate::tool::{self, not_run};

/// The Rust version that the workspace states.
const RUST_VERSION: &str = env!("CARGO_PKG_RUST_VERSION");

/// The checks that take seconds where their tools are installed.
pub fn quick() -> Vec<Stage> {
    vec![
        Stage::new("licences, sources, duplicates", || deny(&["bans", "licenses", "sources"])),
        Stage::new("spelling", spelling),
        Stage::new("public surface", surface::check),
    ]
}

/// All checks.
pub fn stages() -> Vec<Stage> {
    let mut stages = quick();
    stages.extend([
        Stage::new("advisories", advisories),
        Stage::new("every set of features", || features_compile(usize::MAX)),
        Stage::new("stated Rust version", rust_version),
        Stage::new("minimal versions", minimal_versions),
    ]);
    stages
}

/// Checks of cargo-deny, by `deny.toml`.
fn deny(checks: &[&str]) -> Result<Outcome, Error> {
    if let Err(reason) = tool::subcommand("deny") {
        return not_run(&checks.join(", "), reason);
    }
    passes(process::cargo().args(["deny", "--workspace", "check"]).args(checks))
}

/// Known faults of dependencies, from a database on another machine.
fn advisories() -> Result<Outcome, Error> {
    if let Err(reason) = tool::subcommand("deny") {
        return not_run("advisories", reason);
    }
    if let Err(error) = process::run(process::cargo().args(["deny", "--workspace", "fetch", "db"])) {
        return not_run("advisories", format_args!("their database cannot be reached: {error}"));
    }
    deny(&["advisories"])
}

/// `typos`, by `typos.toml`.
fn spelling() -> Result<Outcome, Error> {
    if process::capture(process::in_workspace("typos").arg("--version")).is_err() {
        return not_run("spelling", "typos is not installed (pip install typos)");
    }
    passes(&mut process::in_workspace("typos"))
}

/// The library and the command with every set of at most so many of their features, with warnings as errors.
pub fn features_compile(most: usize) -> Result<Outcome, Error> {
    for (package, target, folder) in [("wgru", "--lib", "."), ("wgru-cli", "--bins", "cli")] {
        let manifest = process::workspace_root().join(folder).join("Cargo.toml");
        let text = fs::read_to_string(&manifest)
            .map_err(|error| Error::Other(format!("{}: {error}", manifest.display())))?;
        for set in sets(&features(&text)).into_iter().filter(|set| set.len() <= most) {
            let mut clippy = process::cargo();
            clippy.args(["clippy", "-p", package, target, "--no-default-features", "--features"]);
            process::run(clippy.arg(set.join(",")).args(["--", "-D", "warnings"]))?;
        }
    }
    Ok(Outcome::Passed)
}

/// The features in a manifest, without the default ones.
fn features(manifest: &str) -> Vec<&str> {
    let section = manifest.lines().skip_while(|line| line.trim() != "[features]").skip(1);
    let lines = section.take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| Some(line.split_once('=')?.0.trim()));
    names.filter(|name| !name.starts_with('#') && *name != "default").collect()
}

/// Every set of some names.
fn sets<'a>(names: &[&'a str]) -> Vec<Vec<&'a str>> {
    names.iter().fold(vec![Vec::new()], |sets, name| {
        let with = sets.iter().map(|set| [set.as_slice(), &[*name]].concat());
        sets.iter().cloned().chain(with).collect()
    })
}

/// The library and the command, built by the Rust version that the workspace states.
fn rust_version() -> Result<Outcome, Error> {
    let mut cargo = match tool::cargo_of(RUST_VERSION) {
        Ok(cargo) => cargo,
        Err(reason) => return not_run("stated Rust version", reason),
    };
    // A folder of its own, so that the other compiler's builds are kept.
    cargo.args([
        "check",
        "--locked",
        "-p",
        "wgru",
        "-p",
        "wgru-cli",
        "--all-features",
        "--target-dir",
        "target/msrv",
    ]);
    passes(&mut cargo)
}

/// The library with the lowest versions of its dependencies that its manifest allows.
fn minimal_versions() -> Result<Outcome, Error> {
    let mut cargo = match tool::cargo_of("nightly") {
        Ok(cargo) => cargo,
        Err(reason) => return not_run("minimal versions", reason),
    };
    let folder = Path::new("target").join("minimal");
    // Resolved anew, without the repository's lock file.
    let lock = process::workspace_root().join(&folder).join("Cargo.lock");
    let _ = fs::remove_file(&lock);
    cargo.args(["-Z", "direct-minimal-versions", "--config"]);
    cargo.arg(format!("resolver.lockfile-path='{}'", lock.display()));
    passes(cargo.args(["check", "-p", "wgru", "--all-features", "--target-dir"]).arg(folder))
}

fn passes(command: &mut Command) -> Result<Outcome, Error> {
    process::run(command)?;
    Ok(Outcome::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_of_the_features_is_built() {
        let manifest =
            "[features]\ndefault = [\"a\"]\n# With b = 1.\na = []\nb = [\"x\"]\n\n[other]\nc = 1\n";
        assert_eq!(features(manifest), ["a", "b"]);
        assert_eq!(sets(&["a", "b"]), [vec![], vec!["a"], vec!["b"], vec!["a", "b"]]);
    }
}
