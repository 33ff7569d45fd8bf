//! Batches that do not fit a device at once are run in pieces, with the bits of a run in one piece. Sizes beyond a
//! binding, a grid or a driver's loop limit are handled too.

use crate::common::{Draw, Inputs, adapters, assert_close, assert_close_in, bits, options, own_adapters};
use wgru::{
    Batch, Cell, Device, Dims, Direction, Error, Layout, Merge, Output, Padding, ReadoutSteps, RunShape,
    Storage,
};

fn same_bits(a: &Output, b: &Output, context: &str) {
    assert_eq!(bits(&a.y), bits(&b.y), "{context}: y");
    assert_eq!(bits(&a.h_n), bits(&b.h_n), "{context}: h_n");
    assert_eq!(a.c_n.as_deref().map(bits), b.c_n.as_deref().map(bits), "{context}: c_n");
}

/// Every cell, stack, layout, rule for padding and storage type, cut by rows and by steps.
#[test]
fn pieces_give_the_bits_of_a_run_at_once() {
    let mut draw = Draw::new();
    for device in adapters() {
        for cell in Cell::ALL {
            for storage in [Storage::F32, Storage::F16, Storage::Bf16] {
                let layers = draw.size(1..=3);
                let mut model = draw.any_model(cell, 3, 5, layers);
                if draw.chance() {
                    let steps = if draw.chance() { ReadoutSteps::Every } else { ReadoutSteps::Last };
                    model = draw.with_readout(model, 4, steps);
                }
                let (batch, steps) = (draw.size(1..=9), draw.size(2..=40));
                let inputs = Inputs::draw(&mut draw, &model, batch, steps);
                let inputs = if draw.chance() { inputs.ragged(&mut draw) } else { inputs };
                let fill = if draw.chance() { Padding::Last } else { Padding::Zero };
                let layout = if draw.chance() { Layout::TimeMajor } else { Layout::BatchMajor };
                let whole = inputs.batch().padding(fill).output_layout(layout);
                let options = options().fill_nan(true).activations(storage);
                let engine = device.load_with(&model, options.clone()).unwrap();
                let at_once = engine.run(&whole).unwrap();
                let memory = engine.memory(whole.run_shape()).unwrap();
                let all = memory.arrays + memory.read_back;
                let least =
                    engine.memory(RunShape { dims: Dims::new(1, 1).unwrap(), ..whole.run_shape() }).unwrap();
                for part in [2, 7, 40] {
                    let allowed = (all / part).max(least.arrays + least.read_back);
                    let small = device.load_with(&model, options.clone().memory(allowed)).unwrap();
                    let context = format!(
                        "{}, {model}, {storage}, {:?}, {:?}, 1/{part} of {memory:?}, seed {}",
                        device.info(),
                        whole.run_shape(),
                        inputs.lengths,
                        draw.seed
                    );
                    let output = small.run(&whole).unwrap_or_else(|error| panic!("{context}: {error}"));
                    same_bits(&output, &at_once, &context);
                    assert_close_in(options.precision(), &model, &whole, &output, &context);
                }
            }
        }
    }
}

/// The same for a batch whose first layer has been projected: each direction of a row that is cut has a part of x.
#[test]
fn pieces_of_a_projected_batch() {
    let mut draw = Draw::new();
    for device in adapters() {
        let kinds = [
            [(Direction::Reverse, Merge::Concat), (Direction::Forward, Merge::Concat)],
            [(Direction::Bidirectional, draw.merge()), (Direction::Bidirectional, draw.merge())],
        ];
        for kinds in kinds {
            let model = draw.stack(Cell::GRU, &kinds, 3, 5);
            let features = model.projected_input();
            let (batch, steps) = (3, 30);
            let xw = draw.values(batch * steps * features, 1.0);
            let whole = Batch::projected(&xw, [batch, steps, features]).unwrap();
            let engine = device.load_with(&model, options().fill_nan(true)).unwrap();
            let at_once = engine.run(&whole).unwrap();
            let least =
                engine.memory(RunShape { dims: Dims::new(1, 5).unwrap(), ..whole.run_shape() }).unwrap();
            let small = options().fill_nan(true).memory(least.arrays + least.read_back);
            let context = format!("{}, {model}, seed {}", device.info(), draw.seed);
            same_bits(&device.load_with(&model, small).unwrap().run(&whole).unwrap(), &at_once, &context);
            assert_close(&model, &whole, &at_once, &context);
        }
    }
}

