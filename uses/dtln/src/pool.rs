//! Many streams that come and go, and advance together.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wgru::{PoolOptions, StreamId, TickOutput};

use crate::blocks::{Bin, Blocks, NO_BIN, Shared, Transforms};
use crate::dtln::Dtln;
use crate::error::{Error, Result, check_samples};
use crate::{BINS, BLOCK, HOP};

/// Blocks that are encoded or decoded together. They fit the processor's nearest caches beside the weights.
const ROWS: usize = 12;

/// Thousands of voices on one device. A tick computes a hop of every stream that has one; the streams are rows of one batch in
/// each LSTM.
///
/// A stream's samples are, bit for bit, those of a [`crate::Stream`] on the same device. They do not depend on the other streams.
/// Transforms and dense layers run on the calling thread; so on the CPU path a pool for each thread, on a device of one thread
/// (`cpu:1`), is faster than one pool on several.
pub struct Pool {
    shared: Arc<Shared>,
    transforms: Transforms,
    cores: [wgru::Pool; 2],
    ticks: [TickOutput; 2],
    voices: Vec<Voice>,
    /// Places in `voices`, by the stream's id in either core.
    places: HashMap<StreamId, usize>,
    magnitudes: [f32; BINS],
    /// Of a few streams: masks `[R, F]`, features `[R, F]`, features after the norm `[R, F]`, blocks `[R, 512]`.
    masks: Vec<f32>,
    features: Vec<f32>,
    normed: Vec<f32>,
    blocks: Vec<f32>,
    /// Why the states are unknown.
    failed: Option<wgru::Error>,
}

/// One stream.
struct Voice {
    ids: [StreamId; 2],
    blocks: Blocks,
    spectrum: [Bin; BINS],
    features: Vec<f32>,
    /// Whether it has a hop for the next tick.
    waits: bool,
}

/// What a tick did.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Tick {
    /// Streams that were advanced by a hop.
    pub streams: usize,
    /// Time in the LSTMs of both cores, with their masks.
    pub lstms: Duration,
    /// Time in all else: inverse transforms, encoder, layer norm, decoder, overlap-add and the caller's function.
    pub rest: Duration,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("cores", &self.cores).finish_non_exhaustive()
    }
}

impl Pool {
    pub(crate) fn new(dtln: &Dtln, streams: usize) -> Result<Self> {
        let open = |core: usize| -> Result<_> {
            let mut pool = dtln.cores[core].pool(PoolOptions::growing(streams.max(1)).frames(1))?;
            pool.prepare(streams.max(1), 1)?;
            Ok(pool)
        };
        let rows = |width| vec![0.0; ROWS * width];
        let features = dtln.shared.features();
        Ok(Self {
            shared: dtln.shared.clone(),
            transforms: Transforms::new(&dtln.shared),
            cores: [open(0)?, open(1)?],
            ticks: Default::default(),
            voices: Vec::with_capacity(streams),
            places: HashMap::with_capacity(2 * streams),
            magnitudes: [0.0; BINS],
            masks: rows(features),
            features: rows(features),
            normed: rows(features),
            blocks: rows(BLOCK),
            failed: None,
        })
    }

    /// The number of open streams.
    pub fn len(&self) -> usize {
        self.voices.len()
    }

    /// Whether no stream is open.
    pub fn is_empty(&self) -> bool {
        self.voices.is_empty()
    }

    /// Opens a stream that begins in silence. The pool grows where it is full.
    ///
    /// # Errors
    /// Those of [`wgru::Pool::open`].
    pub fn open(&mut self) -> Result<StreamId> {
        self.check_failed()?;
        let [one, two] = &mut self.cores;
        let first = one.open()?;
        let second = match two.open() {
            Ok(second) => second,
            Err(error) => {
                one.close(first)?;
                return Err(error.into());
            }
        };
        let ids = [first, second];
        for id in ids {
            self.places.insert(id, self.voices.len());
        }
        self.voices.push(Voice {
            ids,
            blocks: Blocks::EMPTY,
            spectrum: [NO_BIN; BINS],
            features: vec![0.0; self.shared.features()],
            waits: false,
        });
        Ok(first)
    }

    /// Closes a stream. A hop that waits is dropped.
    ///
    /// # Errors
    /// [`Error::Closed`] for a stream that is not open.
    pub fn close(&mut self, stream: StreamId) -> Result<()> {
        let place = self.place(stream)?;
        let voice = self.voices.swap_remove(place);
        for (core, id) in self.cores.iter_mut().zip(voice.ids) {
            core.close(id)?;
            self.places.remove(&id);
        }
        if let Some(moved) = self.voices.get(place) {
            for id in moved.ids {
                self.places.insert(id, place);
            }
        }
        Ok(())
    }

