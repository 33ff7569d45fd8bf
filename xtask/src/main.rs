//! Contributor tasks for the workspace, run as `cargo xtask <command>`.
//!
//! Each command is a list of stages. All stages run even when an earlier one
//! fails; the exit status is non-zero if any of them did.

mod debian;
mod lint;
mod loops;
mod matrices;
mod packages;
mod process;
mod record;
mod stage;
mod target;

use std::env;
use std::process::ExitCode;

use process::Error;
use stage::{Outcome, Stage};

const HELP: &str = "\
Contributor tasks for this workspace.

usage: cargo xtask <command> [-- <arguments for cargo test>]

commands:
  test   install what the GPU tests need where that is possible, run every
         test, then do what `wasm` does
  wasm   check that the library builds for wasm32-unknown-unknown, and run the CPU path
         in Node, with the vectors of WebAssembly and without
  arm    check that the library builds for aarch64-unknown-linux-gnu, and run the suites
         of the CPU path, in QEMU where this is no such machine
  loops  check in compiled code that the inner loops of the CPU path use no stack
  matrices
         unpack a driver that has cooperative matrices under target/ (root, Debian), and
         run their suite on it
  lint   rustfmt, clippy and rustdoc, with warnings as errors
  ci     test, arm, loops, the suites of numbers from elsewhere once for each strategy and
         once for each of the CPU's instruction sets, the CPU path in a build without
         GPUs, matrices, then lint
  record NAME
         run the benches and keep their figures in benches/records/NAME.csv
  help   print this text

Arguments after `--` go to cargo test (commands test and ci), for example:
  cargo xtask test -- --test parity -- --nocapture
";

/// Exit status for a command line that could not be understood.
const USAGE_ERROR: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match parse(&arguments) {
        Ok(Request::Help) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Ok(Request::Run(stages)) => stage::run_all(stages),
        Err(problem) => {
            eprint!("error: {problem}\n\n{HELP}");
            ExitCode::from(USAGE_ERROR)
        }
    }
}

/// What the command line asks for.
#[derive(Debug)]
enum Request {
    Help,
    Run(Vec<Stage>),
}

fn parse(arguments: &[String]) -> Result<Request, String> {
    let Some((command, rest)) = arguments.split_first() else {
        return Err("no command given".to_owned());
    };
    let stages = match command.as_str() {
        "help" | "-h" | "--help" => return Ok(Request::Help),
        "test" => test_stages(test_arguments(rest)?),
        "ci" => {
            let mut stages = test_stages(test_arguments(rest)?);
            stages.push(Stage::new("arm check", target::arm));
            stages.push(Stage::new("inner loops", loops::run));
            stages.push(Stage::new("every strategy", every_strategy));
            stages.push(Stage::new("every instruction set", every_instruction_set));
            stages.push(Stage::new("without GPUs", without_gpus));
            stages.push(Stage::new("matrices", matrices::run));
            stages.extend(lint::stages());
            stages
        }
        "wasm" => {
            refuse_arguments(command, rest)?;
            vec![wasm_stage()]
        }
        "arm" => {
            refuse_arguments(command, rest)?;
            vec![Stage::new("arm check", target::arm)]
        }
        "loops" => {
            refuse_arguments(command, rest)?;
            vec![Stage::new("inner loops", loops::run)]
        }
        "matrices" => {
            refuse_arguments(command, rest)?;
            vec![Stage::new("matrices", matrices::run)]
        }
        "lint" => {
            refuse_arguments(command, rest)?;
            lint::stages()
        }
        "record" => match rest {
            [name] => {
                let name = name.clone();
                vec![Stage::new("record", move || record::record(&name))]
            }
            _ => return Err("`record` takes one name".to_owned()),
        },
        unknown => return Err(format!("unknown command `{unknown}`")),
    };
    Ok(Request::Run(stages))
}

/// The arguments for cargo test: whatever follows a leading `--`.
fn test_arguments(rest: &[String]) -> Result<Vec<String>, String> {
    match rest.split_first() {
        None => Ok(Vec::new()),
        Some((separator, passed)) if separator == "--" => Ok(passed.to_vec()),
        Some((unexpected, _)) => {
            Err(format!("unexpected argument `{unexpected}`; arguments for cargo test go after `--`"))
        }
    }
}

