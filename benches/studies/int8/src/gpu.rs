//! The product as a kernel like `shaders/step.wgsl` with the product of `shaders/shared/product.wgsl`: a thread has two units,
//! 64 apart, and every gate of up to 8 rows; h passes through workgroup memory, 64 words at a time; four weights of consecutive
//! k lie together. The WGSL is written out sum by sum, as `src/kernels/unrolled.rs` does it.

use std::fmt::Write;

use wgpu::util::{BufferInitDescriptor, DeviceExt};

use crate::Product;
use crate::numbers::{GATES, Numbers, Storage};

/// Threads of a workgroup, words of h at a time, units of a thread.
const WIDTH: usize = 64;
const SPAN: usize = 64;
const EACH: usize = 2;
const PARTS: [&str; 4] = ["x", "y", "z", "w"];

pub struct Gpu {
    pub name: String,
    pub driver: String,
    device: wgpu::Device,
    queue: wgpu::Queue,
}

/// Every Vulkan device.
pub fn open() -> Vec<Gpu> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::VULKAN;
    descriptor.flags = wgpu::InstanceFlags::empty();
    let instance = wgpu::Instance::new(descriptor);
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::VULKAN));
    let open = |adapter: &wgpu::Adapter| {
        let info = adapter.get_info();
        let descriptor = wgpu::DeviceDescriptor { required_limits: adapter.limits(), ..Default::default() };
        let (device, queue) =
            pollster::block_on(adapter.request_device(&descriptor)).expect("the device opens");
        Gpu { name: info.name, driver: format!("{} {}", info.driver, info.driver_info), device, queue }
    };
    adapters.iter().map(open).collect()
}

/// Rows of a batch that are adjacent, and the number of such tiles per thread.
fn shape(batch: usize) -> (usize, usize) {
    let rows = if batch < 4 { 1 } else { 4 };
    (rows, (batch / rows).min(2))
}

impl Gpu {
    /// A product of each storage. (bf16 would differ from f16 only in the conversion.)
    pub fn products(&self, numbers: &Numbers) -> Vec<Box<dyn Product>> {
        [Storage::F32, Storage::F16, Storage::Int8, Storage::Dot, Storage::DotOfOne]
            .into_iter()
            .map(|storage| Box::new(Steps::new(self, numbers, storage)) as Box<_>)
            .collect()
    }

    fn buffer(&self, words: &[u32]) -> wgpu::Buffer {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
        self.device.create_buffer_init(&BufferInitDescriptor {
            label: None,
            contents: bytemuck::cast_slice(words),
            usage,
        })
    }

    fn dispatch(&self, text: &str, buffers: &[&wgpu::Buffer], grid: [u32; 2]) -> Dispatch {
        let source = wgpu::ShaderSource::Wgsl(text.into());
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source });
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        let entries: Vec<_> = buffers
            .iter()
            .enumerate()
            .map(|(i, buffer)| wgpu::BindGroupEntry {
                binding: i as u32,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        let bindings = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        Dispatch { pipeline, bindings, grid }
    }
}

struct Dispatch {
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    grid: [u32; 2],
}

/// Steps of one storage on a device.
struct Steps {
    storage: Storage,
    device: wgpu::Device,
    queue: wgpu::Queue,
    /// The dispatches of a step: the product, and before it the one that rounds h to 8 bits.
    dispatches: Vec<Dispatch>,
    out: wgpu::Buffer,
    batch: usize,
    columns: usize,
}

