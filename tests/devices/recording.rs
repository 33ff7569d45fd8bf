//! Runs on the caller's buffers, recorded into the caller's encoder. They have the bits of runs whose arrays are on
//! the host.

mod caller;
mod counts;
mod refused;
mod resets;
mod session;

use caller::Caller;
use wgru::dtype::Storage;
use wgru::program::{pack_sequence, unpack_sequence};
use wgru::{Batch, Bindings, Cell, Engine, Model, Options, Output, Padding, ReadoutSteps, Source, wgpu};

use crate::common::{Draw, Inputs, bits};

/// x as words of a buffer.
fn words_of(storage: Storage, features: usize, x: &[f32]) -> Vec<u32> {
    if !storage.is_half() {
        return bits(x);
    }
    let mut words = Vec::new();
    pack_sequence(storage, features, x, &mut words);
    words
}

/// y from the words of a buffer.
fn numbers_of(storage: Storage, features: usize, words: &[u32], like: &[f32]) -> Vec<f32> {
    let mut numbers = vec![0.0; like.len()];
    match storage.is_half() {
        true => unpack_sequence(storage, features, words, &mut numbers),
        false => numbers.copy_from_slice(bytemuck::cast_slice(words)),
    }
    numbers
}

/// The arrays of a run in buffers of the caller's, each from some offset on. Each has a buffer of its own, or all but
/// out share one, as with pooled memory.
struct Arrays {
    x: (wgpu::Buffer, u64),
    lengths: Option<(wgpu::Buffer, u64)>,
    states: [Option<(wgpu::Buffer, u64)>; 2],
    /// y, h_n, c_n and out.
    sinks: [Option<(wgpu::Buffer, u64)>; 4],
    storage: Storage,
}

impl Arrays {
    fn new(caller: &Caller, draw: &mut Draw, engine: &Engine, inputs: &Inputs) -> Self {
        let storage = engine.options().precision().activations;
        let like = engine.output(inputs.batch().run_shape()).unwrap();
        let words = |numbers: &Option<Vec<f32>>| numbers.as_ref().map(|numbers| bits(numbers));
        let full = |numbers: &[f32]| vec![u32::MAX; numbers.len()];
        let y = vec![u32::MAX; words_of(storage, engine.model().state_size(), &like.y).len()];
        let arrays = [
            Some(words_of(storage, inputs.input, &inputs.x)),
            inputs.lengths.clone(),
            words(&inputs.h0),
            words(&inputs.c0),
            Some(y),
            Some(full(&like.h_n)),
            like.c_n.as_deref().map(full),
        ];
        // Every device binds at multiples of 256 bytes.
        let mut page = Vec::new();
        let arrays = arrays.map(|words| {
            page.resize(64 * (page.len().div_ceil(64) + draw.size(0..=2)), 0);
            let offset = page.len() as u64 * 4;
            page.extend(words.iter().flatten());
            words.map(|words| (words, offset))
        });
        let page = draw.chance().then(|| caller.with(&page, 0));
        let [x, lengths, h0, c0, y, h_n, c_n] = arrays.map(|array| {
            let (words, offset) = array?;
            Some((page.clone().unwrap_or_else(|| caller.with(&words, offset)), offset))
        });
        let out = like.out.as_deref().map(|out| (caller.with(&full(out), 256), 256));
        Self { x: x.unwrap(), lengths, states: [h0, c0], sinks: [y, h_n, c_n, out], storage }
    }

