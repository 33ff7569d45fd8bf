//! Snapshots as files: their versions, the ids of their streams, their cost.

use std::collections::HashSet;
use std::path::PathBuf;

use wgru::{Cell, Error, PoolOptions, Snapshot, StreamId};

use crate::common::life::{Life, take};
use crate::common::{Draw, bits, devices};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/pool/files").join(name)
}

/// Files of every version, each written while it was the newest, all from one pool of six streams of a two-layer LSTM
/// of H = 3. The first and the third stream were closed, one was opened in the place of the third, and one was
/// isolated.
#[test]
fn a_file_of_every_version_is_read() {
    let mut draw = Draw::new();
    let model = draw.model(Cell::LSTM, 2, 3, 2);
    let all: Vec<Snapshot> = [1, 2]
        .iter()
        .map(|version| Snapshot::read(file(&format!("snapshot-{version}.safetensors"))).unwrap())
        .collect();
    for (snapshot, version) in all.iter().zip(1..) {
        let mut streams: Vec<_> = snapshot.streams().collect();
        streams.sort_by_key(|(stream, ..)| *stream);
        let seen: Vec<_> = streams.iter().map(|(stream, frames, _)| (stream.number(), *frames)).collect();
        assert_eq!(seen, [(2, 1), (4, 2), (5, 0), (6, 3), (7, 4)], "version {version}");
        let (_, _, state) = &streams[0];
        assert_eq!(state.h[..2].iter().map(|h| h.to_bits()).collect::<Vec<_>>(), FIRST, "version {version}");
        assert_eq!((state.h.len(), state.c.as_ref().map(Vec::len)), (6, Some(6)));
        assert_eq!(snapshot, &all[0], "version {version}");
        for device in devices() {
            let engine = device.load(&model).unwrap();
            let mut pool = engine.pool_from(snapshot, PoolOptions::growing(1)).unwrap();
            assert_eq!((pool.len(), pool.capacity()), (5, 5), "as many slots as streams");
            for (stream, frames, state) in &streams {
                assert_eq!(pool.frames(*stream).unwrap(), *frames);
                assert_eq!(pool.state(*stream).unwrap(), *state, "{}", device.info());
                let isolated = pool.push(*stream, &[0.0; 2]).is_err();
                assert_eq!(isolated, stream.number() == 6, "{}", device.info());
            }
            assert_eq!(pool.open().unwrap().number(), 8);
        }
    }
    // Files are written in the newest version, byte for byte.
    let newest = std::fs::read(file("snapshot-2.safetensors")).unwrap();
    assert_eq!(all[0].to_bytes().unwrap(), newest);
    // A later version is refused by its number, whatever its contents.
    let version = b"\"wgru.snapshot\":\"2\"";
    let at = newest.windows(version.len()).position(|part| part == version).expect("it says its version");
    for (digit, is_read) in [(b'1', false), (b'2', true), (b'3', false), (b'x', false)] {
        let mut bytes = newest.clone();
        bytes[at + version.len() - 2] = digit;
        match Snapshot::parse("later", &bytes) {
            Ok(snapshot) => assert!(is_read && snapshot == all[0]),
            Err(error) => {
                let error = error.to_string();
                assert!(!is_read && error.starts_with("later: no snapshot that can be read"), "{error}");
                // Version 1 has other tensors.
                let reason = if digit == b'1' { "there is no pool" } else { "this program reads 1 to 2" };
                assert!(error.contains(reason), "{error}");
            }
        }
    }
}

/// h of the first stream's first units.
const FIRST: [u32; 2] = [0x3b13_96a4, 0xbdec_b3ac];