impl Steps {
    fn new(gpu: &Gpu, numbers: &Numbers, storage: Storage) -> Self {
        let (batch, hidden, columns) = (numbers.batch, numbers.hidden, numbers.columns());
        let (rows, tiles) = shape(batch);
        let weights = gpu.buffer(&weights(numbers, storage));
        // [⌈B/R⌉, H, R], the layout of states.
        let mut h = vec![0; batch * hidden];
        for (i, value) in numbers.h.iter().enumerate() {
            let (b, k) = (i / hidden, i % hidden);
            h[(b / rows * hidden + k) * rows + b % rows] = value.to_bits();
        }
        let h = gpu.buffer(&h);
        // The kernel converts weights of 8 bits to fractions of 127.
        let by = if storage == Storage::Int8 { 127.0 } else { 1.0 };
        let scales: Vec<u32> = numbers.scales.iter().map(|scale| (scale * by).to_bits()).collect();
        let scales = gpu.buffer(&scales);
        let out = gpu.buffer(&vec![0; batch * columns]);
        let text = product(storage, rows, tiles, hidden);
        let grid = [(hidden / (WIDTH * EACH)) as u32, (batch / rows / tiles) as u32];
        let dispatches = match storage {
            Storage::Dot => {
                let h8 = gpu.buffer(&vec![0; batch * hidden / 4]);
                let of_h = gpu.buffer(&vec![0; batch]);
                let first =
                    gpu.dispatch(&quantise(rows, hidden), &[&h, &h8, &of_h], [(batch / rows) as u32, 1]);
                vec![first, gpu.dispatch(&text, &[&weights, &h8, &out, &scales, &of_h], grid)]
            }
            Storage::Int8 | Storage::DotOfOne => {
                vec![gpu.dispatch(&text, &[&weights, &h, &out, &scales], grid)]
            }
            _ => vec![gpu.dispatch(&text, &[&weights, &h, &out], grid)],
        };
        Self {
            storage,
            device: gpu.device.clone(),
            queue: gpu.queue.clone(),
            dispatches,
            out,
            batch,
            columns,
        }
    }

    fn wait(&self) {
        self.device.poll(wgpu::PollType::wait_indefinitely()).expect("the device works");
    }
}

impl Product for Steps {
    fn storage(&self) -> Storage {
        self.storage
    }

    fn run(&mut self, steps: usize) {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for _ in 0..steps {
            for dispatch in &self.dispatches {
                pass.set_pipeline(&dispatch.pipeline);
                pass.set_bind_group(0, &dispatch.bindings, &[]);
                pass.dispatch_workgroups(dispatch.grid[0], dispatch.grid[1], 1);
            }
        }
        drop(pass);
        self.queue.submit([encoder.finish()]);
        self.wait();
    }

    fn sums(&mut self) -> Vec<f32> {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let size = self.out.size();
        let read = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size,
            usage,
            mapped_at_creation: false,
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(&self.out, 0, &read, 0, size);
        self.queue.submit([encoder.finish()]);
        read.slice(..).map_async(wgpu::MapMode::Read, |result| result.expect("mapped"));
        self.wait();
        let view = read.slice(..).get_mapped_range().expect("mapped");
        let tiled: &[f32] = bytemuck::cast_slice(&view);
        let (rows, columns) = (shape(self.batch).0, self.columns);
        let at = |b: usize, n: usize| tiled[(b / rows * columns + n) * rows + b % rows];
        (0..self.batch).flat_map(|b| (0..columns).map(move |n| at(b, n))).collect()
    }
}

/// `[H/4, G·H]`, each with four k.
fn weights(numbers: &Numbers, storage: Storage) -> Vec<u32> {
    let (hidden, columns) = (numbers.hidden, numbers.columns());
    let half = |i: usize| u32::from(half::f16::from_f32(numbers.w[i]).to_bits());
    let mut words = Vec::new();
    for k in (0..hidden).step_by(4) {
        for at in (0..columns).map(|n| n * hidden + k) {
            match storage {
                Storage::F32 => words.extend((0..4).map(|j| numbers.w[at + j].to_bits())),
                Storage::F16 | Storage::Bf16 | Storage::Bf16Dot => {
                    words.extend([0, 2].map(|j| half(at + j) | half(at + j + 1) << 16))
                }
                _ => words.push(u32::from_le_bytes([0, 1, 2, 3].map(|j| numbers.w8[at + j] as u8))),
            }
        }
    }
    words
}

/// `vec4<T>`, or `T` for one row.
fn of_rows(rows: usize, kind: &str) -> String {
    if rows == 1 { kind.into() } else { format!("vec4<{kind}>") }
}

