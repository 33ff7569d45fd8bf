//! Many callers at once, in real time: every 8 ms each of them has a hop, whose output is due before the next.

use std::fmt;
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use wgru_dtln::{Dtln, HOP, Pool, RATE};

use crate::{Anything, hop, hops};

/// Time from one hop to the next, 8 ms.
const PERIOD: Duration = Duration::from_nanos(1_000_000_000 * HOP as u64 / RATE as u64);
/// Ticks before the first that is measured.
const WARM_UP: usize = 3;

/// What every thread measured.
pub(crate) struct Report {
    callers: usize,
    threads: usize,
    /// Ticks of a thread.
    ticks: usize,
    /// The most that a thread computed, and the sums of all threads.
    busiest: Duration,
    busy: Duration,
    lstms: Duration,
    /// From the arrival of a tick's hops to its last output, sorted; of all threads.
    delays: Vec<Duration>,
}

/// A thread's share.
#[derive(Default)]
struct Shift {
    busy: Duration,
    lstms: Duration,
    delays: Vec<Duration>,
    /// Samples of its first caller and of its last.
    first: Vec<f32>,
    last: Vec<f32>,
}

/// The recording of one caller: all of it, from a place of its own on and around, then silence.
#[derive(Clone, Copy)]
struct Recording<'a> {
    samples: &'a [f32],
    begin: usize,
}

impl Recording<'_> {
    fn hop(self, tick: usize) -> [f32; HOP] {
        let count = self.samples.len().div_ceil(HOP);
        let at = if tick < count { (self.begin + tick) % count } else { tick };
        hop(self.samples, at)
    }
}

/// Plays a recording to so many callers, on so many threads with a pool each. Returns the samples of the first caller, who hears it
/// from its beginning; they are delayed.
pub(crate) fn play(
    dtln: &Dtln,
    samples: &[f32],
    callers: usize,
    threads: usize,
) -> Anything<(Vec<f32>, Report)> {
    let threads = threads.min(callers);
    let count = samples.len().div_ceil(HOP);
    let recording = |caller: usize| Recording { samples, begin: caller * count / callers };
    let ranges = (0..threads).map(|thread| callers * thread / threads..callers * (thread + 1) / threads);
    let mut pools = Vec::with_capacity(threads);
    for range in ranges {
        let mut pool = dtln.pool(range.len())?;
        warm_up(&mut pool, range.len())?;
        pools.push((pool, range));
    }
    let shifts: Vec<Anything<Shift>> = thread::scope(|scope| {
        let work = |(mut pool, range): (Pool, Range<usize>)| {
            scope.spawn(move || {
                let recordings: Vec<_> = range.map(recording).collect();
                work(&mut pool, &recordings, hops(samples)).map_err(|error| error.to_string())
            })
        };
        let running: Vec<_> = pools.into_iter().map(work).collect();
        let ended = |thread: thread::ScopedJoinHandle<'_, Result<Shift, String>>| -> Anything<Shift> {
            Ok(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?)
        };
        running.into_iter().map(ended).collect()
    });
    let mut shifts = shifts.into_iter().collect::<Anything<Vec<_>>>()?;
    // A measurement of wrong samples is none.
    if let Some(last) = shifts.last()
        && alone(dtln, recording(callers - 1), hops(samples))? != last.last
    {
        return Err(format!("caller {callers}: its samples are not those of a stream of its own").into());
    }
    let mut delays: Vec<Duration> = shifts.iter().flat_map(|shift| &shift.delays).copied().collect();
    delays.sort_unstable();
    let report = Report {
        callers,
        threads,
        ticks: hops(samples),
        busiest: shifts.iter().map(|shift| shift.busy).max().unwrap_or_default(),
        busy: shifts.iter().map(|shift| shift.busy).sum(),
        lstms: shifts.iter().map(|shift| shift.lstms).sum(),
        delays,
    };
    Ok((std::mem::take(&mut shifts[0].first), report))
}

/// Ticks of silence, whose callers leave again.
fn warm_up(pool: &mut Pool, callers: usize) -> wgru_dtln::Result<()> {
    let streams = (0..callers).map(|_| pool.open()).collect::<wgru_dtln::Result<Vec<_>>>()?;
    for _ in 0..WARM_UP {
        for &stream in &streams {
            pool.push(stream, &[0.0; HOP])?;
        }
        pool.tick(|_, _| ())?;
    }
    streams.into_iter().try_for_each(|stream| pool.close(stream))
}

/// The callers of one thread. A late tick begins at once: no hop is left out.
fn work(pool: &mut Pool, recordings: &[Recording<'_>], ticks: usize) -> wgru_dtln::Result<Shift> {
    let streams = recordings.iter().map(|_| pool.open()).collect::<wgru_dtln::Result<Vec<_>>>()?;
    let mut shift = Shift { delays: Vec::with_capacity(ticks), ..Shift::default() };
    let (first, last) = (streams.first().copied(), streams.last().copied());
    let start = Instant::now();
    for tick in 0..ticks {
        let arrival = start + PERIOD * tick as u32;
        thread::sleep(arrival.saturating_duration_since(Instant::now()));
        let began = Instant::now();
        for (&stream, recording) in streams.iter().zip(recordings) {
            pool.push(stream, &recording.hop(tick))?;
        }
        let done = pool.tick(|stream, hop| {
            if Some(stream) == first {
                shift.first.extend(hop);
            }
            if Some(stream) == last {
                shift.last.extend(hop);
            }
        })?;
        shift.busy += began.elapsed();
        shift.lstms += done.lstms;
        shift.delays.push(arrival.elapsed());
    }
    Ok(shift)
}

/// The samples of one caller in a stream of its own.
fn alone(dtln: &Dtln, recording: Recording<'_>, ticks: usize) -> wgru_dtln::Result<Vec<f32>> {
    let (mut stream, mut out) = (dtln.stream()?, Vec::with_capacity(ticks * HOP));
    for tick in 0..ticks {
        let mut hop = [0.0; HOP];
        stream.process(&recording.hop(tick), &mut hop)?;
        out.extend(hop);
    }
    Ok(out)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { callers, threads, ticks, busiest, busy, lstms, delays } = self;
        let factor = busiest.as_secs_f64() / (PERIOD * *ticks as u32).as_secs_f64();
        let of_hop = busy.as_secs_f64() * 1e6 / (callers * ticks) as f64;
        let share = lstms.as_secs_f64() / busy.as_secs_f64() * 100.0;
        let ms = |part: f64| {
            let at = ((delays.len() as f64 * part).ceil() as usize).clamp(1, delays.len());
            delays[at - 1].as_secs_f64() * 1e3
        };
        let late = delays.iter().filter(|&&delay| delay > PERIOD).count();
        writeln!(f, "{callers} callers, {threads} threads, {ticks} ticks of 8 ms each, every hop computed")?;
        writeln!(
            f,
            "real-time factor {factor:.4}, {of_hop:.2} µs for a hop of a caller, LSTMs {share:.0} % of it"
        )?;
        writeln!(
            f,
            "from the hops' arrival to the last output: median {:.3} ms, 99 % {:.3} ms, 99.9 % {:.3} ms, worst {:.3} ms",
            ms(0.5),
            ms(0.99),
            ms(0.999),
            ms(1.0)
        )?;
        let share = late as f64 / delays.len() as f64 * 100.0;
        write!(f, "missed deadlines: {late} of {} ticks, {share:.2} %", delays.len())
    }
}
