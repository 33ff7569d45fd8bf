//! What a session step and a pool's tick on the CPU path allocate on one thread: nothing.

use super::allocator;
use crate::common::{Draw, cells};
use wgru::{CpuOptions, Device, InstructionSet, PoolOptions, ReadoutSteps, TickOutput};

/// Streams whose frames come now one by one, now several at once, and that are saved, reset and closed meanwhile.
#[test]
fn a_tick_on_the_cpu_allocates_nothing() {
    let mut draw = Draw::new();
    let device = Device::cpu_with(CpuOptions::default().threads(1)).unwrap();
    for cell in cells() {
        let model = draw.model(cell, 10, 23, 2);
        let model = draw.with_readout(model, 3, ReadoutSteps::Every);
        let mut pool = device.load(&model).unwrap().pool(PoolOptions::fixed(9)).unwrap();
        let mut streams: Vec<_> = (0..9).map(|_| pool.open().unwrap()).collect();
        let (x, mut output) = (draw.values(3 * 10, 1.0), TickOutput::default());
        let mut count = 0;
        for round in 0..12 {
            let before = allocator::calls();
            for (index, &stream) in streams.iter().enumerate() {
                let frames = if round % 2 == 0 { 1 } else { index % 4 };
                pool.push(stream, &x[..frames * 10]).unwrap();
            }
            pool.tick_into(&mut output).unwrap();
            pool.reset(streams[round % 9]).unwrap();
            pool.close(streams[8]).unwrap();
            streams[8] = pool.open().unwrap();
            if round > 3 {
                count += allocator::calls() - before;
            }
        }
        assert_eq!((output.len(), count), (6, 0), "{model}, seed {}", draw.seed);
    }
}

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
                let before = allocator::calls();
                for _ in 0..5 {
                    session.step_into(&x, &mut output).unwrap();
                }
                let count = allocator::calls() - before;
                assert_eq!(count, 0, "{set}, {model}, {streams} streams, seed {}", draw.seed);
                session.reset();
                session.step_into(&x, &mut output).unwrap();
                assert_eq!(output, first, "{set}, {model}, seed {}", draw.seed);
            }
        }
    }
}
