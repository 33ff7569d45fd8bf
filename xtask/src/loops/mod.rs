//! The check of the compiled inner loops: the products of the CPU path keep all sums in registers.
//!
//! The library is compiled, optimised, to assembly. For each instruction set every function of `cpu/product.rs` is
//! found by its symbol, `..product::Product<storage, G, R, U>` (G gates, R rows, U blocks at once), and in it the
//! innermost loop that multiplies and adds. A loop that reads or writes the stack fails the check, and so does an
//! expected function that is missing or has no such loop. No code is run, so no processor with the instructions is
//! needed.

mod assembly;
mod machine;
mod stack;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;

use assembly::{Function, Instruction};
use machine::{Access, Machine};

use crate::process::{self, Error};
use crate::stage::Outcome;
use crate::target;

/// The targets, and the instruction sets that must be found in each.
const TARGETS: [(&str, Machine, &[&str]); 2] =
    [("x86_64-unknown-linux-gnu", Machine::X86, &["avx2", "avx512"]), (target::ARM, Machine::Arm, &["neon"])];

/// The most gates of a cell.
const MOST_GATES: usize = 4;

/// Compiles for each target whose standard library is here, and checks the loops.
pub fn run() -> Result<Outcome, Error> {
    let mut outcome = Outcome::Passed;
    let mut faults = Vec::new();
    println!("    a trip of each loop, for one k:");
    println!("    {}", Shape::HEAD);
    for (target, machine, sets) in TARGETS {
        if !target::is_ready(target)? {
            outcome = Outcome::Skipped;
            continue;
        }
        let text = compile(target)?;
        faults.extend(check(machine, sets, &text, &mut |line| println!("    {line}")));
    }
    if faults.is_empty() {
        return Ok(outcome);
    }
    for fault in &faults {
        eprintln!("{fault}");
    }
    let names: Vec<&str> = faults.iter().map(|fault| fault.lines().next().unwrap_or_default()).collect();
    let (shown, more) = names.split_at(names.len().min(20));
    let more = if more.is_empty() { String::new() } else { format!("; and {} more", more.len()) };
    Err(Error::Other(format!("{}{more}", shown.join("; "))))
}

/// The library's CPU path for `target`, as assembly.
fn compile(target: &str) -> Result<String, Error> {
    let folder = process::workspace_root().join("target").join("loops");
    // Each compiler has its own folder, since cargo keeps the builds of each.
    let version = process::capture(process::rustc().arg("--version"))?;
    let version: String = version.trim().chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
    let path = folder.join(format!("{target}-{version}.s"));
    let mut cargo = process::cargo();
    cargo.args(["rustc", "--quiet", "-p", "wgru", "--lib", "--release", "--no-default-features"]);
    cargo.args(["--target", target, "--target-dir"]).arg(&folder);
    // One unit, so that there is one file; v0 symbols contain the type arguments.
    cargo.args(["--", "-C", "codegen-units=1", "-C", "symbol-mangling-version=v0"]);
    process::run(cargo.arg(format!("--emit=asm={}", path.display())))?;
    fs::read_to_string(&path).map_err(|reason| Error::Other(format!("{}: {reason}", path.display())))
}

/// The type arguments of a product.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Made {
    set: String,
    gates: usize,
    storage: String,
    rows: usize,
    blocks: usize,
}

impl Made {
    /// Reads it from a name such as
    /// `wgru::cpu::simd::avx2::within::<wgru::cpu::product::Product<wgru::cpu::product::F16, 3, 4, 1>>`.
    fn parse(name: &str) -> Option<Self> {
        let (_, set) = name.split_once("cpu::simd::")?;
        let (set, _) = set.split_once("::")?;
        let (_, parameters) = name.split_once("cpu::product::Product<")?;
        let mut parameters = parameters.split('>').next()?.split(',').map(str::trim);
        let storage = parameters.next()?.rsplit("::").next()?;
        let mut number = || parameters.next()?.parse().ok();
        let (gates, rows, blocks) = (number()?, number()?, number()?);
        Some(Self { set: set.into(), gates, storage: storage.into(), rows, blocks })
    }
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { set, gates, storage, rows, blocks } = self;
        write!(f, "{set}, G {gates}, {storage}, {rows} x {blocks}")
    }
}

