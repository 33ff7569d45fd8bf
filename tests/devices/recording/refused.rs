//! Bindings and recordings that are not possible are refused when they are prepared, by name and with numbers.

use super::Caller;
use crate::caller_device::wgpu_adapters;
use crate::common::Draw;
use wgru::{Bindings, BufferFault, Cell, Device, Dims, Error, Options, ReadoutSteps, Recording, wgpu};

const STORAGE: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE;

fn fault(refused: Result<Recording, Error>, array: &str) -> BufferFault {
    match refused.expect_err("it cannot be bound") {
        Error::Buffer { name, fault } if name == array => fault,
        other => panic!("{other}"),
    }
}

#[test]
fn buffers_that_do_not_do_are_refused() {
    let mut draw = Draw::new();
    let dims = Dims::new(4, 5).unwrap();
    for caller in Caller::all() {
        let model = draw.model(Cell::GRU, 16, 16, 1);
        let model = draw.with_readout(model, 16, ReadoutSteps::Every);
        let engine = caller.ours.load(&model).unwrap();
        let bytes = 4 * 5 * 16 * 4;
        let alignment = u64::from(caller.device.limits().min_storage_buffer_offset_alignment);
        let [x, large] = [bytes, 2 * 2048].map(|bytes| caller.buffer(bytes, STORAGE));
        let small = caller.buffer(bytes - 4, STORAGE);

        let refused = fault(engine.recording(dims, Bindings::new(&small)), "x");
        assert_eq!(refused, BufferFault::TooSmall { needed: bytes, has: bytes - 4, offset: 0 });
        let refused = fault(engine.recording(dims, Bindings::new(&x).y((&x, alignment))), "y");
        assert_eq!(refused, BufferFault::TooSmall { needed: bytes, has: bytes, offset: alignment });
        let far = u64::MAX - alignment + 1;
        let refused = fault(engine.recording(dims, Bindings::new((&x, far))), "x");
        assert_eq!(refused, BufferFault::TooSmall { needed: bytes, has: bytes, offset: far });

        let copied = caller.buffer(bytes, wgpu::BufferUsages::COPY_SRC);
        let refused = fault(engine.recording(dims, Bindings::new(&x).y(&copied)), "y");
        assert_eq!(refused, BufferFault::Usage { missing: "STORAGE" });

        let refused = fault(engine.recording(dims, Bindings::new((&large, 4))), "x");
        assert_eq!(refused, BufferFault::Alignment { offset: 4, alignment: alignment.max(4) });

        let refused = fault(engine.recording(dims, Bindings::new(&large).y((&large, 1024))), "y");
        let overlap = BufferFault::Overlap { other: "x".into(), offsets: [1024, 0], bytes: [bytes; 2] };
        assert_eq!(refused, overlap);
        let refused = fault(engine.recording(dims, Bindings::new(&large).h0(&x).h_n((&x, 0)).y(&x)), "y");
        assert!(matches!(refused, BufferFault::Overlap { .. }), "{refused}");
        // Arrays may share a buffer, except y and the readout's output.
        engine.recording(dims, Bindings::new(&large).y((&large, 2048))).unwrap();
        let refused = fault(engine.recording(dims, Bindings::new(&x).y(&large).out((&large, 2048))), "out");
        assert_eq!(refused, BufferFault::Shared { other: "y".into() });
        for refused in [overlap, refused] {
            assert!(refused.to_string().len() < 300, "{refused}");
        }
    }
}

#[test]
fn what_no_recording_has_is_refused() {
    let mut draw = Draw::new();
    let dims = Dims::new(4, 5).unwrap();
    for caller in Caller::all() {
        let model = draw.model(Cell::GRU, 16, 16, 1);
        let engine = caller.ours.load(&model).unwrap();
        let x = caller.buffer(4 * 5 * 16 * 4, STORAGE);
        let text = |refused: Result<Recording, Error>| refused.expect_err("refused").to_string();
        let mut y = vec![0.0; 4 * 5 * 16];
        let on_host = text(engine.recording(dims, Bindings::new(&x).y(&mut y)));
        assert!(on_host.contains("y on the host") && on_host.contains("run_bound"), "{on_host}");
        let none = text(engine.recording(dims, Bindings::new(&x).c0(&x)));
        assert!(none.contains("c0") && none.contains("no cell state"), "{none}");
        let none = text(engine.recording(dims, Bindings::new(&x).out(&x)));
        assert!(none.contains("no readout"), "{none}");
        let error = engine.recording(dims, Bindings::new(&y[1..])).unwrap_err();
        assert!(matches!(error, Error::Length { .. }), "{error}");
        let error = engine.recording(dims, Bindings::new(&x).lengths(&[6, 1, 1, 1][..])).unwrap_err();
        assert!(matches!(error, Error::Mismatch { .. }), "{error}");
        let mut session = engine.session(4).unwrap();
        for bindings in [Bindings::new(&x).h0(&x), Bindings::new(&x).lengths(&x)] {
            let error = session.recording(bindings).unwrap_err();
            assert!(matches!(error, Error::Unsupported { .. }), "{error}");
        }
        // A batch that would be run in pieces from the host.
        let little = caller.ours.load_with(&model, Options::default().memory(4096)).unwrap();
        let error = little.recording(dims, Bindings::new(&x)).unwrap_err();
        assert!(
            matches!(error, Error::TooLarge { .. }) && error.to_string().contains("in one piece"),
            "{error}"
        );
    }
}

