//! Contradictory snapshots of a pool's streams, created in memory: each is refused with the part that does not fit.

use std::collections::{BTreeMap, HashMap};

use safetensors::serialize;
use safetensors::tensor::{Dtype, TensorView};
use wgru::{Cell, Device, Direction, Layer, Model, PoolOptions, Snapshot, Weights};

/// A tensor's type, shape and bytes.
type Part = (Dtype, Vec<usize>, Vec<u8>);

fn floats(shape: &[usize]) -> Part {
    let bytes = (0..shape.iter().product()).flat_map(|at: usize| (at as f32 * 0.125).to_le_bytes());
    (Dtype::F32, shape.to_vec(), bytes.collect())
}

fn numbers(numbers: &[u64]) -> Part {
    (Dtype::U64, vec![numbers.len()], numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
}

/// Three streams of an LSTM of two layers, H = 2, as a file of `version`, with some tensors replaced, or left out if
/// `None`.
fn file(version: u32, changes: &[(&'static str, Option<Part>)]) -> Vec<u8> {
    let mut parts = BTreeMap::from([
        ("h", floats(&[3, 2, 2])),
        ("c", floats(&[3, 2, 2])),
        ("streams", numbers(&[2, 1, 8])),
        ("frames", numbers(&[5, 0, 1])),
        ("isolated", numbers(&[0, 1, 0])),
    ]);
    match version {
        1 => _ = parts.insert("pool", numbers(&[9, 77])),
        _ => parts.extend([("pools", numbers(&[77, 77, 78])), ("next", numbers(&[9]))]),
    }
    for (name, part) in changes {
        match part {
            Some(part) => _ = parts.insert(name, part.clone()),
            None => assert!(parts.remove(name).is_some(), "{name}"),
        }
    }
    let view =
        |(name, (dtype, shape, bytes))| (name, TensorView::new(dtype, shape, bytes).expect("its bytes"));
    let views: Vec<_> = parts
        .iter()
        .map(|(name, (dtype, shape, bytes))| (*name, (*dtype, shape.clone(), &bytes[..])))
        .map(view)
        .collect();
    let told = (version > 1).then(|| HashMap::from([("wgru.snapshot".to_owned(), version.to_string())]));
    serialize(views, told).expect("a file")
}

#[test]
fn a_file_made_here_is_read() {
    for version in [1, 2] {
        let snapshot = Snapshot::parse("own", &file(version, &[])).expect("as it should be");
        let streams: Vec<_> =
            snapshot.streams().map(|(id, frames, state)| (id.number(), frames, state)).collect();
        let state = |from: usize| (from..from + 4).map(|at| at as f32 * 0.125).collect::<Vec<f32>>();
        for (at, (number, frames)) in [(2, 5), (1, 0), (8, 1)].into_iter().enumerate() {
            let (own, seen, held) = &streams[at];
            assert_eq!((*own, *seen), (number, frames), "version {version}");
            assert_eq!(
                (&held.h, held.c.as_ref()),
                (&state(4 * at), Some(&state(4 * at))),
                "version {version}"
            );
        }
    }
}

#[test]
fn what_contradicts_itself_is_refused_by_its_numbers() {
    let others = "h is [3, 2, 2]; c, streams, pools, frames and isolated are of";
    let large = 1 << 63;
    for (version, name, part, words) in [
        (2, "c", Some(floats(&[2, 2, 2])), format!("{others} [2, 3, 3, 3, 3] streams, c of 2 layers")),
        (2, "c", Some(floats(&[3, 1, 2])), format!("{others} [3, 3, 3, 3, 3] streams, c of 1 layer")),
        (2, "streams", Some(numbers(&[1, 2])), format!("{others} [3, 2, 3, 3, 3] streams, c of 2 layers")),
        (2, "pools", Some(numbers(&[7])), format!("{others} [3, 3, 1, 3, 3] streams, c of 2 layers")),
        (2, "frames", Some(numbers(&[])), format!("{others} [3, 3, 3, 0, 3] streams, c of 2 layers")),
        (1, "isolated", Some(numbers(&[0; 4])), format!("{others} [3, 3, 3, 3, 4] streams, c of 2 layers")),
        (2, "pools", Some(numbers(&[7, 1 << 32, 7])), "stream 1 is of pool 4294967296".into()),
        (1, "pool", Some(numbers(&[9, u64::MAX])), format!("stream 2 is of pool {}", u64::MAX)),
        (2, "streams", Some(numbers(&[2, 0, 8])), "stream 0, of numbers from 1 and below 9".into()),
        (2, "streams", Some(numbers(&[2, 9, 8])), "stream 9, of numbers from 1 and below 9".into()),
        (2, "streams", Some(numbers(&[8, 1, 8])), "stream 8 is there twice".into()),
        (2, "frames", Some(numbers(&[5, large, 1])), format!("stream 1 has seen {large} frames")),
        (2, "next", Some(numbers(&[9, 9])), "next begins with [9, 9], expected 1 in range".into()),
        (2, "next", Some(numbers(&[])), "next begins with [], expected 1 in range".into()),
        (2, "next", Some(numbers(&[large])), format!("next begins with [{large}], expected 1 in range")),
        (1, "pool", Some(numbers(&[9])), "pool begins with [9], expected 2 in range".into()),
        (2, "streams", Some(floats(&[3])), "streams is F32 [3], expected U64 of 1 dimension".into()),
        (2, "h", Some(floats(&[3, 4])), "h is F32 [3, 4], expected F32 of 3 dimensions".into()),
        (2, "h", None, "there is no h".into()),
        (2, "streams", None, "there is no streams".into()),
        (2, "frames", None, "there is no frames".into()),
        (2, "isolated", None, "there is no isolated".into()),
        (2, "pools", None, "there is no pools".into()),
        (2, "next", None, "there is no next".into()),
        (1, "pool", None, "there is no pool".into()),
    ] {
        let error = Snapshot::parse("odd", &file(version, &[(name, part)])).expect_err(&words).to_string();
        assert_eq!(error, format!("odd: no snapshot that can be read: {words}"));
    }
    // The largest possible numbers.
    let most = large - 1;
    let last = [("next", Some(numbers(&[most]))), ("streams", Some(numbers(&[most - 1, 1, 2])))];
    let last = Snapshot::parse("most", &file(2, &last)).expect("in range");
    assert_eq!(last.streams().map(|(id, ..)| id.number()).max(), Some(most - 1));
    // No state at all, and no state c of a GRU.
    let none = [("h", Some(floats(&[3, 2, 0]))), ("c", None)];
    let error = Snapshot::parse("none", &file(2, &none)).expect_err("no state").to_string();
    assert!(error.contains("h is [3, 2, 0];"), "{error}");
    let gru = Snapshot::parse("gru", &file(2, &[("c", None)])).expect("a GRU's");
    assert!(gru.streams().all(|(_, _, state)| state.c.is_none() && state.h.len() == 4));
}

#[test]
fn another_models_snapshot_is_refused_with_both_shapes() {
    let model = |cell: Cell, hidden: usize, layers: usize| {
        let layer = |input: usize| {
            let rows = cell.gates() * hidden;
            let weights = Weights {
                w_ih: vec![0.5; rows * input],
                w_hh: vec![0.5; rows * hidden],
                ..Weights::default()
            };
            Layer::new(cell, Direction::Forward, input, hidden, vec![weights]).expect("a layer")
        };
        let stack = (0..layers).map(|at| layer(if at == 0 { 1 } else { hidden }));
        Model::new(stack.collect()).expect("a model")
    };
    let snapshot = Snapshot::parse("own", &file(2, &[])).expect("as it should be");
    let pool = |model: &Model| {
        Device::cpu().load(model).expect("an engine").pool_from(&snapshot, PoolOptions::growing(1))
    };
    assert_eq!(pool(&model(Cell::LSTM, 2, 2)).expect("its own").len(), 3);
    for (other, needs) in [
        (model(Cell::LSTM, 2, 1), "h [1, 2] and c [1, 2]"),
        (model(Cell::LSTM, 3, 2), "h [2, 3] and c [2, 3]"),
        (model(Cell::GRU, 2, 2), "h [2, 2]"),
    ] {
        let error = pool(&other).expect_err(needs).to_string();
        assert_eq!(error, format!("snapshot: has h [2, 2] and c [2, 2], {other} needs {needs}"));
    }
}