/// The contents of a loop, for one trip.
struct Shape {
    /// Iterations of one k that the compiler has merged into one.
    trips: usize,
    instructions: usize,
    fmas: usize,
    loads: usize,
    moves: usize,
    /// Instructions of other kinds.
    other: usize,
    stack: usize,
}

impl Shape {
    const HEAD: &str =
        "set      G  storage  rows x blocks  instructions   FMAs  loads  moves  other  stack  k a trip";

    fn of(machine: Machine, made: &Made, code: &[&Instruction<'_>], stack: usize) -> Option<Self> {
        let count = |is: &dyn Fn(&Instruction<'_>) -> bool| code.iter().filter(|one| is(one)).count();
        let fmas = count(&|one| machine.is_fma(one));
        let sums = made.gates * made.rows * made.blocks;
        let is_load =
            |one: &Instruction<'_>| machine.access(one).is_some_and(|(access, _)| access == Access::Load);
        let is_other = |one: &Instruction<'_>| !machine.is_fma(one) && !machine.is_move(one) && !is_load(one);
        (fmas > 0 && fmas % sums == 0).then(|| Self {
            trips: fmas / sums,
            instructions: code.len(),
            fmas,
            loads: count(&is_load),
            moves: count(&|one| machine.is_move(one)),
            other: count(&is_other),
            stack,
        })
    }

    fn line(&self, made: &Made) -> String {
        let Made { set, gates, storage, rows, blocks } = made;
        let each = |count: usize| {
            let each = count as f64 / self.trips as f64;
            if each.fract() == 0.0 { format!("{each:.0}") } else { format!("{each:.1}") }
        };
        let tile = format!("{rows} x {blocks}");
        format!(
            "{set:<8} {gates}  {storage:<7}  {tile:>13}  {:>12}  {:>5}  {:>5}  {:>5}  {:>5}  {:>5}  {:>8}",
            each(self.instructions),
            each(self.fmas),
            each(self.loads),
            each(self.moves),
            each(self.other),
            each(self.stack),
            self.trips,
        )
    }
}

/// Prints a line for each loop, and returns the faults, each beginning with a line by itself.
fn check(machine: Machine, sets: &[&str], text: &str, print: &mut dyn FnMut(String)) -> Vec<String> {
    let name = |symbol: &str| format!("{:#}", rustc_demangle::demangle(symbol));
    let functions = assembly::functions(machine, text, |symbol| {
        symbol.contains("7product7Product") && Made::parse(&name(symbol)).is_some()
    });
    let made = functions.into_iter().filter_map(|of| Some((Made::parse(&name(of.symbol))?, of)));
    let mut products: Vec<(Made, Function<'_>)> = made.collect();
    products.retain(|(made, _)| sets.contains(&made.set.as_str()));
    products.sort_by(|(a, _), (b, _)| a.cmp(b));

    let mut faults = missing(sets, products.iter().map(|(made, _)| made));
    for (made, function) in &products {
        let loops = function.innermost(|instruction| machine.is_fma(instruction));
        if loops.is_empty() {
            faults.push(format!("{made}: no loop that multiplies and adds in {}", name(function.symbol)));
        }
        for blocks in loops {
            let code: Vec<_> = blocks.iter().flat_map(|&block| &function.blocks[block].code).collect();
            let uses = stack::uses(machine, function, &blocks);
            match Shape::of(machine, made, &code, uses.len()) {
                Some(shape) => print(shape.line(made)),
                None => faults.push(format!(
                    "{made}: the loop does not have {} FMAs or a multiple\n{}",
                    made.gates * made.rows * made.blocks,
                    listing(&name(function.symbol), &code, &[])
                )),
            }
            if !uses.is_empty() {
                let listing = listing(&name(function.symbol), &code, &uses);
                faults.push(format!("{made}: {} of the stack\n{listing}", counted(uses.len())));
            }
        }
    }
    faults
}

fn counted(uses: usize) -> String {
    if uses == 1 { "1 use".to_owned() } else { format!("{uses} uses") }
}

/// The loop, with marks at instructions that use the stack.
fn listing(name: &str, code: &[&Instruction<'_>], uses: &[&Instruction<'_>]) -> String {
    let line = |one: &&Instruction<'_>| {
        let is_use = uses.iter().any(|of| std::ptr::eq(*of, *one));
        format!("  {} {}", if is_use { "stack>" } else { "      " }, one.text.replace('\t', " "))
    };
    let lines: Vec<String> = code.iter().map(line).collect();
    format!("  in {name}\n{}", lines.join("\n"))
}

/// The products that are required for each set, number of gates and storage: one of one row, and one of several.
fn missing<'a>(sets: &[&str], found: impl Iterator<Item = &'a Made>) -> Vec<String> {
    let key = |made: &Made| (made.set.clone(), made.gates, made.storage.clone(), made.rows > 1);
    let found: BTreeSet<_> = found.map(key).collect();
    let mut missing = Vec::new();
    for &set in sets {
        for gates in 1..=MOST_GATES {
            for storage in ["F32", "F16", "Bf16"] {
                for (several, rows) in [(false, "one row"), (true, "several rows")] {
                    if !found.contains(&(set.to_owned(), gates, storage.to_owned(), several)) {
                        missing.push(format!("{set}, G {gates}, {storage}: no product of {rows}"));
                    }
                }
            }
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYMBOL: &str = "_RINvNtNtNtCsiEXmtEckVru_4wgru3cpu4simd4avx26withinINtNtB6_7product7ProductNtBP_3F32Kj4_Kj3_Kj1_EEB8_";

    #[test]
    fn a_symbol_says_what_a_product_was_made_for() {
        let avx2 = Made { set: "avx2".into(), gates: 4, storage: "F32".into(), rows: 3, blocks: 1 };
        assert_eq!(Made::parse(&format!("{:#}", rustc_demangle::demangle(SYMBOL))), Some(avx2));
        let neon = "_RINvXs_NtNtNtCsHsiynbzfhf_4wgru3cpu4simd4neonNtB5_4NeonNtB7_4Simd3runINtNtB9_7product7ProductNtB18_3F16Kj4_Kj6_Kj1_EEBb_";
        let made = Made::parse(&format!("{:#}", rustc_demangle::demangle(neon)));
        assert_eq!(made.map(|made| made.to_string()).as_deref(), Some("neon, G 4, F16, 6 x 1"));
        assert_eq!(Made::parse("wgru::kernels::unrolled::Product"), None);
    }

    fn checked(loops: &str) -> Vec<String> {
        let text = format!("{SYMBOL}:\n\tpushq\t%rbx\n{loops}\tretq\n\t.size\t{SYMBOL}, 1\n");
        let faults = check(Machine::X86, &["avx2"], &text, &mut |_| ());
        faults.into_iter().filter(|fault| !fault.contains("no product of")).collect()
    }

    #[test]
    fn a_product_is_held_to_its_registers_and_its_sums() {
        let fmas = "\tvfmadd231ps\t%ymm12, %ymm0, %ymm9\n".repeat(12);
        assert!(checked(&format!(".L1:\n{fmas}\tjne\t.L1\n")).is_empty());
        let spilled = checked(&format!(".L1:\n\tvmovups\t(%rsp), %ymm0\n{fmas}\tjne\t.L1\n"));
        assert!(spilled[0].starts_with("avx2, G 4, F32, 3 x 1: 1 use of the stack\n"), "{spilled:?}");
        assert!(spilled[0].contains("\n  stack> vmovups (%rsp), %ymm0\n"), "{spilled:?}");
        let few = checked(".L1:\n\tvfmadd231ps\t%ymm12, %ymm0, %ymm9\n\tjne\t.L1\n");
        assert!(few[0].contains("does not have 12 FMAs"), "{few:?}");
        assert!(checked(&fmas)[0].contains("no loop that multiplies and adds"));
    }

    #[test]
    fn what_is_not_there_is_named() {
        let faults = check(Machine::X86, &["avx2", "avx512"], "", &mut |_| ());
        assert_eq!(faults.len(), 2 * MOST_GATES * 3 * 2);
        assert_eq!(faults[0], "avx2, G 1, F32: no product of one row");
    }
}
