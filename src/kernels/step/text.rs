//! Text of the product of a step kernel: `shared/product.wgsl` says what it is. Each sum and weight stands in a variable of its own,
//! for whether a compiler unrolls a loop over an array is its own affair: on some drivers such an array lies in memory, one load
//! for each use.
//!
//! Weights that are loaded ahead are in two sets, `a` and `b`, of so many quads: while the products of one are added, the other is
//! on its way. A block is so many turns of both.

use std::fmt::{Result, Write};

use super::{Ahead, Shape};
use crate::kernels::BLOCK;

/// The four k of a quad.
const PARTS: [&str; 4] = ["x", "y", "z", "w"];

/// The text of `gates` gates, of `k` terms each, by weights in f32 or `packed`.
pub(super) fn product(gates: u32, k: u32, shape: Shape, packed: bool) -> String {
    let to = if shape.in_blocks || shape.split > 1 { "part" } else { "sum" };
    let mut text = String::from("// Written out for its sizes.\n\n");
    // Writing to a string cannot fail.
    let _ = Product { gates, k, shape, packed, to }.write(&mut text);
    text
}

/// The sums of a thread, and how they come about.
#[derive(Clone, Copy)]
struct Product {
    gates: u32,
    k: u32,
    shape: Shape,
    packed: bool,
    /// What products are added to: `part`, a block's own sum, or `sum`, the sum of all.
    to: &'static str,
}

impl Product {
    /// Tile and unit of each place.
    fn places(self) -> impl Iterator<Item = [u32; 2]> {
        let Shape { tiles, units, .. } = self.shape;
        (0..tiles).flat_map(move |i| (0..units).map(move |u| [i, u]))
    }

    /// Tile, unit and gate of each sum.
    fn sums(self) -> impl Iterator<Item = [u32; 3]> {
        self.places().flat_map(move |[i, u]| (0..self.gates).map(move |g| [i, u, g]))
    }

    /// Unit and gate of each weight of a k.
    fn weights(self) -> impl Iterator<Item = [u32; 2]> {
        (0..self.shape.units).flat_map(move |u| (0..self.gates).map(move |g| [u, g]))
    }

    /// The same of each quad of a set.
    fn quads(self, count: u32) -> impl Iterator<Item = [u32; 3]> {
        (0..count).flat_map(move |q| self.weights().map(move |[u, g]| [q, u, g]))
    }

    fn write(self, text: &mut String) -> Result {
        let Shape { tiles, units, split, parts, ahead, .. } = self.shape;
        let is_early = ahead != Ahead::None && tiles * units == 1;
        for (name, value) in [
            ("TILES", tiles),
            ("EACH", units),
            ("OWN", self.shape.own()),
            ("SPAN", self.shape.span()),
            ("STRIDE", self.shape.stride()),
        ] {
            writeln!(text, "const {name}: u32 = {value}u;")?;
        }
        writeln!(text, "const EARLY: bool = {is_early};\n")?;
        for [i, u, g] in self.sums() {
            writeln!(text, "var<private> sum{i}_{u}_{g}: Rows;")?;
        }
        if split > 1 {
            writeln!(text, "\n// Sums of blocks on their way to where they are added.")?;
            writeln!(text, "var<workgroup> shares: array<Rows, {}>;", self.shape.shares(self.gates))?;
        }
        writeln!(text, "\nfn recurrent_product(lane: u32, dir: u32, tile: u32, own: u32) {{")?;
        if split > 1 {
            writeln!(text, "    let split = lane / OWN;\n    var total = Rows(0.0);")?;
        }
        let first = if split > 1 { format!("split * {}u", parts * BLOCK) } else { "0u".into() };
        for u in 0..units {
            writeln!(text, "    var at{u} = quad_at(dir, {first}, column_of(own + {u}u * OWN));")?;
        }
        match ahead {
            Ahead::None => self.write_rolled(text)?,
            Ahead::Quads(quads) => self.write_ahead(text, quads)?,
        }
        writeln!(text, "}}\n")?;
        self.write_sums_of(text)
    }

    /// The sums of one place. A `switch`, since a variable as the index of an array would put the array into memory.
    fn write_sums_of(self, text: &mut String) -> Result {
        writeln!(text, "fn sums_of(i: u32, u: u32) -> array<Rows, GATES> {{")?;
        writeln!(text, "    switch (i * EACH + u) {{")?;
        let places = self.shape.tiles * self.shape.units;
        for (place, [i, u]) in self.places().enumerate() {
            let is_last = place as u32 + 1 == places;
            let case = if is_last { "default".to_owned() } else { format!("case {place}u") };
            let all: Vec<String> = (0..self.gates).map(|g| format!("sum{i}_{u}_{g}")).collect();
            writeln!(text, "        {case}: {{ return array<Rows, GATES>({}); }}", all.join(", "))?;
        }
        writeln!(text, "    }}\n}}")
    }

