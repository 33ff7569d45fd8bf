//! The command line.

mod bench;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use wgru::model::{Activation, Reset, Update};
use wgru::{Cell, DeviceOptions, Options, ReadoutSteps, Storage};

pub use bench::BenchArgs;

/// Recurrent networks (GRU, LSTM, RNN) on every GPU of the machine, and on the CPU
#[derive(Debug, Parser)]
#[command(name = "wgru", version)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the command does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List every adapter and the CPU paths, with the limits that matter
    Devices(DevicesArgs),
    /// Run a model on a file of sequences
    Run(RunArgs),
    /// Write a model as PyTorch weights or as ONNX
    Export(ExportArgs),
    /// Time recurrent layers on every device, each verified first
    Bench(BenchArgs),
    /// GRU against LSTM against RNN on a device, at one H and at one number of parameters
    Compare(CompareArgs),
    /// Say which kernels a run would take, what they are predicted to take, and why the others were not chosen
    Explain(ExplainArgs),
    /// Measure what the planner chooses from on a device, and write the numbers that it predicts with
    Tune(TuneArgs),
    /// Forecast the held-out part of a series, beside simple baselines, and plot it
    Forecast(ForecastArgs),
}

/// `wgru devices`.
#[derive(Debug, clap::Args)]
pub struct DevicesArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Which device, and whether to verify: what every command that runs a model takes.
#[derive(Debug, clap::Args)]
pub struct WorkArgs {
    /// auto (the best real GPU or the CPU, whichever is expected to be faster), cpu, cpu:2 (two threads), reference, an API (vulkan, gl, metal, dx12), a part of an
    /// adapter's name, or both as vulkan:llvmpipe
    #[arg(long, value_name = "SEL", default_value = "auto")]
    pub device: String,
    /// Keep compiled kernels in a folder from one run to the next, where the device can hand them out (Vulkan). It must be
    /// yours or root's, and nobody else may write to it
    #[arg(long, value_name = "DIR")]
    pub pipeline_cache: Option<PathBuf>,
    /// Test first whether the workgroups of one dispatch may exchange values on the device; where they may, plans may make use
    /// of it
    #[arg(long)]
    pub exchange: bool,
    /// Compute with the GPU's cooperative matrices, where it has such and weights and activations are f16; sums may then be in
    /// any order
    #[arg(long)]
    pub matrices: bool,
    /// Compare with the f64 reference; exit status 1 where the error is beyond the derived tolerance
    #[arg(long)]
    pub verify: bool,
    /// How the device stores the matrices
    #[arg(long, value_name = "TYPE", default_value = "f32")]
    pub weights: StorageArg,
    /// How the device stores x, y and what lies between layers
    #[arg(long, value_name = "TYPE", default_value = "f32")]
    pub activations: StorageArg,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl WorkArgs {
    /// How the device is opened.
    pub fn device_options(&self) -> DeviceOptions {
        device_options(self.pipeline_cache.as_ref(), self.matrices)
    }

    /// What is asked of an engine.
    pub fn options(&self) -> Options {
        let options = Options::default().reproducible(!self.matrices);
        options.weights(self.weights.into()).activations(self.activations.into())
    }
}

fn device_options(pipeline_cache: Option<&PathBuf>, matrices: bool) -> DeviceOptions {
    let options = DeviceOptions::default().matrices(matrices);
    match pipeline_cache {
        Some(folder) => options.pipeline_cache(folder),
        None => options,
    }
}

/// `wgru run`.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The model: PyTorch weights as .safetensors, recurrent nodes of an .onnx file, or layers of a Keras file
    /// (.h5, .weights.h5, .keras)
    pub model: PathBuf,
    /// The sequences: .npz or .safetensors with x [B, T, I], optional h0 [L·D, B, P], c0 [L·D, B, H], lengths [B] and
    /// resets [B, T], not 0 where a sequence begins anew; .npy with x; or .csv with a header and one column per feature;
    /// .npy.gz and .csv.gz. Numbers of other types are converted to f32. For .onnx, .npz or .safetensors with the node's own
    /// arrays
    #[arg(long, value_name = "IN")]
    pub input: PathBuf,
    /// Where to write y, h_n, c_n and out: .npz or .safetensors
    #[arg(long, value_name = "OUT")]
    pub output: Option<PathBuf>,
    /// Device, verification, JSON.
    #[command(flatten)]
    pub work: WorkArgs,
    /// How to read the model.
    #[command(flatten)]
    pub model_args: ModelArgs,
    /// ONNX: the recurrent node, or the nodes of a stack with commas between [default: the only one, or the stack that the
    /// graph is]
    #[arg(long, value_name = "NAME,…")]
    pub node: Option<String>,
    /// The order of the axes of x and y [default: batch, as x [B, T, I]; time as x [T, B, I]]
    #[arg(long, value_name = "MAJOR")]
    pub layout: Option<LayoutArg>,
    /// What y holds past the end of a sequence [default: zero]
    #[arg(long, value_name = "RULE")]
    pub padding: Option<PaddingArg>,
    /// CSV: whether the first line has the names of the columns; without names they are called 1, 2, … [default: yes, and numbers
    /// there are refused]
    #[arg(long, value_name = "YES|NO")]
    pub header: Option<HeaderArg>,
    /// CSV: the columns that are the features, in order; what others hold does not matter [default: all]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub columns: Vec<String>,
    /// CSV: steps of a window [default: the model's own, else the whole file]
    #[arg(long, value_name = "T")]
    pub window: Option<usize>,
    /// CSV: steps from a window to the next
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub stride: usize,
}

