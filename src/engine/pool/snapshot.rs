//! The states of a pool's streams at one moment, in memory and as a file.
//!
//! The file is a safetensors file, which many programs can read:
//!
//! ```text
//! h         [N, L, P] f32
//! c         [N, L, H] f32, of an LSTM
//! streams   [N] u64         the number of each stream
//! pools     [N] u64         what tells the pool that opened it from others
//! frames    [N] u64         the frames that it has seen
//! isolated  [N] u64         1 of a stream that takes no more frames, else 0
//! next      [1] u64         the number of the next stream
//! ```
//!
//! Its metadata has `wgru.snapshot`, the version of this layout: 2. Files of version 1 have none; instead of `pools` and `next`
//! they have `pool` `[2]`, the number of the next stream and what tells the one pool from others, and they have `slots`, which
//! are not read: a pool that is made from a snapshot puts its streams into slots of its own. Later versions are refused.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensorError, SafeTensors, serialize};

use super::entry::Seen;
use super::id::StreamId;
use super::table::{Table, no_memory};
use crate::dims::product;
use crate::error::{Error, Result};
use crate::file;
use crate::io::State;
use crate::model::Model;

/// The states of every stream that was open. By it, another pool of the same model on any device can continue the streams
/// ([`super::super::Engine::pool_from`]).
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    layers: usize,
    /// P.
    state: usize,
    /// H of an LSTM, else 0.
    cells: usize,
    /// Each stream with its progress, in the order of the states.
    streams: Vec<(StreamId, Seen)>,
    /// The number of the next stream.
    next: u64,
    /// `[N, stride]`, h of every layer and then c of every layer.
    states: Vec<f32>,
}

/// The metadata key of the version.
const KEY: &str = "wgru.snapshot";
const VERSION: u32 = 2;

/// Whether streams of one model can continue on the other.
pub(super) fn is_like(a: &Model, b: &Model) -> bool {
    let sizes = |model: &Model| (model.state_widths(), model.layers().len(), model.cell(), model.input());
    sizes(a) == sizes(b)
}

impl Snapshot {
    pub(super) fn of(model: &Model, table: &Table) -> Result<Self> {
        let (count, stride) = (table.len(), table.stride());
        let numbers = product("states of streams", &[count, stride])?;
        let (mut streams, mut states) = (Vec::new(), Vec::new());
        states.try_reserve_exact(numbers).map_err(|_| no_memory("a snapshot", numbers * 4))?;
        for (stream, entry, state) in table.saved_streams() {
            streams.push((stream, entry.seen()));
            match state {
                Some(state) => states.extend_from_slice(state),
                None => states.resize(states.len() + stride, 0.0),
            }
        }
        let [state, cells] = model.state_widths();
        Ok(Self { layers: model.layers().len(), state, cells, streams, next: table.next(), states })
    }

    fn stride(&self) -> usize {
        self.layers * (self.state + self.cells)
    }

    /// The number of streams.
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Every stream, with the number of frames that it has seen and its states, h `[L, P]` and c `[L, H]`.
    pub fn streams(&self) -> impl Iterator<Item = (StreamId, u64, State)> {
        self.entries().map(|(stream, seen, state)| {
            let (h, c) = state.split_at(self.layers * self.state);
            (stream, seen.frames, State { h: h.to_vec(), c: (self.cells > 0).then(|| c.to_vec()) })
        })
    }

    /// Every stream with its progress and its states in the layout of a slot.
    pub(super) fn entries(&self) -> impl Iterator<Item = (StreamId, Seen, &[f32])> {
        let states = self.states.chunks_exact(self.stride());
        self.streams.iter().zip(states).map(|(&(stream, seen), state)| (stream, seen, state))
    }

    /// The number of the next stream.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// # Errors
    /// [`Error::Mismatch`] where its states are not those of `model`.
    pub(super) fn check(&self, model: &Model) -> Result<()> {
        let own = (self.layers, [self.state, self.cells]);
        let needed = (model.layers().len(), model.state_widths());
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

    /// Writes the snapshot to `path`, and creates the folder if needed. The file is replaced as a whole: after a failure it is
    /// the old one. The calling thread writes and waits for the disk.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Memory`].
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        file::replace_below(path, &self.to_bytes()?).map_err(|error| Error::io(path.display(), error))
    }

