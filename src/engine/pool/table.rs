//! The host's side of the streams: the slots, the queued frames, and the states that were saved last.

use std::cmp::Reverse;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::Range;
use std::sync::Arc;

use super::entry::{Entry, Seen};
use super::id::StreamId;
use crate::dims::product;
use crate::dtype::Storage;
use crate::engine::backend::{Group, TickRows};
use crate::error::{Error, Result, StreamFault};
use crate::io::State;
use crate::model::Model;
use crate::program::slot_words;

/// The result of a push whose sizes and stream are valid.
pub(super) enum Added {
    Queued,
    NotFinite(Error),
}

#[derive(Debug)]
pub(super) struct Table {
    entries: Vec<Entry>,
    /// Free slots, the next one at the end.
    free: Vec<u32>,
    /// Slots that have frames, and some that no longer have any.
    listed: Vec<u32>,
    /// The number of those that have.
    ready: usize,
    /// The last states of each slot that the host knows, `[capacity, stride]`.
    saved: Vec<f32>,
    stride: usize,
    /// The size of h in a slot, `[L, P]`; c follows.
    h: usize,
    /// The number of the next stream.
    next: u64,
    /// What distinguishes the streams that this pool opens from those of others.
    pool: u32,
    /// The number of every open stream, and of some that were closed, rising, each with its slot: for ids whose slot is of
    /// another pool. There is room for twice the slots.
    index: Vec<(u64, u32)>,
}

/// The largest gap between slots that is read along: a separate copy would cost more.
const GAP: usize = 3;

pub(super) fn no_memory(name: &str, bytes: usize) -> Error {
    Error::Memory { name: name.into(), bytes }
}

impl Table {
    pub(super) fn new(model: &Model, capacity: usize) -> Result<Self> {
        let (stride, h) = (slot_words(model), model.layers().len() * model.state_size());
        let (entries, free, listed, saved, index) = Default::default();
        let pool = RandomState::new().build_hasher().finish() as u32;
        let mut table = Self { entries, free, listed, ready: 0, saved, stride, h, next: 1, pool, index };
        table.reserve(capacity)?;
        table.grow(capacity);
        Ok(table)
    }

    /// Reserves the memory for [`Table::grow`].
    pub(super) fn reserve(&mut self, capacity: usize) -> Result<()> {
        let numbers = product("states of streams", &[capacity, self.stride])?;
        let more = |len: usize, all: usize| all.saturating_sub(len);
        let streams = more(self.entries.len(), capacity);
        let entries = self.entries.try_reserve_exact(streams);
        entries.map_err(|_| no_memory("streams", capacity * size_of::<Entry>()))?;
        for list in [&mut self.free, &mut self.listed] {
            let missing = more(list.len(), capacity);
            list.try_reserve_exact(missing).map_err(|_| no_memory("streams", capacity * 4))?;
        }
        let missing = more(self.index.len(), capacity * 2);
        self.index.try_reserve_exact(missing).map_err(|_| no_memory("streams", capacity * 32))?;
        let missing = more(self.saved.len(), numbers);
        self.saved.try_reserve_exact(missing).map_err(|_| no_memory("states of streams", numbers * 4))
    }

    pub(super) fn grow(&mut self, capacity: usize) {
        let before = self.entries.len();
        self.entries.resize(capacity.max(before), Entry::default());
        self.saved.resize(self.entries.len() * self.stride, 0.0);
        // Slots are taken from the end: those that are free already, then the new ones, the lowest first.
        let free = self.free.len();
        self.free.extend((before..self.entries.len()).rev().map(|slot| slot as u32));
        self.free.rotate_left(free);
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// The number of the next stream.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn open_streams(&self) -> impl Iterator<Item = StreamId> + '_ {
        let open = self.entries.iter().enumerate().filter(|(_, entry)| entry.is_open());
        open.map(|(slot, entry)| entry.id(slot as u32))
    }

    pub(super) fn open(&mut self, most: usize) -> Result<StreamId> {
        let Some(slot) = self.free.pop() else {
            return Err(Error::TooLarge {
                name: "streams of the pool".into(),
                needed: self.len() as u64 + 1,
                limit: most as u64,
                unit: "streams",
                device: "the pool".into(),
            });
        };
        let (number, pool) = (self.next, self.pool);
        let stream = StreamId::new(number, slot, pool);
        self.next += 1;
        self.put_into_index(number, slot);
        let entry = &mut self.entries[slot as usize];
        let (queue, listed) = (std::mem::take(&mut entry.queue), entry.listed);
        *entry = Entry { number, pool, queue, listed, zero: true, saved_zero: true, ..Entry::default() };
        Ok(stream)
    }

