//! `multiply_all` of `matrices/lines.wgsl`, written out: each matrix in a variable of its own, as sums are in
//! `kernels::unrolled`.

use std::fmt::{Result, Write};

use super::{DEPTH, Matrices, PITCH};
use crate::kernels::Work;

/// The matrices of a subgroup. Four subgroups, two by two, have as many each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Product {
    pub(super) matrices: Matrices,
    /// K.
    pub(super) k: u32,
    /// Matrices, one below the other: each loaded matrix of the columns serves all of them.
    pub(super) stack: u32,
    /// Matrices side by side that have units of one gate.
    pub(super) across: u32,
    /// Matrices side by side: each loaded matrix of the rows serves all of them.
    pub(super) columns: u32,
    /// How its sums are stored.
    pub(super) stored: Stored,
}

/// Which sums are stored to workgroup memory together, before `finish` takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    /// A row of matrices of all subgroups, by gates.
    Row,
    /// Two matrices of each subgroup.
    Two,
}

/// The rows of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Numbers of f16, from a buffer.
    Loaded,
    /// Numbers of f32, which are converted on the way.
    Converted,
    /// Those of the step before, but in the first step of a chunk converted.
    Kept,
}

/// Numbers that lie together, and how many times so many a line has.
const OCTET: u32 = 8;
const OCTETS: u32 = DEPTH / OCTET;
/// Sums of a thread, at most.
const SUMS: u32 = 128;
/// Threads of a subgroup from which the products of a pass are written out.
const UNROLLED_FROM: u32 = 32;
/// Matrices of sums up to which the registers of a subgroup have room for the next pass.
const AHEAD: u32 = 16;

/// How the lines of an operand are assigned to threads, eight k of a line at a time.
struct Shares {
    /// The lines that are assigned together: all, or those of a half.
    lines: u32,
    /// The shares of a thread of these.
    rounds: u32,
    in_halves: bool,
}

/// A share of a thread.
struct Share {
    round: u32,
    half: Option<u32>,
}

impl Shares {
    fn all(&self) -> impl Iterator<Item = Share> + use<> {
        let halves = if self.in_halves { vec![Some(0), Some(1)] } else { vec![None] };
        let of_round = move |round| halves.clone().into_iter().map(move |half| Share { round, half });
        (0..self.rounds).flat_map(of_round)
    }
}

impl Product {
    /// Rows of a workgroup.
    pub(super) fn high(self) -> u32 {
        2 * self.stack * self.matrices.side
    }

    /// Columns of a workgroup.
    pub(super) fn wide(self) -> u32 {
        2 * self.columns * self.matrices.side
    }

    /// Bytes of workgroup memory for both operands.
    pub(super) fn bytes(self) -> u32 {
        2 * PITCH * (self.high() + self.wide())
    }

    /// The shares of operand `name`.
    fn shares(self, name: &str) -> Shares {
        let of_half = if name == "a" { self.high() } else { self.wide() } / 2;
        let threads = self.matrices.threads().max(1);
        // Halves one after the other, if that leaves few threads idle, differ by constants.
        let in_halves = 4 * of_half * OCTETS >= 3 * threads;
        let lines = if in_halves { of_half } else { 2 * of_half };
        Shares { lines, rounds: (lines * OCTETS).div_ceil(threads), in_halves }
    }

    /// Loop iterations of a thread, without those of storing sums.
    pub(super) fn iterations(self) -> u64 {
        // Converting takes a loop for each of eight k, and of four rows.
        let converting = (self.high() / 4 * OCTETS).div_ceil(self.matrices.threads().max(1)) * 12;
        u64::from(self.k.div_ceil(DEPTH)) * u64::from(1 + converting)
    }

    /// The work of a workgroup, without that of storing sums.
    pub(super) fn work(self) -> Work {
        let (k, side) = (u64::from(self.k), u64::from(self.matrices.side));
        let [high, wide] = [self.high(), self.wide()].map(u64::from);
        let of_subgroup = u64::from(self.stack + self.columns);
        Work {
            matrix: high * wide * k,
            load: (high + wide) * k,
            share: (high + wide) * k + 4 * of_subgroup * side * k,
            barrier: 2 * u64::from(self.matrices.threads()) * k.div_ceil(u64::from(DEPTH)),
            chain: k.div_ceil(side),
            ..Work::default()
        }
    }

    /// Whether the sums of a thread leave room for other numbers, in registers of GPUs that have 256.
    pub(super) fn fits(self) -> bool {
        let Matrices { side, subgroup } = self.matrices;
        self.stack == 1 || self.stack * self.columns * side * side <= SUMS * subgroup
    }

