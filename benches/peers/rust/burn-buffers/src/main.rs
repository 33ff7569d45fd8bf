//! A run of wgru that reads x from a tensor of Burn and writes y into one, on one device; no data passes through the host.
//!
//! ```sh
//! cargo run -p burn-buffers -- [ADAPTER [SEED]]        # in benches/peers/rust; ADAPTER as in vulkan:llvmpipe
//! ```
//!
//! *One device.* Burn and wgru use the application's device and queue. They have to be built with the same version of wgpu.
//!
//! *A tensor's buffer.* [`buffer`] gets it from Burn: a buffer, and the offset of the tensor in it, which has the device's alignment.
//! wgru reads f32 in row-major order; a tensor that is transposed or of another type has to be converted first. A
//! tensor that wgru writes must have no clones, because Burn's clones share their buffer.
//!
//! *Order.* Burn collects operations and submits many at once. Those that make x, and that fill y, have to be submitted before the
//! run: hence the flush of this thread's operations. When `run_bound` returns, the run has been submitted. Burn submits its
//! operations on y after that, and a queue executes submissions in order. So neither side has to wait.
//!
//! *Pages.* By default Burn places several tensors in a page, which is one buffer. wgpu does not let one dispatch read one part of a buffer
//! and write another. No dispatch of wgru reads x and writes y, so these may share a page. One reads y and writes the readout's
//! output, and one may read resets and write y: wgru refuses to bind these from one page. Then bind each in a separate run, or
//! let Burn give each tensor a page (`ExclusivePages`). Both are done here.
//!
//! *Fusion.* With Burn's feature `fusion` a tensor may be an operation that has not run yet; [`primitive`] then runs it. It is off by
//! default here, because it takes long to build: `cargo run -p burn-buffers --features fusion`.

use std::error::Error;
use std::process::ExitCode;

use burn::backend::Wgpu;
use burn::backend::wgpu::{AutoCompiler, CubeTensor, MemoryConfiguration, WgpuResource, WgpuSetup};
use burn::cubecl::wgpu::WgpuServer;
use burn::cubecl::{MemoryReport, MemoryScope};
use burn::tensor::{DType, Device, Distribution, Tensor, TensorData};
use wgru::{
    Batch, Bindings, BufferFault, Cell, Dims, Direction, Layer, Model, Readout, ReadoutSteps, Weights, wgpu,
};

const BATCH: usize = 8;
const STEPS: usize = 40;
const INPUT: usize = 20;
const HIDDEN: usize = 48;
/// The number of the readout's outputs.
const OUTPUTS: usize = 6;
/// The largest difference allowed. Values are at most a few units, and both sides sum in different orders: a few 1e-7 per step.
const ALLOWED: f32 = 2e-5;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("burn-buffers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let adapter = arguments.next().unwrap_or_default();
    let seed = arguments.next().map_or_else(|| Ok(fastrand::u64(..)), |seed| seed.parse())?;
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let model = model(&mut random)?;
    for memory in [MemoryConfiguration::default(), MemoryConfiguration::ExclusivePages] {
        share(open(&adapter)?, memory, &model, random.u64(..))?;
    }
    Ok(())
}

/// Burn computes x, wgru computes y and a readout of it, Burn continues with y; then the same through the host.
fn share(setup: WgpuSetup, memory: MemoryConfiguration, model: &Model, seed: u64) -> Result<()> {
    println!("{}, {memory:?}", setup.adapter.get_info().name);
    let burn = Device::wgpu_options().setup(setup.clone()).memory_config(memory).init()?;
    let engine = wgru::Device::from_wgpu(setup.device, setup.queue).load(model)?;

    burn.seed(seed);
    let random = |shape: [usize; 3]| Tensor::<3>::random(shape, Distribution::Uniform(-1.0, 1.0), &burn);
    let x = random([BATCH, STEPS, 8]).matmul(random([1, 8, INPUT])).tanh();
    // Burn allocates the tensors that wgru writes. Before, every number in them is NaN.
    let [y, out] = [HIDDEN, OUTPUTS].map(|size| Tensor::<3>::full([BATCH, STEPS, size], f32::NAN, &burn));

    {
        let [(x, _x), (y, _y), (out, _out)] = [buffer(&x)?, buffer(&y)?, buffer(&out)?];
        let pages = if x.buffer == y.buffer && y.buffer == out.buffer { "one page" } else { "pages" };
        println!("  x, y and out at bytes {}, {} and {} of {pages}", x.offset, y.offset, out.offset);
        burn.flush()?;
        let dims = Dims::new(BATCH, STEPS)?;
        let bindings = || Bindings::new(place(&x));
        match engine.run_bound(dims, bindings().y(place(&y)).out(place(&out))) {
            Err(error @ wgru::Error::Buffer { fault: BufferFault::Shared { .. }, .. }) => {
                println!("  one run of both: {error}");
                engine.run_bound(dims, bindings().y(place(&y)))?;
                engine.run_bound(dims, bindings().out(place(&out)))?;
            }
            done => done?,
        }
    }

    let weights = random([1, HIDDEN, 4]);
    let go_on = |y: Tensor<3>| y.mean_dim(1).matmul(weights.clone());
    let scores = go_on(y.clone());

    // So far no data has been read back: nothing is bound on the host, and Burn has used no staging buffer.
    if reads(&x)? != 0 {
        return Err("Burn has read a tensor back".into());
    }
    let [x_host, y_host, out_host, scores] = [x.clone(), y, out, scores].map(on_host);
    if reads(&x)? == 0 {
        return Err("Burn has read tensors, and its report does not show it".into());
    }
    let batch = Batch::new(&x_host, [BATCH, STEPS, INPUT])?;
    let through_host = [
        ("the device", engine.run(&batch)?),
        ("the CPU path", wgru::Device::cpu().load(model)?.run(&batch)?),
    ];
    for (name, truth) in through_host {
        let again = on_host(go_on(Tensor::from_data(
            TensorData::new(truth.y.clone(), [BATCH, STEPS, HIDDEN]),
            &burn,
        )));
        let truth_out = truth.out.ok_or("no readout")?;
        for (what, own, other) in
            [("y", &y_host, &truth.y), ("out", &out_host, &truth_out), ("scores", &scores, &again)]
        {
            let apart = largest_difference(own, other)?;
            println!("  {what} and that of {name}, through the host, differ by {apart:e}");
            if apart > ALLOWED {
                return Err(format!("{what} differs by more than {ALLOWED:e}").into());
            }
        }
    }
    Ok(())
}

