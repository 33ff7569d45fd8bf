//! Text of the products of `persistent.wgsl`: written out k by k, with each weight in a variable of its own.
//!
//! Weights stay in registers only where every index is known to the compiler, and whether one unrolls a loop over an
//! array is its own affair: on some drivers such an array lies in memory, one load for each use. So WGSL is made by a
//! program here, and for steps in `step/text.rs`.

use std::fmt::Write;

use super::BLOCK;
use super::product::{Product, most_gates};
use super::shape::{Keep, Shape};

/// The four k of a quad.
const PARTS: [&str; 4] = ["x", "y", "z", "w"];

/// The text for `products` of `hidden` units.
pub(super) fn text(products: &[Product], hidden: u32, shape: Shape) -> String {
    let mut text = String::from("// Written out for its sizes.\n\n");
    // Writing to a string cannot fail.
    let _ = write(&mut text, products, hidden, shape);
    text
}

fn write(text: &mut String, products: &[Product], hidden: u32, shape: Shape) -> std::fmt::Result {
    let Shape { tiles, split, parts, .. } = shape;
    for (name, value) in [
        ("TILES", tiles),
        ("OWN", shape.units),
        ("SPLIT", split),
        ("PARTS", parts),
        ("STRIDE", shape.stride(hidden)),
        ("VECTORS", shape.vectors(products.len())),
    ] {
        writeln!(text, "const {name}: u32 = {value}u;")?;
    }
    if split > 1 {
        let places = shape.shares(most_gates(products));
        writeln!(text, "\n// Sums of blocks on their way to the owner of the unit.")?;
        writeln!(text, "var<workgroup> shares: array<Rows, {places}>;")?;
    }
    match shape.held() {
        0 => writeln!(text, "\nfn hold(dir: u32, at: Place) {{}}")?,
        _ => write_hold(text, products, hidden, shape)?,
    }
    for product in products {
        write_product(text, product, hidden, shape)?;
    }
    if let [only] = products {
        let name = only.name;
        writeln!(
            text,
            "\nfn recurrent_sums(dir: u32, at: Place, h: Rows, input: array<Rows, COLUMNS>) -> array<Rows, GATES> {{"
        )?;
        writeln!(text, "    return {name}(dir, at);\n}}\n")?;
    }
    Ok(())
}

/// The variables of the weights that stay in registers, and what loads them: w{gate}_{k} of one k each, or of two.
fn write_hold(text: &mut String, products: &[Product], hidden: u32, shape: Shape) -> std::fmt::Result {
    let depth = shape.held_depth(hidden);
    let gates = || products.iter().flat_map(|product| product.gates.clone());
    // What a quad is loaded as, how many of its parts are there, and of how many k each is.
    let (kind, load, count, of_k) = match shape.keep {
        Keep::Packed => ("u32", "vec2<u32>", 2, 2),
        Keep::Held | Keep::Streamed => ("f32", "vec4<f32>", 4, 1),
    };
    let from = if count == 2 { "w[quad_at(dir, k, n)]" } else { "quad(quad_at(dir, k, n))" };
    writeln!(text, "\nfn held(dir: u32, k: u32, n: u32) -> {load} {{")?;
    writeln!(text, "    if (k >= K) {{\n        return {load}();\n    }}\n    return {from};\n}}\n")?;
    for gate in gates() {
        for k in (0..depth).step_by(of_k) {
            writeln!(text, "var<private> w{gate}_{k}: {kind};")?;
        }
    }
    writeln!(text, "\nfn hold(dir: u32, at: Place) {{\n    let k = at.split * {}u;", shape.parts * BLOCK)?;
    for gate in gates() {
        writeln!(text, "    let n{gate} = {gate}u * HIDDEN + at.unit;")?;
        for first in (0..depth).step_by(PARTS.len()) {
            writeln!(text, "    let q{gate}_{first} = held(dir, k + {first}u, n{gate});")?;
            for (k, part) in (first..depth).step_by(of_k).zip(&PARTS[..count]) {
                writeln!(text, "    w{gate}_{k} = q{gate}_{first}.{part};")?;
            }
        }
    }
    writeln!(text, "}}")
}