    /// Adds a stream that is being opened, with a number above all others.
    fn put_into_index(&mut self, number: u64, slot: u32) {
        if self.index.len() == self.index.capacity() {
            // No more than half are open.
            let entries = &self.entries;
            self.index.retain(|&(number, slot)| entries[slot as usize].number == number);
        }
        self.index.push((number, slot));
    }

    /// Opens the streams of a snapshot in the first slots of an empty table, which continues the numbering from `next`. They come
    /// with rising numbers, and with states in the layout of a slot.
    pub(super) fn restore<'a>(
        &mut self,
        next: u64,
        streams: impl Iterator<Item = (StreamId, Seen, &'a [f32])>,
    ) -> Result<()> {
        let capacity = self.capacity();
        for (stream, seen, state) in streams {
            self.next = stream.number();
            let (slot, number, pool) = (self.open(capacity)?.slot(), stream.number(), stream.pool());
            let isolated = seen.isolated.then(|| "something before the snapshot".into());
            self.entries[slot] = Entry { number, pool, frames: seen.frames, isolated, ..Entry::default() };
            self.saved[slot * self.stride..][..self.stride].copy_from_slice(state);
        }
        self.next = next;
        Ok(())
    }

    /// The slot of an open stream.
    ///
    /// # Errors
    /// [`Error::Stream`] for a stream that is not open.
    pub(super) fn slot(&self, stream: StreamId) -> Result<usize> {
        let has_it = |slot: &usize| {
            let entry = self.entries.get(*slot);
            entry.is_some_and(|entry| (entry.number, entry.pool) == (stream.number(), stream.pool()))
        };
        let in_index = || {
            let at = self.index.binary_search_by_key(&stream.number(), |(number, _)| *number).ok()?;
            Some(self.index[at].1 as usize).filter(has_it)
        };
        Some(stream.slot()).filter(has_it).or_else(in_index).ok_or_else(|| not_open(stream))
    }

    pub(super) fn get(&self, stream: StreamId) -> Result<&Entry> {
        Ok(&self.entries[self.slot(stream)?])
    }

    fn get_mut(&mut self, stream: StreamId) -> Result<&mut Entry> {
        let slot = self.slot(stream)?;
        Ok(&mut self.entries[slot])
    }

    pub(super) fn push(
        &mut self,
        stream: StreamId,
        frames: &[f32],
        input: usize,
        most: usize,
        storage: Storage,
    ) -> Result<Added> {
        let slot = self.slot(stream)?;
        let entry = &mut self.entries[slot];
        let error = |fault| Error::Stream { stream: stream.number(), fault };
        entry.check_isolated(stream)?;
        if !frames.len().is_multiple_of(input) {
            return Err(error(StreamFault::PartialFrame { numbers: frames.len(), input }));
        }
        let (count, pending) = (frames.len() / input, entry.pending);
        if count > most.saturating_sub(pending) {
            return Err(error(StreamFault::QueueFull { pushed: count, waiting: pending, limit: most }));
        }
        let bad = frames.iter().position(|value| !value.is_finite());
        if let Some(at) = bad {
            let (frame, feature, value) = (at / input, at % input, frames[at]);
            return Ok(Added::NotFinite(error(StreamFault::NotFinite { frame, feature, value })));
        }
        let in_range = storage.check_range("frames", frames);
        in_range.map_err(|reason| error(StreamFault::Range(Arc::new(reason))))?;
        let bytes = frames.len() * 4;
        entry
            .queue
            .try_reserve(frames.len())
            .map_err(|_| no_memory(&format!("frames of stream {stream}"), bytes))?;
        entry.queue.extend_from_slice(frames);
        entry.pending += count;
        if pending == 0 && count > 0 {
            let is_listed = std::mem::replace(&mut entry.listed, true);
            self.ready += 1;
            if !is_listed {
                self.listed.push(slot as u32);
            }
        }
        Ok(Added::Queued)
    }

    pub(super) fn isolate(&mut self, stream: StreamId, reason: String) -> Result<()> {
        self.get_mut(stream)?.isolated = Some(reason);
        Ok(())
    }

