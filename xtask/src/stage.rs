//! Running named stages in order and summing them up.

use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::process::Error;

/// How a stage that did not fail ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The stage did its work.
    Passed,
    /// The stage could not run here; it has printed the reason.
    Skipped,
}

/// One named step of a command.
pub struct Stage {
    name: &'static str,
    action: Box<dyn FnOnce() -> Result<Outcome, Error>>,
}

impl Stage {
    /// A stage that runs `action` under the heading `name`.
    pub fn new(name: &'static str, action: impl FnOnce() -> Result<Outcome, Error> + 'static) -> Self {
        Self { name, action: Box::new(action) }
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Stage").field(&self.name).finish()
    }
}

/// Runs every stage, whatever the results of the earlier ones, and prints a summary.
pub fn run_all(stages: Vec<Stage>) -> Summary {
    let (count, begun) = (stages.len(), Instant::now());
    let mut summary = Summary::default();
    let mut lines = Vec::with_capacity(count);
    for (index, stage) in stages.into_iter().enumerate() {
        println!("==> [{}/{count}] {}", index + 1, stage.name);
        let start = Instant::now();
        let result = (stage.action)();
        if let Err(error) = &result {
            eprintln!("error: {}: {error}", stage.name);
        }
        match &result {
            Ok(Outcome::Passed) => summary.passed += 1,
            Ok(Outcome::Skipped) => summary.skipped.push(stage.name),
            Err(_) => summary.failed.push(stage.name),
        }
        // Said at once as well: a run that is ended from outside shows where its time went.
        let line = summary_line(stage.name, &result, start.elapsed());
        println!("{line}");
        lines.push(line);
    }
    println!("==> summary");
    for line in lines {
        println!("{line}");
    }
    summary.elapsed = begun.elapsed();
    summary
}

/// How all stages ended.
#[derive(Debug, Default)]
pub struct Summary {
    /// The number of stages that did their work.
    pub passed: usize,
    /// The stages that could not run here.
    pub skipped: Vec<&'static str>,
    /// The stages that failed.
    pub failed: Vec<&'static str>,
    /// How long all of them took.
    pub elapsed: Duration,
}

impl Summary {
    /// The exit status.
    pub fn code(&self) -> ExitCode {
        if self.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn summary_line(name: &str, result: &Result<Outcome, Error>, elapsed: Duration) -> String {
    let word = match result {
        Ok(Outcome::Passed) => "ok",
        Ok(Outcome::Skipped) => "SKIPPED",
        Err(_) => "FAILED",
    };
    format!("    {word:<8} {name} ({:.1} s)", elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    fn counting(runs: &Rc<Cell<u32>>, fails: bool) -> Stage {
        let runs = Rc::clone(runs);
        Stage::new("counting", move || {
            runs.set(runs.get() + 1);
            if fails { Err(Error::Other("on purpose".to_owned())) } else { Ok(Outcome::Passed) }
        })
    }

    #[test]
    fn a_failed_stage_does_not_stop_the_next_and_fails_the_whole() {
        let runs = Rc::new(Cell::new(0));
        let summary = run_all(vec![counting(&runs, true), counting(&runs, false)]);
        assert_eq!(runs.get(), 2);
        assert_eq!((summary.passed, &*summary.failed), (1, &["counting"][..]));
        assert_eq!(format!("{:?}", summary.code()), format!("{:?}", ExitCode::FAILURE));
    }

    #[test]
    fn a_skipped_stage_is_a_success_and_shows_in_the_summary() {
        let summary = run_all(vec![Stage::new("skipped", || Ok(Outcome::Skipped))]);
        assert_eq!(summary.skipped, ["skipped"]);
        assert_eq!(format!("{:?}", summary.code()), format!("{:?}", ExitCode::SUCCESS));
        let line = summary_line("x", &Ok(Outcome::Skipped), Duration::from_millis(1500));
        assert_eq!(line, "    SKIPPED  x (1.5 s)");
    }
}
