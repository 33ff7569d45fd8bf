//! One case on one device: verified first, then timed in every way there is, in rounds.
//!
//! Other work on a machine comes and goes within seconds. A figure measured in one piece shows one such moment and
//! says nothing of the next. So other cases run between its rounds, and its spread includes the distance between the
//! rounds.

use std::hash::{DefaultHasher, Hash, Hasher};

use web_time::Instant;
use wgru::engine::Exchange;
use wgru::plan::{Only, Table};
use wgru::{Device, DeviceInfo, DeviceOptions, Dims, Engine, Options, Output};

use crate::case::Case;
use crate::record::{Record, Timed, Timing};
use crate::subject::Subject;
use crate::timing::{Effort, Figures, ROUNDS};
use crate::verify::require;

/// The value of a call that waits for the device: by the form that never blocks in a browser, elsewhere by the one that blocks, since
/// futures that are polled again and again would be timed with their polling.
macro_rules! wait {
    ($blocks:expr, $yields:expr) => {
        if cfg!(target_arch = "wasm32") { $yields.await } else { $blocks }
    };
}

/// The peaks of a device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// Arithmetic in 10⁹ operations a second: of a large tiled matmul on a GPU; of products and additions in
    /// registers, on all threads of the device, on the CPU.
    pub gflops: f64,
    /// Bandwidth in 10⁹ bytes a second, read and written: of a large copy, on the CPU on every thread.
    pub gbs: f64,
}

/// A device with its properties.
pub struct Bench {
    /// The selector that `Device::open` finds it with.
    pub selector: String,
    /// The options it is opened with.
    pub opened: DeviceOptions,
    /// The device.
    pub device: Device,
    /// Its measured peaks.
    pub peak: Option<Peak>,
    /// The planner's alternatives.
    pub only: Only,
    /// The numbers that the planner predicts with.
    pub table: Option<Table>,
    /// Whether the reduction order is free.
    pub any_reduction_order: bool,
}

impl Bench {
    /// The same device opened again, with no compiled kernels.
    ///
    /// # Errors
    /// As `Device::open`.
    pub async fn reopen(&self) -> wgru::Result<Device> {
        let Self { selector, opened, .. } = self;
        wait!(Device::open_with(selector, opened), Device::open_with_async(selector, opened))
    }

    /// Its name, backend, driver and threads, as records have them.
    pub fn place(&self) -> (String, String, String, usize) {
        match self.device.info() {
            DeviceInfo::Gpu(info) => (info.name, info.backend.to_owned(), info.driver, 0),
            DeviceInfo::Cpu(info) => {
                ("cpu".into(), "cpu".into(), info.instructions.to_string(), info.threads)
            }
            other => (other.to_string(), other.to_string(), String::new(), 1),
        }
    }

    /// The options of engines for `case`.
    pub fn options(&self, case: &Case) -> Options {
        let mut options = case.options().only(self.only).reproducible(!self.any_reduction_order);
        if let Some(table) = &self.table {
            options = options.speed(table.clone());
        }
        // They also apply to the device that is opened again, so its plans are the same.
        match self.device.exchange() {
            Some(exchange) => options.exchange(Exchange::Forced(exchange)),
            None => options,
        }
    }
}

/// The fields that all records of a run share.
pub struct Stamp {
    /// The commit of the program.
    pub commit: String,
    /// The day, UTC.
    pub date: String,
}

/// Times `subject` on a device, all rounds at once. Only verified figures are returned.
///
/// # Errors
/// The error of the device or the verification.
pub async fn measure(
    subject: &Subject,
    bench: &Bench,
    effort: Effort,
    stamp: &Stamp,
) -> Result<Vec<Record>, String> {
    let mut measuring = Measuring::new(subject, bench, effort).await?;
    for round in 0..ROUNDS {
        measuring.round(round).await?;
    }
    Ok(measuring.records(stamp))
}

/// A case on a device, verified, with the times so far. It holds no device memory, so devices that share memory do
/// not compete for it.
pub struct Measuring<'a> {
    subject: &'a Subject,
    bench: &'a Bench,
    effort: Effort,
    verified: Verified,
    strategy: String,
    /// The measurements, each with its rounds.
    times: Vec<Times>,
    /// The host's seconds for recording a sequence run.
    recording: Vec<f64>,
}

/// The comparison with the reference.
struct Verified {
    error: f64,
    tolerance: f64,
    /// A hash of the bits of y.
    y: u64,
    /// A hash of the bits of all outputs.
    all: u64,
}

