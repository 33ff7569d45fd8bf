//! The command line.

mod activation;
mod bench;
mod examples;
mod g2p;
mod shell;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use wgru::model::{Activation, Reset, Update};
use wgru::{Cell, DeviceOptions, Options, ReadoutActivation, ReadoutSteps, Storage};

pub use bench::{BenchArgs, CompareArgs};
pub use g2p::G2pArgs;
pub use shell::{CompletionsArgs, ManArgs, ReportArgs};

/// Recurrent networks (GRU, LSTM, RNN) on every GPU of the machine, and on the CPU
#[derive(Debug, Parser)]
#[command(name = "wgru", version, after_help = examples::ALL, max_term_width = 120)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the command does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List every adapter and the CPU paths, with the limits that matter
    #[command(after_help = examples::DEVICES)]
    Devices(DevicesArgs),
    /// Run a model on a file of sequences
    #[command(after_help = examples::RUN)]
    Run(RunArgs),
    /// Write a model as PyTorch weights or as ONNX
    #[command(after_help = examples::EXPORT)]
    Export(ExportArgs),
    /// Time recurrent layers on every device, each verified first
    #[command(after_help = examples::BENCH)]
    Bench(BenchArgs),
    /// Compare GRU, LSTM and RNN on a device, at equal H and at an equal number of parameters
    #[command(after_help = examples::COMPARE)]
    Compare(CompareArgs),
    /// Show the kernels that a run would use, their predicted times, and why the others were not chosen
    #[command(after_help = examples::EXPLAIN)]
    Explain(ExplainArgs),
    /// Measure the planner's candidates on a device, and write the table of numbers that it predicts times from
    #[command(after_help = examples::TUNE)]
    Tune(TuneArgs),
    /// Forecast the held-out part of a series, beside simple baselines, and plot it
    #[command(after_help = examples::FORECAST)]
    Forecast(ForecastArgs),
    /// Pronounce English words, by an encoder GRU over letters and a decoder GRU over phonemes
    #[command(after_help = examples::G2P)]
    G2p(G2pArgs),
    /// Gather devices, self-tests and a quick benchmark in one file, to send with a report
    #[command(after_help = examples::REPORT)]
    Report(ReportArgs),
    /// Print a script that completes this command's options in a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Write the manual, one page for each command
    #[command(after_help = examples::MAN)]
    Man(ManArgs),
}

/// `wgru devices`.
#[derive(Debug, clap::Args)]
pub struct DevicesArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Device and verification: the options of every command that runs a model.
#[derive(Debug, clap::Args)]
pub struct WorkArgs {
    /// auto (the best real GPU or the CPU, the one predicted to be faster); cpu; cpu:2 (two threads); reference;
    /// an API (vulkan, gl, metal, dx12); part of an adapter's name; or both, as in vulkan:llvmpipe
    #[arg(long, value_name = "SEL", default_value = "auto")]
    pub device: String,
    /// Cache compiled kernels in a folder across runs, where the API supports it (Vulkan). The folder must be yours
    /// or root's, and no other user may write to it
    #[arg(long, value_name = "DIR")]
    pub pipeline_cache: Option<PathBuf>,
    /// Test first whether the workgroups of one dispatch can exchange values on the device; if they can, the planner
    /// may use kernels that need it
    #[arg(long)]
    pub exchange: bool,
    /// Compute with the GPU's cooperative matrices, where it has them; needs weights and activations in f16. The
    /// reduction order is then not fixed
    #[arg(long)]
    pub matrices: bool,
    /// Compare with the f64 reference; exit status 1 if an error exceeds the derived tolerance
    #[arg(long)]
    pub verify: bool,
    /// How the device stores the matrices
    #[arg(long, value_name = "TYPE", default_value = "f32")]
    pub weights: StorageArg,
    /// How the device stores x, y and the sequences between layers
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

