//! A batch that stays on the device: every run of it gives the same bits as a plain run, and returns its time if the
//! device can measure it.

use crate::common::{Draw, Inputs, bits, devices, options};
use wgru::{Cell, Device, DeviceInfo, Dims, Direction, Error, Merge, ReadoutSteps, Storage};

#[test]
fn a_staged_batch_gives_the_bits_of_a_run_every_time() {
    let mut draw = Draw::new();
    for device in devices().into_iter().chain([Device::reference()]) {
        for (cell, storage) in [(Cell::LSTM, Storage::F32), (Cell::GRU, Storage::F16)] {
            let kinds = [(Direction::Bidirectional, draw.merge()), (Direction::Bidirectional, Merge::Sum)];
            let model = draw.stack(cell, &kinds, 3, 7);
            let model = draw.with_readout(model, 2, ReadoutSteps::Last);
            let options = options().fill_nan(true).weights(storage).activations(storage);
            let engine = device.load_with(&model, options).unwrap();
            // An odd number of steps leaves the states in the other buffer.
            let inputs = Inputs::draw(&mut draw, &model, 5, 3).ragged(&mut draw);
            let inputs = inputs.laid_out(draw.layouts());
            let run = engine.run(&inputs.batch()).unwrap();
            let mut staged = engine.stage(&inputs.batch()).unwrap();
            assert_eq!(staged.run_shape(), inputs.batch().run_shape());
            let mut output = engine.output(staged.run_shape()).unwrap();
            let early = staged.read_into(&mut output).unwrap_err();
            assert!(early.to_string().contains("has not been run"), "{early}");
            assert_eq!(staged.recording(), None, "before the first run");
            for _ in 0..3 {
                let seconds = staged.run().unwrap();
                assert!(seconds.is_none_or(|seconds| seconds > 0.0 && seconds < 60.0), "{seconds:?}");
                output.y.fill(f32::NAN);
                staged.read_into(&mut output).unwrap();
                let context = format!("{}, {model}, seed {}", device.info(), draw.seed);
                assert_eq!(bits(&output.y), bits(&run.y), "{context}");
                assert_eq!(bits(&output.h_n), bits(&run.h_n), "{context}");
                assert_eq!((&output.c_n, &output.out), (&run.c_n, &run.out), "{context}");
            }
            let on_a_gpu = matches!(device.info(), DeviceInfo::Gpu(_));
            assert_eq!(staged.bytes() > 0, on_a_gpu, "{}", device.info());
            assert_eq!(staged.recording().is_some(), on_a_gpu, "{}", device.info());
            let mut other = engine.output(Dims::new(5, 4).unwrap()).unwrap();
            assert!(matches!(staged.read_into(&mut other), Err(Error::Length { .. })));
        }
    }
}

/// The device's own time is returned if the adapter has timestamps, and is no longer than the wait.
#[cfg(feature = "gpu")]
#[test]
fn timestamps_are_returned_if_supported() {
    let mut draw = Draw::new();
    for device in crate::common::adapters() {
        let DeviceInfo::Gpu(info) = device.info() else { unreachable!("an adapter is a GPU") };
        let model = draw.model(Cell::GRU, 16, 64, 1);
        let inputs = Inputs::draw(&mut draw, &model, 8, 50);
        let mut staged = device.load_with(&model, options()).unwrap().stage(&inputs.batch()).unwrap();
        staged.run().unwrap();
        let start = std::time::Instant::now();
        let seconds = staged.run().unwrap();
        let wall = start.elapsed().as_secs_f64();
        match seconds {
            Some(seconds) => assert!(info.timestamps && seconds <= wall, "{seconds} of {wall} s"),
            None => println!("{}: no timestamps ({})", info.caps.device, info.timestamps),
        }
        // The host's part of it is within the wait too.
        let recording = staged.recording().expect("a GPU's runs are recorded");
        assert!(recording > 0.0 && recording <= wall, "{recording} of {wall} s");
        let device = &info.caps.device;
        println!("{device}: {seconds:?} s on the device, {recording} s of recording, {wall} s in all");
    }
}
