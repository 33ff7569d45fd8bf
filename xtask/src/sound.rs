//! Tools that check the unsafe code and the threads of the CPU path while the library's own tests run: loom, Miri,
//! ThreadSanitizer, memcheck.
//!
//! All of them use the library through `tests/sound`, a package of the same text without GPUs and without the suites'
//! dependencies.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::{self, Error};
use crate::stage::Outcome;

const PACKAGE: &str = "wgru-sound";

/// The module of the tests to run, and that of loom's models in it.
const CPU: &str = "cpu::";
const MODELS: &str = "cpu::models::";

/// Seeds of Miri's thread schedules and of the values of relaxed loads, one run for each.
const MIRI_SEEDS: &str = "-Zmiri-many-seeds=0..2";

/// Runs the models of the thread team in every order that loom's bounds allow.
pub fn loom() -> Result<Outcome, Error> {
    let tests = built_tests(&["--features", "loom"])?;
    process::run(Command::new(&tests).args(some(&tests, MODELS)?))?;
    Ok(Outcome::Passed)
}

/// Runs the tests of the CPU path in Miri, on vectors of plain code.
pub fn miri() -> Result<Outcome, Error> {
    if !answers(nightly().args(["miri", "--version"])) {
        println!(
            "not run: component missing (`rustup toolchain install nightly --component miri,rust-src` adds it)"
        );
        return Ok(Outcome::Skipped);
    }
    let mut command = nightly();
    command.args(["miri", "test", "--quiet", "-p", PACKAGE, "--lib", "--", CPU]);
    // Tests cause panics, and each backtrace takes time.
    process::run(command.env("MIRIFLAGS", MIRI_SEEDS).env("RUST_BACKTRACE", "0"))?;
    Ok(Outcome::Passed)
}

/// Runs the tests of the CPU path in ThreadSanitizer, with an instrumented standard library: otherwise it misses the
/// synchronisation inside it.
pub fn threads() -> Result<Outcome, Error> {
    const TARGET: &str = "x86_64-unknown-linux-gnu";
    let has_source = process::capture(nightly().args(["-Z", "build-std", "--version"])).is_ok();
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) || !has_source {
        println!(
            "not run: takes Linux on x86-64 (`rustup toolchain install nightly --component rust-src` adds the rest)"
        );
        return Ok(Outcome::Skipped);
    }
    let mut command = nightly();
    command.args([
        "test",
        "--quiet",
        "-Z",
        "build-std",
        "--target",
        TARGET,
        "--target-dir",
        "target/threads",
    ]);
    command.args(["-p", PACKAGE, "--lib", "--", CPU]);
    process::run(command.env("RUSTFLAGS", "-Zsanitizer=thread").env("RUST_BACKTRACE", "0"))?;
    Ok(Outcome::Passed)
}

/// Runs the tests of the CPU path in valgrind's memcheck. They use every instruction set that the processor reports;
/// valgrind's processor has AVX2 at most.
pub fn memcheck() -> Result<Outcome, Error> {
    if !answers(Command::new("valgrind").arg("--version")) {
        println!("not run: valgrind is missing (the package `valgrind` of most systems has it)");
        return Ok(Outcome::Skipped);
    }
    let tests = built_tests(&[])?;
    let mut command = process::in_workspace("valgrind");
    command.args([
        "--quiet",
        "--error-exitcode=1",
        "--leak-check=full",
        "--show-leak-kinds=definite",
        "--errors-for-leak-kinds=definite",
    ]);
    // Threads busy-poll for each other: without fair scheduling the thread that others wait for would run late.
    command.arg("--fair-sched=yes").arg(&tests).args(some(&tests, CPU)?).args(["--test-threads", "1"]);
    process::run(command.env("RUST_BACKTRACE", "0"))?;
    Ok(Outcome::Passed)
}

/// A cargo of the nightly toolchain. The environment variables of this process would select its own toolchain.
fn nightly() -> Command {
    let mut command = process::in_workspace("rustup");
    command
        .args(["run", "nightly", "cargo"])
        .env_remove("CARGO")
        .env_remove("RUSTC")
        .env_remove("RUSTUP_TOOLCHAIN");
    command
}

fn answers(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Builds the tests of [`PACKAGE`], and says where they are.
fn built_tests(arguments: &[&str]) -> Result<PathBuf, Error> {
    let mut command = process::cargo();
    command.args(["test", "-p", PACKAGE, "--lib"]).args(arguments);
    process::run(command.arg("--no-run"))?;
    let messages = process::capture(command.args(["--quiet", "--message-format", "json"]))?;
    executable(&messages).ok_or_else(|| Error::Other(format!("cargo named no tests of {PACKAGE}")))
}

/// The last executable that cargo's messages name.
fn executable(messages: &str) -> Option<PathBuf> {
    const KEY: &str = r#""executable":""#;
    let (_, after) = messages.rsplit_once(KEY)?;
    let path = after.split('"').next()?;
    Some(PathBuf::from(path.replace(r"\\", r"\")))
}

/// The arguments that run the tests of `module`; fails if there are none.
fn some(tests: &Path, module: &'static str) -> Result<[&'static str; 1], Error> {
    let list = process::capture(Command::new(tests).args([module, "--list", "--format", "terse"]))?;
    match list.lines().count() {
        0 => Err(Error::Other(format!("there is no test in {module}"))),
        _ => Ok([module]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_found_among_messages() {
        let messages = r#"{"reason":"a","executable":null}
{"reason":"b","executable":"/t/deps/wgru-1","fresh":true}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages), Some(PathBuf::from("/t/deps/wgru-1")));
        assert_eq!(executable(r#"{"executable":"C:\\t\\x.exe"}"#), Some(PathBuf::from(r"C:\t\x.exe")));
        assert_eq!(executable(r#"{"executable":null}"#), None);
    }

    #[test]
    fn a_tool_that_is_missing_does_not_answer() {
        assert!(!answers(&mut Command::new("no-such-program-here")));
        assert!(answers(process::rustc().arg("--version")));
    }
}
