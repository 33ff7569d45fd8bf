//! Decoding on GPUs: through the host, recorded, and on a device that is lost in the middle.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use wgru::{Device, ErrorKind, wgpu};
use wgru_g2p::{Error, Network};

#[path = "../examples/decode/on_device.rs"]
mod decode;
mod expected;

use decode::OnDevice;

/// Every adapter, opened as an application does.
fn adapters() -> Vec<(wgpu::Device, wgpu::Queue)> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::all();
    let instance = wgpu::Instance::new(descriptor);
    let mut found = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let compute = wgpu::DownlevelFlags::COMPUTE_SHADERS;
    found.retain(|adapter| adapter.get_downlevel_capabilities().flags.contains(compute));
    assert!(!found.is_empty(), "no GPU adapter found; `cargo xtask test` installs software drivers");
    let open = |adapter: &wgpu::Adapter| {
        let required_limits = adapter.limits();
        let descriptor = wgpu::DeviceDescriptor { required_limits, ..Default::default() };
        pollster::block_on(adapter.request_device(&descriptor)).unwrap()
    };
    found.iter().map(open).collect()
}

#[test]
fn recorded_steps_read_nothing_back_and_give_the_hosts_phonemes() {
    // A part, since software drivers take a while.
    let expected: Vec<_> = expected::expected().into_iter().step_by(3).collect();
    let words: Vec<&str> = expected.iter().map(|one| one.word).collect();
    for (device, queue) in adapters() {
        let ours = Device::from_wgpu(device.clone(), queue.clone());
        let name = ours.info().to_string();
        let g2p = Network::own().unwrap().load(&ours).unwrap();

        let before = ours.read_backs();
        let through_host = g2p.speak(&words, 1).unwrap();
        expected::assert_all(&g2p, &expected, &through_host, &name);
        let steps = through_host.iter().map(|spoken| spoken.phonemes.len() + 1).max().unwrap();
        // The encoder, and each step; more where a gather of states comes between.
        assert!(ours.read_backs() - before > steps, "{name}: the count misses read-backs");

        let mut decode = OnDevice::new(&device, &queue, &g2p, &words).unwrap();
        let before = ours.read_backs();
        decode.submit().unwrap();
        let created = ours.resource_counts();
        let phonemes = decode.read().unwrap();
        assert_eq!(ours.read_backs(), before, "{name}: a recorded step reads back");
        assert_eq!(ours.resource_counts(), created, "{name}");
        for ((word, phonemes), spoken) in words.iter().zip(&phonemes).zip(&through_host) {
            assert_eq!(*phonemes, spoken.phonemes, "{name}: {word}");
        }
    }
}

#[test]
fn a_device_that_is_lost_in_the_middle_is_an_error() {
    let words: Vec<&str> = expected::expected().iter().map(|one| one.word).collect();
    for (device, queue) in adapters() {
        let ours = Device::from_wgpu(device.clone(), queue);
        let g2p = Network::own().unwrap().load(&ours).unwrap();
        g2p.speak(&words[..2], 1).unwrap();
        let (before, ended) = (ours.read_backs(), AtomicBool::new(false));
        let error = thread::scope(|scope| {
            scope.spawn(|| {
                // After the encoder and some steps of the decoder.
                while ours.read_backs() < before + 4 && !ended.load(Ordering::Relaxed) {
                    thread::yield_now();
                }
                device.destroy();
            });
            // The words again and again: far more steps than are computed before the loss.
            let many: Vec<&str> = words.iter().copied().cycle().take(4096).collect();
            let result = g2p.speak(&many, 1);
            ended.store(true, Ordering::Relaxed);
            result.unwrap_err()
        });
        assert!(ours.read_backs() >= before + 4, "lost before the middle");
        // The error repeats, also with a beam.
        for error in [error, g2p.speak(&words, 3).unwrap_err()] {
            assert!(
                matches!(&error, Error::Engine(error) if error.kind() == ErrorKind::LostDevice),
                "{error:?}"
            );
            assert!(error.to_string().contains("the device is lost"), "{error}");
        }
    }
}
