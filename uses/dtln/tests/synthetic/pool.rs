//! Streams of a pool beside streams of their own.

use wgru::{Device, StreamId};
use wgru_dtln::{Dtln, Error, HOP, Pool};

use crate::network::{KERAS, Network, sound};
use crate::{allocator, open, stream};

/// A caller: its samples, how many hops it has had, and what came out.
struct Caller {
    id: StreamId,
    samples: Vec<f32>,
    given: usize,
    got: Vec<f32>,
}

impl Caller {
    fn new(pool: &mut Pool, seed: u64) -> Self {
        let (id, samples) = (pool.open().unwrap(), sound(40 * HOP, seed));
        Self { id, samples, given: 0, got: Vec::new() }
    }

    fn push(&mut self, pool: &mut Pool) {
        pool.push(self.id, &self.samples.as_chunks().0[self.given]).unwrap();
        self.given += 1;
    }
}

/// A tick; its outputs go to the callers.
fn tick(pool: &mut Pool, callers: &mut [Caller]) -> usize {
    let done = pool.tick(|id, hop| {
        let caller = callers.iter_mut().find(|caller| caller.id == id).expect("a caller of the pool");
        caller.got.extend(hop);
    });
    done.unwrap().streams
}

/// Callers that come, leave, and are late.
fn check(dtln: &Dtln) {
    let mut rng = fastrand::Rng::with_seed(21);
    let mut pool = dtln.pool(2).unwrap();
    let (mut callers, mut gone) = (Vec::new(), Vec::new());
    for round in 0..40 {
        // More than are encoded together, and more than the pool had room for at first.
        for _ in 0..if round == 0 { 30 } else { rng.usize(0..3) } {
            callers.push(Caller::new(&mut pool, rng.u64(..)));
        }
        let mut pushed = 0;
        for caller in &mut callers {
            if rng.u8(..4) > 0 {
                caller.push(&mut pool);
                pushed += 1;
            }
        }
        assert_eq!(tick(&mut pool, &mut callers), pushed);
        for _ in 0..rng.usize(0..3) {
            let caller: Caller = callers.swap_remove(rng.usize(..callers.len()));
            pool.close(caller.id).unwrap();
            gone.push(caller);
        }
        assert_eq!(pool.len(), callers.len());
    }
    assert!(gone.len() > 20 && callers.len() > 5);
    for caller in callers.iter().chain(&gone) {
        let expected = stream(&mut dtln.stream().unwrap(), &caller.samples[..caller.given * HOP]);
        assert_eq!(caller.got, expected, "{}", dtln.device().info());
    }
}

#[test]
fn streams_of_a_pool_have_the_bits_of_their_own_streams() {
    check(&open(&Network::new(21)));
    let [one, two] = Network::new(22).files(KERAS);
    for device in [Device::open("cpu:2").unwrap(), Device::reference()] {
        check(&Dtln::from_onnx(&one, &two, &device).unwrap());
    }
}

#[test]
fn every_gpu_has_pools() {
    let [one, two] = Network::new(23).files(KERAS);
    let adapters = if cfg!(feature = "gpu") { Device::all_adapters().unwrap() } else { Vec::new() };
    for device in adapters {
        check(&Dtln::from_onnx(&one, &two, &device).unwrap());
    }
}

#[test]
fn a_tick_allocates_nothing() {
    let dtln = open(&Network::new(24));
    let mut pool = dtln.pool(20).unwrap();
    let ids: Vec<_> = (0..20).map(|_| pool.open().unwrap()).collect();
    let samples: [f32; HOP] = sound(HOP, 24).try_into().unwrap();
    let mut round = || {
        ids.iter().for_each(|&id| pool.push(id, &samples).unwrap());
        pool.tick(|_, _| ()).unwrap()
    };
    // Two sets of arrays are swapped from tick to tick.
    (0..4).for_each(|_| assert_eq!(round().streams, 20));
    let before = allocator::calls();
    assert_eq!(round().streams, 20);
    assert_eq!(allocator::calls() - before, 0);
}

#[test]
fn what_a_pool_refuses_changes_nothing() {
    let dtln = open(&Network::new(25));
    let (mut pool, mut other) = (dtln.pool(2).unwrap(), dtln.pool(2).unwrap());
    let mut callers = [Caller::new(&mut pool, 1), Caller::new(&mut pool, 2)];
    let stranger = other.open().unwrap();
    let hop = [0.1; HOP];
    let mut wrong = hop;
    wrong[7] = f32::NAN;
    for _ in 0..5 {
        callers[0].push(&mut pool);
        assert!(matches!(pool.push(callers[1].id, &wrong), Err(Error::Sample { at: 7, .. })));
        let twice = pool.push(callers[0].id, &hop).unwrap_err().to_string();
        assert!(twice.contains("has a hop that waits: call Pool::tick"), "{twice}");
        let foreign = pool.push(stranger, &hop).unwrap_err().to_string();
        assert!(foreign.contains("is not open in this pool"), "{foreign}");
        assert!(matches!(pool.close(stranger), Err(Error::Closed(_))));
        assert_eq!(tick(&mut pool, &mut callers), 1);
        assert_eq!(tick(&mut pool, &mut callers), 0);
    }
    let expected = stream(&mut dtln.stream().unwrap(), &callers[0].samples[..5 * HOP]);
    assert_eq!(callers[0].got, expected);
    assert!(callers[1].got.is_empty());
    // A hop that waits goes with its stream, and the next has none of its states.
    let closed = callers[0].id;
    callers[0].push(&mut pool);
    pool.close(closed).unwrap();
    assert!(matches!(pool.push(closed, &hop), Err(Error::Closed(_))));
    assert_eq!(tick(&mut pool, &mut callers), 0);
    let mut next = [Caller::new(&mut pool, 3)];
    next[0].push(&mut pool);
    tick(&mut pool, &mut next);
    assert_eq!(next[0].got, stream(&mut dtln.stream().unwrap(), &next[0].samples[..HOP]));
}