/// A tensor's buffer, its offset, and a guard that keeps Burn from moving or reusing it. Hold the guard until the run has been
/// submitted; for a recording, as long as the recording is used.
fn buffer(tensor: &Tensor<3>) -> Result<(WgpuResource, impl Sized + use<>)> {
    let tensor = primitive(tensor)?;
    if tensor.dtype != DType::F32 || !tensor.is_contiguous() {
        return Err("a tensor is not row-major f32".into());
    }
    let resource = tensor.client.get_resource::<WgpuServer<AutoCompiler>>(tensor.handle)?;
    Ok((resource.resource().clone(), resource))
}

/// The tensor in Burn's backend, CubeCL.
fn primitive(tensor: &Tensor<3>) -> Result<CubeTensor> {
    let found = tensor.clone().try_into_primitive::<Wgpu>();
    let tensor = found.map_err(|error| format!("not a tensor on wgpu: {error:?}"))?;
    #[cfg(feature = "fusion")]
    let tensor = tensor.client.clone().resolve_tensor_float::<burn::backend::wgpu::CubeBackend>(tensor);
    Ok(tensor)
}

/// A place for wgru: a buffer, and an offset in bytes.
fn place(resource: &WgpuResource) -> (&wgpu::Buffer, u64) {
    (&resource.buffer, resource.offset)
}

/// The number of staging buffers that Burn has read a tensor into so far.
fn reads(tensor: &Tensor<3>) -> Result<u64> {
    let MemoryReport { streams } = primitive(tensor)?.client.memory_report(MemoryScope::Device);
    let auxiliary = streams.into_iter().flat_map(|stream| stream.auxiliary);
    let staging =
        auxiliary.filter(|memory| memory.name.contains("Staging")).flat_map(|memory| memory.pools.dynamic);
    Ok(staging.map(|pool| pool.pages_peak).sum())
}

fn on_host(tensor: Tensor<3>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("f32")
}

/// # Errors
/// A number that is not finite.
fn largest_difference(own: &[f32], other: &[f32]) -> Result<f32> {
    if own.len() != other.len() || own.is_empty() {
        return Err(format!("{} numbers, expected {}", own.len(), other.len()).into());
    }
    if own.iter().chain(other).any(|number| !number.is_finite()) {
        return Err("a number is not finite: it was not written, or was computed from one that was not".into());
    }
    Ok(own.iter().zip(other).map(|(own, other)| (own - other).abs()).fold(0.0, f32::max))
}

/// The application's device. Burn expects all features of the adapter except experimental ones.
fn open(selector: &str) -> Result<WgpuSetup> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::all();
    let instance = wgpu::Instance::new(descriptor);
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let name = |adapter: &wgpu::Adapter| {
        let info = adapter.get_info();
        format!("{}:{}", info.backend.to_str(), info.name).to_lowercase()
    };
    let names: Vec<String> = adapters.iter().map(name).collect();
    let parts: Vec<String> = selector.split(':').map(str::to_lowercase).collect();
    let found = names.iter().position(|name| parts.iter().all(|part| name.contains(part)));
    let index =
        found.ok_or_else(|| format!("no adapter matches \"{selector}\"; found: {}", names.join(", ")))?;
    let adapter = adapters[index].clone();
    let left_out = wgpu::Features::MAPPABLE_PRIMARY_BUFFERS | wgpu::Features::all_experimental_mask();
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
        required_features: adapter.features() - left_out,
        required_limits: adapter.limits(),
        ..Default::default()
    }))?;
    let backend = adapter.get_info().backend;
    Ok(WgpuSetup { instance, adapter, device, queue, backend })
}

/// A GRU with a readout of every step.
fn model(random: &mut fastrand::Rng) -> Result<Model> {
    let bound = 1.0 / (HIDDEN as f32).sqrt();
    let mut draw = |len: usize| (0..len).map(|_| bound * (2.0 * random.f32() - 1.0)).collect::<Vec<f32>>();
    let weights = Weights {
        w_ih: draw(3 * HIDDEN * INPUT),
        w_hh: draw(3 * HIDDEN * HIDDEN),
        b_ih: Some(draw(3 * HIDDEN)),
        b_hh: Some(draw(3 * HIDDEN)),
        ..Weights::default()
    };
    let layer = Layer::new(Cell::GRU, Direction::Forward, INPUT, HIDDEN, vec![weights])?;
    let readout =
        Readout::new(HIDDEN, OUTPUTS, ReadoutSteps::Every, draw(OUTPUTS * HIDDEN), Some(draw(OUTPUTS)))?;
    Ok(Model::new(vec![layer])?.with_readout(readout)?)
}
