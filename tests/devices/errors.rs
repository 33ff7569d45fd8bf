//! What a caller can do about each error: its kind, and the error that caused it.

use std::error::Error as _;
use std::io;

use crate::common::{adapters, everywhere, own_adapters};
use wgru::import::{Keras, Onnx, PyTorch, read_tensors};
use wgru::{
    Batch, Cell, Device, Direction, Error, ErrorKind, Layer, Model, Options, PoolOptions, Snapshot, State,
    StreamFault, Weights,
};

fn model(direction: Direction) -> Model {
    let weights = || Weights {
        w_ih: vec![0.25; 9 * 2],
        w_hh: vec![-0.25; 9 * 3],
        b_ih: Some(vec![0.5; 9]),
        b_hh: Some(vec![0.125; 9]),
        ..Weights::default()
    };
    let all = (0..direction.count()).map(|_| weights()).collect();
    Model::new(vec![Layer::new(Cell::GRU, direction, 2, 3, all).unwrap()]).unwrap()
}

#[track_caller]
fn assert_kind<T>(kind: ErrorKind, result: wgru::Result<T>, what: &str) -> Error {
    let error = result.err().unwrap_or_else(|| panic!("{what}: accepted"));
    assert_eq!(error.kind(), kind, "{what}: {error}");
    error
}

#[test]
fn a_call_is_wrong_or_unsupported_or_beyond_a_limit() {
    use ErrorKind::{Limit, Unsupported, WrongUse};
    let x = [0.5; 12];
    assert_kind(WrongUse, Batch::new(&x, [2, 3, 3]), "a batch of another size");
    assert_kind(WrongUse, Batch::new(&x, [0, 3, 2]), "a batch of nothing");
    assert_kind(Limit, Batch::new(&x, [usize::MAX, 3, 2]), "a batch without end");
    assert_kind(WrongUse, Model::new(Vec::new()), "no layer");
    assert_kind(ErrorKind::NoDevice, Device::open("no such device"), "a device");
    for device in everywhere() {
        let what = device.info().to_string();
        let engine = device.load(&model(Direction::Forward)).unwrap();
        let batch = Batch::new(&x, [2, 3, 2]).unwrap();
        assert_kind(WrongUse, engine.run(&Batch::new(&x, [2, 2, 3]).unwrap()), &what);
        assert_kind(WrongUse, engine.run(&batch.h0(&x[..5])), &what);
        assert_kind(Unsupported, engine.run(&batch.c0(&x[..6])), &what);
        assert_kind(WrongUse, engine.session(0), &what);
        let both = device.load(&model(Direction::Bidirectional)).unwrap();
        assert_kind(Unsupported, both.session(1), &what);
        assert_kind(Unsupported, both.pool(PoolOptions::fixed(1)), &what);

        let mut pool = engine.pool(PoolOptions::fixed(1).queue(2)).unwrap();
        let stream = pool.open().unwrap();
        assert_kind(Limit, pool.open(), &what);
        let of_stream = |kind: ErrorKind, result: wgru::Result<()>| {
            let error = assert_kind(kind, result, &what);
            let Error::Stream { stream: named, fault } = error else { panic!("{what}: {error}") };
            assert_eq!(named, stream.number());
            fault
        };
        let fault = of_stream(WrongUse, pool.push(stream, &x[..3]));
        assert!(matches!(fault, StreamFault::PartialFrame { numbers: 3, input: 2 }), "{fault}");
        let fault = of_stream(Limit, pool.push(stream, &x[..6]));
        assert!(matches!(fault, StreamFault::QueueFull { pushed: 3, waiting: 0, limit: 2 }), "{fault}");
        let fault = of_stream(WrongUse, pool.push(stream, &[0.5, f32::NEG_INFINITY]));
        assert!(matches!(fault, StreamFault::NotFinite { frame: 0, feature: 1, .. }), "{fault}");
        let state = State { h: vec![0.5; 4], c: None };
        let error = assert_kind(WrongUse, pool.set_state(stream, &state), &what);
        let behind = error.source().and_then(|error| error.downcast_ref());
        assert!(matches!(behind, Some(Error::Length { got: 4, .. })), "{what}: {error}");
        pool.close(stream).unwrap();
        let fault = of_stream(WrongUse, pool.push(stream, &x[..2]));
        assert!(matches!(fault, StreamFault::NotOpen), "{fault}");
    }
    for device in adapters() {
        let engine = device.load_with(&model(Direction::Forward), Options::default().memory(64)).unwrap();
        assert_kind(Limit, engine.run(&Batch::new(&x, [2, 3, 2]).unwrap()), &device.info().to_string());
    }
}