    fn write_rolled(self, text: &mut String) -> Result {
        writeln!(text, "    for (var start = 0u; start < K; start += SPAN) {{")?;
        writeln!(text, "        fill(lane, dir, tile, start);\n        let size = min(SPAN, K - start);")?;
        writeln!(text, "        var k = 0u;\n        while (k < size) {{")?;
        writeln!(text, "            let end = min(k + BLOCK, size);")?;
        self.write_zeros(text)?;
        self.write_quads(text)?;
        self.write_added(text, "0u")?;
        writeln!(text, "        }}\n    }}")
    }

    fn write_ahead(self, text: &mut String, quads: u32) -> Result {
        let Shape { split, parts, units, tiles, .. } = self.shape;
        let (span, turns) = (self.shape.span(), 4 / quads);
        // Of several threads' blocks the next is not the next in memory, where a span ends.
        let jump = (split - 1) * parts * BLOCK / 4;
        self.write_set(text, "    var", "a", [0, quads])?;
        writeln!(text, "    for (var start = 0u; start < K; start += SPAN) {{")?;
        writeln!(text, "        fill(lane, dir, tile, start);")?;
        // A bound that no compiler knows keeps the loop over large tiles a loop, within an instruction cache.
        let bound = if split > 1 { "" } else { " + (params.batch >> 31u)" };
        writeln!(text, "        for (var n = 0u; n < {parts}u{bound}; n++) {{")?;
        let block = if split > 1 { format!("split * {parts}u + n") } else { "n".into() };
        writeln!(text, "            let place = {block};\n            let here = place * BLOCK;")?;
        // Whether every block is there, and whole.
        let is_even = self.k.is_multiple_of(span);
        let check = if is_even { "" } else { "if (start + here + BLOCK <= K) " };
        writeln!(text, "            {check}{{")?;
        self.write_zeros(text)?;
        if turns > 1 {
            writeln!(text, "            for (var turn = 0u; turn < {turns}u; turn++) {{")?;
        }
        let turn = if turns > 1 { " + turn" } else { "" };
        for i in 0..tiles {
            writeln!(text, "            let v{i} = &block[({i}u * SPAN + here) / STRIDE{turn}];")?;
        }
        self.write_set(text, "            let", "b", [quads, quads])?;
        self.write_products(text, "a", [0, quads])?;
        // The next set, which may be one too many where there is but one thread to read it.
        let is_last = match (parts, turns) {
            (1, 1) => "true".to_owned(),
            (1, _) => format!("turn + 1u == {turns}u"),
            (_, 1) => format!("n + 1u == {parts}u"),
            _ => format!("n + 1u == {parts}u && turn + 1u == {turns}u"),
        };
        let (is_several, is_one_span) = (split > 1, self.k <= span);
        for u in 0..units {
            let beyond =
                if is_several { format!(" + select(0u, {jump}u, {is_last}) * N") } else { String::new() };
            writeln!(text, "            at{u} += {}u * N{beyond};", 2 * quads)?;
        }
        let is_last_of_all = is_several && is_one_span && parts * turns == 1;
        if !is_last_of_all {
            let check = match (is_several, is_one_span) {
                (false, _) => String::new(),
                (true, true) => format!("if (!({is_last})) "),
                (true, false) => format!("if (!({is_last}) || start + SPAN < K) "),
            };
            writeln!(text, "            {check}{{")?;
            self.write_set(text, "               ", "a", [0, quads])?;
            writeln!(text, "            }}")?;
        }
        self.write_products(text, "b", [quads, quads])?;
        if turns > 1 {
            writeln!(text, "            }}")?;
        }
        self.write_added(text, "place")?;
        if !self.k.is_multiple_of(BLOCK) {
            writeln!(text, "            }} else if (start + here < K) {{")?;
            writeln!(text, "            var k = here;\n            let end = K - start;")?;
            self.write_zeros(text)?;
            self.write_quads(text)?;
            self.write_added(text, "place")?;
        }
        writeln!(text, "            }}\n        }}")?;
        if is_several {
            self.write_total(text)?;
        }
        writeln!(text, "    }}")?;
        if is_several {
            writeln!(text, "    workgroupBarrier();")?;
            writeln!(text, "    if (split < GATES) {{\n        shares[lane] = total;\n    }}")?;
            writeln!(text, "    workgroupBarrier();")?;
            for g in 0..self.gates {
                writeln!(text, "    sum0_0_{g} = shares[{g}u * OWN + lane % OWN];")?;
            }
        }
        Ok(())
    }

