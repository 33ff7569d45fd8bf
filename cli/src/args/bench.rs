//! The options of `wgru bench`.

use std::path::PathBuf;

use wgru::DeviceOptions;
use wgru::plan::Strategy;

use super::device_options;

/// `wgru bench`.
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    /// A device, as `wgru run` takes it; may be given several times [default: every adapter and the CPU]
    #[arg(long, value_name = "SEL")]
    pub device: Vec<String>,
    /// Test first whether the workgroups of one dispatch may exchange values on the device; where they may, plans may make use
    /// of it
    #[arg(long)]
    pub exchange: bool,
    /// A case such as gru-b16-t100-i256-h256[-l2][-bi][-before][-ragged][-f16|-bf16|-wf16|-wbf16], also lstm-… and rnn-…; of one
    /// step (-t1) it times a session; may be given several times
    #[arg(long, value_name = "CASE")]
    pub case: Vec<String>,
    /// quick, default, deepbench, real, steps or scaling; or stream, a load of pools in real time, of which a --case gives the sizes
    /// (-b the streams)
    #[arg(long, value_name = "NAME")]
    pub suite: Option<String>,
    /// Of the suite stream: streams that are open at once [default: 1000, with --quick 64, or those of the case]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub streams: Option<u32>,
    /// Of the suite stream: frames a second that each stream gets [default: 100]
    #[arg(long, value_name = "HZ", value_parser = positive)]
    pub rate: Option<f64>,
    /// Of the suite stream: how long the load goes on [default: 60, with --quick 2]
    #[arg(long, value_name = "S", value_parser = positive)]
    pub seconds: Option<f64>,
    /// Fewer repetitions, and the suite quick where none is named
    #[arg(long)]
    pub quick: bool,
    /// How GPUs compute steps, wherever they can so: step, persistent, streamed or multi_workgroup [default: what the planner chooses]
    #[arg(long, value_name = "NAME")]
    pub strategy: Option<Strategy>,
    /// Steps of the chunks in which the layers of a stack run at once, wherever they can so, 0 for one layer after the other
    /// [default: what the planner chooses]
    #[arg(long, value_name = "STEPS")]
    pub pipelining: Option<usize>,
    /// Let GPUs choose the reduction order: a sequence may then give other bits than its steps do
    #[arg(long)]
    pub any_reduction_order: bool,
    /// Let GPUs compute cases in f16 with cooperative matrices, where they have such
    #[arg(long, requires = "any_reduction_order")]
    pub matrices: bool,
    /// A table that `wgru tune` has written, for the planner of GPUs to predict with [default: the cost model's numbers for
    /// such a device]
    #[arg(long, value_name = "FILE")]
    pub speed: Option<PathBuf>,
    /// Keep compiled kernels in a folder, as `wgru run` does; `prepare` then takes them from there
    #[arg(long, value_name = "DIR")]
    pub pipeline_cache: Option<PathBuf>,
    /// Threads of `cpu` where it names none of its own [default: as many as the machine runs at once]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Where to write records as JSON lines, one by one as they are measured
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Where to write records as CSV, likewise
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Where to write a report, anew after every case
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Take the records of files, measure nothing; for --html and --csv
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["device", "case", "suite", "streams", "rate", "seconds", "quick", "strategy", "pipelining", "any_reduction_order", "matrices", "exchange", "speed", "pipeline_cache", "threads", "json"])]
    pub from: Vec<PathBuf>,
    /// Compare two files of records, measure nothing
    #[arg(long, value_names = ["BEFORE", "AFTER"], num_args = 2, conflicts_with_all = ["device", "case", "suite", "streams", "rate", "seconds", "quick", "strategy", "pipelining", "any_reduction_order", "matrices", "exchange", "speed", "pipeline_cache", "threads", "json", "csv", "html", "from"])]
    pub compare: Vec<PathBuf>,
    /// With --compare: exit status 1 where anything is slower by more than this, beyond the noise
    // clap asks for nothing that conflicts with what is there, so that the conflicts have to be said here as well.
    #[arg(long, value_name = "PERCENT", value_parser = percent, requires = "compare", conflicts_with_all = ["device", "case", "suite", "streams", "rate", "seconds", "quick", "strategy", "pipelining", "any_reduction_order", "matrices", "exchange", "speed", "pipeline_cache", "threads", "json", "csv", "html", "from"])]
    pub fail_above: Option<f64>,
}

impl BenchArgs {
    /// How devices are opened.
    pub fn device_options(&self) -> DeviceOptions {
        device_options(self.pipeline_cache.as_ref(), self.matrices)
    }
}

/// Above 0, and of a size that a machine can bear.
fn positive(text: &str) -> Result<f64, String> {
    const RANGE: std::ops::RangeInclusive<f64> = 1e-3..=1e6;
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if RANGE.contains(&number) { Ok(number) } else { Err("must be from 0.001 to 1000000".into()) }
}

/// 0 or more.
fn percent(text: &str) -> Result<f64, String> {
    let percent: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    // Nothing is above what is no number, so that it would let everything pass.
    if percent.is_finite() && percent >= 0.0 { Ok(percent) } else { Err("must be 0 or more".into()) }
}
