//! The Python package: its wheel, and its tests in an environment of their own.
//!
//! Programs of Python come from pip, into `target/python/`. The wheel is linked by zig, which knows the symbols of old versions of
//! glibc, so that it runs on every Linux since 2014; `auditwheel` checks that.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process::{self, Error};
use crate::stage::Outcome;
use crate::suites::Extent;
use crate::tool;

/// What builds a wheel.
const MATURIN: &str = "maturin==1.16.0";
/// What links it for old systems, and checks that.
const RELEASE: [&str; 2] = ["ziglang==0.17.1", "auditwheel==6.8.2"];
/// What the tests need beside the wheel, and what checks the sources. NumPy is what the wheel asks for.
const TESTS: [&str; 3] = ["pytest==9.2.0", "ruff==0.17.6", "mypy==2.4.1"];
/// The systems that the wheel is for.
const PLATFORM: &str = "manylinux_2_17";
/// The bytes that it may have.
const BUDGET: u64 = 5 << 20;
/// The time limits for pip and for all tests.
const PIP_LIMIT: Duration = Duration::from_secs(300);
const LIMIT: Duration = Duration::from_secs(900);

/// A virtual environment under `target/python/`.
struct Environment(PathBuf);

impl Environment {
    /// The environment of this name, made anew or as it is.
    fn new(name: &str, anew: bool) -> Result<Self, String> {
        let folder = process::workspace_root().join("target").join("python").join(name);
        let own = Self(folder);
        if anew || !own.program("python").exists() {
            let mut venv = process::in_workspace("python3");
            venv.args(["-m", "venv", "--clear"]).arg(&own.0);
            process::run_within(&mut venv, PIP_LIMIT).map_err(|reason| {
                format!("it takes python3 with venv (on Debian the package python3-venv): {reason}")
            })?;
        }
        Ok(own)
    }

    fn program(&self, name: &str) -> PathBuf {
        let (folder, end) = if cfg!(windows) { ("Scripts", ".exe") } else { ("bin", "") };
        self.0.join(folder).join(format!("{name}{end}"))
    }

    fn command(&self, name: &str) -> Command {
        let mut command = process::in_workspace(self.program(name));
        command.env("VIRTUAL_ENV", &self.0);
        command
    }

    fn install(&self, packages: &[&str]) -> Result<(), String> {
        let mut pip = self.command("python");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages);
        process::run_within(&mut pip, PIP_LIMIT).map_err(|reason| format!("pip: {reason}"))
    }
}

/// The environment of what builds.
fn builder(more: &[&str]) -> Result<Environment, String> {
    let environment = Environment::new("tools", false)?;
    let mut packages = vec![MATURIN];
    packages.extend(more);
    environment.install(&packages)?;
    Ok(environment)
}

/// Builds a wheel into an empty folder, with these flags of the compiler, and returns its path.
fn wheel(builder: &Environment, arguments: &[&str], flags: &str, folder: &str) -> Result<PathBuf, Error> {
    let folder = process::workspace_root().join("target").join("python").join(folder);
    let failed = |reason: std::io::Error| Error::Other(format!("{}: {reason}", folder.display()));
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(failed)?;
    }
    for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
        let root = process::workspace_root();
        fs::copy(root.join(licence), root.join("python").join(licence))
            .map_err(|reason| Error::Other(format!("{licence}: {reason}")))?;
    }
    let mut maturin = builder.command("maturin");
    maturin
        .args(["build", "--quiet", "--locked", "--manifest-path", "python/Cargo.toml", "--out"])
        .arg(&folder);
    // Zig is a program of the environment.
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let own = builder.program("python").parent().map(Path::to_owned);
    let paths = std::env::join_paths(own.into_iter().chain(std::env::split_paths(&paths)));
    if !flags.is_empty() {
        maturin.env("RUSTFLAGS", flags);
    }
    maturin.args(arguments).env("PATH", paths.map_err(|reason| Error::Other(reason.to_string()))?);
    process::run(&mut maturin)?;
    let wheels = fs::read_dir(&folder).map_err(failed)?;
    let wheel = wheels
        .flatten()
        .map(|file| file.path())
        .find(|path| path.extension().is_some_and(|end| end == "whl"));
    wheel.ok_or_else(|| Error::Other(format!("maturin left no wheel in {}", folder.display())))
}

