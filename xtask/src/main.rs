//! Contributor tasks for the workspace, run as `cargo xtask <command>`.
//!
//! Each command is a list of stages. All stages run even when an earlier one
//! fails; the exit status is non-zero if any of them did.

mod debian;
mod demo;
mod fuzz;
mod ignored;
mod isa;
mod lint;
mod loops;
mod matrices;
mod mesa;
mod packages;
mod process;
mod published;
mod python;
mod record;
mod sound;
mod stage;
mod suites;
mod surface;
mod target;
mod tool;
mod web;

use std::env;
use std::process::ExitCode;

use stage::Stage;
use suites::Extent;

const HELP: &str = "\
Contributor tasks for this workspace.

usage: cargo xtask <command> [-- <arguments for cargo test>]

commands:
  test   install the packages that the GPU tests need where possible, run every test,
         compare the ignored ones with tests/ignored.txt, then run the command `wasm`
  wasm   check that the library builds for wasm32-unknown-unknown, and run the CPU path
         in Node, with the vectors of WebAssembly and without
  web    build the npm package under web/pkg, and hold its modules to their sizes
  web-test [all]
         build it, and run its tests in Chromium, on WebGPU by SwiftShader and without (Debian:
         installs the browser; npm)
  demo [serve]
         build the page of noise suppression (uses/dtln/web) under target/demo; `serve` shows it on
         http://localhost:8000 (Node)
  demo-test
         build it, and test it in Chromium where the models of uses/dtln are
  python build the wheel of the Python package under target/python/wheel, and hold it to its size and
         to the systems that it is for (python3 with venv; pip)
  python-test [all]
         build a wheel, and run its tests and the checks of its sources in a new environment under
         target/python; `all` takes the wheel of a release
  arm    check that the library builds for aarch64-unknown-linux-gnu, and run the suites
         of the CPU path, in QEMU on other machines
  loops  check in compiled code that the inner loops of the CPU path use no stack
  matrices
         unpack a driver that has cooperative matrices under target/ (root, Debian), and
         run their suite on it
  isa [short | keep]
         compile the kernels that the planner chooses with the compilers of AMD's GPUs, whose driver
         is unpacked under target/ (root, Debian), and of NVIDIA's, from CUDA's wheels (pip); check
         the code against rules and benches/records/isa-*.csv. `short` takes few cases and AMD's
         alone, `keep` writes the records anew
  loom   run the thread team in every order that loom's bounds allow
  miri   run the tests of the CPU path in Miri, where a nightly toolchain has it
  threads
         run them in ThreadSanitizer, where a nightly toolchain and its source are installed
  memcheck
         run them in valgrind's memcheck, where that is installed
  fuzz   each fuzz target for a minute, from the committed corpora (nightly Rust, cargo-fuzz)
  published
         checks of a published crate: licences, sources and advisories of dependencies
         (cargo-deny), spelling (typos), every set of features, a build by the stated Rust
         version, and one with the lowest versions of dependencies (nightly Rust)
  surface
         compare the library's public surface with tests/surface.txt (nightly Rust,
         cargo-public-api); `surface write` writes the current surface there
  lint   rustfmt, clippy and rustdoc, with warnings as errors; charts and tables against records
  ci     the checks for every change: test, the library built for 64-bit Arm and a suite of
         it run, web-test, python-test, loops, few cases of isa, loom, the suites of numbers from elsewhere with one other strategy and one
         other instruction set, the CPU path in a build without GPUs, each feature alone, the quick parts of
         published, then lint
  nightly
         the long checks: arm, web-test and python-test with all, those suites once for each strategy and once for each of the
         CPU's instruction sets, seeds drawn afresh, soaks, miri, threads, memcheck, matrices, isa,
         fuzz, published; prints a line for CONTRIBUTING.md
  record NAME
         run the benches and keep their figures in benches/records/NAME.csv
  help   print this text