/// The same for a batch with resets within its rows: a row that is cut by steps is also cut there.
#[test]
fn pieces_of_a_batch_with_resets() {
    let mut draw = Draw::new();
    for device in adapters() {
        for cell in [Cell::GRU, Cell::LSTM] {
            let model = draw.model(cell, 3, 5, 2);
            let model = draw.with_options(model);
            let (batch, steps) = (3, 40);
            let inputs = Inputs::draw(&mut draw, &model, batch, steps);
            let inputs = if draw.chance() { inputs.ragged(&mut draw) } else { inputs };
            let resets: Vec<u32> = (0..batch * steps).map(|_| u32::from(draw.size(0..=9) == 0)).collect();
            let fill = if draw.chance() { Padding::Last } else { Padding::Zero };
            let whole = inputs.batch().resets(&resets).padding(fill);
            let engine = device.load_with(&model, options().fill_nan(true)).unwrap();
            let at_once = engine.run(&whole).unwrap();
            let context = format!("{}, {model}, seed {}", device.info(), draw.seed);
            assert_close(&model, &whole, &at_once, &context);
            for (rows, steps) in [(2, 40), (1, 7)] {
                let fits = RunShape { dims: Dims::new(rows, steps).unwrap(), ..whole.run_shape() };
                let memory = engine.memory(fits).unwrap();
                let small = options().fill_nan(true).memory(memory.arrays + memory.read_back);
                let small = device.load_with(&model, small).unwrap();
                let pieces = small.pieces(whole.run_shape()).unwrap().unwrap_or_else(|| panic!("{context}"));
                assert_eq!(pieces.by_steps, steps < 40, "{context}: {pieces}");
                same_bits(&small.run(&whole).unwrap(), &at_once, &format!("{context}, {pieces}"));
            }
        }
    }
}