    /// Registers of a thread: sums, and the matrices of a pass, as compilers for AMD allocate them.
    pub(super) fn registers(self) -> u32 {
        let Matrices { side, subgroup } = self.matrices;
        let sums = self.stack * self.columns * side * side / subgroup.max(1);
        sums + 8 * (self.stack + self.columns)
    }

    /// The constants and the function.
    pub(super) fn text(self, left: Left) -> String {
        let Self { stack, across, columns, .. } = self;
        let mut text = format!(
            "// Written out for its sizes.\n\nconst STACK: u32 = {stack}u;\nconst ACROSS: u32 = {across}u;\n\
             const ABREAST: u32 = {columns}u;\n\n"
        );
        // Writing to a string cannot fail.
        let _ = self.write(&mut text, left);
        text
    }

    fn write(self, text: &mut String, left: Left) -> Result {
        writeln!(text, "fn multiply_all(lane: u32, subgroup: u32, dir: u32, first: u32, own: u32) {{")?;
        writeln!(text, "    let right = subgroup % 2u;\n    let down = subgroup / 2u % 2u;")?;
        for (i, j) in self.sums() {
            writeln!(text, "    var c{i}_{j} = MatrixC();")?;
        }
        self.declare(text, "b", "w_at(dir, b_column(own, {line}))", "(2u * N)")?;
        if left != Left::Converted {
            self.declare(text, "a", "a_at(dir, first, {line})", "A_OCTET")?;
        }
        match left {
            Left::Kept => {
                writeln!(text, "    if (index.t > 0u) {{")?;
                self.passes(text, false)?;
                writeln!(text, "    }} else {{")?;
                self.passes(text, true)?;
                writeln!(text, "    }}")?;
            }
            left => self.passes(text, left == Left::Converted)?,
        }
        self.finish(text)?;
        writeln!(text, "}}")
    }

    /// Each matrix of sums: its row and its column.
    fn sums(self) -> impl Iterator<Item = (u32, u32)> {
        (0..self.stack).flat_map(move |i| (0..self.columns).map(move |j| (i, j)))
    }

    /// A thread's eights of each pass: their lines, their places in them, and where they are in a buffer. Neighbouring
    /// threads load neighbouring k of a row, and neighbouring columns.
    fn declare(self, text: &mut String, name: &str, at: &str, each: &str) -> Result {
        let shares = self.shares(name);
        let (threads, last) = (self.matrices.threads(), shares.lines * OCTETS - 1);
        for round in 0..shares.rounds {
            let mut task = format!("(lane + {}u)", round * threads);
            // Threads without a share of their own repeat the last.
            if (round + 1) * threads > last + 1 {
                task = format!("min{}, {last}u)", task.trim_end_matches(')'));
            }
            let [line, octet] = match name {
                "a" => [format!("{task} / OCTETS"), format!("{task} % OCTETS")],
                _ => [format!("{task} % {}u", shares.lines), format!("{task} / {}u", shares.lines)],
            };
            writeln!(text, "    let {name}_line{round} = {line};\n    let {name}_octet{round} = {octet};")?;
        }
        for (j, Share { round, half }) in shares.all().enumerate() {
            let line = format!("{name}_line{round} + {}u", half.unwrap_or(0) * shares.lines);
            let at = at.replace("{line}", &line);
            writeln!(text, "    let {name}_at{j} = {at} + {name}_octet{round} * {each};")?;
        }
        Ok(())
    }

    /// All passes over K. Where registers allow, the numbers of the next pass are loaded before the products of the
    /// one before.
    fn passes(self, text: &mut String, converted: bool) -> Result {
        let count = self.k.div_ceil(DEPTH);
        let ahead = self.stack * self.columns <= AHEAD;
        for (name, ..) in Self::loaded(converted) {
            for j in 0..self.shares(name).all().count() {
                writeln!(text, "    var {name}{j}: Eight;")?;
            }
        }
        if ahead {
            self.load(text, "0u", converted)?;
        }
        writeln!(text, "    for (var p = 0u; p < {count}u; p++) {{")?;
        if !ahead {
            self.load(text, "p", converted)?;
        }
        self.store(text, converted)?;
        if ahead {
            writeln!(text, "    let next = min(p + 1u, {}u);", count - 1)?;
            self.load(text, "next", converted)?;
        }
        self.multiply(text)?;
        writeln!(text, "    }}")
    }

