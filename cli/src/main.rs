//! `wgru`: run, verify and inspect recurrent models on every device of the machine.
//!
//! Exit status: 0 done, 1 a verification that failed, 2 anything that could not be done.

mod args;
mod arrays;
mod bench;
mod devices;
mod export;
mod failure;
mod forecast;
mod g2p;
mod keras;
#[cfg(feature = "onnx")]
mod onnx;
#[cfg(not(feature = "onnx"))]
#[path = "onnx/absent.rs"]
mod onnx;
mod plot;
mod print;
mod report;
mod run;
mod shell;
mod suggest;
mod table;
mod warnings;
mod work;

use std::process::ExitCode;

use clap::Parser;
use wgru::error::limited;

use args::{Args, Command};
use failure::Failure;

fn main() -> ExitCode {
    quiet_drivers();
    warnings::print();
    let args = Args::parse();
    let result = match &args.command {
        Command::Devices(args) => devices::devices(args),
        Command::Run(args) => run::run(args),
        Command::Export(args) => export::export(args),
        Command::Bench(args) => bench::bench(args),
        Command::Compare(args) => bench::cells::compare(args),
        Command::Explain(args) => bench::explain::explain(args),
        Command::Tune(args) => bench::tune::tune(args),
        Command::Forecast(args) => forecast::forecast(args),
        Command::Report(args) => report::report(args),
        Command::Completions(args) => shell::completions(args),
        Command::Man(args) => shell::man(args),
        Command::G2p(args) => g2p::g2p(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Verification(message)) => {
            eprintln!("wgru: {}", limited(&message));
            ExitCode::from(1)
        }
        Err(Failure::Error(message)) => {
            eprintln!("wgru: error: {}", limited(&message));
            ExitCode::from(2)
        }
    }
}

/// Mesa's EGL prints a warning if XDG_RUNTIME_DIR is not set, which only a desktop needs.
fn quiet_drivers() {
    if cfg!(unix) && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: nothing else runs yet: this is the first line of main.
        unsafe { std::env::set_var("XDG_RUNTIME_DIR", std::env::temp_dir()) };
    }
}