Arguments after `--` go to cargo test (commands test and ci), for example:
  cargo xtask test -- --test numbers -- goldens:: --nocapture
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
        Ok(Request::Run(stages)) => stage::run_all(stages).code(),
        Ok(Request::Nightly(stages)) => {
            let summary = stage::run_all(stages);
            println!("==> for CONTRIBUTING.md");
            println!("{}", record::nightly(&summary));
            summary.code()
        }
        Err(problem) => {
            eprint!("error: {problem}\n\n{HELP}");
            ExitCode::from(USAGE_ERROR)
        }
    }
}

/// The request of a command line.
#[derive(Debug)]
enum Request {
    Help,
    Run(Vec<Stage>),
    /// Stages whose result is kept in CONTRIBUTING.md.
    Nightly(Vec<Stage>),
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
            stages.push(Stage::new("arm check", || target::arm(Extent::Sample)));
            stages.push(Stage::new("in a browser", || web::test(Extent::Sample)));
            stages.push(Stage::new("in Python", || python::test(Extent::Sample)));
            stages.push(Stage::new("inner loops", loops::run));
            stages.push(Stage::new("compiled kernels", || isa::run(isa::Task::Short)));
            stages.push(Stage::new("loom", sound::loom));
            stages.push(Stage::new("another strategy", || suites::strategies(Extent::Sample)));
            stages.push(Stage::new("another instruction set", || suites::instruction_sets(Extent::Sample)));
            stages.push(Stage::new("without GPUs", suites::without_gpus));
            stages.push(Stage::new("each feature alone", || published::features_compile(1)));
            stages.extend(published::quick());
            stages.extend(lint::stages());
            stages
        }
        "nightly" => {
            refuse_arguments(command, rest)?;
            let mut stages = vec![
                Stage::new("arm check", || target::arm(Extent::Whole)),
                Stage::new("in a browser", || web::test(Extent::Whole)),
                Stage::new("in Python", || python::test(Extent::Whole)),
                Stage::new("demo in a browser", demo::fetch_and_test),
                Stage::new("every strategy", || suites::strategies(Extent::Whole)),
                Stage::new("every instruction set", || suites::instruction_sets(Extent::Whole)),
                Stage::new("drawn seeds", suites::drawn_seeds),
                Stage::new("soaks", suites::soaks),
                Stage::new("miri", sound::miri),
                Stage::new("threads", sound::threads),
                Stage::new("memcheck", sound::memcheck),
                Stage::new("matrices", matrices::run),
                Stage::new("compiled kernels", || isa::run(isa::Task::Whole)),
                Stage::new("fuzz", fuzz::run),
            ];
            stages.extend(published::stages());
            return Ok(Request::Nightly(stages));
        }
        "wasm" => {
            refuse_arguments(command, rest)?;
            vec![wasm_stage()]
        }
        "web" => {
            refuse_arguments(command, rest)?;
            vec![Stage::new("web", web::build)]
        }
        "web-test" => {
            let extent = match rest {
                [] => Extent::Sample,
                [word] if word == "all" => Extent::Whole,
                _ => return Err("`web-test` takes nothing, or `all`".to_owned()),
            };
            vec![Stage::new("in a browser", move || web::test(extent))]
        }
        "python" => {
            refuse_arguments(command, rest)?;
            vec![Stage::new("wheel", python::build)]
        }
        "python-test" => {
            let extent = match rest {
                [] => Extent::Sample,
                [word] if word == "all" => Extent::Whole,
                _ => return Err("`python-test` takes nothing, or `all`".to_owned()),
            };
            vec![Stage::new("in Python", move || python::test(extent))]
        }
        "demo" => match rest {
            [] => vec![Stage::new("demo", demo::build)],
            [word] if word == "serve" => vec![Stage::new("demo", demo::serve)],
            _ => return Err("`demo` takes nothing, or `serve`".to_owned()),
        },
        "demo-test" => {
            refuse_arguments(command, rest)?;
            vec![Stage::new("demo in a browser", demo::test)]
        }
        "arm" => {
            refuse_arguments(command, rest)?;
            vec![Stage::new("arm check", || target::arm(Extent::Whole))]
        }
        "loops" => {
            refuse_arguments(command, rest)?;
            vec![Stage::new("inner loops", loops::run)]
        }
        "matrices" => {
            refuse_arguments(command, rest)?;
            vec![Stage::new("matrices", matrices::run)]
        }
        "isa" => {
            let words: Vec<&str> = rest.iter().map(String::as_str).collect();
            let task = match words[..] {
                [] => isa::Task::Whole,
                ["short"] => isa::Task::Short,
                ["keep"] => isa::Task::Keep,
                _ => return Err("`isa` takes no argument, or `short`, or `keep`".to_owned()),
            };
            vec![Stage::new("compiled kernels", move || isa::run(task))]
        }
        "loom" => {
            refuse_arguments(command, rest)?;
            vec![Stage::new("loom", sound::loom)]
        }
        "miri" => {
            refuse_arguments(command, rest)?;
            vec![Stage::new("miri", sound::miri)]
        }
        "threads" => {
            refuse_arguments(command, rest)?;
            vec![Stage::new("threads", sound::threads)]
        }
        "memcheck" => {
            refuse_arguments(command, rest)?;
            vec![Stage::new("memcheck", sound::memcheck)]
        }
        "fuzz" => {
            refuse_arguments(command, rest)?;
            vec![Stage::new("fuzz", fuzz::run)]
        }
        "published" => {
            refuse_arguments(command, rest)?;
            published::stages()
        }
        "surface" => match rest {
            [] => vec![Stage::new("public surface", surface::check)],
            [word] if word == "write" => vec![Stage::new("public surface", surface::write)],
            _ => return Err("`surface` takes nothing, or `write`".to_owned()),
        },
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

