//! Resets: states that restart within a sequence, against the reference, and bit for bit against the sequences cut
//! there.

use crate::common::{Draw, Inputs, assert_close_in, bits, devices, everywhere, options};
use wgru::dtype::Precision;
#[cfg(feature = "gpu")]
use wgru::plan::Strategy;
use wgru::{
    Batch, Cell, Device, Dims, Direction, Error, Layout, Merge, Model, Options, Output, Padding,
    ReadoutSteps, RunShape, State, StepInput, Storage,
};

fn filled() -> Options {
    options().fill_nan(true)
}

/// A batch with resets, `[B, T]`.
struct Rollout {
    inputs: Inputs,
    resets: Vec<u32>,
}

impl Rollout {
    /// Episodes of any length: none, a few or many consecutive resets, with any non-zero number as a reset and in
    /// padding.
    fn draw(draw: &mut Draw, model: &Model, batch: usize, steps: usize) -> Self {
        let inputs = Inputs::draw(draw, model, batch, steps);
        let inputs = if draw.chance() { inputs.ragged(draw) } else { inputs };
        let rate = draw.size(1..=6);
        let word = |draw: &mut Draw| [1, 7, 1 << 31, u32::MAX][draw.size(0..=3)];
        let resets = (0..batch * steps).map(|_| if draw.size(0..=rate) == 0 { word(draw) } else { 0 });
        let resets = resets.collect();
        Self { inputs, resets }
    }

    fn length(&self, row: usize) -> usize {
        self.inputs.lengths.as_ref().map_or(self.inputs.dims.steps, |lengths| lengths[row] as usize)
    }

    /// Each episode's row, first step and steps; a row without a step has one episode of no steps.
    fn episodes(&self) -> Vec<(usize, usize, usize)> {
        let Dims { batch, steps } = self.inputs.dims;
        let mut all = Vec::new();
        for row in 0..batch {
            let length = self.length(row);
            let mut firsts = vec![0];
            firsts.extend((1..length).filter(|t| self.resets[row * steps + t] != 0));
            let ends = firsts.iter().skip(1).copied().chain([length]);
            all.extend(firsts.iter().zip(ends).map(|(&first, end)| (row, first, end - first)));
        }
        all
    }

    /// The episodes as the rows of a batch without resets, each from the initial states of its row.
    fn cut(&self, model: &Model) -> Inputs {
        let Inputs { dims: Dims { batch, steps }, x, h0, c0, input, padding, .. } = &self.inputs;
        let episodes = self.episodes();
        let of_rows = |array: &Vec<f32>| -> Vec<f32> {
            let features = array.len() / (model.num_states() * batch);
            let of_layer = |all: &[f32]| -> Vec<f32> {
                episodes.iter().flat_map(|(row, ..)| all[row * features..][..features].to_vec()).collect()
            };
            array.chunks_exact(batch * features).flat_map(of_layer).collect()
        };
        let longest = episodes.iter().map(|(.., count)| *count).max().unwrap().max(1);
        let mut own = vec![f32::NAN; episodes.len() * longest * input];
        for (to, &(row, first, count)) in own.chunks_exact_mut(longest * input).zip(&episodes) {
            to[..count * input].copy_from_slice(&x[(row * steps + first) * input..][..count * input]);
        }
        Inputs {
            dims: Dims::new(episodes.len(), longest).unwrap(),
            x: own,
            h0: h0.as_ref().map(of_rows),
            c0: c0.as_ref().map(of_rows),
            lengths: Some(episodes.iter().map(|(.., count)| *count as u32).collect()),
            input: *input,
            layouts: Default::default(),
            padding: *padding,
        }
    }

    /// The same with x, and the resets, in the order of `layouts`.
    fn laid_out(mut self, layouts: (Layout, Layout)) -> Self {
        let Dims { batch, steps } = self.inputs.dims;
        if layouts.0 != Layout::BatchMajor {
            let resets = (0..steps).flat_map(|t| (0..batch).map(move |b| b * steps + t));
            self.resets = resets.map(|at| self.resets[at]).collect();
        }
        self.inputs = self.inputs.laid_out(layouts);
        self
    }

