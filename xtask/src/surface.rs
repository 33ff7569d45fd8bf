//! The library's public surface, kept in a file, so that a review shows every change to it.

use std::fs;

use crate::process::{self, Error};
use crate::stage::Outcome;
use crate::tool::{self, not_run};

/// The file: every public item with its types, without derived items.
const KEPT: &str = "tests/surface.txt";
/// Features for tools and tests alone (`unstable`, `testing`) are left out.
const FEATURES: &str = "gpu,onnx,keras";

/// Compares the surface with [`KEPT`].
pub fn check() -> Result<Outcome, Error> {
    let found = match surface()? {
        Ok(found) => found,
        Err(reason) => return not_run("public surface", reason),
    };
    let kept = fs::read_to_string(path()).map_err(|error| Error::Other(format!("{KEPT}: {error}")))?;
    let changes = changes(&kept, &found);
    if changes.is_empty() {
        return Ok(Outcome::Passed);
    }
    println!("{}", changes.join("\n"));
    Err(Error::Other(format!(
        "the public surface is not that of {KEPT}: `cargo xtask surface write` updates it"
    )))
}

/// Writes the current surface.
pub fn write() -> Result<Outcome, Error> {
    match surface()? {
        Ok(found) => {
            fs::write(path(), found).map_err(|error| Error::Other(format!("{KEPT}: {error}")))?;
            Ok(Outcome::Passed)
        }
        Err(reason) => not_run("public surface", reason),
    }
}

fn path() -> std::path::PathBuf {
    process::workspace_root().join(KEPT)
}

/// The output of cargo-public-api, or the reason why there is none.
fn surface() -> Result<Result<String, String>, Error> {
    if let Err(reason) = tool::subcommand("public-api") {
        return Ok(Err(reason));
    }
    let mut cargo = match tool::cargo_of("nightly") {
        Ok(cargo) => cargo,
        Err(reason) => return Ok(Err(reason)),
    };
    cargo.args(["public-api", "-p", "wgru", "-sss", "--no-default-features", "--features", FEATURES]);
    process::capture(&mut cargo).map(Ok)
}

/// Removed lines, with `-`, and added ones, with `+`.
fn changes(old: &str, new: &str) -> Vec<String> {
    let lines_without = |text: &str, other: &str, sign: char| {
        let other: std::collections::HashSet<&str> = other.lines().collect();
        let lines = text.lines().filter(|line| !other.contains(line));
        lines.map(|line| format!("{sign} {line}")).collect::<Vec<_>>()
    };
    [lines_without(old, new, '-'), lines_without(new, old, '+')].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_and_what_came_is_told() {
        assert!(changes("a\nb\n", "b\na\n").is_empty());
        assert_eq!(changes("a\nb\n", "b\nc\n"), ["- a", "+ c"]);
    }
}
