//! The states of a pool's streams at one moment, in memory and as a file.
//!
//! The file is a safetensors file, which many programs can read:
//!
//! ```text
//! h         [N, L, P] f32
//! c         [N, L, H] f32, of an LSTM
//! streams   [N] u64         the number of each stream
//! slots     [N] u64         where it had its states
//! frames    [N] u64         the frames that it has seen
//! isolated  [N] u64         1 of a stream that takes no more frames, else 0
//! pool      [2] u64         the number of the next stream, and what tells the pool from others
//! ```

use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};

use super::id::StreamId;
use super::options::MOST;
use super::table::{Seen, Table};
use crate::dims::product;
use crate::error::{Error, Result};
use crate::file;
use crate::io::State;
use crate::model::Model;

/// The states of every stream that was open. Two pools of one model, on whatever devices, can have the streams of one
/// another by it ([`super::super::Engine::pool_from`]).
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    layers: usize,
    /// P.
    state: usize,
    /// H of an LSTM, else 0.
    cells: usize,
    /// Each stream with what it has seen, and its states in the same order.
    streams: Vec<(StreamId, Seen)>,
    /// See [`Table::numbering`].
    numbering: (u64, u32),
    /// `[N, stride]`, h of every layer and then c of every layer.
    states: Vec<f32>,
}

/// P, and H of an LSTM, else 0.
pub(super) fn widths(model: &Model) -> [usize; 2] {
    [model.state(), if model.cell().has_c() { model.hidden() } else { 0 }]
}

/// Whether streams of one model can go on with the other.
pub(super) fn is_like(a: &Model, b: &Model) -> bool {
    let sizes = |model: &Model| (widths(model), model.layers().len(), model.cell(), model.input());
    sizes(a) == sizes(b)
}

impl Snapshot {
    pub(super) fn of(model: &Model, table: &Table) -> Result<Self> {
        let (count, stride) = (table.len(), table.stride());
        let numbers = product("states of streams", &[count, stride])?;
        let (mut streams, mut states) = (Vec::new(), Vec::new());
        let no_memory = |_| Error::Memory { name: "a snapshot".into(), bytes: numbers * 4 };
        states.try_reserve_exact(numbers).map_err(no_memory)?;
        for (stream, entry, state) in table.saved_streams() {
            streams.push((stream, entry.seen()));
            match state {
                Some(state) => states.extend_from_slice(state),
                None => states.resize(states.len() + stride, 0.0),
            }
        }
        let [state, cells] = widths(model);
        let (layers, numbering) = (model.layers().len(), table.numbering());
        Ok(Self { layers, state, cells, streams, numbering, states })
    }

    fn stride(&self) -> usize {
        self.layers * (self.state + self.cells)
    }

    /// Streams.
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Every stream, with the frames that it has seen and its states, h `[L, P]` and c `[L, H]`.
    pub fn streams(&self) -> impl Iterator<Item = (StreamId, u64, State)> {
        self.entries().map(|(stream, seen, state)| {
            let (h, c) = state.split_at(self.layers * self.state);
            (stream, seen.frames, State { h: h.to_vec(), c: (self.cells > 0).then(|| c.to_vec()) })
        })
    }

    /// Every stream with what it has seen and its states as they lie in a slot.
    pub(super) fn entries(&self) -> impl Iterator<Item = (StreamId, Seen, &[f32])> {
        let states = self.states.chunks_exact(self.stride());
        self.streams.iter().zip(states).map(|(&(stream, seen), state)| (stream, seen, state))
    }

    /// How the pool goes on numbering streams.
    pub(super) fn numbering(&self) -> (u64, u32) {
        self.numbering
    }

    /// Slots that its streams need.
    pub(super) fn slots(&self) -> usize {
        self.streams.iter().map(|(stream, _)| stream.slot() + 1).max().unwrap_or(0)
    }

    /// # Errors
    /// [`Error::Mismatch`] where its states are not those of `model`.
    pub(super) fn check(&self, model: &Model) -> Result<()> {
        let own = (self.layers, [self.state, self.cells]);
        let needed = (model.layers().len(), widths(model));
        if own == needed {
            return Ok(());
        }
        let words = |(layers, [state, cells]): (usize, [usize; 2])| match cells {
            0 => format!("h [{layers}, {state}]"),
            _ => format!("h [{layers}, {state}] and c [{layers}, {cells}]"),
        };
        let reason = format!("has {}, {model} needs {}", words(own), words(needed));
        Err(Error::Mismatch { name: "snapshot".into(), reason })
    }

