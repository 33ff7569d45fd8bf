//! The options of the commands around the work: `wgru report`, `completions` and `man`.

use std::path::PathBuf;

/// `wgru report`.
#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    /// Where to write it
    #[arg(long, value_name = "FILE", default_value = "wgru-report.json")]
    pub output: PathBuf,
}

/// `wgru completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// `wgru man`.
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// The folder to write to, which has to exist
    pub folder: PathBuf,
}
