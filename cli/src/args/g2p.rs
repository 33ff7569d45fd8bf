//! The options of `wgru g2p`.

use std::path::PathBuf;

/// `wgru g2p`.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("words").required(true).args(["word", "file", "evaluate"])))]
pub struct G2pArgs {
    /// Words, of the letters a to z and apostrophes
    #[arg(value_name = "WORD")]
    pub word: Vec<String>,
    /// Take the words from a file, one a line; - is standard input
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Take the words of a pronouncing dictionary in CMU's format that were held out of training, and count errors
    #[arg(long, value_name = "DICT")]
    pub evaluate: Option<PathBuf>,
    /// Hypotheses for each word; 1 takes the most probable phoneme at each step
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub beam: usize,
    /// Another model, written by uses/g2p/train.py [default: the one in the program]
    #[arg(long, value_name = "MODEL")]
    pub model: Option<PathBuf>,
    /// The device, as `wgru run` takes it
    #[arg(long, value_name = "SEL", default_value = "auto")]
    pub device: String,
    /// Write the result to a file instead of standard output
    #[arg(long, value_name = "OUT")]
    pub output: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
