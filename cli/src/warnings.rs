//! The library's warnings, on stderr: `wgru: warning: …`.

use log::{LevelFilter, Log, Metadata, Record};
use wgru::error::limited;

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

/// Whether this is not a build for trying and testing, which takes up to fifty times as long.
pub const IS_OPTIMISED: bool = !cfg!(debug_assertions);

/// Warns before times are measured, if this build is not optimised.
pub fn of_build() {
    if !IS_OPTIMISED {
        eprintln!(
            "wgru: warning: this build is not optimised, so it is slow; to measure, build with --release"
        );
    }
}
