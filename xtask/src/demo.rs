//! The page of noise suppression, `uses/dtln/web`: two modules of WebAssembly, the page's files and the models in one folder, which any
//! server of files can show; and its tests in Chromium.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::process::{self, Error};
use crate::stage::Outcome;
use crate::{target, tool, web};

const PACKAGE: &str = "wgru-dtln-web";
/// The modules: their folders and features.
const MODULES: [(&str, &str); 2] = [("cpu", ""), ("full", "gpu")];
const FOLDER: &str = "target/demo";
const MODELS: &str = "uses/dtln/models";
/// The time limit for all tests.
const LIMIT: Duration = Duration::from_secs(300);

/// Builds the page under `target/demo`.
pub fn build() -> Result<Outcome, Error> {
    if !target::is_ready(target::WASM)? {
        return Ok(Outcome::Skipped);
    }
    let folder = process::workspace_root().join(FOLDER);
    for (name, features) in MODULES {
        let file = web::module(PACKAGE, features, web::VECTORS, &format!("{FOLDER}/{name}"))?;
        println!("    {FOLDER}/{name}: {} KB compressed", web::compressed(&file)? >> 10);
    }
    copy(&process::workspace_root().join("uses/dtln/web/page"), &folder)?;
    // What an audio worklet lacks, as in the npm package.
    copy_file(&process::workspace_root().join("web/js/text.js"), &folder.join("text.js"))?;
    let models = process::workspace_root().join(MODELS);
    if models.join("model_1.onnx").is_file() {
        copy(&models, &folder.join("models"))?;
    } else {
        println!("    without models, which the page asks for: python uses/dtln/fetch.py, then build again");
    }
    Ok(Outcome::Passed)
}

/// Builds the page and shows it until the task is ended.
pub fn serve() -> Result<Outcome, Error> {
    let built = build()?;
    if built == Outcome::Passed {
        process::run(process::in_workspace("node").args(["uses/dtln/web/test/serve.mjs", FOLDER, "8000"]))?;
    }
    Ok(built)
}

/// Tests the page in Chromium, on WebGPU by SwiftShader and without WebGPU.
pub fn test() -> Result<Outcome, Error> {
    if !process::workspace_root().join(MODELS).join("model_1.onnx").is_file() {
        return tool::not_run("the demo in a browser", "without uses/dtln/models (uses/dtln/fetch.py)");
    }
    if build()? == Outcome::Skipped {
        return Ok(Outcome::Skipped);
    }
    let playwright = match web::browser() {
        Ok(playwright) => playwright,
        Err(reason) => return tool::not_run("the demo in a browser", reason),
    };
    // What the command computes natively, for comparison.
    let noisy = format!("{MODELS}/noisy.wav");
    if process::workspace_root().join(&noisy).is_file() {
        let mut dtln = process::cargo();
        dtln.args(["run", "--quiet", "-p", "wgru-dtln", "--no-default-features", "--features", "wav", "--"]);
        process::run(dtln.arg(noisy).arg(format!("{FOLDER}/native.wav")))?;
    }
    let mut node = process::in_workspace("node");
    node.args(["uses/dtln/web/test/run.mjs", FOLDER]);
    node.env("PLAYWRIGHT", playwright).env("CHROMIUM", web::CHROMIUM);
    process::run_within(&mut node, LIMIT)?;
    Ok(Outcome::Passed)
}

/// Fetches the models, where they are missing, and tests the page.
pub fn fetch_and_test() -> Result<Outcome, Error> {
    if !process::workspace_root().join(MODELS).join("model_1.onnx").is_file()
        && let Err(error) = process::run(process::in_workspace("python3").arg("uses/dtln/fetch.py"))
    {
        return tool::not_run("the demo in a browser", format!("its models could not be fetched: {error}"));
    }
    test()
}

/// The files of a folder into another.
fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let failed = |reason: std::io::Error| Error::Other(format!("{}: {reason}", from.display()));
    fs::create_dir_all(to).map_err(failed)?;
    for entry in fs::read_dir(from).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if let (true, Some(name)) = (path.is_file(), path.file_name()) {
            copy_file(&path, &to.join(name))?;
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<(), Error> {
    fs::copy(from, to).map(drop).map_err(|reason| Error::Other(format!("{}: {reason}", from.display())))
}
