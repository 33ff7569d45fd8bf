//! States that are saved, moved and kept on disk.

use wgru::NonFinite;
use wgru::{Cell, Device, Direction, Engine, Error, Model, PoolOptions, Snapshot};

use crate::common::life::{Life, assert_lives, take};
use crate::common::{Draw, bits, devices};

/// The states of a stream after some frames, on every device.
#[test]
fn saved_states_move_between_devices() {
    let mut draw = Draw::new();
    let model = draw.model(Cell::LSTM, 5, 24, 2);
    let devices: Vec<Engine> = devices().iter().map(|device| device.load(&model).unwrap()).collect();
    let frames = draw.values(6 * 5, 1.0);
    for from in &devices {
        let mut pool = from.pool(PoolOptions::fixed(3)).unwrap();
        let stream = pool.open().unwrap();
        pool.push(stream, &frames[..15]).unwrap();
        pool.tick().unwrap();
        let snapshot = pool.snapshot().unwrap();
        let state = pool.state(stream).unwrap();
        for to in &devices {
            let context = format!("{} to {}, seed {}", from.device().info(), to.device().info(), draw.seed);
            // By hand, and by a snapshot.
            let mut other = to.pool(PoolOptions::fixed(1)).unwrap();
            let new = other.open_with(&state).unwrap();
            assert_eq!(other.state(new).unwrap(), state, "{context}");
            other.push(new, &frames[15..]).unwrap();
            let by_hand = other.tick().unwrap().of(new).unwrap().y.to_vec();
            let mut other = to.pool_from(&snapshot, PoolOptions::fixed(1)).unwrap();
            assert_eq!(other.frames(stream).unwrap(), 3, "{context}");
            other.push(stream, &frames[15..]).unwrap();
            let by_snapshot = other.tick().unwrap().of(stream).unwrap().y.to_vec();
            assert_eq!(bits(&by_hand), bits(&by_snapshot), "{context}");
            if from.device().info() == to.device().info() {
                let mut life = Life::new(stream, None);
                life.frames = frames.clone();
                life.y = [vec![f32::NAN; 3 * 24], by_hand].concat();
                life.unknown = 3;
                assert_lives(to, &[life], &context);
            }
        }
    }
}