    fn batch(&self) -> Batch<'_> {
        self.inputs.batch().resets(&self.resets)
    }
}

/// The offset of y of a row and step in `[B, T, …]` or `[T, B, …]`, in steps.
fn place(layout: Layout, Dims { batch, steps }: Dims, row: usize, t: usize) -> usize {
    if layout == Layout::BatchMajor { row * steps + t } else { t * batch + row }
}

/// Compares a run with resets with the run of its episodes; returns the difference.
fn compare_episodes(
    model: &Model,
    dims: Dims,
    layout: Layout,
    episodes: &[(usize, usize, usize)],
    (whole, cut): (&Output, &Output),
) -> Result<(), String> {
    let longest = cut.y.len() / episodes.len() / model.output();
    let states = |array: &[f32], count: usize, row: usize, layer: usize| {
        let features = array.len() / (model.num_states() * count);
        bits(&array[(layer * count + row) * features..][..features])
    };
    for (index, &(row, first, count)) in episodes.iter().enumerate() {
        for t in 0..count {
            let step = |of: &[f32], features: usize, at: usize| bits(&of[at * features..][..features]);
            let (at, own) = (place(layout, dims, row, first + t), index * longest + t);
            if step(&whole.y, model.output(), at) != step(&cut.y, model.output(), own) {
                return Err(format!("y of row {row}, step {} differs", first + t));
            }
            if let (Some(readout), Some(out), Some(cut)) = (model.readout(), &whole.out, &cut.out)
                && readout.steps() == ReadoutSteps::Every
                && step(out, readout.outputs(), at) != step(cut, readout.outputs(), own)
            {
                return Err(format!("out of row {row}, step {} differs", first + t));
            }
        }
        let is_last = episodes.get(index + 1).is_none_or(|next| next.0 != row);
        for layer in (0..model.num_states()).filter(|_| is_last) {
            let of = |whole: &[f32], cut: &[f32]| {
                states(whole, dims.batch, row, layer) == states(cut, episodes.len(), index, layer)
            };
            if !of(&whole.h_n, &cut.h_n) {
                return Err(format!("h_n of row {row}, layer {layer} differs"));
            }
            if let (Some(whole), Some(cut)) = (&whole.c_n, &cut.c_n)
                && !of(whole, cut)
            {
                return Err(format!("c_n of row {row}, layer {layer} differs"));
            }
        }
    }
    Ok(())
}

/// A stack of forward layers with all other options.
fn any_model(draw: &mut Draw, cell: Cell) -> Model {
    let (input, hidden, layers) = (draw.size(1..=9), draw.size(1..=40), draw.size(1..=2));
    let model = draw.model(cell, input, hidden, layers);
    let model = if draw.chance() { draw.with_options(model) } else { model };
    match draw.size(0..=2) {
        0 => model,
        1 => draw.with_readout(model, 3, ReadoutSteps::Every),
        _ => draw.with_readout(model, 3, ReadoutSteps::Last),
    }
}

/// Every cell and convention, stacks, lengths, layouts, storage types and rules for padding, with initial states and without.
#[test]
fn a_reset_gives_the_bits_of_the_sequences_cut_there() {
    let mut draw = Draw::new();
    for device in devices() {
        for cell in Cell::ALL {
            let [batch, steps] = [[1, 12], [9, 7], [34, 5]][draw.size(0..=2)];
            let model = any_model(&mut draw, cell);
            let mut rollout = Rollout::draw(&mut draw, &model, batch, steps);
            rollout.inputs.padding = if draw.chance() { Padding::Last } else { Padding::Zero };
            let (episodes, cut) = (rollout.episodes(), rollout.cut(&model));
            let rollout = rollout.laid_out(draw.layouts());
            let storage = [Storage::F32, Storage::F32, Storage::F16, Storage::Bf16][draw.size(0..=3)];
            let options = filled().weights(storage).activations(storage);
            let precision = Precision { weights: storage, activations: storage };
            let engine = device.load_with(&model, options).unwrap();
            let whole = engine.run(&rollout.batch()).unwrap();
            let plan = engine.explain(rollout.batch().run_shape()).unwrap();
            let context = format!("{}, {model}, {storage}: {plan}, seed {}", device.info(), draw.seed);
            assert_close_in(precision, &model, &rollout.batch(), &whole, &context);
            let cut = engine.run(&cut.batch()).unwrap();
            let (dims, layout) = (rollout.inputs.dims, rollout.inputs.layouts.1);
            compare_episodes(&model, dims, layout, &episodes, (&whole, &cut))
                .unwrap_or_else(|what| panic!("{context}: {what}"));
        }
    }
}

