//! One figure of a benchmark, as files store it: JSON lines, or CSV with the same names in its header.
//!
//! A record is of one measurement on one device with one clock; times are in seconds. `benches/README.md` explains
//! each field.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::number::{count, percent};

/// What was timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Timed {
    /// From the bytes of a file to the first run: import, packing, upload, plan, pipelines.
    Prepare,
    /// A batch that is on the device; results stay there.
    Sequence,
    /// From host memory to host memory.
    EndToEnd,
    /// A session's step, read-back included.
    Step,
    /// A pool's tick under a load in real time: from the due time of its oldest frame until its outputs are in host
    /// memory.
    Tick,
}

impl fmt::Display for Timed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Prepare => "prepare",
            Self::Sequence => "sequence",
            Self::EndToEnd => "end-to-end",
            Self::Step => "step",
            Self::Tick => "tick",
        })
    }
}

/// Which clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Timing {
    /// The host's, around the call.
    Wall,
    /// The device's, by timestamps at the first and the last pass.
    Device,
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if *self == Self::Wall { "wall" } else { "device" })
    }
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// `wgru`, or the peer library that was timed.
    pub engine: String,
    /// What was timed.
    pub timed: Timed,
    /// The case, as `--case` takes it.
    pub case: String,
    /// The device's own name; `cpu` for the CPU path.
    pub device: String,
    /// `vulkan`, `metal`, `dx12`, `gl`, `webgpu` or `cpu`; for a peer, its own name for it.
    pub backend: String,
    /// The driver and its version.
    pub driver: String,
    /// The names of the kernels that ran.
    pub strategy: String,
    /// How weights and activations are stored: `f32`, `f16`, `bf16`.
    pub dtype: String,
    /// Threads of a CPU engine; 0 if the engine does not set them.
    pub threads: usize,
    /// Whether the result was compared with the reference and passed. Records are written only if it did.
    pub verified: bool,
    /// The largest error of any array, in units of its own numbers.
    pub max_error: f64,
    /// The tolerance of that array.
    pub tolerance: f64,
    /// The median.
    pub median_s: f64,
    /// The fifth percentile.
    pub p05_s: f64,
    /// The 95th percentile.
    pub p95_s: f64,
    /// The 99th percentile.
    pub p99_s: f64,
    /// The 99.9th percentile of a step or a tick timed a thousand times or more. `None` for other measurements, for
    /// peers, and in records older than this field.
    #[serde(default)]
    pub p999_s: Option<f64>,
    /// The spread of the median as a share of it: half the width of its 95 % confidence interval, or half the
    /// distance between the medians of rounds if that is more.
    pub spread: f64,
    /// The number of timed runs.
    pub runs: usize,
    /// Which clock.
    pub timing: Timing,
    /// For a sequence on a GPU: the host's median for recording and submitting a run, per step, whichever clock.
    /// `None` for other measurements and in records older than this field.
    #[serde(default)]
    pub record_s: Option<f64>,
    /// Useful floating-point operations a second at the median, in 10⁹: those of real steps, without activations.
    pub gflops: f64,
    /// `gflops` as a share of the rate of the device's best matmul; `None` if that was not measured.
    pub peak_share: Option<f64>,
    /// The rate of that matmul, in 10⁹ operations a second.
    pub peak_gflops: Option<f64>,
    /// The rate of the device's best copy, in 10⁹ bytes a second, read and written.
    pub peak_gbs: Option<f64>,
    /// Bytes on the device: weights, states, sequences, scratch.
    pub bytes: u64,
    /// Sequences a run; streams of a step or a tick.
    pub batch: usize,
    /// Steps a run.
    pub steps: usize,
    /// For a tick, as are all fields up to `most_streams`: frames a second that fall due for each stream.
    #[serde(default)]
    pub rate_hz: Option<f64>,
    /// The duration of the load.
    #[serde(default)]
    pub seconds: Option<f64>,
    /// Frames of all streams that were computed.
    #[serde(default)]
    pub frames: Option<u64>,
    /// Frames whose output came later than one period after they fell due.
    #[serde(default)]
    pub missed: Option<u64>,
    /// Whether the load was ended early, because more and more frames waited.
    #[serde(default)]
    pub overloaded: Option<bool>,
    /// The most streams found to keep the rate; `None` if the search ran out of time before it found any.
    #[serde(default)]
    pub most_streams: Option<usize>,
    /// The commit of the program.
    pub commit: String,
    /// The day, UTC.
    pub date: String,
}