struct Times {
    timed: Timed,
    timing: Timing,
    flops: f64,
    bytes: u64,
    rounds: Vec<Vec<f64>>,
}

impl<'a> Measuring<'a> {
    /// Verifies.
    ///
    /// # Errors
    /// The error of the device or the verification.
    pub async fn new(subject: &'a Subject, bench: &'a Bench, effort: Effort) -> Result<Self, String> {
        let named = |error: String| named(subject, bench, &error);
        let text = |error: wgru::Error| named(error.to_string());
        let engine = bench.device.load_with(&subject.model, bench.options(&subject.case)).map_err(text)?;
        let verified = verified(subject, bench, &engine).await.map_err(named)?;
        let dims = Dims { batch: subject.case.batch, steps: subject.case.steps };
        let strategy = engine.explain(dims).unwrap_or_else(|error| error.to_string());
        Ok(Self { subject, bench, effort, verified, strategy, times: Vec::new(), recording: Vec::new() })
    }

    /// Times every measurement once more.
    ///
    /// # Errors
    /// The error of the device, or outputs that differ from the verified ones.
    pub async fn round(&mut self, round: usize) -> Result<(), String> {
        let timed = self.try_round(round).await;
        timed.map_err(|error| named(self.subject, self.bench, &error))
    }

    async fn try_round(&mut self, round: usize) -> Result<(), String> {
        let Subject { case, model, .. } = self.subject;
        // This opens a device, which takes long, so it runs in every second round only.
        if round.is_multiple_of(2) {
            self.prepare().await?;
        }
        let engine = self
            .bench
            .device
            .load_with(model, self.bench.options(case))
            .map_err(|error| error.to_string())?;
        if case.is_step() {
            return self.step(&engine).await;
        }
        self.sequence(&engine).await?;
        self.end_to_end(&engine).await?;
        match engine.fallbacks().count {
            0 => Ok(()),
            count => Err(format!(
                "{count} runs whose workgroups were not completed by all workgroups were finished step by step"
            )),
        }
    }

    fn keep(&mut self, timed: Timed, timing: Timing, (flops, bytes): (f64, u64), times: Vec<f64>) {
        match self.times.iter_mut().find(|all| (all.timed, all.timing) == (timed, timing)) {
            Some(all) => all.rounds.push(times),
            None => self.times.push(Times { timed, timing, flops, bytes, rounds: vec![times] }),
        }
    }

    /// From the bytes of a file to the first run, on a device without compiled kernels.
    async fn prepare(&mut self) -> Result<(), String> {
        let case = &self.subject.case;
        let dims = Dims { batch: case.batch, steps: case.steps };
        let text = |error: wgru::Error| error.to_string();
        let device = self.bench.reopen().await.map_err(text)?;
        let start = Instant::now();
        let model = self.subject.read().map_err(text)?;
        let fresh = device.load_with(&model, self.bench.options(case)).map_err(text)?;
        wait!(fresh.prepare(dims), fresh.prepare_async(dims, |_, _| ())).map_err(text)?;
        let seconds = start.elapsed().as_secs_f64();
        self.keep(Timed::Prepare, Timing::Wall, (0.0, self.subject.weight_bytes()), vec![seconds]);
        Ok(())
    }

    async fn sequence(&mut self, engine: &Engine) -> Result<(), String> {
        let text = |error: wgru::Error| error.to_string();
        let batch = self.subject.inputs().batch().map_err(text)?;
        let mut staged = engine.stage(&batch).map_err(text)?;
        let run = async || wait!(staged.run(), staged.run_async()).map(|device| (device, staged.recording()));
        let times = self.effort.repeat(run).await.map_err(text)?;
        let mut output = engine.output(batch.run_shape()).map_err(text)?;
        wait!(staged.read_into(&mut output), staged.read_into_async(&mut output)).map_err(text)?;
        self.same(&output)?;
        let flops = self.subject.case.flops(self.subject.steps());
        let bytes = if staged.bytes() > 0 { staged.bytes() } else { self.subject.host_bytes() };
        let wall = times.iter().map(|(seconds, _)| *seconds).collect();
        self.keep(Timed::Sequence, Timing::Wall, (flops, bytes), wall);
        self.recording.extend(times.iter().filter_map(|(_, (_, recording))| *recording));
        let device: Option<Vec<f64>> = times.iter().map(|(_, (device, _))| *device).collect();
        if let Some(device) = device {
            self.keep(Timed::Sequence, Timing::Device, (flops, bytes), device);
        }
        Ok(())
    }

