//! Heap allocations of a session step and a pool's tick on the CPU path with one thread: none; and the memory that
//! engines add to a model's weights.

use super::allocator;
use crate::common::{Draw, Inputs, everywhere};
use wgru::{
    Cell, CpuOptions, Device, DeviceInfo, Dims, Direction, InstructionSet, Merge, Model, Options,
    PoolOptions, ReadoutSteps, RunShape, Storage, TickOutput,
};

/// Streams whose frames come one by one or several at once, and that are saved, reset and closed in between.
#[test]
fn a_tick_on_the_cpu_allocates_nothing() {
    let mut draw = Draw::new();
    let device = Device::cpu_with(CpuOptions::default().threads(1)).unwrap();
    for cell in Cell::ALL {
        let model = draw.model(cell, 10, 23, 2);
        let model = draw.with_readout(model, 3, ReadoutSteps::Every);
        let mut pool = device.load(&model).unwrap().pool(PoolOptions::fixed(9)).unwrap();
        let mut streams: Vec<_> = (0..9).map(|_| pool.open().unwrap()).collect();
        let (x, mut output) = (draw.values(3 * 10, 1.0), TickOutput::default());
        let mut count = 0;
        for round in 0..12 {
            let before = allocator::calls();
            for (index, &stream) in streams.iter().enumerate() {
                let frames = if round % 2 == 0 { 1 } else { index % 4 };
                pool.push(stream, &x[..frames * 10]).unwrap();
            }
            pool.tick_into(&mut output).unwrap();
            pool.reset(streams[round % 9]).unwrap();
            pool.close(streams[8]).unwrap();
            streams[8] = pool.open().unwrap();
            if round > 3 {
                count += allocator::calls() - before;
            }
        }
        assert_eq!((output.len(), count), (6, 0), "{model}, seed {}", draw.seed);
    }
}

#[test]
fn a_session_step_on_the_cpu_allocates_nothing() {
    let mut draw = Draw::new();
    for set in InstructionSet::available() {
        let device = Device::cpu_with(CpuOptions::default().threads(1).instructions(set)).unwrap();
        for cell in Cell::ALL {
            for streams in [1, 3, 40] {
                let model = draw.model(cell, 30, 41, 2);
                let model = draw.with_options(model);
                let model = draw.with_readout(model, 3, ReadoutSteps::Every);
                let mut session = device.load(&model).unwrap().session(streams).unwrap();
                let x = draw.values(streams * model.input(), 1.0);
                let mut output = session.output().unwrap();
                session.step_into(&x, &mut output).unwrap();
                let first = output.clone();
                let before = allocator::calls();
                for _ in 0..5 {
                    session.step_into(&x, &mut output).unwrap();
                }
                let count = allocator::calls() - before;
                assert_eq!(count, 0, "{set}, {model}, {streams} streams, seed {}", draw.seed);
                session.reset();
                session.step_into(&x, &mut output).unwrap();
                assert_eq!(output, first, "{set}, {model}, seed {}", draw.seed);
            }
        }
    }
}

/// The addresses of the arrays of the model's weights.
fn places(model: &Model) -> Vec<*const f32> {
    let sets = model.layers().iter().flat_map(|layer| layer.weights());
    let readout = model.readout().map(|readout| readout.w().as_ptr());
    sets.flat_map(|set| [set.w_ih.as_ptr(), set.w_hh.as_ptr()]).chain(readout).collect()
}

/// Several engines on each device, including the parts of an engine whose row is run in pieces, use the arrays of the
/// model itself. Only the CPU path's packed weights stay allocated, 16 bits a weight here; GPUs have their weights on
/// the device.
#[test]
fn weights_are_in_memory_once() {
    let mut draw = Draw::new();
    let kinds = [(Direction::Bidirectional, Merge::Concat); 2];
    let model = draw.stack(Cell::GRU, &kinds, 40, 160);
    let model = draw.with_readout(model, 20, ReadoutSteps::Every);
    let all: usize = model
        .layers()
        .iter()
        .flat_map(|layer| layer.weights())
        .map(|set| set.w_ih.len() + set.w_hh.len())
        .sum();
    let bytes = (4 * all) as isize;
    let steps = 24;
    let inputs = Inputs::draw(&mut draw, &model, 1, steps);
    let run = |device: &Device| {
        let options = Options::default().weights(Storage::F16);
        let whole = device.load_with(&model, options.clone()).unwrap();
        // Too little memory for all steps, so each direction of each layer is run by itself.
        let [all, one] = [steps, 1].map(|steps| {
            let memory = whole
                .memory(RunShape { dims: Dims::new(1, steps).unwrap(), ..inputs.batch().run_shape() })
                .unwrap();
            memory.arrays + memory.read_back
        });
        let small = device.load_with(&model, options.memory((all / 2).max(one))).unwrap();
        let is_cut = small.pieces(inputs.batch().run_shape()).unwrap().is_some();
        assert_eq!(is_cut, matches!(device.info(), DeviceInfo::Gpu(_)), "{}", device.info());
        small.run(&inputs.batch()).unwrap();
        [whole, small]
    };
    for device in everywhere() {
        // Compilation and start-up happen once for each device.
        let warm = run(&device);
        let (engines, held) = allocator::held(|| run(&device));
        let (more, of_clones) = allocator::held(|| [model.clone(), model.clone()]);
        let context =
            format!("{}: {held} bytes held, {bytes} of the weights, seed {}", device.info(), draw.seed);
        let packed = if let DeviceInfo::Cpu(_) = device.info() { bytes } else { 0 };
        assert!(held < packed + bytes / 4, "{context}");
        assert!(of_clones < 1 << 14, "clones take {of_clones} bytes");
        let used = warm.iter().chain(&engines).map(|engine| engine.model()).chain(&more);
        for used in used {
            assert_eq!(places(used), places(&model), "{context}");
        }
    }
}
