//! An adapter's own limits, if they are small enough for a test to reach.

use libtest_mimic::Trial;
use wgru::{Batch, Device, DeviceInfo, Error};

use crate::common::{Draw, Inputs, adapters, assert_close};
use crate::{Found, trial};

pub fn trials() -> Vec<Trial> {
    let name = "limits::a_batch_beyond_an_adapters_limits_leaves_the_engine_usable";
    vec![trial(name, with_a_small_grid, a_batch_beyond_them)]
}

/// The most rows in the adapter's grid.
fn most_rows(device: &Device) -> usize {
    let DeviceInfo::Gpu(info) = device.info() else { unreachable!("an adapter") };
    info.caps.max_workgroups as usize * 4
}

fn with_a_small_grid() -> Found<Vec<Device>> {
    let found: Vec<Device> = adapters().into_iter().filter(|device| most_rows(device) <= 1 << 24).collect();
    match found.is_empty() {
        true => Err("every adapter's grid has room for more than 16,777,216 rows".into()),
        false => Ok(found),
    }
}

fn a_batch_beyond_them(devices: Vec<Device>) {
    let mut draw = Draw::new();
    for device in devices {
        let DeviceInfo::Gpu(info) = device.info() else { unreachable!("an adapter") };
        let most = most_rows(&device);
        let model = draw.model(wgru::Cell::GRU, 1, 1, 1);
        let engine = device.load(&model).unwrap();
        let x = vec![0.5; most + 1];
        let batch = Batch::new(&x, [most + 1, 1, 1]).unwrap();
        // A run is cut into pieces, and so is a session. A staged batch must fit, or the error gives the excess.
        let output = engine.run(&batch).unwrap();
        assert!(output.y.iter().all(|y| y.to_bits() == output.y[0].to_bits()), "{}", info.caps.device);
        let mut session = engine.session(most + 1).unwrap();
        assert_eq!(session.step(&x).unwrap().y, output.y, "{}", info.caps.device);
        let state = session.state().unwrap();
        assert_eq!(state.h, output.h_n, "{}", info.caps.device);
        let second = session.step(&x).unwrap();
        assert_ne!(second.y, output.y, "{}", info.caps.device);
        session.reset();
        assert_eq!(session.step(&x).unwrap().y, output.y, "{}", info.caps.device);
        session.set_state(&state).unwrap();
        assert_eq!(session.step(&x).unwrap().y, second.y, "{}", info.caps.device);
        let error = engine.stage(&batch).map(drop).expect_err("a row too many");
        let Error::TooLarge { needed, limit, device: named, .. } = &error else { panic!("{error}") };
        assert_eq!((*needed, *limit, named), (most as u64 + 4, most as u64, &info.caps.device), "{error}");

        let inputs = Inputs::draw(&mut draw, &model, 6, 7);
        let output = engine.run(&inputs.batch()).unwrap();
        assert_close(&model, &inputs.batch(), &output, &format!("{}, after a refusal", info.caps.device));
    }
}