    async fn end_to_end(&mut self, engine: &Engine) -> Result<(), String> {
        let text = |error: wgru::Error| error.to_string();
        let batch = self.subject.inputs().batch().map_err(text)?;
        let mut output = engine.output(batch.run_shape()).map_err(text)?;
        let run =
            async || wait!(engine.run_into(&batch, &mut output), engine.run_into_async(&batch, &mut output));
        let times = self.effort.repeat(run).await.map_err(text)?;
        self.same(&output)?;
        let work = (self.subject.case.flops(self.subject.steps()), self.subject.host_bytes());
        let times = times.iter().map(|(seconds, ())| *seconds).collect();
        self.keep(Timed::EndToEnd, Timing::Wall, work, times);
        Ok(())
    }

    async fn step(&mut self, engine: &Engine) -> Result<(), String> {
        let text = |error: wgru::Error| error.to_string();
        let mut session = engine.session(self.subject.case.batch).map_err(text)?;
        let mut output = session.output().map_err(text)?;
        let x = self.subject.x();
        wait!(session.step_into(x, &mut output), session.step_into_async(x, &mut output)).map_err(text)?;
        if fingerprint([&output.y]) != self.verified.y {
            return Err("a session's first step gives other numbers than a run: not timed".into());
        }
        let step = async || wait!(session.step_into(x, &mut output), session.step_into_async(x, &mut output));
        let times = self.effort.of_a_step().repeat(step).await.map_err(text)?;
        let work = (self.subject.case.flops(self.subject.steps()), self.subject.host_bytes());
        let times = times.iter().map(|(seconds, ())| *seconds).collect();
        self.keep(Timed::Step, Timing::Wall, work, times);
        Ok(())
    }

    /// # Errors
    /// A run whose outputs differ from the verified ones.
    fn same(&self, output: &Output) -> Result<(), String> {
        match of_output(output) == self.verified.all {
            true => Ok(()),
            false => Err("a timed run gives other numbers than the verified one: not reported".into()),
        }
    }

    /// The summary of the rounds.
    pub fn records(&self, stamp: &Stamp) -> Vec<Record> {
        self.times.iter().map(|times| self.record(times, stamp)).collect()
    }

    fn record(&self, times: &Times, stamp: &Stamp) -> Record {
        let case = &self.subject.case;
        let (device, backend, driver, threads) = self.bench.place();
        let figures = Figures::of_rounds(&times.rounds);
        let gflops = times.flops / figures.median.max(f64::MIN_POSITIVE) * 1e-9;
        let peak = self.bench.peak.as_ref();
        Record {
            engine: "wgru".into(),
            timed: times.timed,
            case: case.to_string(),
            device,
            backend,
            driver,
            strategy: self.strategy.clone(),
            dtype: case.storage.to_string(),
            threads,
            verified: true,
            max_error: self.verified.error,
            tolerance: self.verified.tolerance,
            median_s: figures.median,
            p05_s: figures.p05,
            p95_s: figures.p95,
            p99_s: figures.p99,
            p999_s: figures.p999.filter(|_| times.timed == Timed::Step),
            spread: figures.spread,
            runs: figures.runs,
            timing: times.timing,
            record_s: self.record_seconds(times.timed),
            gflops,
            peak_share: peak.filter(|_| times.flops > 0.0).map(|peak| gflops / peak.gflops),
            peak_gflops: peak.map(|peak| peak.gflops),
            peak_gbs: peak.map(|peak| peak.gbs),
            bytes: times.bytes,
            batch: case.batch,
            steps: case.steps,
            rate_hz: None,
            seconds: None,
            frames: None,
            missed: None,
            overloaded: None,
            most_streams: None,
            commit: stamp.commit.clone(),
            date: stamp.date.clone(),
        }
    }

    /// The host's seconds for recording and submitting one step, if sequence runs were measured.
    fn record_seconds(&self, timed: Timed) -> Option<f64> {
        if timed != Timed::Sequence || self.recording.is_empty() {
            return None;
        }
        Some(Figures::of(self.recording.iter().copied()).median / self.subject.case.steps as f64)
    }
}