    /// Adds the blocks of a span in order, those of a gate by one thread of each unit.
    fn write_total(self, text: &mut String) -> Result {
        let Shape { split, parts, .. } = self.shape;
        let blocks = split * parts;
        writeln!(text, "        workgroupBarrier();\n        if (split < GATES) {{")?;
        writeln!(text, "            let count = min({blocks}u, (K - start + BLOCK - 1u) / BLOCK);")?;
        writeln!(text, "            for (var s = 0u; s < count; s++) {{")?;
        writeln!(text, "                total += shares[s * GATES * OWN + lane];")?;
        writeln!(text, "            }}\n        }}")
    }

    fn write_zeros(self, text: &mut String) -> Result {
        let mut parts = self.sums().filter(|_| self.to == "part");
        parts.try_for_each(|[i, u, g]| writeln!(text, "            var part{i}_{u}_{g} = Rows(zero());"))
    }

    /// The sums of a block to those of all, or on their way there.
    fn write_added(self, text: &mut String, place: &str) -> Result {
        for [i, u, g] in self.sums().filter(|_| self.to == "part") {
            if self.shape.split == 1 {
                writeln!(text, "            sum{i}_{u}_{g} += part{i}_{u}_{g};")?;
            } else {
                let at = format!("({place} * GATES + {g}u) * OWN + lane % OWN");
                writeln!(text, "            shares[{at}] = part{i}_{u}_{g};")?;
            }
        }
        Ok(())
    }

    /// Loads a set of `count` quads, from one on.
    fn write_set(self, text: &mut String, kind: &str, set: &str, [from, count]: [u32; 2]) -> Result {
        self.quads(count).try_for_each(|[q, u, g]| {
            writeln!(text, "{kind} {set}{q}_{u}_{g} = w[at{u} + {}u * N + {g}u * UNITS];", from + q)
        })
    }

    /// The products of a set.
    fn write_products(self, text: &mut String, set: &str, [from, count]: [u32; 2]) -> Result {
        for q in 0..count {
            for [u, g] in self.weights() {
                let from = format!("{set}{q}_{u}_{g}");
                let opened = match self.packed {
                    true => format!("vec4<f32>(unpack({from}.x), unpack({from}.y))"),
                    false => from,
                };
                writeln!(text, "            let {set}w{q}_{u}_{g} = {opened};")?;
            }
            for (j, part) in PARTS.into_iter().enumerate() {
                let k = 4 * (from + q) + j as u32;
                let vector = |i| format!("(*v{i})[{k}u]");
                self.write_k(text, &format!("{set}w{q}_"), &format!("{set}{q}_{j}"), part, vector)?;
            }
        }
        Ok(())
    }

    /// Four k at a time, which keeps down the number of loop iterations, and the last one to three k.
    fn write_quads(self, text: &mut String) -> Result {
        let vector = |j: usize| {
            move |i| match self.shape.ahead {
                Ahead::None => format!("block[({i}u * SPAN + k) / STRIDE][{j}u]"),
                Ahead::Quads(_) => format!("block[({i}u * SPAN + k) / STRIDE][k % STRIDE + {j}u]"),
            }
        };
        writeln!(text, "            for (; k + 4u <= end; k += 4u) {{")?;
        self.write_weights(text)?;
        for (j, part) in PARTS.into_iter().enumerate() {
            self.write_k(text, "w", &format!("{j}"), part, vector(j))?;
        }
        writeln!(text, "            }}")?;
        if self.k.is_multiple_of(4) {
            return Ok(());
        }
        writeln!(text, "            if (k < end) {{")?;
        self.write_weights(text)?;
        for (j, part) in PARTS.into_iter().enumerate().take(3) {
            writeln!(text, "                if (k + {j}u < end) {{")?;
            self.write_k(text, "w", &format!("{j}"), part, vector(j))?;
            writeln!(text, "                }}")?;
        }
        writeln!(text, "                k = end;\n            }}")
    }

    /// The weights of four k, and on to the next.
    fn write_weights(self, text: &mut String) -> Result {
        for [u, g] in self.weights() {
            writeln!(text, "                let w{u}_{g} = quad(at{u} + {g}u * UNITS);")?;
        }
        (0..self.shape.units).try_for_each(|u| writeln!(text, "                at{u} += N;"))
    }

    /// The products of one k, by weights of this name, with the vector in variables of that one.
    fn write_k(
        self,
        text: &mut String,
        weight: &str,
        name: &str,
        part: &str,
        vector: impl Fn(u32) -> String,
    ) -> Result {
        for i in 0..self.shape.tiles {
            writeln!(text, "                let x{name}_{i} = {};", vector(i))?;
            for [u, g] in self.weights() {
                let sum = format!("{}{i}_{u}_{g}", self.to);
                let product = format!("Rows({weight}{u}_{g}.{part}), x{name}_{i}");
                writeln!(text, "                {sum} = fma({product}, {sum});")?;
            }
        }
        Ok(())
    }
}
