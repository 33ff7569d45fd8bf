//! Running other programs: commands are printed, and errors name them.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Why a stage failed.
#[derive(Debug)]
pub enum Error {
    /// A program could not be started or waited for.
    Start {
        /// The command line.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program ended with a status other than success.
    Status {
        /// The command line.
        command: String,
        /// The status it ended with.
        status: ExitStatus,
    },
    /// A program was ended because it ran past its limit.
    TimedOut {
        /// The command line.
        command: String,
        /// The limit.
        limit: Duration,
    },
    /// Anything else, in words.
    Other(String),
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { command, source } => {
                write!(formatter, "`{command}` could not be run: {source}")
            }
            Self::Status { command, status } => {
                write!(formatter, "`{command}` failed with {status}")
            }
            Self::TimedOut { command, limit } => {
                write!(formatter, "`{command}` took over {} s", limit.as_secs())
            }
            Self::Other(message) => formatter.write_str(message),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Start { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// The root of the workspace.
pub fn workspace_root() -> &'static Path {
    let manifest_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest_dir.parent().unwrap_or(manifest_dir)
}

/// The cargo that runs this task, in the workspace root.
pub fn cargo() -> Command {
    in_workspace(program_from("CARGO", "cargo"))
}

/// The rustc that cargo would use, in the workspace root.
pub fn rustc() -> Command {
    in_workspace(program_from("RUSTC", "rustc"))
}

/// A command that runs `program` in the workspace root.
pub fn in_workspace(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(workspace_root());
    command
}

fn program_from(variable: &str, fallback: &str) -> OsString {
    env::var_os(variable).filter(|value| !value.is_empty()).unwrap_or_else(|| fallback.into())
}

/// Prints a command, runs it and waits for it to succeed.
pub fn run(command: &mut Command) -> Result<(), Error> {
    announce(command);
    let status = command.status().map_err(|source| start_error(command, source))?;
    require_success(command, status)
}

/// Like [`run`], and returns the command's standard output, which is also printed line by line.
pub fn run_and_capture(command: &mut Command) -> Result<String, Error> {
    announce(command);
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|source| start_error(command, source))?;
    let mut text = String::new();
    for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).split(b'\n')) {
        let line = line.map_err(|source| start_error(command, source))?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        text.extend([&line, "\n"]);
    }
    let status = child.wait().map_err(|source| start_error(command, source))?;
    require_success(command, status)?;
    Ok(text)
}

/// Like [`run`], with no input, ending the program once `limit` has passed.
pub fn run_within(command: &mut Command, limit: Duration) -> Result<(), Error> {
    const POLL: Duration = Duration::from_millis(100);

    announce(command);
    let mut child = command.stdin(Stdio::null()).spawn().map_err(|source| start_error(command, source))?;
    let deadline = Instant::now() + limit;
    loop {
        let ended = child.try_wait().map_err(|source| start_error(command, source))?;
        if let Some(status) = ended {
            return require_success(command, status);
        }
        if Instant::now() >= deadline {
            child.kill().and_then(|()| child.wait()).map_err(|source| start_error(command, source))?;
            return Err(Error::TimedOut { command: describe(command), limit });
        }
        thread::sleep(POLL);
    }
}

/// The standard output of a command that must succeed.
pub fn capture(command: &mut Command) -> Result<String, Error> {
    let output = output(command)?;
    require_success(command, output.status)?;
    Ok(text(&output))
}

/// The standard output of a command, whatever its status.
///
/// For queries that answer in part and report the rest by their status.
pub fn capture_any(command: &mut Command) -> Result<String, Error> {
    Ok(text(&output(command.stderr(Stdio::null()))?))
}

fn output(command: &mut Command) -> Result<Output, Error> {
    command.stdin(Stdio::null()).output().map_err(|source| start_error(command, source))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn require_success(command: &Command, status: ExitStatus) -> Result<(), Error> {
    if status.success() {
        return Ok(());
    }
    Err(Error::Status { command: describe(command), status })
}

fn start_error(command: &Command, source: io::Error) -> Error {
    Error::Start { command: describe(command), source }
}

fn announce(command: &Command) {
    println!("    $ {}", describe(command));
}

/// A command as one would type it, with the variables set for it.
fn describe(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        value.map(|value| format!("{}={}", name.to_string_lossy(), quoted(value)))
    });
    let program = std::iter::once(quoted(command.get_program()));
    let arguments = command.get_args().map(quoted);
    let words: Vec<String> = variables.chain(program).chain(arguments).collect();
    words.join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "-_=./,:+@\\".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_described_as_typed() {
        let mut command = Command::new("tool");
        command.args(["-q", "a b", "it's"]).env("KEY", "v");
        command.env_remove("GONE");
        assert_eq!(describe(&command), r"KEY=v tool -q 'a b' 'it'\''s'");
    }

    #[test]
    fn a_failing_command_is_named_with_its_status() {
        let error = run(rustc().arg("--no-such-option")).map_err(|error| error.to_string());
        let message = error.expect_err("rustc accepted an unknown option");
        assert!(message.contains("--no-such-option` failed with exit"), "{message}");
    }

    #[test]
    fn what_a_command_writes_is_passed_on_and_kept() {
        let text = run_and_capture(rustc().arg("--version")).expect("rustc runs");
        assert!(text.starts_with("rustc ") && text.ends_with('\n'), "{text}");
        assert!(run_and_capture(rustc().arg("--no-such-option")).is_err());
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = capture(&mut in_workspace("no-such-program-here"));
        let message = error.expect_err("ran a missing program").to_string();
        assert!(message.starts_with("`no-such-program-here` could not be run"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn a_slow_command_is_ended_at_its_limit() {
        let start = Instant::now();
        let result = run_within(Command::new("sleep").arg("30"), Duration::from_millis(200));
        assert!(matches!(result, Err(Error::TimedOut { .. })), "{result:?}");
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}