    /// Bindings with every array in a buffer.
    fn bindings(&self) -> Bindings<'_> {
        fn of<T>(at: &(wgpu::Buffer, u64)) -> Source<'_, T> {
            (&at.0, at.1).into()
        }
        let mut bindings = Bindings::new(of(&self.x));
        if let Some(lengths) = &self.lengths {
            bindings = bindings.lengths(of(lengths));
        }
        let [h0, c0] = &self.states;
        if let Some(h0) = h0 {
            bindings = bindings.h0(of(h0));
        }
        if let Some(c0) = c0 {
            bindings = bindings.c0(of(c0));
        }
        let [y, h_n, c_n, out] = &self.sinks;
        if let Some((buffer, offset)) = y {
            bindings = bindings.y((buffer, *offset));
        }
        if let Some((buffer, offset)) = h_n {
            bindings = bindings.h_n((buffer, *offset));
        }
        if let Some((buffer, offset)) = c_n {
            bindings = bindings.c_n((buffer, *offset));
        }
        if let Some((buffer, offset)) = out {
            bindings = bindings.out((buffer, *offset));
        }
        bindings
    }

    /// The contents of the sinks, in the shape of `like`.
    fn read(&self, caller: &Caller, model: &Model, like: &Output) -> Output {
        let words = |index: usize, len: usize| {
            let mut words = caller.read(self.sinks[index].as_ref().unwrap());
            words.truncate(len);
            words
        };
        let numbers = |index: usize, like: &Vec<f32>| {
            words(index, like.len()).into_iter().map(f32::from_bits).collect::<Vec<_>>()
        };
        let y = words(0, words_of(self.storage, model.state_size(), &like.y).len());
        Output {
            y: numbers_of(self.storage, model.state_size(), &y, &like.y),
            h_n: numbers(1, &like.h_n),
            c_n: like.c_n.as_ref().map(|c_n| numbers(2, c_n)),
            out: like.out.as_ref().map(|out| numbers(3, out)),
        }
    }
}

fn assert_same(got: &Output, wanted: &Output, context: &str) {
    assert_eq!(bits(&got.y), bits(&wanted.y), "{context}: y");
    assert_eq!(bits(&got.h_n), bits(&wanted.h_n), "{context}: h_n");
    for (name, got, wanted) in [("c_n", &got.c_n, &wanted.c_n), ("out", &got.out, &wanted.out)] {
        assert_eq!(got.as_deref().map(bits), wanted.as_deref().map(bits), "{context}: {name}");
    }
}

/// A random model of any kind.
fn draw_model(draw: &mut Draw, cell: Cell) -> Model {
    let (input, hidden, layers) = (draw.size(1..=9), draw.size(1..=40), draw.size(1..=6));
    let mut model = draw.any_model(cell, input, hidden, layers);
    if draw.chance() {
        model = draw.with_options(model);
    }
    match draw.size(0..=2) {
        0 => draw.with_readout(model, 3, ReadoutSteps::Last),
        1 => draw.with_readout(model, 3, ReadoutSteps::Every),
        _ => model,
    }
}

fn draw_inputs(draw: &mut Draw, model: &Model) -> Inputs {
    let (batch, steps) = (draw.size(1..=9), draw.size(1..=12));
    let mut inputs = Inputs::draw(draw, model, batch, steps);
    if draw.chance() {
        inputs = inputs.ragged(draw);
        inputs.padding = if draw.chance() { Padding::Last } else { Padding::Zero };
    }
    let layouts = draw.layouts();
    inputs.laid_out(layouts)
}

fn draw_options(draw: &mut Draw) -> Options {
    let activations = [Storage::F32, Storage::F16, Storage::Bf16][draw.size(0..=2)];
    let weights = if draw.chance() { activations } else { Storage::F32 };
    Options::default().weights(weights).activations(activations).fill_nan(draw.chance())
}

#[test]
fn a_recorded_run_has_the_bits_of_one_on_the_host() {
    let mut draw = Draw::new();
    for caller in Caller::all() {
        for cell in Cell::ALL.into_iter().chain(Cell::ALL) {
            let model = draw_model(&mut draw, cell);
            let options = draw_options(&mut draw);
            let engine = caller.ours.load_with(&model, options).unwrap();
            let inputs = draw_inputs(&mut draw, &model);
            let context =
                format!("{}, {model}, {:?}, seed {}", caller.name, inputs.batch().run_shape(), draw.seed);
            let wanted = engine.run(&inputs.batch()).unwrap();
            let arrays = Arrays::new(&caller, &mut draw, &engine, &inputs);
            let recording = engine.recording(inputs.batch().run_shape(), arrays.bindings()).unwrap();
            // The second time the buffers hold the states and arrays of the first.
            for _ in 0..2 {
                caller.submit(|encoder| recording.record(encoder));
                assert_same(&arrays.read(&caller, &model, &wanted), &wanted, &context);
            }
        }
    }
}