#[test]
fn snapshots_on_disk() {
    let mut draw = Draw::new();
    let folder = std::env::temp_dir().join(format!("wgru-pool-{}", draw.seed));
    let path = folder.join("deep/states.safetensors");
    let model = draw.model(Cell::LSTM, 3, 8, 2);
    let engine = Device::cpu().load(&model).unwrap();
    let mut pool = engine.pool(PoolOptions::growing(1).snapshots(&path, 2)).unwrap();
    let streams: Vec<_> = (0..5).map(|_| pool.open().unwrap()).collect();
    pool.close(streams[1]).unwrap();
    for round in 0..3 {
        pool.push(streams[4], &draw.values(3, 1.0)).unwrap();
        assert_eq!(path.exists(), round > 2, "before tick {round}");
        pool.tick().unwrap();
    }
    // Before the third tick two had been begun.
    let snapshot = Snapshot::read(&path).unwrap();
    let frames: Vec<u64> = snapshot.streams().map(|(_, frames, _)| frames).collect();
    assert_eq!(frames, [0, 0, 0, 2]);
    let all = pool.snapshot().unwrap();
    all.write(&path).unwrap();
    assert_eq!(Snapshot::read(&path).unwrap(), all);
    assert_eq!(std::fs::read_dir(folder.join("deep")).unwrap().count(), 1, "something is left beside it");
    let mut again = engine.pool_from(&all, PoolOptions::growing(1)).unwrap();
    assert_eq!(again.len(), 4);
    assert_eq!(again.state(streams[4]).unwrap(), pool.state(streams[4]).unwrap());
    assert!(matches!(again.state(streams[1]), Err(Error::Stream { .. })), "it was closed");
    // A new stream takes the free slot and a number of its own.
    let new = again.open().unwrap();
    assert!(streams.iter().all(|old| old.number() < new.number()), "{new}");

    let bytes = std::fs::read(&path).unwrap();
    for len in [0, 7, 20, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..len]).unwrap();
        let error = Snapshot::read(&path).unwrap_err();
        assert!(matches!(error, Error::Format { .. }), "{len}: {error}");
    }
    for at in 0..bytes.len().min(600) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        std::fs::write(&path, &damaged).unwrap();
        // No panic, whether it is read or not.
        let _ =
            Snapshot::read(&path).map(|snapshot| engine.pool_from(&snapshot, PoolOptions::fixed(9)).is_ok());
    }
    let missing = Snapshot::read(folder.join("none")).unwrap_err();
    assert!(matches!(&missing, Error::Io { path, .. } if path.ends_with("none")), "{missing}");
    let gru = Device::cpu().load(&draw.model(Cell::GRU, 3, 8, 2)).unwrap();
    let error = gru.pool_from(&all, PoolOptions::growing(1)).unwrap_err();
    assert!(error.to_string().contains("c [2, 8]"), "{error}");
    let error = engine.pool_from(&all, PoolOptions::fixed(2)).unwrap_err();
    assert!(matches!(error, Error::TooLarge { needed: 4, limit: 2, unit: "streams", .. }), "{error}");
    // After the last stream is closed, its number is not given again, and an isolated state is not loaded again.
    let mut pool = engine.pool(PoolOptions::fixed(2).non_finite(NonFinite::Isolate)).unwrap();
    let (kept, gone) = (pool.open().unwrap(), pool.open().unwrap());
    pool.push(kept, &[f32::NAN; 3]).unwrap_err();
    pool.close(gone).unwrap();
    let mut again = engine.pool_from(&pool.snapshot().unwrap(), PoolOptions::fixed(2)).unwrap();
    assert_ne!(again.open().unwrap(), gone);
    assert!(again.push(kept, &[0.5; 3]).unwrap_err().to_string().contains("isolated"));
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A snapshot that cannot be written is reported with the outputs. The next is tried when it is due; frames go on.
#[test]
fn a_pool_whose_snapshots_cannot_be_written_goes_on() {
    let mut draw = Draw::new();
    let folder = std::env::temp_dir().join(format!("wgru-blocked-{}", draw.seed));
    let blocked = folder.join("file/states");
    for device in devices() {
        let context = format!("{}, seed {}", device.info(), draw.seed);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("file"), b"in the folder's place").unwrap();
        let engine = device.load(&draw.model(Cell::GRU, 3, 8, 1)).unwrap();
        let mut pool = engine.pool(PoolOptions::fixed(1).snapshots(&blocked, 2)).unwrap();
        let mut lives = [Life::new(pool.open().unwrap(), None)];
        let mut failed = Vec::new();
        for tick in 1..=6 {
            lives[0].push(&mut draw, &mut pool, 1);
            let output = pool.tick().unwrap();
            assert_eq!((output.len(), pool.snapshots_written()), (1, 0), "{context}");
            take(&mut lives, &output);
            if let Some(error) = output.snapshot_error() {
                assert!(matches!(error, Error::Io { path, .. } if path.ends_with("states")), "{error}");
                failed.push(tick);
                // It is reported once.
                assert!(pool.tick().unwrap().snapshot_error().is_none(), "{context}");
            }
        }
        assert_eq!((&failed[..], pool.snapshots_failed()), (&[3, 5][..], 2), "{context}");
        // By begin and finish, and by a tick without work: with the next outputs.
        let mut output = wgru::TickOutput::default();
        lives[0].push(&mut draw, &mut pool, 1);
        assert!(pool.begin().unwrap());
        pool.finish_into(&mut output).unwrap();
        assert!(output.snapshot_error().is_some(), "{context}");
        take(&mut lives, &output);
        for _ in 0..2 {
            assert!(output.snapshot_error().is_some(), "{context}");
            lives[0].push(&mut draw, &mut pool, 1);
            pool.tick_into(&mut output).unwrap();
            take(&mut lives, &output);
            if output.snapshot_error().is_none() {
                pool.tick_into(&mut output).unwrap();
            }
        }
        assert_eq!(pool.snapshots_failed(), 4, "{context}");
        // Once the path is free they are written again.
        std::fs::remove_file(folder.join("file")).unwrap();
        for _ in 0..2 {
            lives[0].push(&mut draw, &mut pool, 1);
            let output = pool.tick().unwrap();
            assert!(output.snapshot_error().is_none(), "{context}");
            take(&mut lives, &output);
        }
        assert_eq!((pool.snapshots_written(), pool.snapshots_failed()), (1, 4), "{context}");
        assert!(!Snapshot::read(&blocked).unwrap().is_empty(), "{context}");
        assert_lives(&engine, &lives, &context);
        assert_eq!(lives[0].outputs(), 11 * 8, "{context}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

/// A state that is no longer finite is saved and restored as it is, and does not affect other streams.
#[test]
fn a_stream_that_diverges_does_not_affect_the_others() {
    let folder = std::env::temp_dir().join(format!("wgru-diverges-{}", std::process::id()));
    let relu = wgru::model::Activation::new(wgru::model::Function::Relu, 0.0, 0.0).unwrap();
    let weights = wgru::Weights { w_ih: vec![1e30], w_hh: vec![1e30], ..Default::default() };
    let layer = wgru::Layer::new(Cell::Rnn, Direction::Forward, 1, 1, vec![weights]).unwrap();
    let activations = wgru::model::Activations { gate: relu, candidate: relu, output: relu };
    let model = Model::new(vec![layer.with_activations(vec![activations]).unwrap()]).unwrap();
    for device in devices() {
        let mut pool = device.load(&model).unwrap().pool(PoolOptions::fixed(2)).unwrap();
        let (a, b) = (pool.open().unwrap(), pool.open().unwrap());
        pool.push(a, &[1.0, 1.0, 1.0]).unwrap();
        pool.push(b, &[0.0]).unwrap();
        pool.tick().unwrap();
        let path = folder.join("states");
        pool.snapshot().unwrap().write(&path).unwrap();
        let read = Snapshot::read(&path).unwrap();
        let mut again = pool.engine().clone().pool_from(&read, PoolOptions::fixed(2)).unwrap();
        let [a, b] = [a, b].map(|stream| again.state(stream).unwrap().h[0]);
        assert!(!a.is_finite() || a > 1e30, "{}: {a}", device.info());
        assert_eq!(b, 0.0, "{}", device.info());
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