    /// The bytes of the file, to be stored elsewhere than on disk.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let (count, split) = (self.len(), self.layers * self.state);
        let part = |from: usize, to: usize| -> Result<Vec<u8>> {
            let mut bytes = Vec::new();
            let len = count * (to - from) * 4;
            bytes.try_reserve_exact(len).map_err(|_| no_memory("a snapshot", len))?;
            let rows = self.entries().flat_map(|(_, _, state)| &state[from..to]);
            rows.for_each(|value| bytes.extend(value.to_le_bytes()));
            Ok(bytes)
        };
        let mut all = vec![("h", Dtype::F32, vec![count, self.layers, self.state], part(0, split)?)];
        if self.cells > 0 {
            let c = part(split, self.stride())?;
            all.push(("c", Dtype::F32, vec![count, self.layers, self.cells], c));
        }
        let numbers = |of: &dyn Fn(StreamId, Seen) -> u64| -> Vec<u8> {
            self.streams.iter().flat_map(|&(stream, seen)| of(stream, seen).to_le_bytes()).collect()
        };
        for (name, bytes) in [
            ("streams", numbers(&|stream, _| stream.number())),
            ("pools", numbers(&|stream, _| stream.pool().into())),
            ("frames", numbers(&|_, seen| seen.frames)),
            ("isolated", numbers(&|_, seen| seen.isolated.into())),
        ] {
            all.push((name, Dtype::U64, vec![count], bytes));
        }
        all.push(("next", Dtype::U64, vec![1], self.next.to_le_bytes().into()));
        // The shapes match the bytes, so this cannot fail.
        let failed = |error: SafeTensorError| Error::internal("a snapshot", error.to_string());
        let views = all.iter().map(|(name, dtype, shape, bytes)| {
            TensorView::new(*dtype, shape.clone(), bytes).map(|view| (*name, view))
        });
        let views = views.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let metadata = HashMap::from([(KEY.to_owned(), VERSION.to_string())]);
        serialize(views, Some(metadata)).map_err(failed)
    }

    /// Reads what [`Snapshot::write`] wrote, of this version or an earlier one.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a file that is no snapshot, of a later version, or damaged.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|error| Error::io(&name, error))?;
        Self::parse(&name, &bytes)
    }

    /// Reads the bytes of a snapshot, which errors call `name`. Takes memory in proportion to the bytes, whatever sizes they
    /// claim.
    ///
    /// # Errors
    /// [`Error::Format`] as in [`Snapshot::read`]; [`Error::Memory`].
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        Self::parsed(name, bytes).map_err(Error::in_file)
    }

    fn parsed(name: &str, bytes: &[u8]) -> Result<Self> {
        let file = File::new(name, bytes)?;
        let ([count, layers, state], h) = file.floats("h")?;
        let ([c_count, c_layers, cells], c) =
            if file.has("c") { file.floats("c")? } else { ([count, layers, 0], Vec::new()) };
        let [ids, frames, isolated] = ["streams", "frames", "isolated"].map(|name| file.numbers(name));
        let (ids, frames, isolated) = (ids?, frames?, isolated?);
        let (next, pools) = file.numbering(count)?;
        let counts = [c_count, ids.len(), pools.len(), frames.len(), isolated.len()];
        let strides = [product(name, &[layers, state])?, product(name, &[layers, cells])?];
        if counts.iter().any(|&other| other != count) || c_layers != layers || strides[0] == 0 {
            return Err(file.error(format!(
                "h is {:?}; c, streams, pools, frames and isolated are of {counts:?} streams, c of {}",
                [count, layers, state],
                crate::error::count(c_layers, "layer"),
            )));
        }
        let mut streams: Vec<(StreamId, Seen)> = Vec::new();
        let mut numbers = HashSet::new();
        for (index, &number) in ids.iter().enumerate() {
            let (Ok(slot), Ok(pool)) = (u32::try_from(index), u32::try_from(pools[index])) else {
                return Err(file.error(format!("stream {number} is of pool {}", pools[index])));
            };
            if number == 0 || number >= next {
                return Err(file.error(format!("stream {number}, of numbers from 1 and below {next}")));
            }
            if !numbers.insert(number) {
                return Err(file.error(format!("stream {number} is there twice")));
            }
            if frames[index] >= MOST_FRAMES {
                return Err(file.error(format!("stream {number} has seen {} frames", frames[index])));
            }
            let seen = Seen { frames: frames[index], isolated: isolated[index] != 0 };
            streams.push((StreamId::new(number, slot, pool), seen));
        }
        let mut states = Vec::new();
        let numbers = h.len() + c.len();
        states.try_reserve_exact(numbers).map_err(|_| no_memory(name, numbers * 4))?;
        for (index, h) in h.chunks_exact(strides[0]).enumerate() {
            states.extend_from_slice(h);
            states.extend_from_slice(&c[index * strides[1]..][..strides[1]]);
        }
        Ok(Self { layers, state, cells, streams, next, states })
    }
}