/// An id names its stream in the pool that it came from, in that pool's snapshots, and in every pool restored from
/// them.
#[test]
fn ids_name_their_streams_in_restored_pools() {
    let mut draw = Draw::new();
    let folder = std::env::temp_dir().join(format!("wgru-ids-{}", draw.seed));
    for device in devices() {
        let context = format!("{}, seed {}", device.info(), draw.seed);
        let engine = device.load(&draw.model(Cell::GRU, 2, 5, 2)).unwrap();
        let mut pool = engine.pool(PoolOptions::growing(2)).unwrap();
        let mut lives: Vec<Life> = Vec::new();
        for _ in 0..40 {
            lives.push(Life::new(pool.open().unwrap(), None));
            if lives.len() > 3 && draw.chance() {
                let gone = lives.swap_remove(draw.size(0..=lives.len() - 1));
                pool.close(gone.stream).unwrap();
            }
            for life in &mut lives {
                if draw.chance() {
                    life.push(&mut draw, &mut pool, 1);
                }
            }
            take(&mut lives, &pool.tick().unwrap());
        }
        let saved = pool.snapshot().unwrap();
        let path = folder.join("states");
        saved.write(&path).unwrap();
        let read = Snapshot::read(&path).unwrap();
        assert_eq!(read, saved, "{context}");
        let mut again = engine.pool_from(&read, PoolOptions::growing(1)).unwrap();
        assert_eq!((again.len(), again.capacity()), (lives.len(), lives.len()), "{context}");
        // A snapshot of that pool, from which the streams are restored once more.
        let twice = again.snapshot().unwrap();
        let mut twice =
            device.load(engine.model()).unwrap().pool_from(&twice, PoolOptions::growing(1)).unwrap();
        let sets: Vec<HashSet<StreamId>> = vec![
            lives.iter().map(|life| life.stream).collect(),
            saved.streams().map(|(stream, ..)| stream).collect(),
            read.streams().map(|(stream, ..)| stream).collect(),
            again.streams().collect(),
            twice.streams().collect(),
        ];
        assert!(sets.iter().all(|set| set == &sets[0]), "{context}: {sets:?}");
        // Each pool with the ids of each of the others.
        for life in &lives {
            let of_read = sets[2].get(&life.stream).copied().unwrap();
            let of_again = sets[3].get(&life.stream).copied().unwrap();
            let x = draw.values(2, 1.0);
            let mut all = Vec::new();
            for (pool, ids) in [
                (&mut pool, [of_read, of_again, life.stream]),
                (&mut again, [life.stream, of_read, of_again]),
                (&mut twice, [life.stream, of_again, of_read]),
            ] {
                assert_eq!(pool.frames(ids[1]).unwrap(), pool.frames(ids[2]).unwrap());
                pool.push(ids[0], &x).unwrap();
                assert_eq!(pool.pending(ids[1]).unwrap(), 1, "{context}");
                all.push(bits(pool.tick().unwrap().of(ids[2]).unwrap().y));
                let state = pool.state(ids[0]).unwrap();
                pool.set_state(ids[1], &state).unwrap();
            }
            assert!(all.iter().all(|y| y == &all[0]), "{context}: stream {}", life.stream);
        }
        // A stream that the old pool opens later is unknown to the new one, even with the same number.
        let (old, new) = (pool.open().unwrap(), again.open().unwrap());
        assert_eq!(old.number(), new.number());
        assert!(old != new && again.pending(old).is_err() && pool.pending(new).is_err(), "{context}");
        // So is a closed one, before or after.
        again.close(lives[0].stream).unwrap();
        let error = again.push(lives[0].stream, &[0.0; 2]).unwrap_err();
        assert!(matches!(error, Error::Stream { .. }), "{error}");
        // Streams that open and close do not evict the ids of the others.
        let stays: Vec<StreamId> =
            sets[0].iter().copied().skip(1).filter(|&id| again.frames(id).is_ok()).collect();
        for _ in 0..5 * again.capacity() {
            let passing = again.open().unwrap();
            again.close(passing).unwrap();
            assert!(again.frames(passing).is_err(), "{context}");
        }
        let by_new = again.snapshot().unwrap();
        let fresh = engine.pool_from(&by_new, PoolOptions::growing(1)).unwrap();
        for id in fresh.streams().chain(stays) {
            assert_eq!(again.frames(id).unwrap(), fresh.frames(id).unwrap(), "{context}");
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A snapshot of a large pool with few streams left reads and writes only those.
#[test]
fn a_snapshot_costs_what_its_streams_cost() {
    let mut draw = Draw::new();
    for device in devices() {
        let context = format!("{}, seed {}", device.info(), draw.seed);
        let engine = device.load(&draw.model(Cell::LSTM, 2, 32, 2)).unwrap();
        let capacity = 4096;
        let mut pool = engine.pool(PoolOptions::fixed(capacity)).unwrap();
        let all: Vec<StreamId> = (0..capacity).map(|_| pool.open().unwrap()).collect();
        let left: Vec<StreamId> = [0, 5, 6, 1000, capacity - 1].iter().map(|&at: &usize| all[at]).collect();
        all.iter()
            .filter(|stream| !left.contains(stream))
            .for_each(|&stream| _ = pool.close(stream).unwrap());
        let mut lives: Vec<Life> = left.iter().map(|&stream| Life::new(stream, None)).collect();
        lives.iter_mut().for_each(|life| life.push(&mut draw, &mut pool, 3));
        take(&mut lives, &pool.tick().unwrap());
        let before = pool.bytes();
        let snapshot = pool.snapshot().unwrap();
        // States of all are 2 MiB.
        assert!(pool.bytes() - before < 1 << 14, "{context}: {} bytes more", pool.bytes() - before);
        assert!(snapshot.to_bytes().unwrap().len() < 1 << 12, "{context}");
        let states: Vec<_> = left.iter().map(|&stream| pool.state(stream).unwrap()).collect();
        for (life, state) in lives.iter_mut().zip(states) {
            (life.saved, life.saved_at) = (Some(state), life.outputs());
        }
        crate::common::life::assert_lives(&engine, &lives, &context);
        let restored = engine.pool_from(&snapshot, PoolOptions::growing(1)).unwrap();
        assert_eq!(restored.capacity(), left.len(), "{context}");
    }
}
