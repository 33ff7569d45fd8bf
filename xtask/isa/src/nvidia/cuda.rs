//! CUDA of a kernel. naga writes Metal, which is a similar C++, and `metal.cuh` defines Metal's parts in CUDA.

use std::fmt::{self, Write};

use crate::Result;
use crate::spirv::Shader;

const METAL: &str = include_str!("metal.cuh");

/// The beginning of the entry point.
const ENTRY: &str = "kernel void main_(\n";

/// The sizes for which ptxas allocates registers.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Threads of a workgroup.
    pub threads: u32,
    /// Workgroups that a multiprocessor has at least; without a number ptxas chooses.
    pub least: Option<u32>,
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let least = self.least.map(|least| format!(", {least}")).unwrap_or_default();
        write!(f, "__launch_bounds__({}{least})", self.threads)
    }
}

/// CUDA C++ with the kernel `kern`.
///
/// # Errors
/// The error of naga; a text of unexpected form.
pub fn text(shader: &Shader, bounds: Bounds) -> Result<String> {
    let metal = shader.metal()?;
    translated(
        &metal.replace("threadgroup metal::atomic_uint", "threadgroup metal::shared_atomic_uint"),
        bounds,
    )
}

fn translated(metal: &str, bounds: Bounds) -> Result<String> {
    let (before, entry) = metal.split_once(ENTRY).ok_or("naga's text has no entry point main_")?;
    let (parameters, body) =
        entry.split_once(") {\n").ok_or("naga's text ends within the entry point's head")?;
    let parameters: Vec<Parameter<'_>> = parameters.lines().map(Parameter::parse).collect::<Result<_>>()?;
    let mut text = format!("{METAL}\nnamespace shader {{\nusing metal::float2;\nusing metal::uint2;\n");
    for line in before.lines().filter(|line| !line.starts_with(['#', '['])) {
        text += &with_floats(&declaration(line));
        text.push('\n');
    }
    let body = with_floats(body);
    let declared: Vec<String> = parameters.iter().map(|of| of.declaration.to_owned()).collect();
    write!(text, "INLINE void main_({}) {{\n{body}", declared.join(", "))?;
    write_kernel(&mut text, &parameters, bounds)?;
    Ok(text)
}

/// A line at the top level. Functions are inlined, since their reference parameters would otherwise be in memory; an
/// array of the buffer's length may be indexed beyond its first element.
fn declaration(line: &str) -> String {
    let of_unknown = line.strip_prefix("typedef ").and_then(|line| line.strip_suffix("[1];"));
    if let Some((of, name)) = of_unknown.and_then(|line| line.rsplit_once(' ')) {
        return format!("typedef unbounded<{of}> {name};");
    }
    let begins = line.ends_with('(') && !line.starts_with([' ', '}']);
    if begins { format!("INLINE {line}") } else { line.to_owned() }
}

/// With an f after each number with a fraction or an exponent, which would otherwise be a double.
fn with_floats(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let mut floats = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_word) {
        let (before, from) = rest.split_at(start);
        let mut end = from.find(|c| !is_word(c)).unwrap_or(from.len());
        let is_number = from.starts_with(|c: char| c.is_ascii_digit()) && !from.starts_with("0x");
        // The sign of an exponent is part of it.
        if is_number && from[..end].ends_with('e') {
            let digits = from.get(end + 1..).unwrap_or_default();
            end += 1 + digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        }
        let (word, after) = from.split_at(end);
        floats += before;
        floats += word;
        if is_number && word.contains(['.', 'e']) && !word.ends_with('f') {
            floats.push('f');
        }
        rest = after;
    }
    floats + rest
}

/// The source of a parameter of the entry point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Lane,
    Group,
    Uniform,
    Buffer,
    Shared,
}

/// A parameter of the entry point, such as `, device type_5 const& order [[user(fake0)]]`.
#[derive(Debug)]
struct Parameter<'a> {
    declaration: &'a str,
    /// The type, `const` with it.
    of: &'a str,
    name: &'a str,
    from: From,
}

