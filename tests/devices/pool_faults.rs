//! Pools whose device is lost: the tick returns an error, and the streams go on elsewhere from their saved states.

use crate::common::life::Life;
use crate::common::{Draw, bits};
use wgru::{Cell, Device, Engine, ErrorKind, Pool, PoolOptions, StreamId, TickOutput};

/// Every adapter with a device of the test's own, which the test can destroy.
fn own_devices() -> Vec<(wgpu::Device, Device)> {
    devices_of(|_| {})
}

/// The same with other limits.
fn devices_of(limit: impl Fn(&mut wgpu::Limits)) -> Vec<(wgpu::Device, Device)> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::all();
    let instance = wgpu::Instance::new(descriptor);
    let mut adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    adapters.retain(|adapter| {
        adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS)
    });
    assert!(!adapters.is_empty(), "no GPU adapter found; `cargo xtask test` installs software drivers");
    let open = |adapter: &wgpu::Adapter| {
        let mut required_limits = adapter.limits();
        limit(&mut required_limits);
        let descriptor = wgpu::DeviceDescriptor { required_limits, ..wgpu::DeviceDescriptor::default() };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
        (device.clone(), Device::from_wgpu(device, queue))
    };
    adapters.iter().map(open).collect()
}

/// The same with small buffers.
fn small_devices() -> Vec<(wgpu::Device, Device)> {
    devices_of(|limits| {
        limits.max_buffer_size = 1 << 17;
        limits.max_storage_buffer_binding_size = 1 << 17;
        limits.max_uniform_buffer_binding_size = limits.max_uniform_buffer_binding_size.min(1 << 16);
    })
}

const STREAMS: usize = 6;

/// A pool whose streams have all had a few frames; half of the streams were saved after the first.
fn begun(draw: &mut Draw, engine: &Engine) -> (Pool, Vec<Life>) {
    let mut pool = engine.pool(PoolOptions::fixed(STREAMS)).unwrap();
    let mut lives: Vec<Life> = (0..STREAMS).map(|_| Life::new(pool.open().unwrap(), None)).collect();
    for round in 0..3 {
        lives.iter_mut().for_each(|life| life.push(draw, &mut pool, 1));
        let output = pool.tick().unwrap();
        crate::common::life::take(&mut lives, &output);
        if round == 0 {
            for life in lives.iter_mut().take(STREAMS / 2) {
                life.saved = Some(pool.state(life.stream).unwrap());
            }
        }
    }
    (pool, lives)
}

/// Rebuilds the pool on `engine` and compares every stream with its expected outputs from there on.
fn goes_on(draw: &mut Draw, mut pool: Pool, lives: &[Life], engine: &Engine, context: &str) {
    let lost = pool.rebuild(engine).unwrap();
    let lost: Vec<(StreamId, u64)> = lost.iter().map(|lost| (lost.stream, lost.frames)).collect();
    // Saved streams have lost the frames after the save, the others all frames; frames that no tick took are still
    // queued.
    let input = engine.model().input();
    let waiting: Vec<usize> = lives.iter().map(|life| pool.pending(life.stream).unwrap()).collect();
    let frames = |index: usize, life: &Life| {
        let seen = (life.frames.len() / input - waiting[index]) as u64;
        if index < STREAMS / 2 { seen - 1 } else { seen }
    };
    let expected: Vec<(StreamId, u64)> =
        lives.iter().enumerate().map(|(index, life)| (life.stream, frames(index, life))).collect();
    assert_eq!(lost, expected, "{context}");
    let mut other = engine.pool(PoolOptions::fixed(STREAMS)).unwrap();
    for (life, waiting) in lives.iter().zip(waiting) {
        let x = draw.values(4 * input, 1.0);
        let twin = match &life.saved {
            Some(state) => other.open_with(state).unwrap(),
            None => other.open().unwrap(),
        };
        other.push(twin, &life.frames[life.frames.len() - waiting * input..]).unwrap();
        pool.push(life.stream, &x).unwrap();
        other.push(twin, &x).unwrap();
        let [y, of_twin] = [(&mut pool, life.stream), (&mut other, twin)]
            .map(|(pool, stream)| pool.tick().unwrap().of(stream).unwrap().y.to_vec());
        assert_eq!(bits(&y), bits(&of_twin), "{context}: stream {}", life.stream);
    }
}

#[test]
fn a_device_that_goes_away_between_ticks() {
    let mut draw = Draw::new();
    for (device, own) in own_devices() {
        let context = format!("{}, seed {}", own.info(), draw.seed);
        let model = draw.model(Cell::LSTM, 4, 12, 2);
        let (mut pool, mut lives) = begun(&mut draw, &own.load(&model).unwrap());
        device.destroy();
        lives[0].push(&mut draw, &mut pool, 1);
        let error = pool.tick().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LostDevice, "{context}: {error}");
        // All later calls return the same error.
        for error in [pool.tick().unwrap_err(), pool.state(lives[5].stream).unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::LostDevice, "{context}: {error}");
        }
        let cpu = Device::cpu().load(&model).unwrap();
        goes_on(&mut draw, pool, &lives, &cpu, &context);
    }
}