/// The same for each row: `value` gets the suffix that selects the row of a vector.
fn each_row(rows: usize, kind: &str, value: impl Fn(&str) -> String) -> String {
    let all: Vec<String> = PARTS[..rows]
        .iter()
        .map(|part| value(&if rows == 1 { String::new() } else { format!(".{part}") }))
        .collect();
    format!("{}({})", of_rows(rows, kind), all.join(", "))
}

/// Four k of h, from `at` on, in 8 bits; one word for each row.
fn pack(rows: usize, at: &str, by: &str) -> String {
    each_row(rows, "u32", |row| {
        let four: Vec<String> = (0..4).map(|j| format!("round(h[{at} + {j}u]{row} * {by}{row})")).collect();
        format!("pack4xI8(vec4<i32>(vec4<f32>({})))", four.join(", "))
    })
}

/// A workgroup finds the largest h of each row of a tile, and rounds h to 8 bits.
fn quantise(rows: usize, hidden: usize) -> String {
    let (numbers, words) = (of_rows(rows, "f32"), of_rows(rows, "u32"));
    format!(
        "@group(0) @binding(0) var<storage, read> h: array<{numbers}>;
@group(0) @binding(1) var<storage, read_write> h8: array<{words}>;
@group(0) @binding(2) var<storage, read_write> of_h: array<{numbers}>;
var<workgroup> most: array<{numbers}, {WIDTH}>;

@compute @workgroup_size({WIDTH})
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {{
    let tile = group.x * {hidden}u;
    var own = {numbers}(1e-30);
    for (var k = lane; k < {hidden}u; k += {WIDTH}u) {{
        own = max(own, abs(h[tile + k]));
    }}
    most[lane] = own;
    workgroupBarrier();
    for (var s = {WIDTH}u / 2u; s > 0u; s /= 2u) {{
        if (lane < s) {{
            most[lane] = max(most[lane], most[lane + s]);
        }}
        workgroupBarrier();
    }}
    let by = {numbers}(127.0) / most[0];
    for (var q = lane; q < {hidden}u / 4u; q += {WIDTH}u) {{
        h8[tile / 4u + q] = {};
    }}
    if (lane == 0u) {{
        of_h[group.x] = most[0] / 127.0;
    }}
}}
",
        pack(rows, "tile + q * 4u", "by")
    )
}