/// The limit on frames of a stream and on numbers of streams: far more than there can be, and no sum of two overflows.
const MOST_FRAMES: u64 = 1 << 63;

/// A safetensors file to be read as a snapshot.
struct File<'a> {
    name: &'a str,
    tensors: SafeTensors<'a>,
    version: u32,
}

impl<'a> File<'a> {
    fn new(name: &'a str, bytes: &'a [u8]) -> Result<Self> {
        let failed = |reason: String| refused(name, reason);
        let unreadable = |error: SafeTensorError| refused(name, error.to_string()).because(error);
        let (_, head) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
        let told = head.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
        let version = match told.map(|text| (text, text.parse())) {
            None => 1,
            Some((_, Ok(version))) if (1..=VERSION).contains(&version) => version,
            Some((text, _)) => {
                let text: String = text.chars().take(20).collect();
                return Err(failed(format!(
                    "it is of version {text}, and this program reads 1 to {VERSION}: read it with a newer one"
                )));
            }
        };
        let tensors = SafeTensors::deserialize(bytes).map_err(unreadable)?;
        Ok(Self { name, tensors, version })
    }

    fn error(&self, reason: String) -> Error {
        refused(self.name, reason)
    }

    fn has(&self, tensor: &str) -> bool {
        self.tensors.tensor(tensor).is_ok()
    }

    fn tensor(&self, tensor: &str, dtype: Dtype, axes: usize) -> Result<TensorView<'a>> {
        let view = self.tensors.tensor(tensor).map_err(|_| self.error(format!("there is no {tensor}")))?;
        if view.dtype() != dtype || view.shape().len() != axes {
            let (found, shape) = (view.dtype(), view.shape());
            let needed = crate::error::count(axes, "dimension");
            return Err(self.error(format!("{tensor} is {found} {shape:?}, expected {dtype} of {needed}")));
        }
        Ok(view)
    }

    fn numbers(&self, tensor: &str) -> Result<Vec<u64>> {
        let view = self.tensor(tensor, Dtype::U64, 1)?;
        let words = view.data().chunks_exact(8);
        Ok(words.map(|bytes| bytes.iter().rev().fold(0, |all, &byte| all << 8 | u64::from(byte))).collect())
    }

    /// States as the device had them, including infinite ones and NaN.
    fn floats(&self, tensor: &str) -> Result<([usize; 3], Vec<f32>)> {
        let view = self.tensor(tensor, Dtype::F32, 3)?;
        let words = view.data().chunks_exact(4);
        let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |all, &byte| all << 8 | u32::from(byte));
        let shape = view.shape();
        Ok(([shape[0], shape[1], shape[2]], words.map(|bytes| f32::from_bits(word(bytes))).collect()))
    }

    /// The number of the next stream, and the pool of each of `count` streams.
    fn numbering(&self, count: usize) -> Result<(u64, Vec<u64>)> {
        let (name, all) = if self.version == 1 { ("pool", 2) } else { ("next", 1) };
        let numbers = self.numbers(name)?;
        match numbers[..] {
            [next, ..] if numbers.len() == all && next < MOST_FRAMES => {
                // In a file of version 1 all streams are of one pool.
                let pools = numbers.get(1).map(|&pool| vec![pool; count]);
                Ok((next, pools.map_or_else(|| self.numbers("pools"), Ok)?))
            }
            _ => Err(self.error(format!(
                "{name} begins with {:?}, expected {all} in range",
                &numbers[..numbers.len().min(4)]
            ))),
        }
    }
}

fn refused(name: &str, reason: String) -> Error {
    // A file's text may be of any length.
    let reason: String = reason.chars().take(300).collect();
    Error::format(name, format!("no snapshot that can be read: {reason}"))
}
