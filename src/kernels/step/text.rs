//! Text of the product of a step kernel: `shared/product.wgsl` says what it is. Each sum and weight stands in a variable of its own,
//! for whether a compiler unrolls a loop over an array is its own affair: on some drivers such an array lies in memory, one load
//! for each use.

use std::fmt::{Result, Write};

use super::Shape;

/// The four k of a quad.
const PARTS: [&str; 4] = ["x", "y", "z", "w"];

/// The text of `gates` gates.
pub(super) fn product(gates: u32, shape: Shape) -> String {
    let Shape { units, tiles, in_blocks, .. } = shape;
    let mut text = format!(
        "// Written out for its sizes.\n\nconst TILES: u32 = {tiles}u;\nconst EACH: u32 = {units}u;\n\n"
    );
    let sums = Sums { gates, units, tiles, to: if in_blocks { "part" } else { "sum" } };
    // Writing to a string cannot fail.
    let _ = write(&mut text, sums, in_blocks);
    text
}

/// The sums of a thread.
#[derive(Clone, Copy)]
struct Sums {
    gates: u32,
    units: u32,
    tiles: u32,
    /// What products are added to: `part`, a block's own sum, or `sum`, the sum of all.
    to: &'static str,
}

impl Sums {
    /// Tile and unit of each place.
    fn places(self) -> impl Iterator<Item = [u32; 2]> {
        (0..self.tiles).flat_map(move |i| (0..self.units).map(move |u| [i, u]))
    }

    /// Tile, unit and gate of each.
    fn all(self) -> impl Iterator<Item = [u32; 3]> {
        self.places().flat_map(move |[i, u]| (0..self.gates).map(move |g| [i, u, g]))
    }

    /// Unit and gate of each weight of a k.
    fn weights(self) -> impl Iterator<Item = [u32; 2]> {
        (0..self.units).flat_map(move |u| (0..self.gates).map(move |g| [u, g]))
    }
}

fn write(text: &mut String, sums: Sums, in_blocks: bool) -> Result {
    for [i, u, g] in sums.all() {
        writeln!(text, "var<private> sum{i}_{u}_{g}: Rows;")?;
    }
    writeln!(text, "\nfn blocks(dir: u32, start: u32, size: u32, own: u32) {{")?;
    for u in 0..sums.units {
        writeln!(text, "    var at{u} = quad_at(dir, start, column_of(own + {u}u * WIDTH));")?;
    }
    writeln!(text, "    var k = 0u;")?;
    writeln!(text, "    while (k < size) {{\n        let end = min(k + BLOCK, size);")?;
    for [i, u, g] in sums.all().filter(|_| in_blocks) {
        writeln!(text, "        var part{i}_{u}_{g} = Rows(zero());")?;
    }
    write_quads(text, sums)?;
    write_rest(text, sums)?;
    for [i, u, g] in sums.all().filter(|_| in_blocks) {
        writeln!(text, "        sum{i}_{u}_{g} += part{i}_{u}_{g};")?;
    }
    writeln!(text, "    }}\n}}\n")?;
    write_sums_of(text, sums)
}

/// The sums of one place. A `switch`, since a variable as the index of an array would put the array into memory.
fn write_sums_of(text: &mut String, sums: Sums) -> Result {
    writeln!(text, "fn sums_of(i: u32, u: u32) -> array<Rows, GATES> {{")?;
    writeln!(text, "    switch (i * EACH + u) {{")?;
    let places = sums.tiles * sums.units;
    for (place, [i, u]) in sums.places().enumerate() {
        let case = if place as u32 + 1 < places { format!("case {place}u") } else { "default".to_owned() };
        let all: Vec<String> = (0..sums.gates).map(|g| format!("sum{i}_{u}_{g}")).collect();
        writeln!(text, "        {case}: {{ return array<Rows, GATES>({}); }}", all.join(", "))?;
    }
    writeln!(text, "    }}\n}}")
}

/// Four k at a time, which keeps down the number of loop iterations.
fn write_quads(text: &mut String, sums: Sums) -> Result {
    writeln!(text, "        for (; k + 4u <= end; k += 4u) {{")?;
    write_weights(text, sums)?;
    for (j, part) in PARTS.into_iter().enumerate() {
        write_k(text, sums, j, part)?;
    }
    writeln!(text, "        }}")
}

/// The last one to three k.
fn write_rest(text: &mut String, sums: Sums) -> Result {
    writeln!(text, "        if (k < end) {{")?;
    write_weights(text, sums)?;
    for (j, part) in PARTS.into_iter().enumerate().take(3) {
        writeln!(text, "            if (k + {j}u < end) {{")?;
        write_k(text, sums, j, part)?;
        writeln!(text, "            }}")?;
    }
    writeln!(text, "            k = end;\n        }}")
}

/// The weights of four k, and on to the next.
fn write_weights(text: &mut String, sums: Sums) -> Result {
    for [u, g] in sums.weights() {
        writeln!(text, "            let w{u}_{g} = quad(at{u} + {g}u * UNITS);")?;
    }
    (0..sums.units).try_for_each(|u| writeln!(text, "            at{u} += N;"))
}

/// The products of one k.
fn write_k(text: &mut String, sums: Sums, j: usize, part: &str) -> Result {
    for i in 0..sums.tiles {
        writeln!(text, "            let v{j}_{i} = block[{i}u * SPAN + k + {j}u];")?;
        for [u, g] in sums.weights() {
            let sum = format!("{}{i}_{u}_{g}", sums.to);
            writeln!(text, "            {sum} = fma(Rows(w{u}_{g}.{part}), v{j}_{i}, {sum});")?;
        }
    }
    Ok(())
}