/// Builds the wheel of a release into `target/python/wheel/`, and holds it to its size and its systems.
pub fn build() -> Result<Outcome, Error> {
    match builder(&RELEASE) {
        Ok(builder) => release(&builder).map(|_| Outcome::Passed),
        Err(reason) => tool::not_run("the wheel", reason),
    }
}

/// The compiler's flags by which a panic's place names the file alone, and no folder of the machine that built it.
fn without_paths() -> String {
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from).or(home).unwrap_or_default();
    // A folder for each registry.
    let registries = fs::read_dir(cargo.join("registry").join("src")).into_iter().flatten().flatten();
    let crates = registries.map(|registry| (registry.path(), "crates"));
    let folders = crates.chain([(process::workspace_root().to_owned(), "wgru")]);
    let flags: Vec<String> =
        folders.map(|(folder, name)| format!("--remap-path-prefix={}={name}", folder.display())).collect();
    flags.join(" ")
}

fn release(builder: &Environment) -> Result<PathBuf, Error> {
    let mut arguments = vec!["--profile", "wheel"];
    if cfg!(target_os = "linux") {
        arguments.extend(["--zig", "--compatibility", PLATFORM]);
    }
    let wheel = wheel(builder, &arguments, &without_paths(), "wheel")?;
    let bytes =
        fs::metadata(&wheel).map_err(|reason| Error::Other(format!("{}: {reason}", wheel.display())))?.len();
    println!("    {}: {} KB", wheel.display(), bytes >> 10);
    if bytes > BUDGET {
        return Err(Error::Other(format!("{} has {bytes} bytes, {BUDGET} are allowed", wheel.display())));
    }
    if cfg!(target_os = "linux") {
        let said = process::run_and_capture(builder.command("auditwheel").arg("show").arg(&wheel))?;
        // Lines are broken anywhere between words.
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        if !said.contains(&format!("consistent with the following platform tag: \"{PLATFORM}")) {
            return Err(Error::Other(format!("auditwheel does not find the wheel to be of {PLATFORM}")));
        }
    }
    Ok(wheel)
}

/// Runs the package's tests on a wheel, that of a release or one of the profile `dev`, in a new environment.
pub fn test(extent: Extent) -> Result<Outcome, Error> {
    let more: &[&str] = if extent == Extent::Whole { &RELEASE } else { &[] };
    let made = builder(more).and_then(|builder| {
        let environment = Environment::new("env", true)?;
        environment.install(&TESTS)?;
        Ok((builder, environment))
    });
    let (builder, environment) = match made {
        Ok(made) => made,
        Err(reason) => return tool::not_run("tests of the Python package", reason),
    };
    let wheel = match extent {
        Extent::Whole => release(&builder)?,
        Extent::Sample => wheel(&builder, &["--profile", "dev", "--auditwheel", "skip"], "", "dev")?,
    };
    // The wheel's own dependency comes with it.
    environment.install(&[&wheel.to_string_lossy()]).map_err(Error::Other)?;
    let python = |arguments: &[&str]| {
        let mut python = environment.command("python");
        python.args(arguments);
        process::run_within(&mut python, LIMIT)
    };
    let mut ruff = environment.command("ruff");
    process::run(ruff.args(["check", "--quiet", "python"]))?;
    let mut ruff = environment.command("ruff");
    process::run(ruff.args(["format", "--quiet", "--check", "python"]))?;
    python(&["-m", "mypy", "--config-file", "python/pyproject.toml", "-p", "wgru"])?;
    python(&["-m", "pytest", "-q", "-rs", "--rootdir", "python", "-p", "no:cacheprovider", "python/tests"])?;
    Ok(Outcome::Passed)
}