#[test]
fn a_file_that_is_missing_says_so() {
    let folder = std::env::temp_dir().join(format!("wgru-missing-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("none");
    let errors = [
        Model::from_pytorch(&path).err(),
        PyTorch::new().read(path.with_extension("json")).err(),
        PyTorch::new().read(&folder).err(),
        Onnx::new().read(&path).err(),
        Onnx::list(&path).err(),
        Keras::new().read(&path).err(),
        Snapshot::read(&path).err(),
    ];
    for error in errors {
        let error = error.expect("nothing is there");
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        let behind = error.source().and_then(|error| error.downcast_ref::<io::Error>());
        assert_eq!(behind.map(io::Error::kind), Some(io::ErrorKind::NotFound), "{error}");
    }
    // A file is in the place of the folder.
    std::fs::write(&path, b"no folder").unwrap();
    let engine = Device::cpu().load(&model(Direction::Forward)).unwrap();
    let snapshot = engine.pool(PoolOptions::fixed(1)).unwrap().snapshot().unwrap();
    let error = assert_kind(ErrorKind::Io, snapshot.write(path.join("deep")), "a snapshot");
    assert!(
        matches!(&error, Error::Io { source, .. } if source.kind() != io::ErrorKind::NotFound),
        "{error}"
    );
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_file_is_bad_whatever_is_wrong_with_it() {
    use ErrorKind::BadFile;
    let garbage = b"\x0b\xadnothing that anybody reads";
    // The error of another library is the source, and its text is in the message.
    for error in [
        assert_kind(BadFile, PyTorch::new().parse("m", garbage), "PyTorch"),
        assert_kind(BadFile, read_tensors("m", garbage), "tensors"),
        assert_kind(BadFile, Onnx::new().parse("m", garbage, None), "ONNX"),
        assert_kind(BadFile, Onnx::list_parsed("m", garbage, None), "ONNX"),
        assert_kind(BadFile, Keras::new().parse("m", garbage), "HDF5"),
        assert_kind(BadFile, Keras::new().parse("m", b"PK\x03\x04 no archive"), "a zip archive"),
        assert_kind(BadFile, Snapshot::parse("m", garbage), "a snapshot"),
    ] {
        let behind = error.source().unwrap_or_else(|| panic!("nothing behind: {error}"));
        assert!(error.to_string().contains(&behind.to_string()), "{error}; {behind}");
    }
    // Data that would be a wrong call in memory is a bad file here.
    let header = r#"{"weight_ih_l0":{"dtype":"F32","shape":[6,1],"data_offsets":[0,24]},
        "weight_hh_l0":{"dtype":"F32","shape":[6,3],"data_offsets":[24,96]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + 96, 0);
    let error = assert_kind(BadFile, PyTorch::new().cell(Cell::GRU).parse("m", &bytes), "of two gates");
    assert!(!error.to_string().is_empty() && error.source().is_none());
    let with_nan = [&bytes[..bytes.len() - 4], &f32::NAN.to_le_bytes()].concat();
    let error = assert_kind(BadFile, read_tensors("m", &with_nan), "not finite");
    let Error::File { fault } = &error else { panic!("{error}") };
    assert_eq!((fault.kind(), fault.to_string()), (ErrorKind::WrongUse, error.to_string()));
    assert!(matches!(**fault, Error::NotFinite { index: 17, .. }), "{error}");
    // A snapshot of another model is valid: the call is wrong.
    let pool = |cell| {
        let weights = Weights { w_ih: vec![0.5; 8], w_hh: vec![0.5; 16], ..Weights::default() };
        let layer = Layer::new(cell, Direction::Forward, 1, 2, vec![weights]).unwrap();
        Device::cpu().load(&Model::new(vec![layer]).unwrap()).unwrap()
    };
    let snapshot = pool(Cell::LSTM).pool(PoolOptions::fixed(1)).unwrap().snapshot().unwrap();
    let engine = Device::cpu().load(&model(Direction::Forward)).unwrap();
    assert_kind(ErrorKind::WrongUse, engine.pool_from(&snapshot, PoolOptions::fixed(1)), "another model");
}

/// The first call reports that the device is lost. The pool's later calls report it too, and what to do.
#[test]
fn a_pool_on_a_lost_device_says_both() {
    for device in own_adapters() {
        let engine = device.load(&model(Direction::Forward)).unwrap();
        let mut pool = engine.pool(PoolOptions::fixed(1)).unwrap();
        let stream = pool.open().unwrap();
        pool.push(stream, &[0.5; 2]).unwrap();
        device.destroy();
        let error = assert_kind(ErrorKind::LostDevice, pool.tick(), "the tick");
        assert!(matches!(error, Error::Lost { .. }), "{error}");
        let error = assert_kind(ErrorKind::LostDevice, pool.tick(), "the next");
        assert!(matches!(&error, Error::PoolFailed { fault: Some(_), .. }), "{error}");
        let behind = error.source().and_then(|error| error.downcast_ref());
        assert!(matches!(behind, Some(Error::Lost { .. })), "{error}");
        let text = error.to_string();
        assert!(text.contains("the device is lost") && text.contains("Pool::rebuild"), "{text}");
        pool.rebuild(&Device::cpu().load(&model(Direction::Forward)).unwrap()).unwrap();
        pool.tick().unwrap();
    }
}