/// Each array on the host or in a buffer, at random.
#[test]
fn any_mix_of_host_and_buffers_has_the_same_bits() {
    let mut draw = Draw::new();
    for caller in Caller::all() {
        for cell in Cell::ALL.into_iter().chain(Cell::ALL) {
            let model = draw_model(&mut draw, cell);
            let engine = caller.ours.load_with(&model, draw_options(&mut draw)).unwrap();
            let inputs = draw_inputs(&mut draw, &model);
            let run_shape = inputs.batch().run_shape();
            let context = format!("{}, {model}, {run_shape:?}, seed {}", caller.name, draw.seed);
            let wanted = engine.run(&inputs.batch()).unwrap();
            let arrays = Arrays::new(&caller, &mut draw, &engine, &inputs);
            for _ in 0..3 {
                let mut got = engine.output(run_shape).unwrap();
                let Output { y, h_n, c_n, out } = &mut got;
                let mut bindings = arrays.bindings();
                let mut on_host = [false; 4];
                if draw.chance() {
                    let mut mixed = Bindings::new(&inputs.x);
                    if let Some((buffer, offset)) = &arrays.lengths {
                        mixed = mixed.lengths((buffer, *offset));
                    }
                    if let Some(h0) = &inputs.h0 {
                        mixed = mixed.h0(h0);
                    }
                    if let Some((buffer, offset)) = &arrays.states[1] {
                        mixed = mixed.c0((buffer, *offset));
                    }
                    for (index, at) in arrays.sinks.iter().enumerate() {
                        let Some((buffer, offset)) = at else { continue };
                        let at = (buffer, *offset);
                        mixed = match index {
                            0 => mixed.y(at),
                            1 => mixed.h_n(at),
                            2 => mixed.c_n(at),
                            _ => mixed.out(at),
                        };
                    }
                    bindings = mixed;
                }
                if let (true, Some(lengths)) = (draw.chance(), &inputs.lengths) {
                    bindings = bindings.lengths(lengths);
                }
                if draw.chance() {
                    bindings = bindings.y(y);
                    on_host[0] = true;
                }
                if draw.chance() {
                    bindings = bindings.h_n(h_n);
                    on_host[1] = true;
                }
                if let (true, Some(c_n)) = (draw.chance(), c_n) {
                    bindings = bindings.c_n(c_n);
                    on_host[2] = true;
                }
                if let (true, Some(out)) = (draw.chance(), out) {
                    bindings = bindings.out(out);
                    on_host[3] = true;
                }
                engine.run_bound(run_shape, bindings).unwrap();
                let on_device = arrays.read(&caller, &model, &wanted);
                let pick = |index: usize, host: Vec<f32>, device: Vec<f32>| {
                    if on_host[index] { host } else { device }
                };
                let merged = Output {
                    y: pick(0, got.y, on_device.y),
                    h_n: pick(1, got.h_n, on_device.h_n),
                    c_n: got.c_n.zip(on_device.c_n).map(|(host, device)| pick(2, host, device)),
                    out: got.out.zip(on_device.out).map(|(host, device)| pick(3, host, device)),
                };
                assert_same(&merged, &wanted, &context);
            }
        }
    }
}

/// A pass of the caller's changes y of one run, which is x of the next, all in one encoder.
#[test]
fn passes_of_the_callers_come_between() {
    let mut draw = Draw::new();
    for caller in Caller::all() {
        let [first, second] = [Cell::GRU, Cell::LSTM].map(|cell| draw.model(cell, 12, 12, 2));
        let [a, b] = [&first, &second].map(|model| caller.ours.load(model).unwrap());
        let inputs = Inputs::draw(&mut draw, &first, 5, 7);
        let shape = [5, 7, 12];
        let middle = a.run(&inputs.batch()).unwrap();
        let negated: Vec<f32> = middle.y.iter().map(|y| -y).collect();
        let wanted = b.run(&Batch::new(&negated, shape).unwrap()).unwrap();

        let x = caller.with(&bits(&inputs.x), 0);
        let between = caller.with(&vec![0; middle.y.len()], 0);
        let y = caller.with(&vec![0; wanted.y.len()], 0);
        let mut one = Bindings::new(&x).y(&between);
        if let Some(h0) = &inputs.h0 {
            one = one.h0(h0);
        }
        let one = a.recording(inputs.dims, one).unwrap();
        let two = b.recording(inputs.dims, Bindings::new(&between).y(&y)).unwrap();
        let negate = caller.negate(&between);
        caller.submit(|encoder| {
            one.record(encoder);
            negate.record(encoder);
            two.record(encoder);
        });
        let context = format!("{}, seed {}", caller.name, draw.seed);
        assert_eq!(caller.read(&(y, 0)), bits(&wanted.y), "{context}");
    }
}