/// Plans, texts and preparations of a batch in pieces are those of the pieces.
#[test]
fn a_batch_in_pieces_is_planned_and_prepared_as_what_it_is() {
    let mut draw = Draw::new();
    // Each test that counts objects has devices of its own.
    for device in own_adapters() {
        for projected in [false, true] {
            let model = draw.model_of(Cell::GRU, Direction::Bidirectional, 3, 20, 2);
            let features = if projected { model.projected_input() } else { 3 };
            let (batch, steps) = (11, 60);
            let x = draw.values(batch * steps * features, 1.0);
            let shape = [batch, steps, features];
            let whole = if projected { Batch::projected(&x, shape) } else { Batch::new(&x, shape) }.unwrap();
            let of = |rows, steps| RunShape { dims: Dims::new(rows, steps).unwrap(), ..whole.run_shape() };
            let ample = device.load_with(&model, options()).unwrap();
            assert_eq!(ample.pieces(whole.run_shape()).unwrap(), None);
            for (fits, by_steps) in [(of(4, 60), false), (of(1, 17), true)] {
                let context = format!("{}, {model}, {fits:?}, seed {}", device.info(), draw.seed);
                let memory = ample.memory(fits).unwrap();
                let allowed = memory.arrays + memory.read_back;
                let engine = device.load_with(&model, options().memory(allowed)).unwrap();
                let pieces = engine.pieces(whole.run_shape()).unwrap().unwrap_or_else(|| panic!("{context}"));
                assert_eq!(pieces.by_steps, by_steps, "{context}: {pieces}");
                assert!(pieces.rows <= 4 && (pieces.steps < 60) == by_steps, "{context}: {pieces}");
                assert!(pieces.count > 2, "{context}: {pieces}");

                let own = engine.memory(whole.run_shape()).unwrap();
                assert!(own.arrays + own.read_back <= allowed, "{context}: {own:?}");
                assert_eq!(own.weights, memory.weights << u32::from(by_steps), "{context}");
                let plan = engine.plan(whole.run_shape()).unwrap().unwrap();
                let dims = plan.run_shape.dims;
                assert_eq!((dims.batch, dims.steps), (pieces.rows, pieces.steps), "{context}");
                assert_eq!(plan.layers.len(), if by_steps { 1 } else { 2 }, "{context}");
                assert_eq!(plan.run_shape.projected, projected, "{context}");
                let alternatives = engine.alternatives(whole.run_shape()).unwrap();
                assert_eq!(alternatives.len(), plan.layers.len(), "{context}");
                let words = engine.explain(whole.run_shape()).unwrap();
                assert!(words.starts_with(&format!("{pieces}: ")), "{context}: {words}");
                assert_eq!(words.matches("as a model of its own").count(), if by_steps { 4 } else { 0 });
                let many = engine.expected(whole.run_shape()).unwrap();
                assert!(many > engine.expected(fits).unwrap(), "{context}");
                let device_only = device.expected(&model, whole.run_shape(), engine.options()).unwrap();
                assert_eq!(many, device_only, "{context}");

                // Once prepared, nothing is compiled; the bits are those of a run in one piece.
                engine.prepare(whole.run_shape()).unwrap();
                let before = device.resource_counts();
                let output = engine.run(&whole).unwrap();
                assert_eq!(device.resource_counts().pipelines, before.pipelines, "{context}");
                assert_eq!(device.resource_counts().shader_modules, before.shader_modules, "{context}");
                same_bits(&output, &ample.run(&whole).unwrap(), &context);

                // Staging needs all memory at once, so it fails; the error says how much fits.
                let error = engine.stage(&whole).map(drop).expect_err("staged beyond the memory");
                let Error::TooLarge { limit, .. } = error else { panic!("{context}: {error}") };
                assert_eq!(limit, allowed, "{context}: {error}");
                let text = error.to_string();
                let rows = if by_steps { "1 × " } else { "3 × 60 fit" };
                assert!(text.contains(&format!("of which {rows}")), "{context}: {text}");
                engine.stage(&Batch::new(&x[..3], [1, 1, 3]).unwrap()).unwrap().run().unwrap();
            }
        }
    }
}

#[test]
fn no_memory_at_all_is_refused_with_its_numbers() {
    let mut draw = Draw::new();
    let model = draw.model(Cell::GRU, 3, 5, 1);
    let inputs = Inputs::draw(&mut draw, &model, 4, 6);
    for device in adapters() {
        let engine = device.load_with(&model, options().memory(100)).unwrap();
        let error = engine.run(&inputs.batch()).unwrap_err();
        let Error::TooLarge { needed, limit: 100, unit: "bytes of memory", .. } = error else {
            panic!("{error}")
        };
        assert!(needed > 100, "{error}");
    }
}

/// The predicted bytes are those of a staged batch.
#[test]
fn memory_is_known_before_anything_is_allocated() {
    let mut draw = Draw::new();
    let model = draw.model(Cell::LSTM, 3, 20, 2);
    let inputs = Inputs::draw(&mut draw, &model, 4, 6);
    for device in adapters() {
        let engine = device.load_with(&model, options()).unwrap();
        let memory = engine.memory(inputs.batch().run_shape()).unwrap();
        let staged = engine.stage(&inputs.batch()).unwrap();
        assert_eq!(staged.bytes(), memory.weights + memory.arrays, "{}", device.info());
    }
    assert_eq!(
        Device::cpu().load(&model).unwrap().memory(Dims::new(4, 6).unwrap()).unwrap(),
        Default::default()
    );
}

