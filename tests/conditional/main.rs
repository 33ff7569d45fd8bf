//! What needs more than a machine with an adapter: published files beside the repository, a Python with PyTorch, drivers with a
//! certain feature. A test that cannot run is ignored, with the reason; `tests/ignored.txt` says which that may be.

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
    // One at a time, as `.cargo/config.toml` asks of libtest.
    arguments.test_threads.get_or_insert(1);
    libtest_mimic::run(&arguments, suites.into_iter().flatten().collect()).exit_code()
}

/// What a test needs, or the reason why it cannot run.
type Found<T> = Result<T, String>;

/// A test of what `find` finds, which is ignored where `find` gives a reason.
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

/// A folder of the published files, which lie beside the repository with READMEs of their own.
fn shared(folder: &str) -> Found<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = all.join(folder);
    match all.is_dir() {
        true if folder.is_dir() => Ok(folder),
        // All of it or nothing: a part that is not there is no reason to run less.
        true => panic!("{} is not there, and {} is", folder.display(), all.display()),
        false => Err("without ../shared".into()),
    }
}