    /// The options of an engine.
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
    /// resets [B, T], not 0 where a sequence restarts; .npy with x; or .csv with a header and one column per feature;
    /// .npy.gz and .csv.gz; - is standard input, in any of these formats. Numbers of other types are converted to f32. For .onnx, .npz or .safetensors with the node's own
    /// arrays
    #[arg(long, value_name = "IN")]
    pub input: PathBuf,
    /// Where to write y, h_n, c_n and out: .npz or .safetensors; - is standard output, as .npz
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
    #[arg(long, value_name = "RULE", alias = "fill")]
    pub padding: Option<PaddingArg>,
    /// CSV: whether the first line holds column names; columns without names are called 1, 2, … [default: yes, and
    /// numbers in it are refused]
    #[arg(long, value_name = "YES|NO")]
    pub header: Option<HeaderArg>,
    /// CSV: the feature columns, in order; other columns are ignored [default: all]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub columns: Vec<String>,
    /// CSV: steps per window [default: the model's own, else the whole file]
    #[arg(long, value_name = "T")]
    pub window: Option<usize>,
    /// CSV: steps from one window to the next
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub stride: usize,
}

/// `wgru explain`.
#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// A case, as `wgru bench` takes it, or a model, as `wgru run` takes it
    #[arg(value_name = "CASE|MODEL")]
    pub what: String,
    /// ONNX: the recurrent node, or the nodes of a stack with commas between [default: the only one, or the stack that the
    /// graph is]
    #[arg(long, value_name = "NAME,…")]
    pub node: Option<String>,
    /// The device, as `wgru run` takes it
    #[arg(long, value_name = "SEL", default_value = "auto")]
    pub device: String,
    /// Test first whether the workgroups of one dispatch can exchange values on the device; if they can, the planner
    /// may use kernels that need it
    #[arg(long)]
    pub exchange: bool,
    /// Plan with the GPU's cooperative matrices, where it has them and the case is in f16; the reduction order is
    /// then not fixed
    #[arg(long)]
    pub matrices: bool,
    /// Sequences, of a model [default: 1]
    #[arg(long, value_name = "B")]
    pub batch: Option<usize>,
    /// Steps, of a model [default: 100]
    #[arg(long, value_name = "T")]
    pub steps: Option<usize>,
    /// A table written by `wgru tune` [default: the cost model's numbers for this kind of device]
    #[arg(long, value_name = "FILE")]
    pub speed: Option<PathBuf>,
    /// How to read the model.
    #[command(flatten)]
    pub model_args: ModelArgs,
}

/// `wgru tune`.
#[derive(Debug, clap::Args)]
pub struct TuneArgs {
    /// The GPU, as `wgru run` takes it; auto is the best real GPU
    #[arg(long, value_name = "SEL", default_value = "auto")]
    pub device: String,
    /// Test first whether the workgroups of one dispatch can exchange values on the device; if they can, the planner
    /// may use kernels that need it
    #[arg(long)]
    pub exchange: bool,
    /// Also measure products of cooperative matrices, where the device has them
    #[arg(long)]
    pub matrices: bool,
    /// Where to write the table
    #[arg(long, value_name = "FILE")]
    pub output: PathBuf,
    /// A case to measure, as `wgru bench` takes it; repeatable [default: 18 cases of all sizes]
    #[arg(long, value_name = "CASE")]
    pub case: Vec<String>,
    /// A table to start from instead of the cost model's numbers for this kind of device
    #[arg(long, value_name = "FILE")]
    pub speed: Option<PathBuf>,
    /// Take the times from files that `--csv` wrote, the least time of each candidate where several files have it,
    /// and keep the numbers of the table it starts from; measure only the cases that are named
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub from: Vec<PathBuf>,
    /// Fit the numbers to the files of --from instead. Each file counts by itself, so they can be of several processors
    #[arg(long, requires = "from")]
    pub fit: bool,
    /// Where to write the measured and the predicted times: `before_s` by the numbers it starts from, `predicted_s` by
    /// the table it writes
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
}

