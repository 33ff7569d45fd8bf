//! One case on one device: verified first, then timed in every way there is.

use wgru::dtype::Storage;
use wgru::{Cell, Device, DeviceInfo, Dims, Engine, Model, Output, PyTorch, export};

use super::case::{Case, values};
use super::peak::Peak;
use super::record::{Record, Timed, Timing};
use super::timing::{Effort, Figures};
use super::verify::{Inputs, verify};

/// A case with everything that is the same on every device.
pub struct Subject {
    /// The case.
    pub case: Case,
    model: Model,
    /// The model's weights as a file, and the cell they are read as.
    file: Vec<u8>,
    x: Vec<f32>,
    lengths: Option<Vec<u32>>,
}

impl Subject {
    /// Draws weights and inputs.
    ///
    /// # Errors
    /// Sizes beyond what can be counted.
    pub fn new(case: Case) -> Result<Self, String> {
        let text = |error: wgru::Error| format!("{case}: {error}");
        let mut rng = fastrand::Rng::with_seed(1);
        let model = case.model(&mut rng).map_err(text)?;
        let len = wgru::dims::product("x", &[case.batch, case.steps, case.input]).map_err(text)?;
        let x = values(&mut rng, len, 1.0);
        let lengths = case.lengths(&mut rng);
        // PyTorch's names do not tell where a GRU resets, the reader is told.
        let plain = Case { cell: if case.cell.gates() == 3 { Cell::GRU } else { case.cell }, ..case.clone() };
        let named = plain.model(&mut fastrand::Rng::with_seed(1)).map_err(text)?;
        let file = export::pytorch(&named).map_err(text)?;
        Ok(Self { case, model, file, x, lengths })
    }

    fn inputs(&self) -> Inputs<'_> {
        let Case { batch, steps, input, .. } = self.case;
        Inputs { x: &self.x, shape: [batch, steps, input], lengths: self.lengths.as_deref() }
    }

    /// Real steps of all sequences.
    fn steps(&self) -> u64 {
        match &self.lengths {
            Some(lengths) => lengths.iter().map(|&length| u64::from(length)).sum(),
            None => (self.case.batch * self.case.steps) as u64,
        }
    }
}

/// A device with what is known of it.
pub struct Bench {
    /// How `Device::select` finds it again.
    pub selector: String,
    /// The device.
    pub device: Device,
    /// Its ceilings.
    pub peak: Option<Peak>,
}

/// What every record of a run has.
pub struct Stamp {
    /// The commit of the program.
    pub commit: String,
    /// The day, UTC.
    pub date: String,
}

/// Times `subject` on a device; nothing that was not verified is returned.
///
/// # Errors
/// What the device or the verification says.
pub fn measure(
    subject: &Subject,
    bench: &Bench,
    effort: Effort,
    stamp: &Stamp,
) -> Result<Vec<Record>, String> {
    let timed = Measuring { subject, bench, effort, stamp };
    timed.run().map_err(|error| format!("{} on {}: {error}", subject.case, bench.device.info()))
}

struct Measuring<'a> {
    subject: &'a Subject,
    bench: &'a Bench,
    effort: Effort,
    stamp: &'a Stamp,
}

/// What was held against the reference.
struct Verified {
    error: f64,
    tolerance: f64,
    output: Output,
}