/// The product's kernel.
fn product(storage: Storage, rows: usize, tiles: usize, hidden: usize) -> String {
    let is_dot = matches!(storage, Storage::Dot | Storage::DotOfOne);
    // The types of h in workgroup memory, of sums, and of h as it is read.
    let (word, sum) = if is_dot {
        (of_rows(rows, "u32"), of_rows(rows, "i32"))
    } else {
        (of_rows(rows, "f32"), of_rows(rows, "f32"))
    };
    let numbers = of_rows(rows, "f32");
    let read = if storage == Storage::DotOfOne { &numbers } else { &word };
    let (weight, open) = match storage {
        Storage::F32 => ("vec4<f32>", "w[AT]"),
        Storage::F16 | Storage::Bf16 | Storage::Bf16Dot => {
            ("vec2<u32>", "vec4<f32>(unpack2x16float(w[AT].x), unpack2x16float(w[AT].y))")
        }
        Storage::Int8 => ("u32", "unpack4x8snorm(w[AT])"),
        Storage::Dot | Storage::DotOfOne => ("u32", "w[AT]"),
    };
    // Words of h; a word has one k, or four.
    let depth = if is_dot { hidden / 4 } else { hidden };
    let all = || (0..tiles).flat_map(|i| (0..EACH).flat_map(move |u| (0..GATES).map(move |g| [i, u, g])));
    let mut text = format!(
        "@group(0) @binding(0) var<storage, read> w: array<{weight}>;
@group(0) @binding(1) var<storage, read> h: array<{read}>;
@group(0) @binding(2) var<storage, read_write> out: array<{numbers}>;
"
    );
    if is_dot || storage == Storage::Int8 {
        text += "@group(0) @binding(3) var<storage, read> scales: array<f32>;\n";
    }
    if storage == Storage::Dot {
        writeln!(text, "@group(0) @binding(4) var<storage, read> of_h: array<{numbers}>;").unwrap();
    }
    write!(
        text,
        "var<workgroup> block: array<{word}, {}>;

@compute @workgroup_size({WIDTH})
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3<u32>) {{
    let own = group.x * {}u + lane;
    let first = group.y * {tiles}u;
    // A 0 that no compiler can fold; recurrence.wgsl explains why.
    let zero = {sum}({}(arrayLength(&out) >> 31u));
",
        SPAN * tiles,
        WIDTH * EACH,
        if is_dot { "i32" } else { "f32" }
    )
    .unwrap();
    for u in 0..EACH {
        writeln!(text, "    var at{u} = own + {}u;", u * WIDTH).unwrap();
    }
    for [i, u, g] in all() {
        writeln!(text, "    var sum{i}_{u}_{g} = zero;").unwrap();
    }
    let value = match storage {
        Storage::DotOfOne => {
            pack(rows, &format!("((first + i) * {depth}u + start + k) * 4u"), &format!("{numbers}(127.0)"))
        }
        _ => format!("h[(first + i) * {depth}u + start + k]"),
    };
    write!(
        text,
        "    for (var start = 0u; start < {depth}u; start += {SPAN}u) {{
        workgroupBarrier();
        for (var i = 0u; i < {tiles}u; i++) {{
            for (var k = lane; k < {SPAN}u; k += {WIDTH}u) {{
                block[i * {SPAN}u + k] = {value};
            }}
        }}
        workgroupBarrier();
"
    )
    .unwrap();
    // Sums of whole numbers do not depend on the order; others are summed by blocks of 32.
    let (block, quad, to) = if is_dot { (SPAN, 1, "sum") } else { (32, 4, "part") };
    writeln!(text, "        for (var k = 0u; k < {SPAN}u;) {{\n            let end = k + {block}u;").unwrap();
    for [i, u, g] in all().filter(|_| !is_dot) {
        writeln!(text, "            var part{i}_{u}_{g} = zero;").unwrap();
    }
    writeln!(text, "            for (; k < end; k += {quad}u) {{").unwrap();
    for u in 0..EACH {
        for g in 0..GATES {
            let at = format!("at{u} + {}u", g * hidden);
            writeln!(text, "                let w{u}_{g} = {};", open.replace("AT", &at)).unwrap();
        }
        writeln!(text, "                at{u} += {}u;", GATES * hidden).unwrap();
    }
    for (j, part) in PARTS.iter().enumerate().take(quad) {
        for i in 0..tiles {
            writeln!(text, "                let v{j}_{i} = block[{}u + k + {j}u];", i * SPAN).unwrap();
            for [_, u, g] in all().filter(|of| of[0] == i) {
                let sum = format!("{to}{i}_{u}_{g}");
                let value = if is_dot {
                    let dots = each_row(rows, "i32", |row| format!("dot4I8Packed(w{u}_{g}, v{j}_{i}{row})"));
                    format!("{sum} + {dots}")
                } else {
                    format!("fma({numbers}(w{u}_{g}.{part}), v{j}_{i}, {sum})")
                };
                writeln!(text, "                {sum} = {value};").unwrap();
            }
        }
    }
    writeln!(text, "            }}").unwrap();
    for [i, u, g] in all().filter(|_| !is_dot) {
        writeln!(text, "            sum{i}_{u}_{g} += part{i}_{u}_{g};").unwrap();
    }
    writeln!(text, "        }}\n    }}").unwrap();
    for [i, u, g] in all() {
        let column = format!("own + {}u", g * hidden + u * WIDTH);
        let scale = match storage {
            Storage::Int8 => format!(" * scales[{column}]"),
            Storage::Dot => format!(" * (scales[{column}] * of_h[first + {i}u])"),
            Storage::DotOfOne => format!(" * (scales[{column}] / 127.0)"),
            _ => String::new(),
        };
        let at = format!("(first + {i}u) * {}u + {column}", GATES * hidden);
        writeln!(text, "    out[{at}] = {numbers}(sum{i}_{u}_{g}){scale};").unwrap();
    }
    text + "}\n"
}
