//! Passes the commit that the program is built from to it, for the records of benchmarks.

use std::path::Path;
use std::process::Command;

fn main() {
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".into());
    let changed = git(&["status", "--porcelain", "--", "../../src", "../../shaders", "src"])
        .is_some_and(|s| !s.is_empty());
    println!("cargo::rustc-env=WGRU_COMMIT={commit}{}", if changed { "+changes" } else { "" });
    // A published package has no library around it.
    for path in
        ["../../src", "../../shaders", "src", "build.rs"].into_iter().filter(|path| Path::new(path).exists())
    {
        println!("cargo::rerun-if-changed={path}");
    }
    if let Some(head) = git(&["rev-parse", "--git-path", "HEAD"]) {
        println!("cargo::rerun-if-changed={head}");
    }
}
