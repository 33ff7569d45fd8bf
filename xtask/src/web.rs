//! The npm package: modules of WebAssembly with their JavaScript, and its tests in Chromium.
//!
//! wasm-bindgen's generator is built from the lock file (`xtask/bindgen`), so that its version is that of the library. The
//! browser is Debian's; playwright-core, which drives it, comes from npm.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::debian::{self, Family};
use crate::process::{self, Error};
use crate::stage::Outcome;
use crate::suites::Extent;
use crate::{target, tool};

/// A module: its package and features, its vectors, the folder for it, and the bytes that it may have when it is compressed by gzip.
struct Module {
    package: &'static str,
    features: &'static str,
    vectors: &'static str,
    folder: &'static str,
    budget: u64,
}

/// The engines with WebGPU and without; each importer by itself, loaded when a file of its kind is read.
const MODULES: [Module; 6] = [
    Module {
        package: "wgru-web",
        features: "gpu",
        vectors: VECTORS,
        folder: "web/pkg/full",
        budget: 500_000,
    },
    Module { package: "wgru-web", features: "run", vectors: VECTORS, folder: "web/pkg/cpu", budget: 250_000 },
    Module {
        package: "wgru-web",
        features: "run",
        vectors: RELAXED,
        folder: "web/pkg/cpu-relaxed",
        budget: 250_000,
    },
    Module {
        package: "wgru-web",
        features: "onnx",
        vectors: VECTORS,
        folder: "web/pkg/onnx",
        budget: 155_000,
    },
    Module {
        package: "wgru-web",
        features: "keras",
        vectors: VECTORS,
        folder: "web/pkg/keras",
        budget: 300_000,
    },
    // The page of the benchmark, which is not part of the package.
    Module {
        package: "wgru-web-bench",
        features: "",
        vectors: VECTORS,
        folder: "web/bench/pkg",
        budget: u64::MAX,
    },
];

/// Vectors of WebAssembly, as every browser with WebGPU has them.
pub const VECTORS: &str = "+simd128";
/// The same with relaxed SIMD, which not every browser has.
const RELAXED: &str = "+simd128,+relaxed-simd";

/// Functions are inlined where the source says so and hardly elsewhere. The library is optimised for size (the profile `web`), where loops are not unrolled unless a threshold says so; without that the kernels of the CPU path are
/// 2.4 times as slow. wasm-opt (Binaryen 132) would take off less than 1 %.
const FLAGS: &str = "-C llvm-args=-inline-threshold=0 -C llvm-args=-inlinehint-threshold=70 -C llvm-args=-unroll-threshold=200";

pub const CHROMIUM: &str = "/usr/bin/chromium";
const PLAYWRIGHT: &str = "playwright-core@1.65.1";
/// The time limit for npm, and for all tests of a page.
const LIMIT: Duration = Duration::from_secs(300);

/// Builds the package under `web/`.
pub fn build() -> Result<Outcome, Error> {
    if !target::is_ready(target::WASM)? {
        return Ok(Outcome::Skipped);
    }
    for Module { package, features, vectors, folder, budget } in MODULES {
        let file = module(package, features, vectors, folder)?;
        let bytes = compressed(&file)?;
        println!("    {folder}: {} KB compressed", bytes / 1000);
        if bytes > budget {
            return Err(Error::Other(format!(
                "{} has {bytes} bytes compressed, {budget} are allowed",
                file.display()
            )));
        }
    }
    for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
        let root = process::workspace_root();
        fs::copy(root.join(licence), root.join("web").join(licence))
            .map_err(|reason| Error::Other(format!("{licence}: {reason}")))?;
    }
    Ok(Outcome::Passed)
}