fn refuse_arguments(command: &str, rest: &[String]) -> Result<(), String> {
    match rest.first() {
        None => Ok(()),
        Some(unexpected) => Err(format!("`{command}` takes no argument, got `{unexpected}`")),
    }
}

fn test_stages(arguments: Vec<String>) -> Vec<Stage> {
    vec![
        Stage::new("system packages", packages::ensure),
        Stage::new("tests", move || cargo_test(&arguments)),
        wasm_stage(),
    ]
}

fn wasm_stage() -> Stage {
    Stage::new("wasm check", target::wasm)
}

/// Runs every test. The suite itself fails where there is no adapter.
fn cargo_test(arguments: &[String]) -> Result<Outcome, Error> {
    let mut command = process::cargo();
    command.args(["test", "--workspace", "--no-fail-fast"]).args(arguments);
    process::run(&mut command)?;
    Ok(Outcome::Passed)
}

/// Runs the suites that compare with numbers from elsewhere once for each strategy; the tests themselves leave the choice to
/// the planner.
fn every_strategy() -> Result<Outcome, Error> {
    for strategy in ["step", "resident", "streamed", "grouped"] {
        println!("strategy {strategy}");
        let mut command = process::cargo();
        command.args(["test", "--quiet", "--test", "cases", "--test", "goldens", "--test", "vectors"]);
        process::run(command.env("WGRU_STRATEGY", strategy))?;
    }
    Ok(Outcome::Passed)
}

/// Runs the suites that take any device on the CPU path once for each of its instruction sets; one that this machine does
/// not have is left out, with a word.
fn every_instruction_set() -> Result<Outcome, Error> {
    let suites = ["backends", "cases", "conventions", "goldens", "models", "projected", "vectors"];
    for set in ["avx512", "avx2", "neon", "portable"] {
        let is_here = match set {
            #[cfg(target_arch = "x86_64")]
            "avx512" => std::arch::is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            "avx2" => std::arch::is_x86_feature_detected!("avx2"),
            "neon" => cfg!(target_arch = "aarch64"),
            other => other == "portable",
        };
        if !is_here {
            println!("left out: this machine has no {set}");
            continue;
        }
        println!("instruction set {set}");
        let mut command = process::cargo();
        command.args(["test", "--quiet"]).args(suites.iter().flat_map(|suite| ["--test", suite]));
        process::run(command.env("WGRU_DEVICE", format!("cpu:{set}")))?;
    }
    Ok(Outcome::Passed)
}

/// Builds the library without GPUs, and runs what it has then.
fn without_gpus() -> Result<Outcome, Error> {
    let mut command = process::cargo();
    command.args(["test", "--quiet", "-p", "wgru", "--no-default-features", "--lib"]);
    process::run(command.args(["--test", "cpu", "--test", "allocation"]))?;
    Ok(Outcome::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    fn stage_count(words: &[&str]) -> Option<usize> {
        match parse(&strings(words)) {
            Ok(Request::Run(stages)) => Some(stages.len()),
            _ => None,
        }
    }

    #[test]
    fn commands_map_to_their_stages() {
        assert_eq!(stage_count(&["test"]), Some(3));
        assert_eq!(stage_count(&["wasm"]), Some(1));
        assert_eq!(stage_count(&["loops"]), Some(1));
        assert_eq!(stage_count(&["matrices"]), Some(1));
        assert_eq!(stage_count(&["lint"]), Some(3));
        assert_eq!(stage_count(&["ci"]), Some(12));
        assert_eq!(stage_count(&["ci", "--", "--test", "parity"]), Some(12));
    }

    #[test]
    fn help_is_a_request_and_not_an_error() {
        for word in ["help", "-h", "--help"] {
            assert!(matches!(parse(&strings(&[word])), Ok(Request::Help)));
        }
    }

    #[test]
    fn bad_command_lines_are_refused() {
        for words in [
            &[][..],
            &["tests"],
            &["test", "parity"],
            &["lint", "--", "x"],
            &["wasm", "x"],
            &["loops", "x"],
            &["matrices", "x"],
            &["record"],
        ] {
            assert!(parse(&strings(words)).is_err(), "{words:?}");
        }
    }

    #[test]
    fn only_the_first_separator_is_taken() {
        let passed = test_arguments(&strings(&["--", "-q", "--", "--nocapture"]));
        assert_eq!(passed, Ok(strings(&["-q", "--", "--nocapture"])));
    }
}