/// The comparison with the reference of a run whose arrays were filled with NaN before.
async fn verified(subject: &Subject, bench: &Bench, engine: &Engine) -> Result<Verified, String> {
    let Subject { case, model, .. } = subject;
    let inputs = subject.inputs();
    let options = bench.options(case);
    let text = |error: wgru::Error| error.to_string();
    let batch = inputs.batch().map_err(text)?;
    let filled = bench.device.load_with(model, options.clone().fill_nan(true)).map_err(text)?;
    let output = wait!(filled.run(&batch), filled.run_async(&batch)).map_err(text)?;
    let worst = require(model, inputs, &output, options, case.flops(1));
    let worst = worst.map_err(|reason| format!("{reason}: not timed"))?;
    let all = of_output(&output);
    // The timed runs must give the same.
    let again = wait!(engine.run(&batch), engine.run_async(&batch)).map_err(text)?;
    if of_output(&again) != all {
        return Err("two runs give different numbers: not timed".into());
    }
    Ok(Verified { error: worst.error, tolerance: worst.tolerance, y: fingerprint([&output.y]), all })
}

fn named(subject: &Subject, bench: &Bench, error: &str) -> String {
    format!("{} on {}: {error}", subject.case, bench.device.info())
}

fn of_output(output: &Output) -> u64 {
    fingerprint([&output.y, &output.h_n, output.c_n.as_deref().unwrap_or_default()])
}

/// A hash of the bits of arrays, which would otherwise take memory until the last round.
fn fingerprint<const N: usize>(arrays: [&[f32]; N]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for array in arrays {
        array.len().hash(&mut hasher);
        array.iter().for_each(|value| hasher.write_u32(value.to_bits()));
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_the_cpu() -> Bench {
        Bench {
            selector: "cpu".into(),
            opened: DeviceOptions::default(),
            device: Device::cpu(),
            peak: None,
            only: Only::default(),
            table: None,
            any_reduction_order: false,
        }
    }

    #[test]
    fn a_fingerprint_is_of_every_bit() {
        let of = |y: &[f32], h: &[f32]| fingerprint([y, h]);
        let all = of(&[1.0, 0.0], &[2.0]);
        assert_eq!(all, of(&[1.0, 0.0], &[2.0]));
        for other in [
            of(&[1.0, -0.0], &[2.0]),
            of(&[1.0], &[0.0, 2.0]),
            of(&[0.0, 1.0], &[2.0]),
            of(&[f32::from_bits(1.0f32.to_bits() + 1), 0.0], &[2.0]),
        ] {
            assert_ne!(all, other);
        }
    }

    /// Every round of every measurement counts in its record.
    #[test]
    fn rounds_add_up() {
        let subject = Subject::new("gru-b2-t3-i1-h4".parse().unwrap()).unwrap();
        let bench = on_the_cpu();
        let mut measuring = pollster::block_on(Measuring::new(&subject, &bench, Effort::QUICK)).unwrap();
        for round in 0..3 {
            pollster::block_on(measuring.round(round)).unwrap();
        }
        let rounds = measuring.times.iter().map(|times| (times.timed, times.rounds.len()));
        let expected = [(Timed::Prepare, 2), (Timed::Sequence, 3), (Timed::EndToEnd, 3)];
        assert_eq!(rounds.collect::<Vec<_>>(), expected);
        // The verified run is another one: nothing is timed.
        measuring.verified.all ^= 1;
        assert!(
            pollster::block_on(measuring.round(3))
                .unwrap_err()
                .contains("gru-b2-t3-i1-h4 on cpu: a timed run gives other numbers")
        );
        let stamp = Stamp { commit: String::new(), date: String::new() };
        assert_eq!(measuring.records(&stamp).len(), 3);
    }

    /// A GPU's recording is per step, in the records of sequences alone.
    #[test]
    fn recording_is_of_sequences() {
        let subject = Subject::new("gru-b2-t4-i1-h4".parse().unwrap()).unwrap();
        let bench = on_the_cpu();
        let mut measuring = pollster::block_on(Measuring::new(&subject, &bench, Effort::QUICK)).unwrap();
        pollster::block_on(measuring.round(1)).unwrap();
        let stamp = Stamp { commit: String::new(), date: String::new() };
        assert!(measuring.records(&stamp).iter().all(|record| record.record_s.is_none()));
        measuring.recording = vec![5.0, 2.0, 1.0];
        let records = measuring.records(&stamp);
        let of = records.iter().map(|record| (record.timed, record.record_s));
        assert_eq!(of.collect::<Vec<_>>(), [(Timed::Sequence, Some(0.5)), (Timed::EndToEnd, None)]);
    }
}