    /// The operands that are loaded from buffers: each with its function, and its step in the buffer.
    fn loaded(converted: bool) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        [("a", "a", "A_OCTET"), ("b", "w", "(2u * N)")].into_iter().skip(usize::from(converted))
    }

    /// A thread's numbers of a pass. Of the last, some or all may lie past K.
    fn load(self, text: &mut String, pass: &str, converted: bool) -> Result {
        let (whole, rest) = (self.k / DEPTH, self.k % DEPTH);
        if rest == 0 || whole == 0 {
            return self.load_all(text, pass, rest > 0, converted);
        }
        writeln!(text, "    if ({pass} < {whole}u) {{")?;
        self.load_all(text, pass, false, converted)?;
        writeln!(text, "    }} else {{")?;
        self.load_all(text, pass, true, converted)?;
        writeln!(text, "    }}")
    }

    fn load_all(self, text: &mut String, pass: &str, rest: bool, converted: bool) -> Result {
        for (name, function, each) in Self::loaded(converted) {
            for (j, Share { round, .. }) in self.shares(name).all().enumerate() {
                let at = format!("{name}_at{j} + {pass} * (OCTETS * {each})");
                let k = format!("{pass} * DEPTH + 8u * {name}_octet{round}");
                match rest {
                    false => writeln!(text, "    {name}{j} = {function}_eight({at});")?,
                    true => writeln!(text, "    {name}{j} = {function}_rest({at}, {k});")?,
                }
            }
        }
        Ok(())
    }

    fn store(self, text: &mut String, converted: bool) -> Result {
        writeln!(text, "    workgroupBarrier();")?;
        for (name, ..) in Self::loaded(converted) {
            let size = if name == "a" { "HIGH" } else { "WIDE" };
            for (j, Share { round, half }) in self.shares(name).all().enumerate() {
                let line = format!("{name}_line{round}");
                let place = match half {
                    Some(half) => format!("[{half}u][{line}]"),
                    None => format!("[{line} / {size}][{line} % {size}]"),
                };
                writeln!(text, "    {name}_lines{place}[{name}_octet{round}] = octet({name}{j});")?;
            }
        }
        if converted {
            writeln!(text, "    convert(lane, dir, first, p * DEPTH);")?;
        }
        writeln!(text, "    workgroupBarrier();")
    }

    /// The products of a pass. Each matrix of the columns is loaded when all of the rows are there. Software drivers,
    /// whose subgroups are small, make so much code of a product that it is written once.
    fn multiply(self, text: &mut String) -> Result {
        let side = self.matrices.side;
        if self.matrices.subgroup < UNROLLED_FROM {
            writeln!(text, "    for (var k = 0u; k < DEPTH; k += SIDE) {{")?;
            self.multiply_at(text, "k / 8u", "k")?;
            return writeln!(text, "    }}");
        }
        let mut all = (0..DEPTH).step_by(side as usize);
        all.try_for_each(|k| self.multiply_at(text, &format!("{}u", k / OCTET), &k.to_string()))
    }

    fn multiply_at(self, text: &mut String, octet: &str, name: &str) -> Result {
        let at = |i: u32| format!("[{}u][{octet}][0]", i * self.matrices.side);
        for i in 0..self.stack {
            let at = at(i);
            writeln!(text, "    let a{i}_{name} = coopLoadT<MatrixA>(&a_lines[down]{at}, PITCH);")?;
        }
        for j in 0..self.columns {
            let at = at(j);
            writeln!(text, "    let b{j}_{name} = coopLoad<MatrixB>(&b_lines[right]{at}, PITCH);")?;
            for i in 0..self.stack {
                writeln!(text, "    c{i}_{j} = coopMultiplyAdd(a{i}_{name}, b{j}_{name}, c{i}_{j});")?;
            }
        }
        Ok(())
    }

    fn finish(self, text: &mut String) -> Result {
        let (across, side) = (self.across, self.matrices.side);
        for i in 0..self.stack {
            let beside = if self.stored == Stored::Row { self.columns } else { 2 };
            for first in (0..self.columns).step_by(beside as usize) {
                writeln!(text, "    workgroupBarrier();")?;
                for j in first..first + beside {
                    let (at, pitch) = match self.stored {
                        Stored::Row => {
                            let (gate, of) = (j / across * 2 * side, j % across * side);
                            let row = format!("({gate}u + down * SIDE) * UNITS_HERE");
                            (format!("{row} + right * ACROSS * SIDE + {of}u]"), "UNITS_HERE")
                        }
                        Stored::Two => (format!("subgroup % 4u][{}u]", (j - first) * side), "BESIDE"),
                    };
                    writeln!(text, "    coopStoreT(c{i}_{j}, &sums[{at}, {pitch});")?;
                }
                writeln!(text, "    workgroupBarrier();")?;
                match self.stored {
                    Stored::Row => writeln!(text, "    finish(lane, dir, first, own, {i}u);")?,
                    Stored::Two => {
                        writeln!(text, "    finish(lane, dir, first, own, {i}u, {}u);", first * side)?;
                    }
                }
            }
        }
        Ok(())
    }
}
