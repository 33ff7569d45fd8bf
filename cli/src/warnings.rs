//! The library's warnings, on stderr: `wgru: warning: …`.

use log::{LevelFilter, Log, Metadata, Record};
use wgru::error::limited;

use crate::args::Command;

struct Stderr;

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Tensors that an import left out are in the report that the command prints.
        metadata.level() <= LevelFilter::Warn
            && metadata.target().starts_with("wgru::")
            && metadata.target() != "wgru::import"
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            eprintln!("wgru: warning: {}", limited(&record.args().to_string()));
        }
    }

    fn flush(&self) {}
}

/// Prints warnings from now on.
pub fn print() {
    // It fails if a logger is already set; this is the only one.
    if log::set_logger(&Stderr).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}

/// Warns where a command measures with a build for trying and testing, which is slower by up to fifty times.
pub fn of_build(command: &Command) {
    let measures = match command {
        Command::Bench(args) => args.from.is_empty() && args.compare.is_empty(),
        Command::Tune(args) => args.from.is_empty() || !args.case.is_empty(),
        Command::Compare(_) | Command::Report(_) => true,
        _ => false,
    };
    if measures && cfg!(debug_assertions) {
        eprintln!(
            "wgru: warning: this build is not optimised, so it is slow; to measure, build with --release"
        );
    }
}