/// Of a device of the same instance; wgpu's own error does not say which array it is.
#[test]
fn a_buffer_of_another_device_is_refused() {
    let mut draw = Draw::new();
    for adapter in wgpu_adapters() {
        let [caller, other] = [(); 2].map(|()| Caller::on(&adapter));
        let model = draw.model(Cell::LSTM, 16, 16, 1);
        let engine = caller.ours.load(&model).unwrap();
        let dims = Dims::new(4, 5).unwrap();
        let bytes = 4 * 5 * 16 * 4;
        let [ours, x, y] = [&other, &caller, &caller].map(|caller| caller.buffer(bytes, STORAGE));
        let foreign = [
            ("x", Bindings::new(&ours).y(&y)),
            ("y", Bindings::new(&x).y(&ours)),
            ("h0", Bindings::new(&x).y(&y).h0(&ours)),
            ("c_n", Bindings::new(&x).y(&y).c_n(&ours)),
            ("lengths", Bindings::new(&x).y(&y).lengths(&ours)),
        ];
        for (name, bindings) in foreign {
            let error = engine.recording(dims, bindings).unwrap_err();
            assert!(
                matches!(error, Error::Buffer { fault: BufferFault::OtherDevice, .. }),
                "{name}: {error}"
            );
            assert!(
                error.to_string().starts_with(&format!("{name}: the buffer was made by another")),
                "{name}: {error}"
            );
        }
        let error = engine.run_bound(dims, Bindings::new(&x).y(&ours)).unwrap_err();
        assert!(matches!(error, Error::Buffer { fault: BufferFault::OtherDevice, .. }), "{error}");
        // The engine goes on.
        engine.recording(dims, Bindings::new(&x).y(&y)).unwrap();
    }
}

/// A step moves its session's states, and needs no output; a run has nothing else.
#[test]
fn a_run_without_outputs_is_refused() {
    let mut draw = Draw::new();
    for caller in Caller::all() {
        let model = draw.model(Cell::GRU, 3, 4, 1);
        let engine = caller.ours.load(&model).unwrap();
        let x = caller.buffer(2 * 5 * 3 * 4, STORAGE);
        let host = vec![0.5; 2 * 5 * 3];
        let dims = Dims::new(2, 5).unwrap();
        let refused = [
            engine.recording(dims, Bindings::new(&x)).unwrap_err(),
            engine.run_bound(dims, Bindings::new(&x)).unwrap_err(),
            engine.run_bound(dims, Bindings::new(&host)).unwrap_err(),
        ];
        for error in refused {
            assert!(
                matches!(error, Error::Mismatch { .. }) && error.to_string().contains("none of y, h_n"),
                "{error}"
            );
        }
        engine.session(2).unwrap().recording(Bindings::new(&x)).unwrap();
    }
}

#[test]
fn without_a_gpu_buffers_and_recordings_are_refused_by_name() {
    let mut draw = Draw::new();
    let caller = Caller::all().remove(0);
    let model = draw.model(Cell::GRU, 3, 4, 1);
    let y = caller.buffer(2 * 5 * 4 * 4, STORAGE);
    let x = vec![0.5; 2 * 5 * 3];
    let dims = Dims::new(2, 5).unwrap();
    for device in [Device::cpu(), Device::reference()] {
        let engine = device.load(&model).unwrap();
        let error = engine.run_bound(dims, Bindings::new(&x).y(&y)).unwrap_err().to_string();
        assert!(error.contains("y in a buffer") && error.contains(&device.info().to_string()), "{error}");
        let error = engine.recording(dims, Bindings::new(&x).y(&y)).unwrap_err().to_string();
        assert!(error.contains("recording"), "{error}");
        let error = engine.session(2).unwrap().recording(Bindings::new(&x)).unwrap_err().to_string();
        assert!(error.contains("recording"), "{error}");
    }
}
