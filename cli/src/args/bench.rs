//! The options of `wgru bench` and `wgru compare`.

use std::path::PathBuf;

use wgru::DeviceOptions;
use wgru::plan::Strategy;

use super::device_options;

/// `wgru bench`.
#[derive(Debug, Default, clap::Args)]
pub struct BenchArgs {
    /// A device, as `wgru run` takes it; repeatable [default: every adapter and the CPU]
    #[arg(long, value_name = "SEL")]
    pub device: Vec<String>,
    /// Test first whether the workgroups of one dispatch can exchange values on the device; if they can, the planner
    /// may use kernels that need it
    #[arg(long)]
    pub exchange: bool,
    /// A case such as gru-b16-t100-i256-h256[-l2][-bi][-before][-ragged][-f16|-bf16|-wf16|-wbf16], also lstm-… and
    /// rnn-…; deep-b4-t200-h384 is five LSTM layers in alternating directions; a case of one step (-t1) times a session;
    /// repeatable
    #[arg(long, value_name = "CASE")]
    pub case: Vec<String>,
    /// quick, default, deepbench, real, steps, deep, deep-small or scaling; or stream, a real-time load on pools, for which a --case
    /// gives the sizes (-b the streams)
    #[arg(long, value_name = "NAME")]
    pub suite: Option<String>,
    /// Suite stream: streams that are open at once [default: 1000, with --quick 64, or those of the case]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub streams: Option<u32>,
    /// Suite stream: frames a second that each stream gets [default: 100]
    #[arg(long, value_name = "HZ", value_parser = positive)]
    pub rate: Option<f64>,
    /// Suite stream: duration of the load in seconds [default: 60, with --quick 2]
    #[arg(long, value_name = "S", value_parser = positive)]
    pub seconds: Option<f64>,
    /// Fewer repetitions, and the suite quick unless one is named
    #[arg(long)]
    pub quick: bool,
    /// How GPUs compute steps, where the case allows it: step, persistent, streamed or multi_workgroup [default: the
    /// planner's choice]
    #[arg(long, value_name = "NAME")]
    pub strategy: Option<Strategy>,
    /// Steps per chunk of a pipelined stack of layers, where the case allows it; 0 computes one layer after the other
    /// [default: the planner's choice]
    #[arg(long, value_name = "STEPS", alias = "wave")]
    pub pipelining: Option<usize>,
    /// Let GPUs choose the reduction order: the bits of a sequence may then differ from those of its steps
    #[arg(long, alias = "any-order")]
    pub any_reduction_order: bool,
    /// Let GPUs compute cases in f16 with cooperative matrices, where they have them
    #[arg(long, requires = "any_reduction_order")]
    pub matrices: bool,
    /// A table written by `wgru tune`, for the GPU planner's predictions [default: the cost model's numbers for this
    /// kind of device]
    #[arg(long, value_name = "FILE")]
    pub speed: Option<PathBuf>,
    /// Cache compiled kernels in a folder, as `wgru run` does; `prepare` then reads them from there
    #[arg(long, value_name = "DIR")]
    pub pipeline_cache: Option<PathBuf>,
    /// Threads of `cpu` where the selector gives no number [default: as many as the machine runs at once]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Where to write records as JSON lines, each as soon as it is measured
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Where to write records as CSV, likewise
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Where to write a report, rewritten after every case
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Read the records from files and measure nothing; for --html and --csv
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["device", "case", "suite", "streams", "rate", "seconds", "quick", "strategy", "pipelining", "any_reduction_order", "matrices", "exchange", "speed", "pipeline_cache", "threads", "json"])]
    pub from: Vec<PathBuf>,
    /// Compare two files of records, measure nothing
    #[arg(long, value_names = ["BEFORE", "AFTER"], num_args = 2, conflicts_with_all = ["device", "case", "suite", "streams", "rate", "seconds", "quick", "strategy", "pipelining", "any_reduction_order", "matrices", "exchange", "speed", "pipeline_cache", "threads", "json", "csv", "html", "from"])]
    pub compare: Vec<PathBuf>,
    /// With --compare: exit status 1 if anything is slower by more than this, beyond the noise
    // clap does not check `requires` for an option that conflicts with one that is given, so the conflicts are
    // repeated here.
    #[arg(long, value_name = "PERCENT", value_parser = percent, requires = "compare", conflicts_with_all = ["device", "case", "suite", "streams", "rate", "seconds", "quick", "strategy", "pipelining", "any_reduction_order", "matrices", "exchange", "speed", "pipeline_cache", "threads", "json", "csv", "html", "from"])]
    pub fail_above: Option<f64>,
}

/// `wgru compare`.
#[derive(Debug, clap::Args)]
pub struct CompareArgs {
    /// H of the GRU, and of the other cells at equal H
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub hidden: usize,
    /// I [default: H]
    #[arg(long, value_name = "N")]
    pub input: Option<usize>,
    /// The device, as `wgru run` takes it, but auto is the best real GPU, else the CPU
    #[arg(long, value_name = "SEL", default_value = "auto")]
    pub device: String,
    /// Where to write the records as JSON lines, as `wgru bench` does
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Where to write the records as CSV
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
}

impl BenchArgs {
    /// How devices are opened.
    pub fn device_options(&self) -> DeviceOptions {
        device_options(self.pipeline_cache.as_ref(), self.matrices)
    }
}

/// A number from 0.001 to 1000000.
fn positive(text: &str) -> Result<f64, String> {
    const RANGE: std::ops::RangeInclusive<f64> = 1e-3..=1e6;
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if RANGE.contains(&number) { Ok(number) } else { Err("must be from 0.001 to 1000000".into()) }
}

/// 0 or more.
fn percent(text: &str) -> Result<f64, String> {
    let percent: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    // NaN is refused: no slowdown compares as greater than it, so every comparison would pass.
    if percent.is_finite() && percent >= 0.0 { Ok(percent) } else { Err("must be 0 or more".into()) }
}