/// The arguments for cargo test: all after a leading `--`.
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
        Stage::new("tests", move || suites::all(&arguments)),
        Stage::new("kept seeds", suites::kept_seeds),
        wasm_stage(),
    ]
}

fn wasm_stage() -> Stage {
    Stage::new("wasm check", target::wasm)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    fn stage_count(words: &[&str]) -> Option<usize> {
        match parse(&strings(words)) {
            Ok(Request::Run(stages) | Request::Nightly(stages)) => Some(stages.len()),
            _ => None,
        }
    }

    #[test]
    fn commands_map_to_their_stages() {
        assert_eq!(stage_count(&["test"]), Some(4));
        assert_eq!(stage_count(&["wasm"]), Some(1));
        assert_eq!(stage_count(&["loops"]), Some(1));
        assert_eq!(stage_count(&["matrices"]), Some(1));
        assert_eq!(stage_count(&["fuzz"]), Some(1));
        assert_eq!(stage_count(&["published"]), Some(7));
        assert_eq!(stage_count(&["lint"]), Some(4));
        assert_eq!(stage_count(&["ci"]), Some(21));
        assert_eq!(stage_count(&["ci", "--", "--test", "parity"]), Some(21));
        assert_eq!(stage_count(&["nightly"]), Some(21));
        assert_eq!(stage_count(&["isa"]), Some(1));
        for words in [&["demo"][..], &["demo", "serve"], &["demo-test"]] {
            assert_eq!(stage_count(words), Some(1), "{words:?}");
        }
        for words in [&["python"][..], &["python-test"], &["python-test", "all"]] {
            assert_eq!(stage_count(words), Some(1), "{words:?}");
        }
        for task in ["short", "keep"] {
            assert_eq!(stage_count(&["isa", task]), Some(1));
        }
        for one in ["loom", "miri", "threads", "memcheck"] {
            assert_eq!(stage_count(&[one]), Some(1));
        }
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
            &["isa", "x"],
            &["demo", "x"],
            &["demo-test", "x"],
            &["python", "x"],
            &["python-test", "x"],
            &["nightly", "x"],
            &["fuzz", "x"],
            &["published", "x"],
            &["loom", "x"],
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