/// `wgru compare`.
#[derive(Debug, clap::Args)]
pub struct CompareArgs {
    /// H of the GRU, and of the others at one H
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub hidden: usize,
    /// I [default: as H]
    #[arg(long, value_name = "N")]
    pub input: Option<usize>,
    /// The device, as `wgru run` takes it
    #[arg(long, value_name = "SEL", default_value = "auto")]
    pub device: String,
}

/// `wgru explain`.
#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// A case, as `wgru bench` takes it, or a model, as `wgru run` takes it
    #[arg(value_name = "CASE|MODEL")]
    pub what: String,
    /// ONNX: the recurrent node, or the nodes of a stack with commas between [default: the only one, or the stack that the
    /// graph is]
    #[arg(long, value_name = "NODE,…")]
    pub node: Option<String>,
    /// The device, as `wgru run` takes it
    #[arg(long, value_name = "SEL", default_value = "auto")]
    pub device: String,
    /// Test first whether the workgroups of one dispatch may exchange values on the device; where they may, plans may make use
    /// of it
    #[arg(long)]
    pub exchange: bool,
    /// With the GPU's cooperative matrices, where it has such and the case is in f16; their reduction order is free
    #[arg(long)]
    pub matrices: bool,
    /// Sequences, of a model [default: 1]
    #[arg(long, value_name = "B")]
    pub batch: Option<usize>,
    /// Steps, of a model [default: 100]
    #[arg(long, value_name = "T")]
    pub steps: Option<usize>,
    /// A table that `wgru tune` has written [default: the cost model's numbers for such a device]
    #[arg(long, value_name = "FILE")]
    pub speed: Option<PathBuf>,
    /// How to read the model.
    #[command(flatten)]
    pub model_args: ModelArgs,
}

/// `wgru tune`.
#[derive(Debug, clap::Args)]
pub struct TuneArgs {
    /// The device, as `wgru run` takes it
    #[arg(long, value_name = "SEL", default_value = "auto")]
    pub device: String,
    /// Test first whether the workgroups of one dispatch may exchange values on the device; where they may, plans may make use
    /// of it
    #[arg(long)]
    pub exchange: bool,
    /// Measure, too, what products of cooperative matrices take, where the device has such
    #[arg(long)]
    pub matrices: bool,
    /// Where to write the table
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// A case to measure, as `wgru bench` takes it; may be given several times [default: 18 of all sizes]
    #[arg(long, value_name = "CASE")]
    pub case: Vec<String>,
    /// A table to begin with in place of the cost model's numbers for such a device
    #[arg(long, value_name = "FILE")]
    pub speed: Option<PathBuf>,
    /// Take the times from what `--csv` has written, of several files the least of each candidate, and keep the numbers that
    /// it begins with; measure no more than the cases that are named
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub from: Vec<PathBuf>,
    /// Where to write what was measured and predicted
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
}

/// `wgru export`.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// The model, as `wgru run` takes it
    pub model: PathBuf,
    /// Where to write: .safetensors for PyTorch's names, .onnx for a node per layer
    #[arg(value_name = "OUT")]
    pub output: PathBuf,
    /// How to read the model.
    #[command(flatten)]
    pub model_args: ModelArgs,
    /// ONNX: the recurrent node to read, or the nodes of a stack with commas between [default: the only one, or the stack
    /// that the graph is]
    #[arg(long, value_name = "NAME,…")]
    pub node: Option<String>,
    /// ONNX: have OUT read sequence_lens
    #[arg(long)]
    pub with_lengths: bool,
    /// ONNX: have OUT read initial_h and initial_c
    #[arg(long)]
    pub with_states: bool,
}

/// How to read a model.
#[derive(Debug, Default, clap::Args)]
pub struct ModelArgs {
    /// The cell [default: from the number of rows]
    #[arg(long)]
    pub cell: Option<CellArg>,
    /// GRU: where the reset gate acts [default: after]
    #[arg(long)]
    pub reset: Option<ResetArg>,
    /// GRU: what z weighs: it keeps the old state or takes the candidate [default: keeps]
    #[arg(long)]
    pub update: Option<UpdateArg>,
    /// What stands before weight_ih_l0 [default: found in the file]
    #[arg(long)]
    pub prefix: Option<String>,
    /// The name of a Linear or Dense after the last layer [default: the model's own]
    #[arg(long, value_name = "NAME")]
    pub readout: Option<String>,
    /// The steps the readout is applied to [default: the model's own, else last]
    #[arg(long, value_name = "STEPS")]
    pub readout_at: Option<ReadoutArg>,
    /// Keras: leave the activation of the readout out, where it is not linear
    #[arg(long)]
    pub readout_without_activation: bool,
    /// Keras: the recurrent layer, or the layers of a stack from the input on [default: the only one]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub layer: Vec<String>,
    /// Keras: the model's configuration, as model.to_json() gives it, for files of weights alone
    #[arg(long, value_name = "JSON")]
    pub config: Option<PathBuf>,
    /// Keras: the major version, where the file does not say it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3))]
    pub keras_version: Option<u32>,
}