    /// Empties a queue; returns the number of frames.
    fn drop_frames(&mut self, stream: StreamId) -> Result<usize> {
        let entry = self.get_mut(stream)?;
        entry.queue.clear();
        entry.passed = 0;
        let dropped = std::mem::take(&mut entry.pending);
        self.ready -= usize::from(dropped > 0);
        Ok(dropped)
    }

    pub(super) fn reset(&mut self, stream: StreamId) -> Result<usize> {
        let dropped = self.drop_frames(stream)?;
        let entry = self.get_mut(stream)?;
        (entry.zero, entry.saved_zero, entry.unsaved, entry.isolated) = (true, true, 0, None);
        Ok(dropped)
    }

    /// Whether the states of a slot are zero by the flag, which is cleared: the device's states are valid from now on.
    pub(super) fn take_zero(&mut self, slot: usize) -> bool {
        std::mem::take(&mut self.entries[slot].zero)
    }

    /// Counts frames that a recorded tick takes of a stream.
    #[cfg(feature = "gpu")]
    pub(super) fn advance(&mut self, slot: usize, frames: u64) {
        let entry = &mut self.entries[slot];
        entry.frames += frames;
        entry.unsaved += frames;
    }

    /// Stores `state`, which fits, as the saved one.
    pub(super) fn load(&mut self, stream: StreamId, state: &State) -> Result<usize> {
        let (slot, dropped) = (self.slot(stream)?, self.drop_frames(stream)?);
        let (h, stride) = (self.h, self.stride);
        let entry = &mut self.entries[slot];
        (entry.zero, entry.saved_zero, entry.unsaved, entry.isolated) = (false, false, 0, None);
        let (own_h, own_c) = self.saved[slot * stride..][..stride].split_at_mut(h);
        own_h.copy_from_slice(&state.h);
        own_c.copy_from_slice(state.c.as_deref().unwrap_or_default());
        Ok(dropped)
    }

    pub(super) fn close(&mut self, stream: StreamId) -> Result<usize> {
        let (slot, dropped) = (self.slot(stream)?, self.drop_frames(stream)?);
        self.entries[slot].number = 0;
        self.free.push(slot as u32);
        Ok(dropped)
    }

    /// The states that were saved last of a slot, in the slot's layout.
    pub(super) fn saved(&self, slot: usize) -> &[f32] {
        &self.saved[slot * self.stride..][..self.stride]
    }

    /// Saves the current states of neighbouring slots, for those that are open and have moved.
    pub(super) fn save(&mut self, slots: Range<usize>, states: &[f32]) {
        for (slot, state) in slots.zip(states.chunks_exact(self.stride)) {
            let entry = &mut self.entries[slot];
            if entry.is_open() && entry.unsaved > 0 {
                self.saved[slot * self.stride..][..self.stride].copy_from_slice(state);
                (entry.unsaved, entry.saved_zero) = (0, false);
            }
        }
    }

    /// The states that were saved last, h `[L, P]` and c `[L, H]`.
    pub(super) fn saved_state(&self, slot: usize) -> State {
        let zeros = vec![0.0; self.stride];
        let all = if self.entries[slot].saved_zero { &zeros[..] } else { self.saved(slot) };
        let (h, c) = all.split_at(self.h);
        State { h: h.to_vec(), c: (!c.is_empty()).then(|| c.to_vec()) }
    }

    /// Every stream with its saved progress, for a snapshot or another device, and its slot's states.
    pub(super) fn saved_streams(&self) -> impl Iterator<Item = (StreamId, &Entry, Option<&[f32]>)> {
        let open = self.entries.iter().enumerate().filter(|(_, entry)| entry.is_open());
        open.map(|(slot, entry)| {
            let state = (!entry.saved_zero).then(|| self.saved(slot));
            (entry.id(slot as u32), entry, state)
        })
    }

    /// The saved states of the first `slots` slots, in their layout.
    pub(super) fn saved_states(&self, slots: usize) -> Vec<f32> {
        let mut states = self.saved[..slots * self.stride].to_vec();
        for (entry, state) in self.entries.iter().zip(states.chunks_exact_mut(self.stride)) {
            if entry.saved_zero || !entry.is_open() {
                state.fill(0.0);
            }
        }
        states
    }

    /// Resets every stream to its saved progress.
    pub(super) fn rewind(&mut self) {
        for entry in self.entries.iter_mut().filter(|entry| entry.is_open()) {
            entry.frames -= entry.unsaved;
            (entry.unsaved, entry.zero) = (0, entry.saved_zero);
        }
    }

