//! What the benchmarks of the command and of a browser share: cases, their verification, rounds of timed runs, records and the report.

pub mod case;
pub mod measure;
pub mod number;
pub mod outputs;
pub mod record;
pub mod report;
pub mod subject;
pub mod suite;
pub mod timing;
pub mod verify;

/// The commit that the program was built from, with `+changes` if files differ from it.
pub const COMMIT: &str = env!("WGRU_COMMIT");
