//! What a session step on the CPU path allocates: nothing. A suite of its own, for it counts every allocation of the process.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Draw, cells};
use wgru::{CpuOptions, Device, InstructionSet, ReadoutSteps};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator, and a count.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The only test of this suite: another at the same time would be counted too.
#[test]
fn a_session_step_on_the_cpu_allocates_nothing() {
    let mut draw = Draw::new();
    for set in InstructionSet::available() {
        let device = Device::cpu_with(CpuOptions::default().threads(1).instructions(set)).unwrap();
        for cell in cells() {
            for streams in [1, 3, 40] {
                let model = draw.model(cell, 30, 41, 2);
                let model = draw.with_options(model);
                let model = draw.with_readout(model, 3, ReadoutSteps::Every);
                let mut session = device.load(&model).unwrap().session(streams).unwrap();
                let x = draw.values(streams * model.input(), 1.0);
                let mut output = session.output().unwrap();
                session.step_into(&x, &mut output).unwrap();
                let first = output.clone();
                let before = ALLOCATIONS.load(Ordering::Relaxed);
                for _ in 0..5 {
                    session.step_into(&x, &mut output).unwrap();
                }
                let count = ALLOCATIONS.load(Ordering::Relaxed) - before;
                assert_eq!(count, 0, "{set}, {model}, {streams} streams, seed {}", draw.seed);
                session.reset();
                session.step_into(&x, &mut output).unwrap();
                assert_eq!(output, first, "{set}, {model}, seed {}", draw.seed);
            }
        }
    }
}