/// With every way of dispatching the steps: one by one, or a chunk at once, of which a run has several, with weights
/// in registers or loaded.
#[cfg(feature = "gpu")]
#[test]
fn every_strategy_resets() {
    let mut draw = Draw::new();
    for device in crate::common::adapters() {
        // The plain cell, whose kernels compile fastest, in every run shape.
        let all = [(1, 9, 70), (9, 8, 20), (2, 6000, 2)];
        for (cell, shapes) in [
            (Cell::GRU, &all[..]),
            (Cell::ORIGINAL_GRU, &all[1..2]),
            (Cell::LSTM, &all[1..]),
            (Cell::Rnn, &all[2..]),
        ] {
            for &(batch, steps, hidden) in shapes {
                let model = draw.model(cell, 2, hidden, 2);
                let rollout = Rollout::draw(&mut draw, &model, batch, steps);
                let (episodes, cut) = (rollout.episodes(), rollout.cut(&model));
                let layout = Layout::BatchMajor;
                for strategy in [Strategy::Step, Strategy::Persistent, Strategy::Streamed] {
                    // Thousands of dispatches test nothing that fewer do not.
                    if strategy == Strategy::Step && steps > 1000 {
                        continue;
                    }
                    let options = Options::default().fill_nan(true).strategy(strategy);
                    let engine = device.load_with(&model, options).unwrap();
                    let plan = engine.explain(rollout.batch().run_shape()).unwrap();
                    let context =
                        format!("{}, {model}, {strategy}: {plan}, seed {}", device.info(), draw.seed);
                    assert_eq!(plan.contains("reset_states"), strategy == Strategy::Step, "{context}");
                    assert_eq!(plan.contains("in chunks of"), steps > 1000, "{context}");
                    let whole = engine.run(&rollout.batch()).unwrap();
                    let cut = engine.run(&cut.batch()).unwrap();
                    compare_episodes(&model, rollout.inputs.dims, layout, &episodes, (&whole, &cut))
                        .unwrap_or_else(|what| panic!("{context}: {what}"));
                }
            }
        }
    }
}

/// The reference also gives the results of the sequences cut there. A batch without a reset, or with resets where no
/// step reads them, gives the results of the batch without resets.
#[test]
fn the_reference_resets_like_cut_sequences() {
    let mut draw = Draw::new();
    for cell in Cell::ALL {
        let model = any_model(&mut draw, cell);
        let rollout = Rollout::draw(&mut draw, &model, 5, 9);
        let (episodes, cut) = (rollout.episodes(), rollout.cut(&model));
        let engine = Device::reference().load(&model).unwrap();
        let (whole, cut) = (engine.run(&rollout.batch()).unwrap(), engine.run(&cut.batch()).unwrap());
        let dims = rollout.inputs.dims;
        compare_episodes(&model, dims, Layout::BatchMajor, &episodes, (&whole, &cut)).unwrap();
        let plain = engine.run(&rollout.inputs.batch()).unwrap();
        let mut none = vec![0; 45];
        for row in 0..5 {
            // Before the first step the state is h0 anyway, and past the end no step reads it.
            none[row * 9] = 1;
            none[row * 9 + rollout.length(row)..(row + 1) * 9].fill(1);
        }
        assert!(engine.run(&rollout.inputs.batch().resets(&none)).unwrap() == plain, "seed {}", draw.seed);
    }
}