    /// The slots of every stream that has moved since it was saved, neighbours together, with few others between them.
    pub(super) fn unsaved_slots(&self) -> Vec<Range<usize>> {
        let mut runs: Vec<Range<usize>> = Vec::new();
        let moved = |(_, entry): &(usize, &Entry)| entry.is_open() && entry.unsaved > 0;
        for (slot, _) in self.entries.iter().enumerate().filter(moved) {
            match runs.last_mut() {
                Some(run) if slot - run.end <= GAP => run.end = slot + 1,
                _ => runs.push(slot..slot + 1),
            }
        }
        runs
    }

    /// Streams that have frames.
    pub(super) fn ready(&self) -> usize {
        self.ready
    }

    /// Sorts the ready slots: first those that ticks have passed over most often, so that none starves. Among equals, those with
    /// the most frames come first, of which a tick takes at most `most`. Removes those without frames.
    pub(super) fn sort_ready(&mut self, most: usize) {
        let entries = &mut self.entries;
        self.listed.retain(|&slot| {
            let entry = &mut entries[slot as usize];
            entry.listed = entry.pending > 0;
            entry.listed
        });
        self.listed.sort_unstable_by_key(|&slot| {
            let entry = &entries[slot as usize];
            (Reverse(entry.passed), Reverse(entry.pending.min(most)), slot)
        });
    }

    /// Removes the frames of a tick that has begun, of the first `rows` ready slots, from the queues.
    pub(super) fn take(&mut self, rows: usize, most: usize) {
        for &slot in &self.listed[..rows] {
            let entry = &mut self.entries[slot as usize];
            let taken = entry.pending.min(most);
            let input = entry.queue.len() / entry.pending;
            entry.queue.drain(..taken * input);
            entry.pending -= taken;
            entry.passed = 0;
            entry.frames += taken as u64;
            entry.unsaved += taken as u64;
            entry.zero = false;
            self.ready -= usize::from(entry.pending == 0);
        }
        for &slot in &self.listed[rows..] {
            let entry = &mut self.entries[slot as usize];
            entry.passed = entry.passed.saturating_add(1);
        }
    }

    /// Checks the queued frames against the range of another engine's activation storage.
    ///
    /// # Errors
    /// [`Error::Stream`].
    pub(super) fn check_range(&self, storage: Storage) -> Result<()> {
        self.entries.iter().filter(|entry| entry.is_open()).try_for_each(|entry| {
            let in_range = storage.check_range("frames", &entry.queue);
            in_range.map_err(|error| Error::Stream {
                stream: entry.number,
                fault: StreamFault::Range(Arc::new(error)),
            })
        })
    }
}

/// The rows of a tick: the ready slots, in the order of [`Table::sort_ready`].
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) table: &'a Table,
    /// The most frames of a row.
    pub(super) most: usize,
}

impl<'a> Rows<'a> {
    fn entries(self, group: &Group) -> impl Iterator<Item = (u32, &'a Entry)> {
        self.table.listed[group.rows.clone()]
            .iter()
            .map(move |&slot| (slot, &self.table.entries[slot as usize]))
    }

    /// Frames of every row.
    pub(super) fn all_frames(self) -> impl Iterator<Item = usize> {
        self.table.listed.iter().map(move |&slot| self.table.entries[slot as usize].pending.min(self.most))
    }

    /// The streams of a group.
    pub(super) fn streams(self, group: &Group) -> impl Iterator<Item = StreamId> {
        self.entries(group).map(|(slot, entry)| entry.id(slot))
    }

    /// The frames of each row of a group, `[n, I]`.
    pub(super) fn queues(self, group: &Group, input: usize) -> impl Iterator<Item = &'a [f32]> {
        self.entries(group).map(move |(_, entry)| &entry.queue[..entry.pending.min(self.most) * input])
    }
}

impl TickRows for Rows<'_> {
    fn frames(self, group: &Group) -> impl Iterator<Item = u32> {
        self.entries(group).map(move |(_, entry)| entry.pending.min(self.most) as u32)
    }

    fn slots(self, group: &Group) -> impl Iterator<Item = (u32, bool)> {
        self.entries(group).map(|(slot, entry)| (slot, entry.zero))
    }
}

fn not_open(stream: StreamId) -> Error {
    Error::Stream { stream: stream.number(), fault: StreamFault::NotOpen }
}