#[test]
fn a_device_that_goes_away_under_a_tick() {
    let mut draw = Draw::new();
    for (device, own) in own_devices() {
        let context = format!("{}, seed {}", own.info(), draw.seed);
        let model = draw.model(Cell::GRU, 4, 12, 1);
        let (mut pool, mut lives) = begun(&mut draw, &own.load(&model).unwrap());
        lives.iter_mut().for_each(|life| life.push(&mut draw, &mut pool, 1));
        assert!(pool.begin().unwrap());
        device.destroy();
        let mut output = TickOutput::default();
        let finished = pool.finish_into(&mut output);
        match finished {
            // The failed tick leaves nothing behind.
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::LostDevice, "{context}: {error}");
                assert!(output.is_empty(), "{context}");
                // Later calls all say what to do.
                for error in [pool.tick().unwrap_err(), pool.state(lives[5].stream).unwrap_err()] {
                    assert!(error.to_string().contains("Pool::rebuild"), "{context}: {error}");
                }
            }
            // The driver may have completed before.
            Ok(()) => assert_eq!(output.len(), STREAMS, "{context}"),
        }
        let cpu = Device::cpu().load(&model).unwrap();
        goes_on(&mut draw, pool, &lives, &cpu, &context);
    }
}

/// From a lost device to a new one of the same adapter.
#[test]
fn a_pool_goes_on_on_a_new_device() {
    let mut draw = Draw::new();
    for ((device, own), (_kept, new)) in own_devices().into_iter().zip(own_devices()) {
        let context = format!("{}, seed {}", own.info(), draw.seed);
        let model = draw.model(Cell::GRU, 4, 12, 1);
        let (pool, lives) = begun(&mut draw, &own.load(&model).unwrap());
        device.destroy();
        goes_on(&mut draw, pool, &lives, &new.load(&model).unwrap(), &context);
    }
}

/// The outputs of a tick that began before a save are kept although the device is lost: the saved states include the
/// tick.
#[test]
fn outputs_of_ticks_before_a_save_are_not_lost() {
    let mut draw = Draw::new();
    for (device, own) in own_devices() {
        let context = format!("{}, seed {}", own.info(), draw.seed);
        let model = draw.model(Cell::GRU, 4, 12, 1);
        let engine = own.load(&model).unwrap();
        let (mut pool, mut lives) = begun(&mut draw, &engine);
        lives.iter_mut().for_each(|life| life.push(&mut draw, &mut pool, 1));
        assert!(pool.begin().unwrap());
        pool.snapshot().unwrap();
        device.destroy();
        // Another tick begins, or fails to, on a lost device.
        lives[0].push(&mut draw, &mut pool, 1);
        let begun = pool.begin();
        let lost = pool.rebuild(&Device::cpu().load(&model).unwrap()).unwrap();
        assert_eq!(lost.len(), usize::from(begun.is_ok()), "{context}: {lost:?}");
        assert_eq!(pool.in_flight(), 1, "{context}");
        let mut output = TickOutput::default();
        pool.finish_into(&mut output).unwrap();
        crate::common::life::take(&mut lives, &output);
        let (_, fresh) = own_devices().into_iter().find(|(_, device)| device.info() == own.info()).unwrap();
        for life in &mut lives {
            assert_eq!(life.y.len(), 4 * 12, "{context}: stream {}", life.stream);
            life.saved = None;
        }
        crate::common::life::assert_lives(&fresh.load(&model).unwrap(), &lives, &context);
    }
}

/// More frames than one buffer of the device holds: a tick takes as many as fit, the next ticks the rest.
#[test]
fn a_backlog_beyond_the_devices_buffers_waits() {
    let mut draw = Draw::new();
    for (_, own) in small_devices() {
        let context = format!("{}, seed {}", own.info(), draw.seed);
        let model = draw.model(Cell::GRU, 8, 16, 1);
        let engine = own.load(&model).unwrap();
        let mut pool = engine.pool(PoolOptions::fixed(300)).unwrap();
        let mut lives: Vec<Life> = (0..300).map(|_| Life::new(pool.open().unwrap(), None)).collect();
        for (index, life) in lives.iter_mut().enumerate() {
            life.push(&mut draw, &mut pool, if index % 50 == 0 { 40 } else { 12 });
        }
        let mut ticks = 0;
        while pool.ready() > 0 {
            crate::common::life::take(&mut lives, &pool.tick().unwrap());
            ticks += 1;
        }
        assert!(ticks > 3, "{context}: {ticks} ticks");
        crate::common::life::assert_lives(&engine, &lives, &context);
        assert!(lives.iter().all(|life| life.y.len() == life.frames.len() * 2), "{context}");
    }
}

/// Where a tick holds only a part of the streams, the next ticks take those that it left out, however few frames they
/// have.
#[test]
fn every_stream_gets_its_turn() {
    let mut draw = Draw::new();
    for (_, own) in small_devices() {
        let context = format!("{}, seed {}", own.info(), draw.seed);
        let model = draw.model(Cell::GRU, 8, 16, 1);
        let engine = own.load(&model).unwrap();
        let mut pool = engine.pool(PoolOptions::fixed(300).frames(8)).unwrap();
        let mut lives: Vec<Life> = (0..300).map(|_| Life::new(pool.open().unwrap(), None)).collect();
        let (mut waited, mut longest, mut partial) = (vec![0; 300], 0, 0);
        for _ in 0..40 {
            for (index, life) in lives.iter_mut().enumerate() {
                // All but a few streams always have as many frames as a tick takes.
                let wanted = if index % 60 == 7 { 1 } else { 8 };
                let pending = pool.pending(life.stream).unwrap();
                life.push(&mut draw, &mut pool, wanted - pending.min(wanted));
            }
            let output = pool.tick().unwrap();
            partial += usize::from(output.len() < 300);
            for (life, waited) in lives.iter().zip(&mut waited) {
                *waited = if output.of(life.stream).is_some() { 0 } else { *waited + 1 };
                longest = longest.max(*waited);
            }
            crate::common::life::take(&mut lives, &output);
        }
        assert_eq!(partial, 40, "{context}: a tick took all, so nothing was shown");
        assert!(longest <= 10, "{context}: {longest} ticks");
        crate::common::life::assert_lives(&engine, &lives, &context);
    }
}