impl<'a> Parameter<'a> {
    fn parse(line: &'a str) -> Result<Self> {
        let (declaration, binding) = line.trim_start_matches(',').split_once("[[").unwrap_or((line, ""));
        let declaration = declaration.trim_start_matches(',').trim();
        let (of, name) = declaration.rsplit_once(' ').ok_or_else(|| format!("`{line}` is no parameter"))?;
        let of = of.trim_end_matches('&').trim();
        let space = of.split(' ').next().unwrap_or_default();
        let from = match space {
            "constant" => From::Uniform,
            "device" => From::Buffer,
            "threadgroup" => From::Shared,
            _ if binding.starts_with("thread_index_in_threadgroup") => From::Lane,
            _ if binding.starts_with("threadgroup_position_in_grid") => From::Group,
            _ => return Err(format!("`{line}` is a parameter that no kernel had so far").into()),
        };
        Ok(Self { declaration, of: of.strip_prefix(space).unwrap_or(of).trim(), name, from })
    }
}

/// The kernel itself: uniforms by value, buffers by pointer, and workgroup memory.
fn write_kernel(text: &mut String, parameters: &[Parameter<'_>], bounds: Bounds) -> Result<()> {
    let outer = parameters.iter().filter_map(|Parameter { of, name, from, .. }| match from {
        From::Uniform => Some(format!("const {of} {name}")),
        From::Buffer => Some(format!("{of}* __restrict__ {name}")),
        From::Lane | From::Group | From::Shared => None,
    });
    let outer: Vec<String> = outer.collect();
    writeln!(text, "extern \"C\" __global__ void {bounds} kern({}) {{", outer.join(", "))?;
    let mut inner = Vec::new();
    for Parameter { of, name, from, .. } in parameters {
        inner.push(match from {
            From::Lane => "threadIdx.x".to_owned(),
            From::Group => "metal::uint3(blockIdx.x, blockIdx.y, blockIdx.z)".to_owned(),
            From::Uniform => (*name).to_owned(),
            From::Buffer => format!("*{name}"),
            From::Shared => {
                // An array of bytes, since a type with a constructor may not be `__shared__`.
                writeln!(text, "    __shared__ alignas(16) char {name}_[sizeof({of})];")?;
                format!("*reinterpret_cast<{of}*>({name}_)")
            }
        });
    }
    writeln!(text, "    main_({});\n}}\n}}", inner.join(", "))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
        struct Params { rows: u32 }
        @group(0) @binding(0) var<uniform> params: Params;
        @group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
        @group(0) @binding(2) var<storage, read_write> y: array<f32>;
        var<workgroup> kept: array<f32, 64>;
        var<private> held: f32;
        fn meet(lane: u32) { kept[lane] = held; workgroupBarrier(); }
        @compute @workgroup_size(64)
        fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {
            held = x[lane].x;
            meet(lane);
            y[group.x * params.rows + lane] = kept[63u - lane];
        }";

    #[test]
    fn parameters_become_those_of_a_kernel() {
        let bounds = Bounds { threads: 64, least: None };
        let text = text(&Shader::new(TEXT, &[]).unwrap(), bounds).unwrap();
        let text = text.strip_prefix(METAL).unwrap();
        assert_eq!(text.matches('{').count(), text.matches('}').count(), "{text}");
        for part in [
            "__launch_bounds__(64) kern(const Params params, type_",
            "const* __restrict__ x, type_",
            "* __restrict__ y, ",
            "__shared__ alignas(16) char kept_[sizeof(type_",
            "main_(threadIdx.x, metal::uint3(blockIdx.x, blockIdx.y, blockIdx.z)",
            "typedef unbounded<metal::float4> type_",
            "INLINE void meet(\n",
        ] {
            assert!(text.contains(part), "{part}:\n{text}");
        }
    }

    #[test]
    fn numbers_are_floats_and_names_are_not() {
        let text = "a1.x = clamp(x_3, -87.0, 1e-7) + 1.5e10 * v.inner[2u] + 0x1e + 63u + 2.0f;";
        let floats = "a1.x = clamp(x_3, -87.0f, 1e-7f) + 1.5e10f * v.inner[2u] + 0x1e + 63u + 2.0f;";
        assert_eq!(with_floats(text), floats);
    }

    #[test]
    fn text_of_another_kind_is_refused() {
        for text in ["", "kernel void main_(\n", "kernel void main_(\n  texture t [[texture(0)]]\n) {\n}\n"] {
            assert!(translated(text, Bounds { threads: 1, least: Some(1) }).is_err(), "{text}");
        }
    }
}