    /// Writes the snapshot to `path`: beside it first, so that there is the old file or the new one, and no half of one.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let (count, split) = (self.len(), self.layers * self.state);
        let mut all: Vec<(&str, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        let part = |from: usize, to: usize| -> Vec<u8> {
            let rows = self.entries().flat_map(|(_, _, state)| &state[from..to]);
            rows.flat_map(|value| value.to_le_bytes()).collect()
        };
        all.push(("h", Dtype::F32, vec![count, self.layers, self.state], part(0, split)));
        if self.cells > 0 {
            all.push(("c", Dtype::F32, vec![count, self.layers, self.cells], part(split, self.stride())));
        }
        let numbers = |of: &dyn Fn(StreamId, Seen) -> u64| -> Vec<u8> {
            self.streams.iter().flat_map(|&(stream, seen)| of(stream, seen).to_le_bytes()).collect()
        };
        for (name, bytes) in [
            ("streams", numbers(&|stream, _| stream.number())),
            ("slots", numbers(&|stream, _| stream.slot() as u64)),
            ("frames", numbers(&|_, seen| seen.frames)),
            ("isolated", numbers(&|_, seen| seen.isolated.into())),
        ] {
            all.push((name, Dtype::U64, vec![count], bytes));
        }
        let (next, pool) = self.numbering;
        let numbering = [next, pool.into()].iter().flat_map(|number| number.to_le_bytes()).collect();
        all.push(("pool", Dtype::U64, vec![2], numbering));
        let io = |reason: String| Error::Io { path: path.display().to_string(), reason };
        let views = all.iter().map(|(name, dtype, shape, bytes)| {
            TensorView::new(*dtype, shape.clone(), bytes).map(|view| (*name, view))
        });
        let views = views.collect::<Result<Vec<_>, _>>().map_err(|error| io(error.to_string()))?;
        let bytes = serialize(views, None).map_err(|error| io(error.to_string()))?;
        file::replace(path, &bytes).map_err(|error| io(error.to_string()))
    }

    /// Reads what [`Snapshot::write`] wrote.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a file that is no snapshot, or a damaged one.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let bytes = std::fs::read(path)
            .map_err(|error| Error::Io { path: name.clone(), reason: error.to_string() })?;
        Self::parse(&name, &bytes)
    }

    fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        let format =
            |reason: String| Error::Format { name: name.into(), reason: format!("no snapshot: {reason}") };
        let file = SafeTensors::deserialize(bytes).map_err(|error| format(error.to_string()))?;
        let tensor = |tensor: &str, dtype: Dtype, axes: usize| {
            let view = file.tensor(tensor).map_err(|_| format(format!("there is no {tensor}")))?;
            if view.dtype() != dtype || view.shape().len() != axes {
                let (dtype, shape) = (view.dtype(), view.shape());
                return Err(format(format!("{tensor} is {dtype:?} {shape:?}")));
            }
            Ok(view)
        };
        let numbers = |name: &str| -> Result<Vec<u64>> {
            let view = tensor(name, Dtype::U64, 1)?;
            let words = view.data().chunks_exact(8);
            Ok(words
                .map(|bytes| bytes.iter().rev().fold(0, |all, &byte| all << 8 | u64::from(byte)))
                .collect())
        };
        let floats = |name: &str| -> Result<([usize; 3], Vec<f32>)> {
            let view = tensor(name, Dtype::F32, 3)?;
            let words = view.data().chunks_exact(4);
            let values: Vec<f32> = words
                .map(|bytes| {
                    f32::from_bits(bytes.iter().rev().fold(0, |all, &byte| all << 8 | u32::from(byte)))
                })
                .collect();
            // States are as the device had them, also where a model has let them grow beyond all bounds.
            let shape = view.shape();
            Ok(([shape[0], shape[1], shape[2]], values))
        };
        let ([count, layers, state], h) = floats("h")?;
        let has_c = file.names().contains(&"c");
        let ([c_count, c_layers, cells], c) =
            if has_c { floats("c")? } else { ([count, layers, 0], Vec::new()) };
        let [ids, slots, frames, isolated, pool] =
            ["streams", "slots", "frames", "isolated", "pool"].map(numbers);
        let (ids, slots, frames, isolated, pool) = (ids?, slots?, frames?, isolated?, pool?);
        let counts = [c_count, ids.len(), slots.len(), frames.len(), isolated.len()];
        let stride = product(name, &[layers, state])?;
        if counts.iter().any(|&other| other != count) || c_layers != layers || stride == 0 {
            return Err(format(format!(
                "h is {:?}, the others are of {counts:?} streams and of {c_layers} layers",
                [count, layers, state]
            )));
        }
        let numbering = match pool[..] {
            [next, pool] if next < 1 << 63 && u32::try_from(pool).is_ok() => (next, pool as u32),
            _ => return Err(format(format!("pool is {pool:?}"))),
        };
        let mut streams: Vec<(StreamId, Seen)> = Vec::new();
        for (index, (&number, &slot)) in ids.iter().zip(&slots).enumerate() {
            if number == 0 || number >= numbering.0 || slot >= MOST as u64 {
                let next = numbering.0;
                return Err(format(format!(
                    "stream {number} in slot {slot}, of numbers below {next} and {MOST} slots"
                )));
            }
            let seen = Seen { frames: frames[index], isolated: isolated[index] != 0 };
            streams.push((StreamId::new(number, slot as u32, numbering.1), seen));
        }
        for (what, mut all) in [("stream", ids), ("slot", slots)] {
            all.sort_unstable();
            if let Some(pair) = all.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(format(format!("{what} {} is there twice", pair[0])));
            }
        }
        let mut states = Vec::with_capacity(h.len() + c.len());
        for (index, h) in h.chunks_exact(stride).enumerate() {
            states.extend_from_slice(h);
            states.extend_from_slice(&c[index * layers * cells..][..layers * cells]);
        }
        Ok(Self { layers, state, cells, streams, numbering, states })
    }
}
