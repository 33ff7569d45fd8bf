//! Thousands of streams for a while, with random events. Every sampled stream has the bits of its own sequence run,
//! wrong calls always return errors, and memory does not grow.
//!
//! A second or two for each device. Five minutes on one device:
//! `WGRU_SOAK_SECONDS=300 WGRU_DEVICE=cpu cargo test --release --test devices soak -- --nocapture`.

use std::time::{Duration, Instant};

use crate::common::life::{Life, assert_lives};
use crate::common::{Draw, devices, options};
use wgru::{Cell, Engine, Error, Pool, PoolOptions, StreamId, TickOutput};

const STREAMS: usize = 2000;
/// One in so many streams is followed.
const SAMPLED: usize = 40;
/// Frames of a life after which it is compared with a sequence run and begun again.
const LONGEST: usize = 400;

#[test]
fn thousands_of_streams_for_a_while() {
    let seconds =
        std::env::var("WGRU_SOAK_SECONDS").map_or(2.0, |text| text.parse().expect("WGRU_SOAK_SECONDS"));
    let mut draw = Draw::new();
    for device in devices() {
        let cell = if draw.chance() { Cell::GRU } else { Cell::LSTM };
        let model = draw.model(cell, 8, 32, 2);
        let engine = device.load_with(&model, options()).unwrap();
        soak(&mut draw, &engine, Duration::from_secs_f64(seconds));
    }
}

/// Counts of events.
#[derive(Debug, Default)]
struct Counts {
    ticks: usize,
    frames: usize,
    opened: usize,
    errors: usize,
    checked: usize,
}

/// A stream, followed or not.
struct Member {
    stream: StreamId,
    life: Option<Life>,
}

impl Member {
    fn new(stream: StreamId, followed: bool) -> Self {
        Self { stream, life: followed.then(|| Life::new(stream, None)) }
    }
}

fn soak(draw: &mut Draw, engine: &Engine, time: Duration) {
    let context = format!("{}, {}, seed {}", engine.device().info(), engine.model(), draw.seed);
    let mut pool = engine.pool(PoolOptions::fixed(STREAMS).frames(4)).unwrap();
    let mut members: Vec<Member> = Vec::new();
    let (mut counts, mut output) = (Counts::default(), TickOutput::default());
    let (start, mut memory) = (Instant::now(), None);
    while start.elapsed() < time || counts.ticks < 20 {
        come_and_go(draw, &mut pool, &mut members, &mut counts, &context);
        push(draw, &mut pool, &mut members, &mut counts);
        pool.tick_into(&mut output).unwrap();
        counts.ticks += 1;
        for frames in output.iter() {
            counts.frames += frames.frames;
        }
        let lives = members.iter_mut().filter_map(|member| member.life.as_mut());
        for life in lives {
            if let Some(frames) = output.of(life.stream) {
                life.y.extend_from_slice(frames.y);
            }
        }
        happen(draw, &mut pool, &mut members, &mut counts, &context);
        if memory.is_none() && start.elapsed() > time / 2 {
            memory = memory_mib();
        }
    }
    let lives: Vec<Life> = members.into_iter().filter_map(|member| member.life).collect();
    counts.checked += lives.len();
    assert_lives(engine, &lives, &context);
    println!("{context}: {counts:?} in {:.0?}", start.elapsed());
    assert!(counts.checked > 10 && counts.errors > 10, "{context}: {counts:?}");
    if let (Some(half), Some(end), true) = (memory, memory_mib(), time > Duration::from_secs(60)) {
        println!("{context}: {half} MiB in memory at half the time, {end} MiB at its end");
        assert!(end <= half + half / 20 + 8, "{context}: memory grew from {half} to {end} MiB");
    }
}

/// MiB of the process in physical memory, where the system reports it.
fn memory_mib() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<usize>().ok().map(|kib| kib >> 10)
}

/// Streams open until the pool is full, and some close.
fn come_and_go(
    draw: &mut Draw,
    pool: &mut Pool,
    members: &mut Vec<Member>,
    counts: &mut Counts,
    context: &str,
) {
    for _ in 0..draw.size(0..=STREAMS / 10) {
        match pool.open() {
            Ok(stream) => {
                counts.opened += 1;
                members.push(Member::new(stream, counts.opened.is_multiple_of(SAMPLED)));
            }
            Err(error) => {
                assert!(matches!(error, Error::TooLarge { .. }), "{context}: {error}");
                assert_eq!(pool.len(), STREAMS, "{context}");
                counts.errors += 1;
                break;
            }
        }
    }
    for _ in 0..draw.size(0..=members.len() / 50) {
        let member = members.swap_remove(draw.size(0..=members.len() - 1));
        pool.close(member.stream).unwrap();
        for error in [pool.close(member.stream).map(drop), pool.push(member.stream, &[0.0; 8])] {
            let error = error.unwrap_err();
            assert!(matches!(error, Error::Stream { .. }), "{context}: {error}");
            counts.errors += 1;
        }
        if let Some(life) = member.life {
            counts.checked += 1;
            assert_lives(pool.engine(), &[life], context);
        }
    }
}

/// Frames for half of the streams, now and then invalid ones.
fn push(draw: &mut Draw, pool: &mut Pool, members: &mut [Member], counts: &mut Counts) {
    let frames = draw.values(8 * 6, 1.0);
    for (index, member) in members.iter_mut().enumerate() {
        if draw.chance() {
            continue;
        }
        let count = [1, 1, 1, 1, 1, 1, 2, 5][draw.size(0..=7)];
        match &mut member.life {
            Some(life) => life.push(draw, pool, count),
            None => pool.push(member.stream, &frames[..count * 8]).unwrap(),
        }
        if index % 500 == 0 {
            let nan = [0.0, 0.0, f32::NAN, 0.0, 0.0, 0.0, 0.0, 0.0];
            for error in [pool.push(member.stream, &nan), pool.push(member.stream, &nan[..5])] {
                error.unwrap_err();
                counts.errors += 1;
            }
        }
    }
}

/// Resets, saves and loads.
fn happen(draw: &mut Draw, pool: &mut Pool, members: &mut [Member], counts: &mut Counts, context: &str) {
    for _ in 0..draw.size(0..=4) {
        if members.is_empty() {
            return;
        }
        let index = draw.size(0..=members.len() - 1);
        let stream = members[index].stream;
        let given = match draw.size(0..=2) {
            0 => {
                pool.reset(stream).unwrap();
                None
            }
            1 => {
                // A state moves to another stream.
                let other = members[draw.size(0..=members.len() - 1)].stream;
                let state = pool.state(other).unwrap();
                pool.set_state(stream, &state).unwrap();
                Some(state)
            }
            _ => {
                pool.state(stream).unwrap();
                continue;
            }
        };
        if let Some(life) = &mut members[index].life {
            counts.checked += 1;
            assert_lives(pool.engine(), &[life.begin_again(given)], context);
        }
    }
    let long = members.iter_mut().filter_map(|member| member.life.as_mut());
    for life in long.filter(|life| life.frames.len() > LONGEST * 8) {
        counts.checked += 1;
        life.saved = Some(pool.state(life.stream).unwrap());
        life.saved_at = life.outputs();
        let ended = life.begin_again(None);
        pool.reset(life.stream).unwrap();
        assert_lives(pool.engine(), &[ended], context);
    }
}
