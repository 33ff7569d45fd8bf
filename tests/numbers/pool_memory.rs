//! The host memory that pools and snapshots use.

use std::path::PathBuf;

use super::allocator::{limited, peak};
use crate::common::Draw;
use crate::common::life::{Life, assert_lives, take};
use wgru::{Cell, CpuOptions, Device, Direction, Engine, Layer, Model, PoolOptions, Snapshot, Weights};

/// The model whose streams are in the files, on one thread.
fn engine() -> Engine {
    let layer = |input: usize| {
        let weights = Weights { w_ih: vec![0.1; 12 * input], w_hh: vec![0.1; 36], ..Weights::default() };
        Layer::new(Cell::LSTM, Direction::Forward, input, 3, vec![weights]).unwrap()
    };
    let model = Model::new(vec![layer(2), layer(3)]).unwrap();
    Device::cpu_with(CpuOptions::default().threads(1)).unwrap().load(&model).unwrap()
}

fn file(version: u32) -> Vec<u8> {
    let path = format!("tests/pool/files/snapshot-{version}.safetensors");
    std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The range of a tensor's bytes in a safetensors file.
fn place(bytes: &[u8], tensor: &str) -> std::ops::Range<usize> {
    let file = safetensors::SafeTensors::deserialize(bytes).unwrap();
    let data = file.tensor(tensor).unwrap().data();
    let at = data.as_ptr() as usize - bytes.as_ptr() as usize;
    at..at + data.len()
}

/// Reads a file and creates a pool from it, with a memory limit a little above the size of the file.
fn restore(engine: &Engine, bytes: &[u8], what: &str) -> bool {
    let (is_read, peak) = peak(|| {
        let snapshot = Snapshot::parse("a snapshot", bytes)?;
        engine.pool_from(&snapshot, PoolOptions::growing(1)).map(drop)
    });
    assert!(peak < 40 * bytes.len() + (1 << 14), "{what}: {peak} bytes for a file of {}", bytes.len());
    if let Err(error) = &is_read {
        assert!(error.to_string().len() < 2048, "{what}: {error}");
    }
    is_read.is_ok()
}

/// A file of version 1 names slots; a large slot number made a pool of 1.6 GB.
#[test]
fn slots_of_a_file_cost_nothing() {
    let engine = engine();
    let mut bytes = file(1);
    assert!(restore(&engine, &bytes, "as it was written"));
    let slots = place(&bytes, "slots");
    for slot in [1_000_000, (1 << 24) - 1, 1 << 24, u64::MAX, 0] {
        bytes[slots.clone()][..8].copy_from_slice(&u64::to_le_bytes(slot));
        assert!(restore(&engine, &bytes, &format!("slot {slot}")));
    }
}

/// Any numbers in a file cost no more memory than the size of the file.
#[test]
fn claims_of_a_file_cost_nothing() {
    let engine = engine();
    let (mut read, mut refused) = (0, 0);
    for version in [1, 2] {
        let good = file(version);
        let data = 8 + u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
        let mut judge = |bytes: &[u8], what: String| {
            let count = if restore(&engine, bytes, &what) { &mut read } else { &mut refused };
            *count += 1;
        };
        // Every byte of the header replaced by another digit, and every number of the data by another.
        for at in 0..data {
            for byte in *b"0199,]\xff" {
                let mut bytes = good.clone();
                bytes[at] = byte;
                judge(&bytes, format!("version {version}, byte {at} is {byte}"));
            }
        }
        for at in (data..good.len()).step_by(8) {
            for number in [0, 1, 1 << 20, 1 << 31, u64::MAX >> 1, u64::MAX] {
                let mut bytes = good.clone();
                let end = good.len().min(at + 8);
                bytes[at..end].copy_from_slice(&number.to_le_bytes()[..end - at]);
                judge(&bytes, format!("version {version}, number {number} at {at}"));
            }
        }
        // Shapes with no elements at all.
        let text = String::from_utf8(good[8..data].to_vec()).unwrap();
        for (from, to) in [
            ("[5,2,3]", "[0,2,3]".to_owned()),
            ("[5,2,3]", format!("[0,{},{}]", u64::MAX >> 4, u64::MAX >> 4)),
            ("[5,2,3]", format!("[0,{},{}]", 1u64 << 31, 1u64 << 28)),
            ("[5,2,3]", "[30,1,1]".to_owned()),
            ("[5,2,3]", format!("[{},0,3]", u64::MAX >> 1)),
        ] {
            assert!(text.contains(from), "{text}");
            let head = text.replace(from, &to);
            let bytes = [&(head.len() as u64).to_le_bytes()[..], head.as_bytes(), &good[data..]].concat();
            judge(&bytes, format!("version {version}, {to} for {from}"));
            // With the memory that it needs, none fails.
            let none = [&(head.len() as u64).to_le_bytes()[..], head.as_bytes()].concat();
            judge(&none, format!("version {version}, {to} for {from} and no data"));
        }
    }
    assert!(read > 100 && refused > 1000, "{read} were read, {refused} refused");
}

/// If there is no memory for the arrays of all streams, a tick takes as many as fit, and the others come in later
/// ticks.
#[test]
fn a_tick_that_lacks_memory_takes_fewer_streams() {
    let mut draw = Draw::new();
    let device = Device::cpu_with(CpuOptions::default().threads(1)).unwrap();
    let engine = device.load(&draw.model(Cell::GRU, 4, 64, 1)).unwrap();
    let mut pool = engine.pool(PoolOptions::fixed(600)).unwrap();
    let mut lives: Vec<Life> = (0..600).map(|_| Life::new(pool.open().unwrap(), None)).collect();
    for life in &mut lives {
        let frames = draw.size(1..=16);
        life.push(&mut draw, &mut pool, frames);
    }
    // y of all of them would be up to 2.4 MB, in one array.
    let mut ticks = 0;
    while pool.ready() > 0 {
        let output = limited(400_000, || pool.tick());
        take(&mut lives, &output.unwrap());
        ticks += 1;
    }
    assert!(ticks > 4, "{ticks} ticks, seed {}", draw.seed);
    assert!(lives.iter().all(|life| life.outputs() == life.frames.len() * 16), "seed {}", draw.seed);
    assert_lives(&engine, &lives, &format!("seed {}", draw.seed));
}

#[test]
fn a_tick_that_lacks_memory_for_one_stream_takes_fewer_of_its_frames() {
    let mut draw = Draw::new();
    let device = Device::cpu_with(CpuOptions::default().threads(1)).unwrap();
    let engine = device.load(&draw.model(Cell::GRU, 4, 64, 1)).unwrap();
    let mut pool = engine.pool(PoolOptions::fixed(2).frames(1024)).unwrap();
    let mut lives: Vec<Life> = (0..2).map(|_| Life::new(pool.open().unwrap(), None)).collect();
    lives[0].push(&mut draw, &mut pool, 1000);
    lives[1].push(&mut draw, &mut pool, 1);
    // y of the long one alone would be 256 KB.
    let mut ticks = 0;
    while pool.ready() > 0 {
        let output = limited(100_000, || pool.tick());
        take(&mut lives, &output.unwrap());
        ticks += 1;
    }
    assert!(ticks > 2, "{ticks} ticks, seed {}", draw.seed);
    assert_lives(&engine, &lives, &format!("seed {}", draw.seed));
}
