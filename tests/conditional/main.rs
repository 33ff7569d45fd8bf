//! Tests that need more than a machine with an adapter: published files beside the repository, a Python with PyTorch,
//! drivers with a certain feature. A test that cannot run is ignored, with the reason; `tests/ignored.txt` lists the
//! tests that may be.

mod advice;
mod cases;
#[path = "../common/mod.rs"]
mod common;
mod keras;
mod limits;
mod matrices;
mod models;
mod onnx;
mod pipelines;
mod vectors;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Trial};

fn main() -> ExitCode {
    let suites = [
        advice::trials(),
        cases::trials(),
        keras::trials(),
        limits::trials(),
        matrices::trials(),
        models::trials(),
        onnx::trials(),
        pipelines::trials(),
        vectors::trials(),
    ];
    let mut arguments = Arguments::from_args();
    // One at a time, as `.cargo/config.toml` sets for libtest.
    arguments.test_threads.get_or_insert(1);
    libtest_mimic::run(&arguments, suites.into_iter().flatten().collect()).exit_code()
}

/// The requirement of a test, or the reason why it cannot run.
type Found<T> = Result<T, String>;

/// A test of the things that `find` returns; it is ignored if `find` returns a reason.
fn trial<T>(
    name: &str,
    find: impl FnOnce() -> Found<T> + Send + 'static,
    test: impl FnOnce(T) + Send + 'static,
) -> Trial {
    Trial::ignorable_test(name, move || match find() {
        Ok(found) => {
            test(found);
            Ok(Completion::Completed)
        }
        Err(reason) => Ok(Completion::ignored_with(reason)),
    })
}

/// A folder of the published files, which are beside the repository with READMEs of their own.
fn shared(folder: &str) -> Found<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = all.join(folder);
    match all.is_dir() {
        true if folder.is_dir() => Ok(folder),
        // All or nothing: a missing part is no reason to test less.
        true => panic!("{} does not exist, but {} does", folder.display(), all.display()),
        false => Err("without ../shared".into()),
    }
}