fn write_product(text: &mut String, product: &Product, hidden: u32, shape: Shape) -> std::fmt::Result {
    let Product { name, vector, gates } = product;
    let Shape { tiles, split, parts, keep, .. } = shape;
    let (held, depth) = (shape.held(), shape.held_depth(hidden));
    let count = gates.len();
    let lanes = tiles * shape.units;
    writeln!(text, "\nfn {name}(dir: u32, at: Place) -> array<Rows, {count}> {{")?;
    writeln!(text, "    let start = at.{vector} + at.split * {}u;", parts * BLOCK)?;
    writeln!(text, "    var v = Rows(0.0);")?;
    for gate in gates.clone() {
        writeln!(text, "    var sum{gate} = Rows(0.0);\n    var part{gate} = Rows(0.0);")?;
    }
    // Held weights have names of their own, so blocks are written one by one; streamed ones are walked through.
    for block in 0..held {
        write_held(text, product, block, depth, keep)?;
        write_added(text, product, &format!("{block}u"), shape)?;
    }
    if held < parts {
        writeln!(text, "    for (var block = {held}u; block < {parts}u; block++) {{")?;
        write_streamed(text, product, parts)?;
        write_added(text, product, "block", shape)?;
        writeln!(text, "    }}")?;
    }
    if split > 1 {
        writeln!(text, "    workgroupBarrier();\n    if (at.split == 0u) {{")?;
        writeln!(text, "        for (var s = 0u; s < {}u; s++) {{", (split - 1) * parts)?;
        for (index, gate) in gates.clone().enumerate() {
            writeln!(
                text,
                "            sum{gate} += shares[(s * {count}u + {index}u) * {lanes}u + at.place];"
            )?;
        }
        writeln!(text, "        }}\n    }}")?;
    }
    let sums: Vec<String> = gates.clone().map(|gate| format!("sum{gate}")).collect();
    writeln!(text, "    return array<Rows, {count}>({});\n}}", sums.join(", "))
}

/// The parts of `block` into the sums, or on their way to the owner of the unit.
fn write_added(text: &mut String, product: &Product, block: &str, shape: Shape) -> std::fmt::Result {
    let Shape { tiles, split, parts, units, .. } = shape;
    let gates = || product.gates.clone();
    let (count, lanes) = (product.gates.len(), tiles * units);
    let add = |text: &mut String, indent: &str| -> std::fmt::Result {
        gates().try_for_each(|gate| writeln!(text, "{indent}sum{gate} += part{gate};"))
    };
    if split == 1 {
        return add(text, "    ");
    }
    writeln!(text, "    if (at.split == 0u) {{")?;
    add(text, "        ")?;
    writeln!(text, "    }} else {{")?;
    for (index, gate) in gates().enumerate() {
        let place = format!("(((at.split - 1u) * {parts}u + {block}) * {count}u + {index}u) * {lanes}u");
        writeln!(text, "        shares[{place} + at.place] = part{gate};")?;
    }
    writeln!(text, "    }}")
}

/// The parts of one block, its weights in registers.
fn write_held(text: &mut String, product: &Product, block: u32, depth: u32, keep: Keep) -> std::fmt::Result {
    for k in block * BLOCK..((block + 1) * BLOCK).min(depth) {
        let is_first = k % BLOCK == 0;
        if keep == Keep::Packed && k % 2 == 0 {
            for gate in product.gates.clone() {
                let kept = if is_first { "var " } else { "" };
                writeln!(text, "    {kept}both{gate}_{block} = unpack(w{gate}_{k});")?;
            }
        }
        writeln!(text, "    v = vector[start + {k}u];")?;
        for gate in product.gates.clone() {
            let part = if is_first { "Rows(zero())".to_owned() } else { format!("part{gate}") };
            let weight = match keep {
                Keep::Packed => format!("both{gate}_{block}.{}", PARTS[k as usize % 2]),
                Keep::Held | Keep::Streamed => format!("w{gate}_{k}"),
            };
            writeln!(text, "    part{gate} = fma(Rows({weight}), v, {part});")?;
        }
    }
    Ok(())
}

/// The parts of the block in hand, its weights loaded.
fn write_streamed(text: &mut String, product: &Product, parts: u32) -> std::fmt::Result {
    writeln!(text, "    let first = min((at.split * {parts}u + block) * BLOCK, K);")?;
    writeln!(text, "    let size = min(BLOCK, K - first);\n    var k = 0u;")?;
    for gate in product.gates.clone() {
        writeln!(text, "    part{gate} = Rows(zero());")?;
        writeln!(text, "    var at{gate} = quad_at(dir, first, {gate}u * HIDDEN + at.unit);")?;
    }
    let quads = |text: &mut String| {
        product.gates.clone().try_for_each(|gate| writeln!(text, "        let q{gate} = quad(at{gate});"))
    };
    let of_k = |text: &mut String, j: usize, part: &str| {
        writeln!(text, "        v = vector[start + block * BLOCK + k + {j}u];")?;
        product.gates.clone().try_for_each(|gate| {
            writeln!(text, "        part{gate} = fma(Rows(q{gate}.{part}), v, part{gate});")
        })
    };
    writeln!(text, "    for (; k + 4u <= size; k += 4u) {{")?;
    quads(text)?;
    for gate in product.gates.clone() {
        writeln!(text, "        at{gate} += N;")?;
    }
    for (j, part) in PARTS.into_iter().enumerate() {
        of_k(text, j, part)?;
    }
    writeln!(text, "    }}\n    if (k < size) {{")?;
    quads(text)?;
    for (j, part) in PARTS.into_iter().enumerate().take(3) {
        writeln!(text, "        if (k + {j}u < size) {{")?;
        of_k(text, j, part)?;
        writeln!(text, "        }}")?;
    }
    writeln!(text, "    }}")
}