impl Measuring<'_> {
    fn run(&self) -> Result<Vec<Record>, String> {
        let Subject { case, model, .. } = self.subject;
        let text = |error: wgru::Error| error.to_string();
        let engine = self.bench.device.load_with(model, case.options()).map_err(text)?;
        let verified = self.verified(&engine)?;
        let mut records = vec![self.prepare(&engine, &verified)?];
        if case.steps == 1 && !case.bidirectional && !case.ragged {
            records.push(self.step(&engine, &verified)?);
        } else {
            records.extend(self.sequence(&engine, &verified)?);
            records.push(self.end_to_end(&engine, &verified)?);
        }
        Ok(records)
    }

    /// A run whose arrays were filled with NaN before.
    fn verified(&self, engine: &Engine) -> Result<Verified, String> {
        let Subject { case, model, .. } = self.subject;
        let (options, inputs) = (case.options(), self.subject.inputs());
        let text = |error: wgru::Error| error.to_string();
        let batch = inputs.batch().map_err(text)?;
        let poisoned = self.bench.device.load_with(model, options.poison(true)).map_err(text)?;
        let output = poisoned.run(&batch).map_err(text)?;
        let worst = verify(model, inputs, &output, options, case.flops(1))?;
        if !worst.passes() {
            let (array, error, tolerance) = (worst.array, worst.error, worst.tolerance);
            return Err(format!("{array} is off by {error:.2e}, allowed {tolerance:.2e}: not timed"));
        }
        // What is timed has to give the same.
        let again = engine.run(&batch).map_err(text)?;
        same(&again, &output)?;
        Ok(Verified { error: worst.error, tolerance: worst.tolerance, output })
    }

    /// From the bytes of a file to the first run, on a device that has compiled nothing yet.
    fn prepare(&self, engine: &Engine, verified: &Verified) -> Result<Record, String> {
        let case = &self.subject.case;
        let dims = Dims { batch: case.batch, steps: case.steps };
        let text = |error: wgru::Error| error.to_string();
        let mut times = Vec::new();
        for _ in 0..3 {
            let device = Device::select(&self.bench.selector).map_err(text)?;
            let start = std::time::Instant::now();
            let importer = PyTorch::new().cell(case.cell);
            let imported = importer.parse("the case's weights", &self.subject.file).map_err(text)?;
            let fresh = device.load_with(&imported.model, case.options()).map_err(text)?;
            fresh.prepare(dims).map_err(text)?;
            times.push(start.elapsed().as_secs_f64());
        }
        let figures = Figures::of(times.into_iter());
        Ok(self.record(engine, Timed::Prepare, Timing::Wall, figures, verified, (0.0, self.weight_bytes())))
    }

    fn sequence(&self, engine: &Engine, verified: &Verified) -> Result<Vec<Record>, String> {
        let text = |error: wgru::Error| error.to_string();
        let batch = self.subject.inputs().batch().map_err(text)?;
        let mut staged = engine.stage(&batch).map_err(text)?;
        let times = self.effort.repeat(|| staged.run()).map_err(text)?;
        let mut output = engine.output(batch.form()).map_err(text)?;
        staged.read_into(&mut output).map_err(text)?;
        same(&output, &verified.output)?;
        let flops = self.subject.case.flops(self.subject.steps());
        let bytes = if staged.bytes() > 0 { staged.bytes() } else { self.host_bytes() };
        let wall = Figures::of(times.iter().map(|(seconds, _)| *seconds));
        let of =
            |timing, figures| self.record(engine, Timed::Sequence, timing, figures, verified, (flops, bytes));
        let mut records = vec![of(Timing::Wall, wall)];
        let device: Option<Vec<f64>> = times.iter().map(|(_, seconds)| *seconds).collect();
        if let Some(device) = device {
            records.push(of(Timing::Device, Figures::of(device.into_iter())));
        }
        Ok(records)
    }

    fn end_to_end(&self, engine: &Engine, verified: &Verified) -> Result<Record, String> {
        let text = |error: wgru::Error| error.to_string();
        let batch = self.subject.inputs().batch().map_err(text)?;
        let mut output = engine.output(batch.form()).map_err(text)?;
        let times = self.effort.repeat(|| engine.run_into(&batch, &mut output)).map_err(text)?;
        same(&output, &verified.output)?;
        let figures = Figures::of(times.iter().map(|(seconds, ())| *seconds));
        let work = (self.subject.case.flops(self.subject.steps()), self.host_bytes());
        Ok(self.record(engine, Timed::EndToEnd, Timing::Wall, figures, verified, work))
    }

    fn step(&self, engine: &Engine, verified: &Verified) -> Result<Record, String> {
        let text = |error: wgru::Error| error.to_string();
        let mut session = engine.session(self.subject.case.batch).map_err(text)?;
        let mut output = session.output().map_err(text)?;
        session.step_into(&self.subject.x, &mut output).map_err(text)?;
        if !bits_agree(&output.y, &verified.output.y) {
            return Err("a session's first step gives other numbers than a run: not timed".into());
        }
        let step = || session.step_into(&self.subject.x, &mut output);
        let times = self.effort.repeat(step).map_err(text)?;
        let figures = Figures::of(times.iter().map(|(seconds, ())| *seconds));
        let work = (self.subject.case.flops(self.subject.steps()), self.host_bytes());
        Ok(self.record(engine, Timed::Step, Timing::Wall, figures, verified, work))
    }

    fn record(
        &self,
        engine: &Engine,
        timed: Timed,
        timing: Timing,
        figures: Figures,
        verified: &Verified,
        (flops, bytes): (f64, u64),
    ) -> Record {
        let case = &self.subject.case;
        let (device, backend, driver, threads) = match self.bench.device.info() {
            DeviceInfo::Gpu(info) => (info.name, info.backend.to_owned(), info.driver, 0),
            other => (other.to_string(), other.to_string(), String::new(), 1),
        };
        let gflops = flops / figures.median.max(f64::MIN_POSITIVE) * 1e-9;
        let peak = self.bench.peak.as_ref();
        let dims = Dims { batch: case.batch, steps: case.steps };
        Record {
            engine: "wgru".into(),
            timed,
            case: case.to_string(),
            device,
            backend,
            driver,
            strategy: engine.explain(dims).unwrap_or_else(|error| error.to_string()),
            dtype: case.storage.to_string(),
            threads,
            verified: true,
            max_error: verified.error,
            tolerance: verified.tolerance,
            median_s: figures.median,
            p05_s: figures.p05,
            p95_s: figures.p95,
            p99_s: figures.p99,
            spread: figures.spread,
            runs: figures.runs,
            timing,
            gflops,
            peak_share: peak.filter(|_| flops > 0.0).map(|peak| gflops / peak.gflops),
            peak_gflops: peak.map(|peak| peak.gflops),
            peak_gbs: peak.map(|peak| peak.gbs),
            bytes,
            batch: case.batch,
            steps: case.steps,
            commit: self.stamp.commit.clone(),
            date: self.stamp.date.clone(),
        }
    }

    fn weight_bytes(&self) -> u64 {
        let per = if self.subject.case.storage == Storage::F32 { 4 } else { 2 };
        let sets = self.subject.model.layers().iter().flat_map(|layer| layer.weights());
        sets.map(|set| (set.w_ih.len() + set.w_hh.len()) as u64 * per).sum()
    }

    /// Weights, x and y: what has to be moved at the least.
    fn host_bytes(&self) -> u64 {
        let Case { batch, steps, input, .. } = self.subject.case;
        self.weight_bytes() + 4 * (batch * steps * (input + self.subject.model.output())) as u64
    }
}

/// # Errors
/// A run that is not the one that was verified.
fn same(got: &Output, verified: &Output) -> Result<(), String> {
    if bits_agree(&got.y, &verified.y) && bits_agree(&got.h_n, &verified.h_n) {
        return Ok(());
    }
    Err("a timed run gives other numbers than the verified one: not reported".into())
}

fn bits_agree(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}
