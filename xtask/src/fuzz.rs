//! Fuzzing: each target for a minute, from its committed corpus. `tests/import/corpus.rs` replays the corpora without a fuzzer.

use std::fs;
use std::path::{Path, PathBuf};

use crate::process::{self, Error};
use crate::stage::Outcome;
use crate::tool;

/// libFuzzer's limits for a target: seconds in all and for one input, MiB for one allocation and in all, bytes of an
/// input.
const LIMITS: [&str; 5] =
    ["-max_total_time=60", "-timeout=20", "-malloc_limit_mb=512", "-rss_limit_mb=4096", "-max_len=4194304"];
/// Bytes of a large input to begin with: mutations alone seldom grow to megabytes.
const LARGE: usize = 2 << 20;

/// Builds the targets and runs each. Findings are in `fuzz/artifacts`, inputs that reach new code in
/// `fuzz/target/grown`.
pub fn run() -> Result<Outcome, Error> {
    if let Err(reason) = tool::cargo_of("nightly").and_then(|_| tool::subcommand("fuzz")) {
        return tool::not_run("fuzz", reason);
    }
    let fuzz = || tool::cargo_of("nightly").map_err(Error::Other);
    process::run(fuzz()?.args(["fuzz", "build"]))?;
    let root = process::workspace_root().join("fuzz");
    let mut failed = Vec::new();
    for corpus in folders(&root.join("corpus"))? {
        let name = corpus.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let grown = root.join("target/grown").join(&name);
        make_large(&corpus, &grown)?;
        let mut command = fuzz()?;
        command.args(["fuzz", "run", &name]).args([&grown, &corpus]).arg("--").args(LIMITS);
        if let Err(error) = process::run(&mut command) {
            eprintln!("    {error}");
            failed.push(name);
        }
    }
    if failed.is_empty() {
        return Ok(Outcome::Passed);
    }
    Err(Error::Other(format!("findings of {}: see fuzz/artifacts and fuzz/README.md", failed.join(", "))))
}

/// Adds the largest file of the corpus, repeated up to [`LARGE`] bytes, to the inputs.
fn make_large(corpus: &Path, grown: &Path) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::Other(format!("{}: {error}", grown.display()));
    let size = |path: &PathBuf| fs::metadata(path).map_or(0, |found| found.len());
    let largest = entries(corpus)?.into_iter().filter(|path| path.is_file()).max_by_key(size);
    let bytes = largest.map_or(Ok(Vec::new()), fs::read).map_err(failed)?;
    fs::create_dir_all(grown).map_err(failed)?;
    let times = LARGE.checked_div(bytes.len()).unwrap_or(0);
    fs::write(grown.join("large"), bytes.repeat(times)).map_err(failed)
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    Ok(entries(folder)?.into_iter().filter(|path| path.is_dir()).collect())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |error: std::io::Error| Error::Other(format!("{}: {error}", folder.display()));
    let entries = fs::read_dir(folder).map_err(failed)?.map(|entry| entry.map(|entry| entry.path()));
    let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    entries.sort();
    Ok(entries)
}