/// Builds a package of the workspace as a module of WebAssembly and writes it into `folder` with its JavaScript; returns the
/// module's file.
pub fn module(package: &str, features: &str, vectors: &str, folder: &str) -> Result<PathBuf, Error> {
    process::run(process::cargo().args(["build", "--quiet", "-p", "wgru-bindgen"]))?;
    let mut cargo = process::cargo();
    cargo.args(["build", "--quiet", "--profile", "web", "--target", target::WASM, "-p", package]);
    cargo
        .args(["--no-default-features", "--features", features])
        .env("RUSTFLAGS", format!("-C target-feature={vectors} {FLAGS}"));
    process::run(&mut cargo)?;
    let name = package.replace('-', "_");
    let module: PathBuf = ["target", target::WASM, "web", &format!("{name}.wasm")].iter().collect();
    let program: PathBuf = ["target", "debug", "wgru-bindgen"].iter().collect();
    let program = process::workspace_root().join(program);
    process::run(process::in_workspace(program).arg(module).arg(folder))?;
    Ok(process::workspace_root().join(folder).join(format!("{name}_bg.wasm")))
}

/// The bytes of a file that gzip has compressed.
pub fn compressed(file: &Path) -> Result<u64, Error> {
    let failed = |reason: std::io::Error| Error::Other(format!("gzip of {}: {reason}", file.display()));
    let mut gzip = Command::new("gzip")
        .args(["-9", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let bytes = fs::read(file).map_err(failed)?;
    let mut input = gzip.stdin.take().ok_or_else(|| Error::Other("gzip takes no input".into()))?;
    let feed = std::thread::spawn(move || input.write_all(&bytes));
    let output = gzip.wait_with_output().map_err(failed)?;
    feed.join().map_err(|_| Error::Other("gzip was not fed".into()))?.map_err(failed)?;
    Ok(output.stdout.len() as u64)
}

/// Runs the package's tests in Chromium: the JavaScript's, and the kernels' against the reference, those with few sizes or many.
pub fn test(extent: Extent) -> Result<Outcome, Error> {
    if build()? == Outcome::Skipped {
        return Ok(Outcome::Skipped);
    }
    let playwright = match browser() {
        Ok(playwright) => playwright,
        Err(reason) => return tool::not_run("tests in a browser", reason),
    };
    let conventions = if extent == Extent::Whole { "all" } else { "" };
    for (arguments, adapter) in [
        (&["web/test/run.mjs", "web/test/suite.js"][..], "swiftshader"),
        (&["web/test/run.mjs", "web/test/conventions.js", conventions], "swiftshader"),
        (&["web/test/run.mjs", "web/test/without.js"], "none"),
        (&["web/test/run.mjs", "web/test/first.js", "cpu"], "swiftshader"),
        (&["web/test/run.mjs", "web/test/first.js", "webgpu"], "swiftshader"),
        (&["web/test/bench.mjs"], "swiftshader"),
    ] {
        let mut node = process::in_workspace("node");
        node.args(arguments).env("PLAYWRIGHT", &playwright).env("CHROMIUM", CHROMIUM);
        process::run_within(node.env("ADAPTER", adapter), LIMIT)?;
    }
    Ok(Outcome::Passed)
}

/// The folder of playwright-core, where the browser runs too; both are installed if they are missing.
pub fn browser() -> Result<PathBuf, Error> {
    let runs = |program: &str| process::capture(Command::new(program).arg("--version")).is_ok();
    let packages = ["chromium", "nodejs", "npm"];
    if !runs(CHROMIUM) || !runs("npm") {
        if debian::family() != Family::Debian {
            return Err(Error::Other(
                "Chromium or npm is not there; installing them is known for Debian alone".into(),
            ));
        }
        if !debian::is_root() {
            let hint = debian::install_hint(&packages);
            return Err(Error::Other(format!(
                "Chromium or npm is not there, and installing them takes root: {hint}"
            )));
        }
        debian::update_lists()?;
        debian::install(&debian::missing(&packages)?)?;
    }
    let folder = process::workspace_root().join("target").join("playwright");
    if !folder.join("node_modules").is_dir() {
        fs::create_dir_all(&folder)
            .map_err(|reason| Error::Other(format!("{}: {reason}", folder.display())))?;
        let mut npm = process::in_workspace("npm");
        npm.args(["install", "--no-save", "--no-audit", "--no-fund", "--silent", "--prefix"])
            .arg(&folder)
            .arg(PLAYWRIGHT);
        process::run_within(&mut npm, LIMIT)?;
    }
    Ok(folder)
}