    /// The next 128 samples of a stream, for the next tick.
    ///
    /// # Errors
    /// [`Error::Sample`]; [`Error::Closed`] for a stream that is not open; [`Error::Waiting`] where a hop of the stream waits for a
    /// tick. Then nothing is queued. [`Error::Engine`] after a tick that failed.
    pub fn push(&mut self, stream: StreamId, hop: &[f32; HOP]) -> Result<()> {
        check_samples(hop)?;
        self.check_failed()?;
        let place = self.place(stream)?;
        let voice = &mut self.voices[place];
        if voice.waits {
            return Err(Error::Waiting(stream.number()));
        }
        voice.blocks.take(hop);
        self.transforms.analyse(&voice.blocks, &mut voice.spectrum, &mut self.magnitudes);
        self.cores[0].push(stream, &self.magnitudes)?;
        voice.waits = true;
        Ok(())
    }

    /// Computes every hop that was pushed, and calls `out` for each with the 128 samples of [`crate::LATENCY`] samples ago.
    ///
    /// # Errors
    /// [`Error::Engine`] where the device fails. The states are then unknown, and every later call returns the same error: open
    /// streams in a new pool.
    pub fn tick(&mut self, mut out: impl FnMut(StreamId, &[f32; HOP])) -> Result<Tick> {
        self.check_failed()?;
        let mut tick = Tick::default();
        let result = self.tick_cores(&mut tick, &mut out);
        if let Err(Error::Engine(error)) = &result {
            self.failed = Some(error.clone());
        }
        result.map(|()| tick)
    }

    fn tick_cores(&mut self, tick: &mut Tick, out: &mut impl FnMut(StreamId, &[f32; HOP])) -> Result<()> {
        let start = Instant::now();
        // A pool that lacks memory takes some streams and leaves the others for its next tick.
        while self.cores[0].ready() > 0 {
            let began = Instant::now();
            self.cores[0].tick_into(&mut self.ticks[0])?;
            tick.lstms += began.elapsed();
            self.encode()?;
        }
        while self.cores[1].ready() > 0 {
            let began = Instant::now();
            self.cores[1].tick_into(&mut self.ticks[1])?;
            tick.lstms += began.elapsed();
            tick.streams += self.ticks[1].len();
            self.decode(out);
        }
        tick.rest = start.elapsed().saturating_sub(tick.lstms);
        Ok(())
    }

    /// From the masks of core 1 to the features for core 2.
    fn encode(&mut self) -> Result<()> {
        let size = self.shared.features();
        let mut all = self.ticks[0].iter().peekable();
        while all.peek().is_some() {
            let (mut places, mut rows) = ([0; ROWS], 0);
            for frames in all.by_ref().take(ROWS) {
                let place = self.places[&frames.stream];
                let (voice, block) = (&mut self.voices[place], &mut self.blocks[rows * BLOCK..][..BLOCK]);
                self.transforms.mask(frames.out.unwrap_or_default(), &mut voice.spectrum, block);
                places[rows] = place;
                rows += 1;
            }
            let (blocks, features) = (&self.blocks[..rows * BLOCK], &mut self.features[..rows * size]);
            self.shared.encode(blocks, features, &mut self.normed[..rows * size]);
            let rows = features.chunks_exact(size).zip(self.normed.chunks_exact(size));
            for (&place, (features, normed)) in places.iter().zip(rows) {
                let voice = &mut self.voices[place];
                voice.features.copy_from_slice(features);
                self.cores[1].push(voice.ids[1], normed)?;
            }
        }
        Ok(())
    }

    /// From the masks of core 2 to samples.
    fn decode(&mut self, out: &mut impl FnMut(StreamId, &[f32; HOP])) {
        let size = self.shared.features();
        let mut all = self.ticks[1].iter().peekable();
        while all.peek().is_some() {
            let (mut places, mut rows) = ([0; ROWS], 0);
            for frames in all.by_ref().take(ROWS) {
                let place = self.places[&frames.stream];
                self.masks[rows * size..][..size].copy_from_slice(frames.out.unwrap_or_default());
                self.features[rows * size..][..size].copy_from_slice(&self.voices[place].features);
                places[rows] = place;
                rows += 1;
            }
            let (masks, features) = (&self.masks[..rows * size], &mut self.features[..rows * size]);
            let blocks = &mut self.blocks[..rows * BLOCK];
            self.shared.decode(masks, features, blocks);
            for (&place, block) in places.iter().zip(blocks.chunks_exact(BLOCK)) {
                let voice = &mut self.voices[place];
                let mut hop = [0.0; HOP];
                voice.blocks.add(block, &mut hop);
                voice.waits = false;
                out(voice.ids[0], &hop);
            }
        }
    }

    fn place(&self, stream: StreamId) -> Result<usize> {
        // The id of core 2 is not the caller's.
        let place = self.places.get(&stream).copied().filter(|&place| self.voices[place].ids[0] == stream);
        place.ok_or(Error::Closed(stream.number()))
    }

    fn check_failed(&self) -> Result<()> {
        self.failed.clone().map_or(Ok(()), |error| Err(error.into()))
    }
}
