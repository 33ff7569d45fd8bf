//! A device that the caller made with wgpu: it runs whatever the crate's own device runs, its settings stay the
//! caller's, its limits are respected, and engines may share it between threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::common::{Draw, Inputs, assert_close, bits};
use wgru::plan::{Only, Strategy};
use wgru::{Cell, Device, DeviceInfo, Error, Options, ReadoutSteps};

/// Every adapter that can compute, found without the crate's help.
pub fn wgpu_adapters() -> Vec<wgpu::Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::all();
    let instance = wgpu::Instance::new(descriptor);
    let mut adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let compute = wgpu::DownlevelFlags::COMPUTE_SHADERS;
    adapters.retain(|adapter| adapter.get_downlevel_capabilities().flags.contains(compute));
    assert!(!adapters.is_empty(), "no GPU adapter found; `cargo xtask test` installs software drivers");
    adapters
}

pub fn open(adapter: &wgpu::Adapter, limits: wgpu::Limits) -> (wgpu::Device, wgpu::Queue) {
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("the caller's device"),
        required_limits: limits,
        ..Default::default()
    };
    let name = adapter.get_info().name;
    pollster::block_on(adapter.request_device(&descriptor)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The limits that WebGPU guarantees, or the adapter's where they are lower.
pub fn usual_limits(adapter: &wgpu::Adapter) -> wgpu::Limits {
    let usual = wgpu::Limits::default();
    if usual.check_limits(&adapter.limits()) { usual } else { adapter.limits() }
}

/// A device of the caller's on every adapter.
fn callers_devices() -> Vec<Device> {
    let open = |adapter: &wgpu::Adapter| {
        let (device, queue) = open(adapter, usual_limits(adapter));
        Device::from_wgpu(device, queue)
    };
    wgpu_adapters().iter().map(open).collect()
}

#[test]
fn every_cell_on_the_callers_device_matches_the_reference() {
    let mut draw = Draw::new();
    for device in callers_devices() {
        for cell in Cell::ALL {
            let model = draw.model(cell, 13, 37, 2);
            let model = draw.with_readout(model, 5, ReadoutSteps::Every);
            let inputs = Inputs::draw(&mut draw, &model, 6, 9);
            let output = device.load(&model).unwrap().run(&inputs.batch()).unwrap();
            let context = format!("{}, {model}, seed {}", device.info(), draw.seed);
            assert_close(&model, &inputs.batch(), &output, &context);
        }
    }
}

#[test]
fn the_callers_device_gives_the_bits_of_our_own() {
    let mut draw = Draw::new();
    for callers in callers_devices() {
        let DeviceInfo::Gpu(info) = callers.info() else { unreachable!("an adapter") };
        let own = Device::open(&info.caps.device.replacen(": ", ":", 1)).unwrap();
        let model = draw.model(Cell::GRU, 10, 70, 1);
        let inputs = Inputs::draw(&mut draw, &model, 5, 8);
        let [a, b] =
            [&callers, &own].map(|device| device.load(&model).unwrap().run(&inputs.batch()).unwrap());
        assert_eq!(bits(&a.y), bits(&b.y), "{}, seed {}", info.caps.device, draw.seed);
    }
}

#[test]
fn a_shape_compiles_its_pipelines_once() {
    let mut draw = Draw::new();
    for device in callers_devices() {
        let info = device.info();
        let model = draw.model(Cell::ORIGINAL_GRU, 4, 11, 2);
        // The counts below hold for this strategy, layer by layer, whatever the planner would choose.
        let options = Options::default().only(Only {
            strategy: Some(Strategy::Step),
            pipelining: Some(0),
            ..Only::default()
        });
        let engine = device.load_with(&model, options.clone()).unwrap();
        let inputs = Inputs::draw(&mut draw, &model, 3, 5);
        assert_eq!(device.resource_counts().pipelines, 0, "{info}: compiled before anything ran");
        engine.run(&inputs.batch()).unwrap();
        let compiled = device.resource_counts().pipelines;
        // Two projections (I = 4 and 11), and a step of two dispatches that both layers share.
        assert_eq!(compiled, 4, "{info}");
        // The projections are one text with different constants.
        assert_eq!(device.resource_counts().shader_modules, 3, "{info}");

        engine.run(&inputs.batch()).unwrap();
        assert_eq!(
            device.resource_counts().pipelines,
            compiled,
            "{info}: the second run of a shape compiles"
        );
        // Another engine of the same sizes, and a clone of the device, share them.
        let other = draw.model(Cell::ORIGINAL_GRU, 4, 11, 2);
        let other = device.clone().load_with(&other, options).unwrap();
        other.run(&inputs.batch()).unwrap();
        assert_eq!(device.resource_counts().pipelines, compiled, "{info}: another engine compiles again");
        // One sequence more stays within the same tile of four rows.
        let wider = Inputs::draw(&mut draw, &model, 4, 6);
        engine.run(&wider.batch()).unwrap();
        assert_eq!(device.resource_counts().pipelines, compiled, "{info}: B and T are compiled in");
    }
}

#[test]
fn engines_on_one_device_run_from_two_threads_at_once() {
    let mut draw = Draw::new();
    for device in callers_devices() {
        let cases: Vec<_> = [Cell::GRU, Cell::LSTM]
            .into_iter()
            .map(|cell| {
                let model = draw.model(cell, 9, 33, 2);
                let inputs: Vec<Inputs> = (1..=6).map(|b| Inputs::draw(&mut draw, &model, b, 12)).collect();
                (model, inputs)
            })
            .collect();
        let context = format!("{}, seed {}", device.info(), draw.seed);
        thread::scope(|scope| {
            for (model, inputs) in &cases {
                let (device, context) = (&device, &context);
                scope.spawn(move || {
                    let engine = device.load(model).unwrap();
                    for _ in 0..3 {
                        for inputs in inputs {
                            let output = engine.run(&inputs.batch()).unwrap();
                            assert_close(model, &inputs.batch(), &output, &format!("{context}, {model}"));
                        }
                    }
                });
            }
        });
    }
}

#[test]
fn one_engine_runs_from_several_threads_at_once() {
    let mut draw = Draw::new();
    for device in callers_devices() {
        let model = draw.model(Cell::GRU, 7, 20, 1);
        let engine = device.load(&model).unwrap();
        let inputs: Vec<Inputs> = (0..4).map(|_| Inputs::draw(&mut draw, &model, 5, 10)).collect();
        let context = format!("{}, seed {}", device.info(), draw.seed);
        thread::scope(|scope| {
            for inputs in &inputs {
                let (engine, model, context) = (engine.clone(), &model, &context);
                scope.spawn(move || {
                    for _ in 0..5 {
                        let output = engine.run(&inputs.batch()).unwrap();
                        assert_close(model, &inputs.batch(), &output, context);
                    }
                });
            }
        });
    }
}

/// The limits of the caller's device apply, not those of the adapter below it.
#[test]
fn a_device_with_fewer_storage_buffers_is_refused_with_the_numbers() {
    let mut draw = Draw::new();
    for adapter in wgpu_adapters() {
        let limits = wgpu::Limits { max_storage_buffers_per_shader_stage: 4, ..usual_limits(&adapter) };
        let (device, queue) = open(&adapter, limits);
        let device = Device::from_wgpu(device, queue);
        let model = draw.model(Cell::GRU, 3, 4, 1);
        let inputs = Inputs::draw(&mut draw, &model, 2, 2);
        let engine = device.load(&model).unwrap();
        let error = engine.run(&inputs.batch()).expect_err("a GRU step binds six");
        let Error::TooLarge { needed, limit, unit, .. } = &error else { panic!("{error}") };
        assert_eq!((*needed, *limit, *unit), (5, 4, "storage buffers"), "{error}");
    }
}

/// A device that cannot compute at all is an ordinary error.
#[test]
fn a_device_without_compute_is_refused() {
    let mut draw = Draw::new();
    for adapter in wgpu_adapters() {
        let limits = wgpu::Limits::downlevel_webgl2_defaults();
        let (device, queue) = open(&adapter, limits);
        let device = Device::from_wgpu(device, queue);
        let model = draw.model(Cell::GRU, 3, 4, 1);
        let inputs = Inputs::draw(&mut draw, &model, 2, 2);
        let refused = device.load(&model).and_then(|engine| engine.run(&inputs.batch()));
        let error = refused.expect_err("no workgroup is allowed");
        assert!(matches!(error, Error::TooLarge { .. }), "{}: {error}", device.info());
    }
}

#[test]
fn errors_outside_the_crate_go_where_the_caller_sends_them() {
    let mut draw = Draw::new();
    for adapter in wgpu_adapters() {
        let (device, queue) = open(&adapter, usual_limits(&adapter));
        let seen = Arc::new(AtomicUsize::new(0));
        let count = seen.clone();
        device.on_uncaptured_error(Arc::new(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        }));
        let ours = Device::from_wgpu(device.clone(), queue);
        let name = ours.info().to_string();
        let model = draw.model(Cell::GRU, 3, 4, 1);
        let engine = ours.load(&model).unwrap();
        let inputs = Inputs::draw(&mut draw, &model, 2, 3);
        engine.run(&inputs.batch()).unwrap();
        assert_eq!(seen.load(Ordering::SeqCst), 0, "{name}: the crate made an error");

        // The caller's own mistake is reported to the caller, and the engine goes on.
        let _refused = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("mappable both ways"),
            size: 4,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::MAP_WRITE,
            mapped_at_creation: false,
        });
        assert_eq!(seen.load(Ordering::SeqCst), 1, "{name}: the caller's callback is gone");
        let output = engine.run(&inputs.batch()).unwrap();
        assert_close(&model, &inputs.batch(), &output, &name);
    }
}