/// The widest interval of a median, as a share of it, that is no noise.
const NOISY: f64 = 0.25;

/// What to do about figures that are noisy, if any is.
pub fn noise(records: &[Record]) -> Option<String> {
    let noisy = records.iter().filter(|record| record.is_noisy()).count();
    let of = count(records.len(), "figure");
    (noisy > 0).then(|| {
        format!(
            "{noisy} of {of} noisy: the median is known to no better than ± {}. Close other programs and measure again.",
            percent(NOISY)
        )
    })
}

impl Record {
    /// The fields that agree if two records are of the same measurement.
    pub fn key(&self) -> (&str, Timed, &str, &str, &str, Timing, usize, Option<u64>) {
        let Self { engine, timed, case, device, backend, timing, threads, rate_hz, .. } = self;
        (engine, *timed, case, device, backend, *timing, *threads, rate_hz.map(f64::to_bits))
    }

    /// Whether the interval of the median is too wide for comparisons.
    pub fn is_noisy(&self) -> bool {
        self.spread > NOISY
    }

    /// The interval of the median as a share of it, or that it is too wide to say anything.
    pub fn interval(&self) -> String {
        if self.is_noisy() { "noisy".into() } else { percent(self.spread) }
    }

    /// `peak_share`, unless it is above 1: the matmul was then not the device's best.
    pub fn share_of_peak(&self) -> Option<f64> {
        self.peak_share.filter(|&share| share <= 1.0)
    }

    /// For a load: the share of the frames that missed their deadline.
    pub fn missed_share(&self) -> Option<f64> {
        Some(self.missed? as f64 / self.frames.filter(|&frames| frames > 0)? as f64)
    }

    /// For a load: `number` per second.
    pub fn a_second(&self, number: f64) -> Option<f64> {
        Some(number / self.seconds.filter(|&seconds| seconds > 0.0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{load, record};

    /// A line older than `record_s` is read without it; a new line keeps it.
    #[test]
    fn a_record_without_recording_is_read() {
        let new = record("gru-b1", Timed::Sequence, 1e-3);
        let line = serde_json::to_value(&new).unwrap();
        assert_eq!(serde_json::from_value::<Record>(line.clone()).unwrap(), new);
        let mut old = line;
        assert!(old.as_object_mut().unwrap().remove("record_s").is_some());
        let expected = Record { record_s: None, ..new };
        assert_eq!(serde_json::from_value::<Record>(old).unwrap(), expected);
    }

    /// The fields of loads may be missing, and are kept if present.
    #[test]
    fn a_record_without_a_load_is_read() {
        let new = load("gru-b1000", 1e-3);
        let line = serde_json::to_value(&new).unwrap();
        assert_eq!(serde_json::from_value::<Record>(line.clone()).unwrap(), new);
        let mut old = line;
        for name in ["rate_hz", "seconds", "frames", "missed", "overloaded", "most_streams"] {
            assert!(
                old.as_object_mut().unwrap().remove(name).is_some_and(|value| !value.is_null()),
                "{name}"
            );
        }
        let old: Record = serde_json::from_value(old).unwrap();
        assert_eq!(old, record("gru-b1000", Timed::Tick, 1e-3));
        assert_ne!(old.key(), new.key());
        assert_eq!((old.missed_share(), new.missed_share()), (None, Some(0.001)));
        assert_eq!(new.a_second(30.0), Some(0.5));
    }

    /// A report from records that were read equals the report from records that were measured, so not even a last
    /// digit may change.
    #[test]
    fn numbers_are_read_as_they_were_written() {
        let mut rng = fastrand::Rng::new();
        for _ in 0..20_000 {
            let new = record("gru-b1", Timed::Sequence, rng.f64() * 10f64.powi(rng.i32(-9..3)));
            let line = serde_json::to_string(&new).unwrap();
            assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), new, "{line}");
        }
    }

    /// CSV has every field in every row, so that rows of all kinds fit one head.
    #[test]
    fn csv_has_the_field_either_way() {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for timed in [Timed::Sequence, Timed::Prepare] {
            writer.serialize(record("gru-b1", timed, 1e-3)).unwrap();
        }
        let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let at = reader.headers().unwrap().iter().position(|name| name == "record_s").unwrap();
        let column: Vec<String> = reader.records().map(|row| row.unwrap()[at].to_owned()).collect();
        assert!(column[0].parse::<f64>().unwrap() > 0.0 && column[1].is_empty(), "{column:?}");
    }
}
