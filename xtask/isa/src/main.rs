//! Compiles the kernels that the planner chooses with the compiler of a real GPU, without the hardware. It counts
//! their instructions, compares them with rules and a record, and prints them. `cargo xtask isa` runs it for each
//! chip, with a driver that it unpacks.
//!
//! ```text
//! wgru-isa CHIP probe                 says which compiler there is
//! wgru-isa CHIP short|whole RECORD    holds the kernels to the rules and the record
//! wgru-isa CHIP keep RECORD           writes the record
//! wgru-isa CHIP show WORDS            prints the kernels whose names contain the words
//! ```

mod amd;
mod assembly;
mod cases;
mod chips;
mod compiler;
mod facts;
mod nvidia;
mod rules;
mod spirv;
mod vulkan;

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use cases::{Case, Extent};
use chips::Chip;
use compiler::Compiler;
use facts::{Facts, Record};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Faults that are printed at most.
const SHOWN: usize = 20;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether all checks pass.
fn run(arguments: &[&str]) -> Result<bool> {
    let usage = "usage: wgru-isa CHIP probe | short RECORD | whole RECORD | keep RECORD | show WORDS";
    let [chip, command, ..] = arguments else { return Err(usage.into()) };
    let known = || chips::ALL.map(|chip| chip.name).join(", ");
    let chip = chips::ALL.iter().find(|known| known.name == *chip);
    let chip = chip.ok_or_else(|| format!("the chips are {}", known()))?;
    let compiler = Compiler::open(chip)?;
    let path = arguments.get(2).map(Path::new);
    match (*command, path) {
        ("probe", None) => {
            println!("{}", compiler.name());
            Ok(true)
        }
        ("short", Some(path)) => check(&compiler, chip, Extent::Short, path),
        ("whole", Some(path)) => check(&compiler, chip, Extent::Whole, path),
        ("keep", Some(path)) => keep(&compiler, chip, path),
        ("show", Some(_)) => show(&compiler, chip, arguments[2]),
        _ => Err(usage.into()),
    }
}

fn show(compiler: &Compiler, chip: &Chip, words: &str) -> Result<bool> {
    let mut cases = cases::all(chip, &compiler.caps(chip)?, Extent::Whole)?;
    cases.retain(|case| case.name.contains(words));
    let facts = compiled(compiler, chip, &cases)?;
    cases.iter().zip(&facts).for_each(|(case, facts)| println!("    {}: {}", case.name, facts.line()));
    Ok(report(&faults_of(chip, &cases, &facts)))
}

fn keep(compiler: &Compiler, chip: &Chip, path: &Path) -> Result<bool> {
    let cases = cases::all(chip, &compiler.caps(chip)?, Extent::Whole)?;
    let facts = compiled(compiler, chip, &cases)?;
    let lines = cases.iter().map(|case| case.name.clone()).zip(facts.iter().copied()).collect();
    std::fs::write(path, Record { compiler: compiler.name(), lines }.text())?;
    println!("{} ({}): {} kernels in {}", chip.name, chip.architecture, cases.len(), path.display());
    Ok(report(&faults_of(chip, &cases, &facts)))
}

fn check(compiler: &Compiler, chip: &Chip, extent: Extent, path: &Path) -> Result<bool> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let record = Record::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let cases = cases::all(chip, &compiler.caps(chip)?, extent)?;
    let facts = compiled(compiler, chip, &cases)?;
    println!("{} ({}), {}: {} kernels", chip.name, chip.architecture, compiler.name(), cases.len());
    if record.compiler != compiler.name() {
        println!("the record is of {}: numbers may differ for that reason alone", record.compiler);
    }
    if extent == Extent::Whole {
        cases.iter().zip(&facts).for_each(|(case, facts)| println!("    {}: {}", case.name, facts.line()));
    }
    let mut faults = faults_of(chip, &cases, &facts);
    for (case, facts) in cases.iter().zip(&facts) {
        match record.of(&case.name) {
            Some(before) => {
                let worse = rules::regressions(facts, before);
                if !worse.is_empty() {
                    faults.push(format!("{}: {}", case.name, worse.join("; ")));
                }
            }
            None => {
                faults.push(format!("{}: not in the record; `cargo xtask isa keep` writes it", case.name))
            }
        }
    }
    if extent == Extent::Whole {
        let is_gone = |name: &String| !cases.iter().any(|case| case.name == *name);
        let gone = record.lines.iter().filter(|(name, _)| is_gone(name));
        faults.extend(gone.map(|(name, _)| {
            format!("{name}: in the record, but no longer chosen; `cargo xtask isa keep` writes it anew")
        }));
    }
    Ok(report(&faults))
}

/// A line for each kernel that breaks a rule.
fn faults_of(chip: &Chip, cases: &[Case], facts: &[Facts]) -> Vec<String> {
    let of = |(case, facts): (&Case, &Facts)| {
        let faults = rules::faults(facts, case.exchanges(), chip.instruction_cache());
        (!faults.is_empty()).then(|| format!("{}: {}", case.name, faults.join("; ")))
    };
    cases.iter().zip(facts).filter_map(of).collect()
}

/// Prints the faults, and says whether there are none.
fn report(faults: &[String]) -> bool {
    for fault in faults.iter().take(SHOWN) {
        println!("    FAULT {fault}");
    }
    if faults.len() > SHOWN {
        println!("    and {} more", faults.len() - SHOWN);
    }
    faults.is_empty()
}

/// The compiled numbers of the cases, on as many threads as the machine has.
fn compiled(compiler: &Compiler, chip: &Chip, cases: &[Case]) -> Result<Vec<Facts>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((at, case)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, cases.get(at)?)))
        {
            let facts = compiler.facts(chip, case).map_err(|error| format!("{}: {error}", case.name))?;
            done.push((at, facts));
        }
        Ok(done)
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let all: Vec<Result<Vec<(usize, Facts)>>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let ended = workers.into_iter().map(|worker| worker.join());
        ended.map(|done| done.unwrap_or_else(|_| Err("a thread that compiles has panicked".into()))).collect()
    });
    let mut facts = vec![Facts::default(); cases.len()];
    for done in all {
        for (at, found) in done? {
            facts[at] = found;
        }
    }
    Ok(facts)
}
