//! The log of events: their levels and texts.

use crate::common::told::{assert_told, told};
use crate::common::{Draw, Inputs, adapters, everywhere};
use wgru::engine::DeviceRanking;
use wgru::engine::pool::NonFinite;
use wgru::import::PyTorch;
use wgru::{Cell, Device, DeviceInfo, Dims, Options, PoolOptions, RunShape};

#[test]
fn the_device_that_is_chosen() {
    for device in adapters() {
        let DeviceInfo::Gpu(info) = device.info() else { panic!("no GPU") };
        let selector = format!("{}:{}", info.backend, info.name);
        let (device, events) = told(|| Device::open(&selector).unwrap());
        let named = device.info().to_string();
        assert_told(&events, "INFO wgru::device", &[&named, "chosen for", &selector]);
    }
    let (device, events) = told(|| Device::open("auto").unwrap());
    assert_told(&events, "INFO wgru::device", &[&device.info().to_string(), "chosen"]);
    let mut draw = Draw::new();
    let model = draw.model(Cell::GRU, 3, 4, 1);
    let among = || {
        let devices = [Device::reference(), Device::cpu()];
        DeviceRanking::among(devices, &model, Dims::new(1, 2).unwrap(), Options::default()).unwrap()
    };
    let (device, events) = told(|| Device::best(&model, Dims::new(1, 2).unwrap()).unwrap());
    assert_told(&events, "INFO wgru::device", &["chosen for GRU", &device.info().to_string()]);
    let (choice, events) = told(among);
    assert_told(&events, "INFO wgru::device", &[&choice.to_string(), "not reference"]);
}

#[test]
fn a_batch_that_is_run_in_pieces() {
    let mut draw = Draw::new();
    for device in adapters() {
        let model = draw.model(Cell::GRU, 4, 16, 1);
        let inputs = Inputs::draw(&mut draw, &model, 6, 5);
        let (run_shape, whole) = (inputs.batch().run_shape(), device.load(&model).unwrap());
        let (_, events) = told(|| whole.run(&inputs.batch()).unwrap());
        assert_eq!(events, Vec::<String>::new(), "{}", device.info());
        let least = whole.memory(RunShape { dims: Dims::new(1, 5).unwrap(), ..run_shape }).unwrap();
        let options = Options::default().memory(least.arrays + least.read_back);
        let small = device.load_with(&model, options).unwrap();
        let (_, events) = told(|| small.run(&inputs.batch()).unwrap());
        assert_told(&events, "DEBUG wgru::run", &["6 × 5", "in pieces of at most 1 × 5"]);
    }
}

#[test]
fn what_becomes_of_a_pool() {
    let mut draw = Draw::new();
    let folder = std::env::temp_dir().join(format!("wgru-events-{}", draw.seed));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("file"), b"in the folder's place").unwrap();
    for device in everywhere() {
        let engine = device.load(&draw.model(Cell::GRU, 2, 6, 1)).unwrap();
        let options = PoolOptions::growing(1).non_finite(NonFinite::Isolate);
        let mut pool = engine.pool(options.snapshots(folder.join("file/states"), 1)).unwrap();
        let stream = pool.open().unwrap();
        let (other, events) = told(|| pool.open().unwrap());
        assert_told(&events, "INFO wgru::pool", &["grows from 1 to 2 streams"]);
        let (_, events) = told(|| pool.push(other, &[0.5, f32::NAN]).unwrap_err());
        let named = format!("stream {}", other.number());
        assert_told(&events, "WARN wgru::pool", &[&named, "feature 1 of frame 0 is NaN"]);
        pool.push(stream, &[0.5; 4]).unwrap();
        pool.tick().unwrap();
        pool.push(stream, &[0.5; 2]).unwrap();
        let (output, events) = told(|| pool.tick().unwrap());
        let error = output.snapshot_error().expect("a file is in the way").to_string();
        assert_told(&events, "WARN wgru::pool", &["a snapshot was not written", &error]);
        let (_, events) = told(|| pool.rebuild(&engine).unwrap());
        assert_told(&events, "INFO wgru::pool", &["rebuilt on", &device.info().to_string(), "of 2 streams"]);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn what_an_import_decides_and_leaves_over() {
    let shapes = [
        ("rnn.weight_ih_l0", [9, 2]),
        ("rnn.weight_hh_l0", [9, 3]),
        ("norm.weight", [1, 1]),
        ("embed.weight", [2, 1]),
    ];
    let (mut header, mut end) = (Vec::new(), 0);
    for (name, [rows, columns]) in shapes {
        let begin = end;
        end += rows * columns * 4;
        header.push(format!(
            r#""{name}":{{"dtype":"F32","shape":[{rows},{columns}],"data_offsets":[{begin},{end}]}}"#
        ));
    }
    let header = format!("{{{}}}", header.join(","));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + end, 0);
    let (imported, events) = told(|| PyTorch::new().parse("m.safetensors", &bytes).unwrap());
    assert_eq!(imported.report.left_over, ["embed.weight", "norm.weight"]);
    assert_told(
        &events,
        "WARN wgru::import",
        &["m.safetensors: 2 tensors left over: embed.weight, norm.weight"],
    );
    for decision in &imported.report.decisions {
        assert_told(&events, "INFO wgru::import", &[&format!("m.safetensors: {decision}")]);
    }
}