/// `wgru export`.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// The model, as `wgru run` takes it
    pub model: PathBuf,
    /// Where to write: .safetensors with PyTorch's names, .onnx with a node per layer
    #[arg(value_name = "OUT")]
    pub output: PathBuf,
    /// How to read the model.
    #[command(flatten)]
    pub model_args: ModelArgs,
    /// ONNX: the recurrent node to read, or the nodes of a stack with commas between [default: the only one, or the stack
    /// that the graph is]
    #[arg(long, value_name = "NAME,…")]
    pub node: Option<String>,
    /// ONNX: give OUT an input sequence_lens
    #[arg(long)]
    pub with_lengths: bool,
    /// ONNX: give OUT inputs initial_h and initial_c
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
    /// GRU: what the update gate z multiplies: the old state (keeps) or the candidate (takes) [default: keeps]
    #[arg(long)]
    pub update: Option<UpdateArg>,
    /// The prefix before weight_ih_l0 [default: found in the file]
    #[arg(long)]
    pub prefix: Option<String>,
    /// The name of a Linear or Dense after the last layer [default: the model's own]
    #[arg(long, value_name = "NAME")]
    pub readout: Option<String>,
    /// The steps the readout is applied to [default: the model's own, else last]
    #[arg(long, value_name = "STEPS")]
    pub readout_at: Option<ReadoutArg>,
    /// The readout's activation [default: the model's own, else linear]
    #[arg(long, value_name = "FUNCTION", value_parser = activation::names())]
    pub readout_activation: Option<ReadoutActivation>,
    /// Keras: leave out the activation of the readout, where it is not linear
    #[arg(long)]
    pub readout_without_activation: bool,
    /// Keras: the recurrent layer, or the layers of a stack from the input on [default: the only one]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub layer: Vec<String>,
    /// Keras: the model's configuration, as model.to_json() gives it, for files of weights alone
    #[arg(long, value_name = "JSON")]
    pub config: Option<PathBuf>,
    /// Keras: the major version, if the file does not state it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3))]
    pub keras_version: Option<u32>,
}

/// `wgru forecast`.
#[derive(Debug, clap::Args)]
pub struct ForecastArgs {
    /// The forecaster [default: the one in the program, of CO₂ at Mauna Loa]
    pub model: Option<PathBuf>,
    /// The series: a .csv with year, month and the model's column; - is standard input [default: the record in the program]
    #[arg(long, value_name = "CSV")]
    pub data: Option<PathBuf>,
    /// Where to plot forecast against truth; - is standard output
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

/// Whether a CSV file has a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HeaderArg {
    /// The first line holds the names of the columns
    Yes,
    /// The first line holds the first step
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

/// The padding value of y.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum PaddingArg {
    /// 0, as in ONNX
    Zero,
    /// The last output, as with Keras masks
    Last,
}

/// A storage type.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum StorageArg {
    /// 32 bits
    F32,
    /// 16 bits with 11 bits of precision
    F16,
    /// 16 bits with 8 bits of precision
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

/// What the update gate z multiplies.
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
    /// The first given option that applies to PyTorch weights alone.
    #[cfg(feature = "keras")]
    pub fn of_pytorch(&self) -> Option<&'static str> {
        let given = [
            ("--cell", self.cell.is_some()),
            ("--reset", self.reset.is_some()),
            ("--update", self.update.is_some()),
            ("--prefix", self.prefix.is_some()),
            ("--readout-activation", self.readout_activation.is_some()),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(option, _)| option)
    }

    /// The first given option that applies to Keras files alone.
    pub fn of_keras(&self) -> Option<&'static str> {
        let given = [
            ("--layer", !self.layer.is_empty()),
            ("--config", self.config.is_some()),
            ("--keras-version", self.keras_version.is_some()),
            ("--readout-without-activation", self.readout_without_activation),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(option, _)| option)
    }

    /// The cell, if an option describes it.
    ///
    /// # Errors
    /// An option of the GRU with another cell.
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
                return Err(format!("--reset and --update apply to a GRU only; --cell is {name}"));
            }
            Some(CellArg::Lstm) => Cell::LSTM,
            Some(CellArg::Rnn | CellArg::RnnRelu) => Cell::Rnn,
        }))
    }

    /// The nonlinearity of a plain RNN, if `--cell` gives one.
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
