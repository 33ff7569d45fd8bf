//! The frames and outputs of a stream, for comparison with a sequence run.

use std::collections::{HashMap, VecDeque};

use wgru::{Batch, Cell, Engine, Model, Pool, State, StreamId, TickOutput};

use super::{Draw, bits};

/// A stream from a reset to the next, or to its end.
pub struct Life {
    pub stream: StreamId,
    given: Option<State>,
    /// `[n, I]`.
    pub frames: Vec<f32>,
    /// `[n, P]`.
    pub y: Vec<f32>,
    pub out: Vec<f32>,
    /// A saved state, and the numbers of y before it.
    pub saved: Option<State>,
    pub saved_at: usize,
    /// Frames whose outputs were dropped.
    pub unknown: usize,
}

impl Life {
    pub fn new(stream: StreamId, given: Option<State>) -> Self {
        let (frames, y, out) = Default::default();
        Self { stream, given, frames, y, out, saved: None, saved_at: 0, unknown: 0 }
    }

    pub fn push(&mut self, draw: &mut Draw, pool: &mut Pool, count: usize) {
        let input = pool.engine().model().input();
        let frames = draw.values(count * input, 1.0);
        pool.push(self.stream, &frames).unwrap();
        self.frames.extend(frames);
    }

    /// Numbers of y so far.
    pub fn outputs(&self) -> usize {
        self.y.len()
    }

    /// Ends this life and begins another. Frames without outputs were dropped.
    pub fn begin_again(&mut self, given: Option<State>) -> Life {
        std::mem::replace(self, Life::new(self.stream, given))
    }
}

/// A pool with all lives of its streams.
pub struct Population {
    pub pool: Pool,
    pub lives: Vec<Life>,
    /// Indices of the lives that have not ended.
    pub living: Vec<usize>,
    /// For each tick under way, the life of each stream in it.
    begun: VecDeque<HashMap<StreamId, usize>>,
    output: TickOutput,
}

impl Population {
    pub fn new(pool: Pool) -> Self {
        let (lives, living, begun, output) = Default::default();
        Self { pool, lives, living, begun, output }
    }

    pub fn open(&mut self, given: Option<State>) {
        let stream = match &given {
            Some(state) => self.pool.open_with(state).unwrap(),
            None => self.pool.open().unwrap(),
        };
        self.living.push(self.lives.len());
        self.lives.push(Life::new(stream, given));
    }

    pub fn push(&mut self, draw: &mut Draw, at: usize, count: usize) {
        self.lives[self.living[at]].push(draw, &mut self.pool, count);
    }

    /// Resets the stream, or loads a state into it.
    pub fn begin_again(&mut self, at: usize, given: Option<State>) {
        let stream = self.lives[self.living[at]].stream;
        match &given {
            Some(state) => self.pool.set_state(stream, state).unwrap(),
            None => self.pool.reset(stream).unwrap(),
        };
        self.living[at] = self.lives.len();
        self.lives.push(Life::new(stream, given));
    }

    /// The state after every frame that a tick has taken, whether or not its outputs have been read.
    pub fn save(&mut self, at: usize) {
        let life = &mut self.lives[self.living[at]];
        let model = self.pool.engine().model().clone();
        let taken = life.frames.len() / model.input() - self.pool.pending(life.stream).unwrap();
        life.saved = Some(self.pool.state(life.stream).unwrap());
        life.saved_at = taken * model.output();
    }

    pub fn close(&mut self, at: usize) {
        let life = self.living.swap_remove(at);
        self.pool.close(self.lives[life].stream).unwrap();
    }

    pub fn begin(&mut self) {
        if self.pool.begin().unwrap() {
            let of = |&life: &usize| (self.lives[life].stream, life);
            self.begun.push_back(self.living.iter().map(of).collect());
        }
    }

    pub fn finish(&mut self) {
        self.pool.finish_into(&mut self.output).unwrap();
        let whose = self.begun.pop_front().expect("a tick was begun");
        for frames in self.output.iter() {
            let life = &mut self.lives[whose[&frames.stream]];
            life.y.extend_from_slice(frames.y);
            life.out.extend_from_slice(frames.out.unwrap_or_default());
        }
    }
}

/// Appends the outputs of a tick to their lives.
pub fn take(lives: &mut [Life], output: &TickOutput) {
    for frames in output.iter() {
        if let Some(life) = lives.iter_mut().find(|life| life.stream == frames.stream) {
            life.y.extend_from_slice(frames.y);
            life.out.extend_from_slice(frames.out.unwrap_or_default());
        }
    }
}

/// Random states.
pub fn state(draw: &mut Draw, model: &Model) -> State {
    let layers = model.layers().len();
    let h = draw.values(layers * model.state_size(), 0.9);
    State { h, c: model.cell().has_c().then(|| draw.values(layers * model.hidden(), 0.9)) }
}

/// A model whose states are of another size.
pub fn other_model(draw: &mut Draw) -> Model {
    draw.model(Cell::LSTM, 3, 11, 2)
}

/// Every life has the bits of a sequence run over its frames alone, except for outputs that were dropped.
pub fn assert_lives(engine: &Engine, lives: &[Life], context: &str) {
    let (input, p) = (engine.model().input(), engine.model().output());
    for life in lives.iter().filter(|life| !life.y.is_empty()) {
        let steps = life.y.len() / p;
        let x = &life.frames[..steps * input];
        let mut batch = Batch::new(x, [1, steps, input]).unwrap();
        if let Some(state) = &life.given {
            batch = batch.h0(&state.h);
            batch = match &state.c {
                Some(c) => batch.c0(c),
                None => batch,
            };
        }
        let whole = engine.run(&batch).unwrap();
        let Life { stream, unknown, .. } = *life;
        assert_eq!(bits(&life.y[unknown * p..]), bits(&whole.y[unknown * p..]), "{context}: stream {stream}");
        if let (Some(out), false) = (&whole.out, life.out.is_empty()) {
            // A readout of the last step is of the last frame.
            let own = &life.out[life.out.len() - out.len().min(life.out.len())..];
            assert_eq!(
                bits(own),
                bits(&out[out.len() - own.len()..]),
                "{context}: readout of stream {stream}"
            );
        }
        if let (Some(saved), true) = (&life.saved, life.saved_at == life.y.len()) {
            assert_eq!(bits(&saved.h), bits(&whole.h_n), "{context}: h of stream {stream}");
            assert_eq!(
                saved.c.as_deref().map(bits),
                whole.c_n.as_deref().map(bits),
                "{context}: c of {stream}"
            );
        }
    }
}
