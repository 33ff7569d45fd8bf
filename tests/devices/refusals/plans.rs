//! Refusals by a device's limits alone: no device is needed.

use wgru::dtype::Precision;
use wgru::kernels::Rows;
use wgru::plan::{Caps, Only, Request, Strategy, plan};
use wgru::program::{check, lower};
use wgru::{Cell, Dims, Error, Model};

use super::model;

/// A plan and its program, checked against `caps`. The plan is always of one kind, so that numbers are known.
fn planned(model: &Model, batch: usize, steps: usize, caps: &Caps) -> wgru::Result<()> {
    let only = Only { strategy: Some(Strategy::Step), rows: Some(Rows::Four), ..Only::default() };
    let request = Request { only, ..Request::default() };
    let plan = plan(model, Dims::new(batch, steps)?, request, caps)?;
    check(&lower(model, &plan)?, caps)
}

#[test]
fn what_exceeds_the_device_is_refused_with_both_numbers() {
    let caps = Caps { device: "a small device".into(), ..Caps::webgpu_minimum() };
    let gru = model(Cell::GRU, 4, 8);
    planned(&gru, 10, 5, &caps).unwrap();
    let too_large = |model: &Model, batch, caps: &Caps, needed: u64, limit: u64, unit: &str| {
        let error = planned(model, batch, 5, caps).expect_err(unit);
        let Error::TooLarge { needed: have, limit: allowed, unit: of, device, .. } = &error else {
            panic!("{unit}: {error}")
        };
        assert_eq!(
            (*have, *allowed, *of, device.as_str()),
            (needed, limit, unit, "a small device"),
            "{error}"
        );
        for word in [&needed.to_string(), &limit.to_string(), unit, device] {
            assert!(error.to_string().contains(word), "{error} does not say {word}");
        }
    };
    // x is [10, 5, 4], y [10, 5, 8].
    let one = |change: &dyn Fn(&mut Caps)| {
        let mut small = caps.clone();
        change(&mut small);
        small
    };
    too_large(&gru, 10, &one(&|c| c.max_binding_bytes = 1599), 1600, 1599, "bytes in one binding");
    too_large(&gru, 10, &one(&|c| c.max_buffer_bytes = 1599), 1600, 1599, "bytes in one binding");
    too_large(&gru, 10, &one(&|c| c.max_storage_buffers = 5), 7, 5, "storage buffers");
    too_large(&gru, 10, &one(&|c| c.max_workgroups = 2), 12, 8, "rows");
    too_large(&gru, 10, &one(&|c| c.max_workgroup_bytes = 1023), 1024, 1023, "bytes of workgroup memory");
    // The projection, 24 columns by 32 threads: one block of 64, 1 + 2 · 64/32 + 16 iterations, one store.
    too_large(&gru, 1, &one(&|c| c.max_iterations = Some(10)), 22, 10, "loop iterations of a thread");
    too_large(&model(Cell::LSTM, 4, 8), 10, &one(&|c| c.max_storage_buffers = 4), 5, 4, "storage buffers");

    // A limit on threads is no reason to refuse.
    planned(&gru, 10, 5, &one(&|c| c.max_threads = 1)).unwrap();
    planned(&gru, 10, 5, &one(&|c| c.max_threads = 7)).unwrap();

    // No size makes the planner or the checker panic.
    for cell in Cell::ALL {
        let model = model(cell, 3, 2);
        for batch in [1, 4, 1 << 16, 1 << 31, 1 << 32, 1 << 45, usize::MAX / 64, usize::MAX] {
            for steps in [1, 7, 1 << 31, 1 << 33, usize::MAX / 64, usize::MAX] {
                for limit in [1, 300, 1 << 28, u64::MAX] {
                    let caps = Caps { max_binding_bytes: limit, max_buffer_bytes: limit, ..caps.clone() };
                    let Dims { batch, steps } = Dims::new(batch, steps).unwrap();
                    // A long sequence that fits has a long list of chunks: only its plan is made.
                    if batch.saturating_mul(steps) > 1 << 20 {
                        let _ = plan(&model, Dims { batch, steps }, Precision::default(), &caps);
                    } else {
                        let _ = planned(&model, batch, steps, &caps);
                    }
                }
            }
        }
    }
}