/// Devices whose bindings are so small that matrices are cut into slices, rows and steps into pieces.
fn small_devices(binding: u64) -> Vec<Device> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::all();
    let instance = wgpu::Instance::new(descriptor);
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let open = |adapter: wgpu::Adapter| {
        let required_limits = wgpu::Limits { max_storage_buffer_binding_size: binding, ..adapter.limits() };
        let descriptor = wgpu::DeviceDescriptor { required_limits, ..Default::default() };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
        Device::from_wgpu(device, queue)
    };
    adapters.into_iter().map(open).collect()
}

#[test]
fn matrices_beyond_a_binding_are_cut_into_slices() {
    let mut draw = Draw::new();
    for device in small_devices(64 << 10) {
        for cell in Cell::ALL {
            let halves = if cell == Cell::GRU { &[Storage::F32, Storage::F16][..] } else { &[Storage::F32] };
            for &storage in halves {
                // w_hh: 200 · G · 200 numbers, of which 64 KiB hold 16,384 or 32,768.
                let model = draw.any_model(cell, 150, 200, 2);
                let model = draw.with_readout(model, 130, ReadoutSteps::Every);
                let inputs = Inputs::draw(&mut draw, &model, 5, 4);
                let options = options().fill_nan(true).weights(storage).activations(storage);
                let engine = device.load_with(&model, options.clone()).unwrap();
                let output = engine.run(&inputs.batch()).unwrap();
                let plan = engine.plan(Dims::new(1, 4).unwrap()).unwrap().unwrap();
                let context = format!("{}, {model}, {storage}, seed {}", device.info(), draw.seed);
                assert!(plan.has_steps() || cell == Cell::Rnn, "{context}: {plan}");
                assert_close_in(options.precision(), &model, &inputs.batch(), &output, &context);
            }
        }
    }
}

/// Steps, rows, features and units beyond a limit of some device: 65,535 workgroups of 4 rows, 128 MiB of x in one
/// binding, 65,535 loop iterations.
#[test]
fn sizes_beyond_the_limits_of_a_device() {
    let mut draw = Draw::new();
    for device in adapters() {
        for (cell, [batch, steps, input, hidden]) in [
            (Cell::GRU, [1, 100_000, 1, 3]),
            (Cell::GRU, [300_000, 1, 1, 1]),
            (Cell::Rnn, [100_000, 2, 2, 3]),
            (Cell::Rnn, [600, 600, 100, 2]),
            (Cell::LSTM, [1, 3, 1, 1_500]),
            // w_hh alone has 192 MiB.
            (Cell::GRU, [2, 2, 1, 4_096]),
        ] {
            let model = draw.model(cell, input, hidden, 1);
            let x = draw.values(batch * steps * input, 1.0);
            let engine = device.load_with(&model, options().fill_nan(true)).unwrap();
            let all = Batch::new(&x, [batch, steps, input]).unwrap();
            let output = engine.run(&all).unwrap();
            // The reference is slow, so only the first and the last rows are checked.
            for first in [0, batch.saturating_sub(20)] {
                let rows = batch.min(20);
                let own =
                    Batch::new(&x[first * steps * input..][..rows * steps * input], [rows, steps, input])
                        .unwrap();
                let width = model.output();
                let part = Output {
                    y: output.y[first * steps * width..][..rows * steps * width].to_vec(),
                    h_n: output.h_n[first * width..][..rows * width].to_vec(),
                    c_n: output.c_n.as_ref().map(|c| c[first * width..][..rows * width].to_vec()),
                    out: None,
                };
                let context = format!("{}, {model}, {batch} × {steps}, seed {}", device.info(), draw.seed);
                assert_close(&model, &own, &part, &context);
            }
        }
    }
}