/// The comparison with cut sequences detects a reset that is missing, or a step early or late, or in another row.
#[test]
fn a_wrong_reset_is_detected() {
    let mut draw = Draw::new();
    for (device, cell) in
        devices().into_iter().flat_map(|device| Cell::ALL.into_iter().map(move |cell| (device.clone(), cell)))
    {
        let model = draw.model(cell, 3, 7, 2);
        let mut rollout = Rollout::draw(&mut draw, &model, 3, 8);
        rollout.inputs.lengths = None;
        rollout.inputs.x = draw.values(3 * 8 * 3, 1.0);
        rollout.resets = vec![0; 24];
        rollout.resets[8 + 3] = 1;
        let (episodes, cut) = (rollout.episodes(), rollout.cut(&model));
        let engine = device.load_with(&model, filled()).unwrap();
        let cut = engine.run(&cut.batch()).unwrap();
        let mut holds = |places: &[usize]| {
            rollout.resets.fill(0);
            places.iter().for_each(|&at| rollout.resets[at] = 1);
            let whole = engine.run(&rollout.batch()).unwrap();
            let dims = rollout.inputs.dims;
            compare_episodes(&model, dims, Layout::BatchMajor, &episodes, (&whole, &cut)).is_ok()
        };
        let context = format!("{}, {model}, seed {}", device.info(), draw.seed);
        assert!(holds(&[11]), "{context}");
        for wrong in [&[][..], &[10], &[12], &[3], &[11, 13], &[11, 7]] {
            assert!(!holds(wrong), "{context}: {wrong:?}");
        }
    }
}

/// Streams that restart in a step of a session: from zero, in one step, whatever their states were.
#[test]
fn a_session_resets_streams_in_the_step() {
    let mut draw = Draw::new();
    for device in everywhere() {
        for cell in Cell::ALL {
            let model = any_model(&mut draw, cell);
            let (streams, steps) = (draw.size(1..=9), 6);
            let mut rollout = Rollout::draw(&mut draw, &model, streams, steps);
            rollout.inputs = Inputs {
                x: draw.values(streams * steps * model.input(), 1.0),
                h0: None,
                c0: None,
                ..rollout.inputs
            };
            rollout.inputs.lengths = None;
            // The states before the first step have no effect on any stream.
            rollout.resets.iter_mut().step_by(steps).for_each(|reset| *reset = 1);
            let rollout = rollout.laid_out((Layout::TimeMajor, Layout::TimeMajor));
            let engine = device.load_with(&model, filled()).unwrap();
            let whole = engine.run(&rollout.batch()).unwrap();
            let mut session = engine.session(streams).unwrap();
            let mut state = |features: usize| draw.values(model.num_states() * streams * features, 1.0);
            let (h, c) = (state(model.state_size()), cell.has_c().then(|| state(model.hidden())));
            session.set_state(&State { h, c }).unwrap();
            let context = format!("{}, {model}, {streams} streams, seed {}", device.info(), draw.seed);
            let x = rollout.inputs.x.chunks_exact(streams * model.input());
            let y = whole.y.chunks_exact(streams * model.output());
            for (t, (x, y)) in x.zip(y).enumerate() {
                let resets = &rollout.resets[t * streams..][..streams];
                // A step without the array equals one where it is all 0.
                let step = match resets.iter().any(|reset| *reset != 0) {
                    true => session.step(StepInput::new(x).resets(resets)),
                    false => session.step(x),
                };
                assert_eq!(bits(&step.unwrap().y), bits(y), "{context}: step {t}");
            }
            let state = session.state().unwrap();
            assert_eq!(bits(&state.h), bits(&whole.h_n), "{context}");
            assert_eq!(state.c.as_deref().map(bits), whole.c_n.as_deref().map(bits), "{context}");
        }
    }
}