/// The caller's state is advanced in place, one recording at a time.
#[test]
fn states_may_be_advanced_in_place() {
    let mut draw = Draw::new();
    for caller in Caller::all() {
        for cell in [Cell::GRU, Cell::LSTM] {
            let model = draw.model(cell, 5, 9, 2);
            let engine = caller.ours.load(&model).unwrap();
            let inputs = Inputs { h0: None, c0: None, ..Inputs::draw(&mut draw, &model, 6, 8) };
            let wanted = engine.run(&inputs.batch()).unwrap();
            let [h, c] = [wanted.h_n.len(), 2 * 6 * 9].map(|len| caller.with(&vec![0; len], 0));
            let halves = [0, 1].map(|half| {
                let rows = inputs.x.chunks_exact(8 * 5).flat_map(|row| &row[half * 4 * 5..][..4 * 5]);
                let x: Vec<f32> = rows.copied().collect();
                let mut bindings = Bindings::new(&x).h0(&h).h_n(&h);
                if cell.has_c() {
                    bindings = bindings.c0(&c).c_n(&c);
                }
                engine.recording(wgru::Dims::new(6, 4).unwrap(), bindings).unwrap()
            });
            caller.submit(|encoder| halves.iter().for_each(|half| half.record(encoder)));
            let context = format!("{}, {model}, seed {}", caller.name, draw.seed);
            assert_eq!(caller.read(&(h, 0)), bits(&wanted.h_n), "{context}");
            if let Some(c_n) = wanted.c_n {
                assert_eq!(caller.read(&(c, 0)), bits(&c_n), "{context}");
            }
        }
    }
}

/// The device sorts any number of rows by length, and keeps the order of equal lengths, as the host does.
#[test]
fn many_rows_are_ordered_on_the_device() {
    let mut draw = Draw::new();
    for caller in Caller::all() {
        let model = draw.model(Cell::GRU, 2, 3, 1);
        let engine = caller.ours.load(&model).unwrap();
        for batch in [63, 64, 65, 997] {
            let inputs = Inputs::draw(&mut draw, &model, batch, 5).ragged(&mut draw);
            let wanted = engine.run(&inputs.batch()).unwrap();
            let arrays = Arrays::new(&caller, &mut draw, &engine, &inputs);
            let recording = engine.recording(inputs.dims, arrays.bindings()).unwrap();
            caller.submit(|encoder| recording.record(encoder));
            let context = format!("{}, {batch} rows, seed {}", caller.name, draw.seed);
            assert_same(&arrays.read(&caller, &model, &wanted), &wanted, &context);
        }
        // More rows than a thread of a software driver can compare one by one.
        let of = |features: u64| caller.buffer(70_000 * features * 4, wgpu::BufferUsages::STORAGE);
        let [x, y] = [2, 3].map(of);
        let dims = wgru::Dims::new(70_000, 1).unwrap();
        engine.recording(dims, Bindings::new(&x).lengths(&x).y(&y)).unwrap();
    }
}

/// The same calls take slices on devices without buffers.
#[test]
fn slices_go_through_the_same_call_everywhere() {
    let mut draw = Draw::new();
    for device in crate::common::everywhere() {
        let model = draw.model(Cell::LSTM, 4, 6, 2);
        let engine = device.load(&model).unwrap();
        let inputs = Inputs::draw(&mut draw, &model, 3, 5).ragged(&mut draw);
        let wanted = engine.run(&inputs.batch()).unwrap();
        let mut got = engine.output(inputs.dims).unwrap();
        let mut bindings =
            Bindings::new(&inputs.x).y(&mut got.y).h_n(&mut got.h_n).c_n(got.c_n.as_mut().unwrap());
        bindings = bindings.lengths(inputs.lengths.as_ref().unwrap());
        if let Some(h0) = &inputs.h0 {
            bindings = bindings.h0(h0);
        }
        if let Some(c0) = &inputs.c0 {
            bindings = bindings.c0(c0);
        }
        engine.run_bound(inputs.dims, bindings).unwrap();
        assert_same(&got, &wanted, &format!("{}, seed {}", device.info(), draw.seed));
    }
}
