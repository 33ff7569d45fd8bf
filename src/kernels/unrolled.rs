//! Text of the products of `persistent.wgsl`: written out k by k, with each weight in a variable of its own.
//!
//! Weights stay in registers only where every index is known to the compiler, and whether one unrolls a loop over an
//! array is its own affair: on some drivers such an array lies in memory, one load for each use. So WGSL is made by a
//! program here, and for steps in `step/text.rs`.

use std::fmt::Write;
use std::ops::Range;

use super::product::{Product, most_gates};
use super::shape::{Keep, Shape};
use super::{BLOCK, Rows};

/// The four k of a quad.
const PARTS: [&str; 4] = ["x", "y", "z", "w"];

/// The text for `products` of `hidden` units.
pub(super) fn text(products: &[Product], hidden: u32, rows: Rows, shape: Shape) -> String {
    let mut text = String::from("// Written out for its sizes.\n\n");
    // Writing to a string cannot fail.
    let _ = write(&mut text, products, hidden, rows, shape);
    text
}

fn write(text: &mut String, products: &[Product], hidden: u32, rows: Rows, shape: Shape) -> std::fmt::Result {
    let Shape { tiles, split, parts, .. } = shape;
    let own: Vec<Product> = products.iter().map(|product| shape.of_thread(product)).collect();
    for (name, value) in [
        ("TILES", tiles),
        ("OWN", shape.units),
        ("SHARES", shape.shares()),
        ("SPLIT", split),
        ("PARTS", parts),
        ("PLACES", shape.places(hidden)),
        ("STRIDE", shape.stride()),
        ("VECTORS", shape.vectors(products.len())),
    ] {
        writeln!(text, "const {name}: u32 = {value}u;")?;
    }
    writeln!(text, "const AHEAD: bool = {};", shape.looks_ahead(hidden, rows, products))?;
    if shape.shares() > 1 {
        let (sums, lanes) = (parts * most_gates(&own), tiles * shape.units);
        writeln!(
            text,
            "\n// Sums of blocks on their way to the owner of the unit, by share, block and gate, and unit."
        )?;
        writeln!(
            text,
            "var<workgroup> shares: array<array<array<Rows, {lanes}>, {sums}>, {}>;",
            shape.shares() - 1
        )?;
    }
    let divided = products.iter().filter(|product| shape.divides_sums(product));
    if let Some(most) = divided.map(|product| product.gates.len()).max() {
        let (more, lanes) = (most - 1, tiles * shape.units);
        writeln!(
            text,
            "\n// Sums of all gates but the first, of the owner's blocks and then of all, by gate and unit."
        )?;
        writeln!(text, "var<workgroup> of_gates: array<array<Rows, {lanes}>, {more}>;")?;
    }
    match shape.held() {
        0 => writeln!(text, "\nfn hold(dir: u32, at: Place) {{}}")?,
        _ => write_hold(text, &own, hidden, shape)?,
    }
    write_change(text, &own, hidden, shape)?;
    for product in products {
        write_product(text, product, hidden, shape, shape.gathers(hidden, rows, products))?;
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

/// Gates whose weights a thread keeps, by the names of its variables.
fn kept_gates(products: &[Product], shape: Shape) -> impl Iterator<Item = u32> {
    let all = if shape.has_one_gate() { 1 } else { products.len() };
    products[..all].iter().flat_map(|product| product.gates.clone())
}

/// The column of w of a thread's gate.
fn column(gate: u32, shape: Shape) -> String {
    let gate = if shape.has_one_gate() { "at.gate".to_owned() } else { format!("{gate}u") };
    format!("{gate} * HIDDEN + at.unit")
}

/// The variables of the weights that stay in registers, and what loads them: w{gate}_{k} of one k each, or of two.
fn write_hold(text: &mut String, products: &[Product], hidden: u32, shape: Shape) -> std::fmt::Result {
    let depth = shape.held_depth(hidden);
    let gates = || kept_gates(products, shape);
    // What a quad is loaded as, how many of its parts are there, and of how many k each is.
    let (kind, load, count, of_k) = match shape.keep {
        Keep::Packed => ("u32", "vec2<u32>", 2, 2),
        Keep::Held | Keep::Streamed => ("f32", "vec4<f32>", 4, 1),
    };
    let at = "quad_at(dir, min(k, K - 1u), n)";
    let from = if count == 2 { format!("w[{at}]") } else { format!("quad({at})") };
    // No branch, so that no load waits for the one before it.
    writeln!(text, "\nfn held(dir: u32, k: u32, n: u32, is_within: bool) -> {load} {{")?;
    writeln!(text, "    return select({load}(), {from}, is_within);\n}}\n")?;
    for gate in gates() {
        for k in (0..depth).step_by(of_k) {
            writeln!(text, "var<private> w{gate}_{k}: {kind};")?;
        }
    }
    writeln!(text, "\nfn hold(dir: u32, at: Place) {{\n    let k = at.split * {}u;", shape.parts * BLOCK)?;
    // One condition for a whole block, where K ends with one: compilers keep each until its loads are there.
    let of_condition = if hidden.is_multiple_of(BLOCK) { BLOCK } else { PARTS.len() as u32 };
    for first in (0..depth).step_by(of_condition as usize) {
        writeln!(text, "    let is_within_{first} = k + {first}u < K;")?;
    }
    for gate in gates() {
        writeln!(text, "    let n{gate} = {};", column(gate, shape))?;
        for first in (0..depth).step_by(PARTS.len()) {
            let condition = first / of_condition * of_condition;
            writeln!(
                text,
                "    let q{gate}_{first} = held(dir, k + {first}u, n{gate}, is_within_{condition});"
            )?;
            for (k, part) in (first..depth).step_by(of_k).zip(&PARTS[..count]) {
                writeln!(text, "    w{gate}_{k} = q{gate}_{first}.{part};")?;
            }
        }
    }
    writeln!(text, "}}")
}

/// What makes packed weights change for all that a compiler knows, so that it opens them in every step: opened before the loop they
/// take twice the registers, more than there are. The condition never holds; a word that depends on it would take an operation for each.
fn write_change(text: &mut String, products: &[Product], hidden: u32, shape: Shape) -> std::fmt::Result {
    writeln!(text, "\nfn change() {{")?;
    if shape.keep == Keep::Packed && shape.held() > 0 {
        writeln!(text, "    if (zero_of_step() != 0u) {{\n        let other = w[now].x;")?;
        for gate in kept_gates(products, shape) {
            for k in (0..shape.held_depth(hidden)).step_by(2) {
                writeln!(text, "        w{gate}_{k} = other;")?;
            }
        }
        writeln!(text, "    }}")?;
    }
    writeln!(text, "}}")
}

fn write_product(
    text: &mut String,
    product: &Product,
    hidden: u32,
    shape: Shape,
    gathers: bool,
) -> std::fmt::Result {
    let Product { name, vector, gates } = product;
    let Shape { split, parts, .. } = shape;
    let (held, depth) = (shape.held(), shape.held_depth(hidden));
    let (count, own) = (gates.len(), shape.of_thread(product));
    writeln!(text, "\nfn {name}(dir: u32, at: Place) -> array<Rows, {count}> {{")?;
    writeln!(text, "    let start = at.{vector} + at.split * {parts}u;")?;
    for gate in gates.clone() {
        writeln!(text, "    var sum{gate} = Rows(0.0);")?;
    }
    if shape.has_one_gate() {
        writeln!(text, "    if (at.gate >= {}u && at.gate < {}u) {{", gates.start, gates.end)?;
    }
    // Held weights have names of their own, so blocks are written one by one; streamed ones are walked through.
    for block in 0..held {
        write_held(text, &own, block, depth, shape)?;
        if !gathers {
            write_added(text, &own, &[block], shape)?;
        }
    }
    if gathers {
        write_added(text, &own, &(0..held).collect::<Vec<_>>(), shape)?;
    }
    if held < parts {
        writeln!(text, "    for (var block = {held}u; block < {parts}u; block++) {{")?;
        write_streamed(text, &own, hidden, shape)?;
        write_added(text, &own, &["block"], shape)?;
        writeln!(text, "    }}")?;
    }
    if shape.has_one_gate() {
        writeln!(text, "    }}")?;
    }
    if shape.divides_sums(product) {
        write_divided(text, product, shape)?;
    } else if shape.shares() > 1 {
        writeln!(text, "    workgroupBarrier();\n    if (at.share == 0u) {{")?;
        // Of a gate of its own the owner has the first share; shares are numbered from the next.
        let each = || gates.clone().map(|gate| (gate, gate * split));
        let shared: Vec<(Range<u32>, Range<u32>)> = match shape.has_one_gate() {
            true => each().map(|(gate, first)| (gate..gate + 1, first.max(1)..first + split)).collect(),
            false => vec![(gates.clone(), 1..split)],
        };
        for (gates, shares) in shared.iter().filter(|(_, shares)| !shares.is_empty()) {
            writeln!(text, "        for (var s = {}u; s < {}u; s++) {{", shares.start - 1, shares.end - 1)?;
            for block in 0..parts {
                for (index, gate) in (0..).zip(gates.clone()) {
                    let place = block * gates.len() as u32 + index;
                    writeln!(text, "            sum{gate} += shares[s][{place}u][at.place];")?;
                }
            }
            writeln!(text, "        }}")?;
        }
        writeln!(text, "    }}")?;
    }
    let sums: Vec<String> = gates.clone().map(|gate| format!("sum{gate}")).collect();
    writeln!(text, "    return array<Rows, {count}>({});\n}}", sums.join(", "))
}

/// The sums of each gate by a thread of its own: one thread would load those of all gates one after the other.
fn write_divided(text: &mut String, product: &Product, shape: Shape) -> std::fmt::Result {
    let (first, count) = (product.gates.start, product.gates.len());
    let others = || (0..).zip(product.gates.clone().skip(1));
    writeln!(text, "    if (at.share == 0u) {{")?;
    others().try_for_each(|(i, gate)| writeln!(text, "        of_gates[{i}u][at.place] = sum{gate};"))?;
    writeln!(text, "    }}\n    workgroupBarrier();\n    if (at.share < {count}u) {{")?;
    writeln!(text, "        let other = max(at.share, 1u) - 1u;")?;
    writeln!(text, "        var sum = select(of_gates[other][at.place], sum{first}, at.share == 0u);")?;
    writeln!(text, "        for (var s = 0u; s < {}u; s++) {{", shape.split - 1)?;
    for block in 0..shape.parts {
        let place = block as usize * count;
        writeln!(text, "            sum += shares[s][{place}u + at.share][at.place];")?;
    }
    writeln!(
        text,
        "        }}\n        if (at.share == 0u) {{\n            sum{first} = sum;\n        }} else {{"
    )?;
    writeln!(text, "            of_gates[other][at.place] = sum;\n        }}\n    }}")?;
    writeln!(text, "    workgroupBarrier();\n    if (at.share == 0u) {{")?;
    others().try_for_each(|(i, gate)| writeln!(text, "        sum{gate} = of_gates[{i}u][at.place];"))?;
    writeln!(text, "    }}")
}

/// The parts of `blocks`, part{gate}_{block}, into the sums, or on their way to the owner of the unit. `product` has the gates of a
/// thread.
fn write_added(
    text: &mut String,
    product: &Product,
    blocks: &[impl std::fmt::Display],
    shape: Shape,
) -> std::fmt::Result {
    if blocks.is_empty() {
        return Ok(());
    }
    let all = || blocks.iter().flat_map(|block| product.gates.clone().map(move |gate| (block, gate)));
    let add = |text: &mut String, indent: &str| -> std::fmt::Result {
        all().try_for_each(|(block, gate)| writeln!(text, "{indent}sum{gate} += part{gate}_{block};"))
    };
    if shape.shares() == 1 {
        return add(text, "    ");
    }
    let (first, count) = (product.gates.start, product.gates.len());
    // The owner has the first gate.
    let indent = if shape.has_one_gate() && first > 0 {
        "    "
    } else {
        writeln!(text, "    if (at.share == 0u) {{")?;
        add(text, "        ")?;
        writeln!(text, "    }} else {{")?;
        "        "
    };
    for (block, gate) in all() {
        let place = format!("{block} * {count}u + {}u", gate - first);
        writeln!(text, "{indent}shares[at.share - 1u][{place}][at.place] = part{gate}_{block};")?;
    }
    if indent.len() > 4 { writeln!(text, "    }}") } else { Ok(()) }
}

/// The parts of one block, its weights in registers.
fn write_held(
    text: &mut String,
    product: &Product,
    block: u32,
    depth: u32,
    shape: Shape,
) -> std::fmt::Result {
    let keep = shape.keep;
    let kept_as = |gate: u32| if shape.has_one_gate() { 0 } else { gate };
    writeln!(text, "    let block{block} = &vector[start + {block}u];")?;
    for k in block * BLOCK..((block + 1) * BLOCK).min(depth) {
        let (is_first, place) = (k % BLOCK == 0, k % BLOCK);
        if keep == Keep::Packed && k % 2 == 0 {
            for gate in product.gates.clone() {
                let kept = if is_first { "var " } else { "" };
                writeln!(text, "    {kept}both{gate}_{block} = unpack(w{}_{k});", kept_as(gate))?;
            }
        }
        writeln!(text, "    let v{k} = (*block{block})[{place}u];")?;
        for gate in product.gates.clone() {
            let part = format!("part{gate}_{block}");
            let (kept, before) = if is_first { ("var ", "Rows(zero())") } else { ("", part.as_str()) };
            let weight = match keep {
                Keep::Packed => format!("both{gate}_{block}.{}", PARTS[k as usize % 2]),
                Keep::Held | Keep::Streamed => format!("w{}_{k}", kept_as(gate)),
            };
            writeln!(text, "    {kept}{part} = fma(Rows({weight}), v{k}, {before});")?;
        }
    }
    Ok(())
}

/// Quads of each gate that are loaded at once where a thread keeps no weights: one after the other each would be waited for.
const AT_ONCE: usize = 4;

/// The parts of the block in hand, its weights loaded.
fn write_streamed(text: &mut String, product: &Product, hidden: u32, shape: Shape) -> std::fmt::Result {
    let parts = shape.parts;
    writeln!(text, "    let first = min((at.split * {parts}u + block) * BLOCK, K);")?;
    // Registers that keep weights leave few for others: a loop of known length would be unrolled, and its loads be made all at once.
    let known = if shape.held() > 0 { " - zero_of_step()" } else { "" };
    writeln!(
        text,
        "    let size = min(BLOCK, K - first{known});\n    let numbers = &vector[start + block];"
    )?;
    for gate in product.gates.clone() {
        writeln!(text, "    var part{gate}_block = Rows(zero());")?;
        writeln!(text, "    var at{gate} = quad_at(dir, first, {}) + zero_of_step();", column(gate, shape))?;
    }
    let whole = if shape.held() > 0 { 0 } else { shape.block(hidden) };
    if whole > 0 {
        writeln!(text, "    if (size == {whole}u) {{")?;
        let quads: Vec<u32> = (0..whole.div_ceil(4)).collect();
        for quads in quads.chunks(AT_ONCE) {
            quads.iter().try_for_each(|quad| write_quad(text, product, *quad))?;
            for k in quads.iter().flat_map(|quad| 4 * quad..(4 * quad + 4).min(whole)) {
                write_streamed_k(text, product, k / 4, k % 4, &k.to_string())?;
            }
        }
        writeln!(text, "    }}")?;
    }
    if whole > 0 && hidden.is_multiple_of(whole) {
        return Ok(());
    }
    writeln!(text, "    {}{{\n    var k = 0u;", if whole > 0 { "else " } else { "" })?;
    writeln!(text, "    for (; k + 4u <= size; k += 4u) {{")?;
    write_quad(text, product, 0)?;
    (0..4).try_for_each(|j| write_streamed_k(text, product, 0, j, &format!("k + {j}")))?;
    writeln!(text, "    }}")?;
    if !hidden.is_multiple_of(4) {
        writeln!(text, "    if (k < size) {{")?;
        write_quad(text, product, 0)?;
        for j in 0..3 {
            writeln!(text, "        if (k + {j}u < size) {{")?;
            write_streamed_k(text, product, 0, j, &format!("k + {j}"))?;
            writeln!(text, "        }}")?;
        }
        writeln!(text, "    }}")?;
    }
    writeln!(text, "    }}")
}

/// The weights of four k, and on to the next.
fn write_quad(text: &mut String, product: &Product, quad: u32) -> std::fmt::Result {
    product.gates.clone().try_for_each(|gate| {
        writeln!(text, "        let q{gate}_{quad} = quad(at{gate});\n        at{gate} += N;")
    })
}

/// The products of k `j` of a quad, which is number `k` of the block.
fn write_streamed_k(text: &mut String, product: &Product, quad: u32, j: u32, k: &str) -> std::fmt::Result {
    let part = PARTS[j as usize];
    writeln!(text, "        let v{quad}_{j} = (*numbers)[{k}u];")?;
    product.gates.clone().try_for_each(|gate| {
        writeln!(
            text,
            "        part{gate}_block = fma(Rows(q{gate}_{quad}.{part}), v{quad}_{j}, part{gate}_block);"
        )
    })
}
