//! `wgru completions` and `wgru man`: what a shell and `man` know of the command.

use clap::CommandFactory;

use crate::args::{Args, CompletionsArgs, ManArgs};
use crate::failure::{Outcome, error};
use crate::print::print;

/// Prints the script of a shell.
pub fn completions(args: &CompletionsArgs) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "wgru", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// Writes a page for the command and each of its parts: `wgru.1`, `wgru-run.1` …
pub fn man(args: &ManArgs) -> Outcome {
    let failed = |reason: std::io::Error| error(args.folder.display(), reason);
    if !args.folder.is_dir() {
        return Err(error(args.folder.display(), "expected a folder; create it first"));
    }
    clap_mangen::generate_to(Args::command(), &args.folder).map_err(failed)?;
    let pages = Args::command().get_subcommands().count() + 1;
    print(&format!("{pages} pages in {}: man -l {}/wgru.1\n", args.folder.display(), args.folder.display()))
}