/// A staged batch has its own resets, and so has a projected one.
#[test]
fn staged_and_projected_batches_are_reset() {
    let mut draw = Draw::new();
    for device in everywhere() {
        for cell in [Cell::GRU, Cell::LSTM] {
            let model = draw.model(cell, 3, 11, 2);
            let features = model.projected_input();
            let rollout = Rollout::draw(&mut draw, &model, 4, 6);
            let engine = device.load_with(&model, filled()).unwrap();
            let context = format!("{}, {model}, seed {}", device.info(), draw.seed);
            let whole = engine.run(&rollout.batch()).unwrap();
            let mut staged = engine.stage(&rollout.batch()).unwrap();
            let mut output = engine.output(rollout.batch().run_shape()).unwrap();
            for _ in 0..2 {
                staged.run().unwrap();
                output.y.fill(f32::NAN);
                staged.read_into(&mut output).unwrap();
                assert!(output == whole, "{context}");
            }
            let xw = draw.values(4 * 6 * features, 1.0);
            let episodes = rollout.episodes();
            let whole = rollout.inputs.dressed(Batch::projected(&xw, [4, 6, features]).unwrap());
            let whole = engine.run(&whole.resets(&rollout.resets)).unwrap();
            let mut inputs = rollout.inputs.clone();
            (inputs.x, inputs.input) = (xw, features);
            let cut = Rollout { inputs, resets: rollout.resets.clone() }.cut(&model);
            let longest = cut.dims.steps;
            let own = Batch::projected(&cut.x, [episodes.len(), longest, features]).unwrap();
            let cut = engine.run(&cut.dressed(own)).unwrap();
            let dims = rollout.inputs.dims;
            compare_episodes(&model, dims, Layout::BatchMajor, &episodes, (&whole, &cut))
                .unwrap_or_else(|what| panic!("{context}: {what}"));
        }
    }
}

/// Batches that cannot be reset, and arrays that do not fit, are refused in every run.
#[test]
fn resets_that_do_not_fit_are_refused() {
    let mut draw = Draw::new();
    let x = [0.5; 24];
    let batch = Batch::new(&x, [3, 4, 2]).unwrap();
    for device in everywhere() {
        for kinds in [
            vec![(Direction::Reverse, Merge::Concat)],
            vec![(Direction::Forward, Merge::Concat), (Direction::Reverse, Merge::Concat)],
            vec![(Direction::Bidirectional, Merge::Sum)],
        ] {
            let model = draw.stack(Cell::GRU, &kinds, 2, 3);
            let engine = device.load_with(&model, options()).unwrap();
            let run_shape = RunShape { resets: true, ..Dims::new(3, 4).unwrap().into() };
            let refused = |error: Error| {
                let text = error.to_string();
                let name = kinds.last().unwrap().0.to_string();
                assert!(matches!(error, Error::Unsupported { .. }), "{}: {error}", device.info());
                assert!(text.contains("resets") && text.contains(&name), "{text}");
            };
            refused(engine.run(&batch.resets(&[0; 12])).unwrap_err());
            refused(engine.stage(&batch.resets(&[0; 12])).unwrap_err());
            refused(batch.resets(&[0; 12]).check(&model).unwrap_err());
            refused(engine.prepare(run_shape).unwrap_err());
            refused(engine.output(run_shape).unwrap_err());
            refused(engine.explain(run_shape).unwrap_err());
        }
        let model = draw.model(Cell::LSTM, 2, 3, 1);
        let engine = device.load_with(&model, options()).unwrap();
        let time_major = Batch::time_major(&x, [4, 3, 2]).unwrap();
        for (batch, shape) in [(batch, "resets [B, T]"), (time_major, "resets [T, B]")] {
            for len in [0, 3, 11, 13] {
                let error = engine.run(&batch.resets(&vec![0; len])).unwrap_err();
                let Error::Length { name, got, .. } = &error else { panic!("{error}") };
                assert_eq!((&name[..], *got), (shape, len), "{error}");
            }
            engine.run(&batch.resets(&[1; 12])).unwrap();
        }
        let mut session = engine.session(3).unwrap();
        for len in [0, 2, 4] {
            let error = session.step(StepInput::new(&[0.5; 6]).resets(&vec![1; len])).unwrap_err();
            assert!(error.to_string().contains("resets [B]: expected 3 elements"), "{error}");
        }
        session.step(&[0.5; 6]).unwrap();
    }
}