/// `wgru forecast`.
#[derive(Debug, clap::Args)]
pub struct ForecastArgs {
    /// The forecaster
    #[arg(default_value = "models/co2_gru.safetensors")]
    pub model: PathBuf,
    /// The series: a .csv with year, month and the model's column
    #[arg(long, value_name = "CSV", default_value = "data/co2_mauna_loa.csv")]
    pub data: PathBuf,
    /// Where to plot forecast against truth
    #[arg(long, value_name = "SVG", default_value = "forecast.svg")]
    pub plot: PathBuf,
    /// Device, verification, JSON.
    #[command(flatten)]
    pub work: WorkArgs,
}

/// A cell by name.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum CellArg {
    /// Gated recurrent unit
    Gru,
    /// Long short-term memory
    Lstm,
    /// Plain RNN with tanh
    Rnn,
    /// Plain RNN with relu
    RnnRelu,
}

/// Whether there is a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HeaderArg {
    /// The first line has the names of the columns
    Yes,
    /// The first line is the first step
    No,
}

/// The order of the axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LayoutArg {
    /// Sequence after sequence
    Batch,
    /// Step after step
    Time,
}

/// What stands in the place of padding.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum PaddingArg {
    /// 0, as ONNX has it
    Zero,
    /// The last output, as masks of Keras have it
    Last,
}

/// A storage type.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum StorageArg {
    /// 32 bits
    F32,
    /// 16 bits, 11 of them precision
    F16,
    /// 16 bits, 8 of them precision
    Bf16,
}

impl From<StorageArg> for Storage {
    fn from(storage: StorageArg) -> Self {
        match storage {
            StorageArg::F32 => Self::F32,
            StorageArg::F16 => Self::F16,
            StorageArg::Bf16 => Self::Bf16,
        }
    }
}

/// Where the reset gate acts.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ResetArg {
    /// On h, before the product
    Before,
    /// On the product
    After,
}

/// What z weighs.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum UpdateArg {
    /// The old state
    Keeps,
    /// The new candidate
    Takes,
}

/// The steps a readout is applied to.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ReadoutArg {
    /// Every step
    Every,
    /// The last step
    Last,
}

impl ModelArgs {
    /// The first option that only PyTorch weights have a use for.
    #[cfg(feature = "keras")]
    pub fn of_pytorch(&self) -> Option<&'static str> {
        let given = [
            ("--cell", self.cell.is_some()),
            ("--reset", self.reset.is_some()),
            ("--update", self.update.is_some()),
            ("--prefix", self.prefix.is_some()),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(option, _)| option)
    }

    /// The first option that only a Keras file has a use for.
    pub fn of_keras(&self) -> Option<&'static str> {
        let given = [
            ("--layer", !self.layer.is_empty()),
            ("--config", self.config.is_some()),
            ("--keras-version", self.keras_version.is_some()),
            ("--readout-without-activation", self.readout_without_activation),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(option, _)| option)
    }

    /// The cell, where anything was said of it.
    ///
    /// # Errors
    /// A GRU's option on another cell.
    pub fn cell(&self) -> Result<Option<Cell>, String> {
        let of_a_gru = self.reset.is_some() || self.update.is_some();
        let gru = Cell::Gru {
            reset: match self.reset {
                Some(ResetArg::Before) => Reset::Before,
                Some(ResetArg::After) | None => Reset::After,
            },
            update: match self.update {
                Some(UpdateArg::Takes) => Update::Takes,
                Some(UpdateArg::Keeps) | None => Update::Keeps,
            },
        };
        Ok(Some(match self.cell {
            None if of_a_gru => gru,
            None => return Ok(None),
            Some(CellArg::Gru) => gru,
            Some(cell) if of_a_gru => {
                let name =
                    cell.to_possible_value().map_or_else(String::new, |cell| cell.get_name().to_owned());
                return Err(format!("--reset and --update are of a GRU, --cell is {name}"));
            }
            Some(CellArg::Lstm) => Cell::LSTM,
            Some(CellArg::Rnn | CellArg::RnnRelu) => Cell::Rnn,
        }))
    }

    /// The nonlinearity of a plain RNN, where one was asked for.
    pub fn nonlinearity(&self) -> Option<Activation> {
        matches!(self.cell, Some(CellArg::RnnRelu)).then_some(Activation::RELU)
    }
}

impl From<ReadoutArg> for ReadoutSteps {
    fn from(at: ReadoutArg) -> Self {
        match at {
            ReadoutArg::Every => Self::Every,
            ReadoutArg::Last => Self::Last,
        }
    }
}
