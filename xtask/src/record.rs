//! Records of a run, with commit and date: the figures of the Criterion benches as a CSV in `benches/records/`; a
//! line for a run of the nightly tier.

use std::fs;

use crate::process::{self, Error};
use crate::stage::{Outcome, Summary};

/// Runs the benches and writes `benches/records/{name}.csv`.
pub fn record(name: &str) -> Result<Outcome, Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if name.is_empty() || !name.chars().all(plain) {
        let reason = format!("record name `{name}`: letters, digits and hyphens only");
        return Err(Error::Other(reason));
    }
    let mut bench = process::cargo();
    bench.args(["bench", "-p", "wgru", "--bench", "engine", "--bench", "parts"]);
    bench.args(["--", "--output-format", "bencher"]);
    let output = process::capture(&mut bench)?;
    let rows: Vec<Row> = output.lines().filter_map(Row::parse).collect();
    let drivers: Vec<(&str, &str)> = output.lines().filter_map(driver).collect();
    if rows.is_empty() {
        return Err(Error::Other("the benches printed no figures".into()));
    }

    let commit = commit()?;
    let (date, processor) = (date()?, processor());
    let mut csv =
        "device,driver,timed,case,median_ns,stddev_ns,verified,timing,processor,commit,date\n".to_owned();
    for Row { device, timed, case, median, deviation } in &rows {
        let driver = drivers.iter().find(|(of, _)| of == device).map_or("", |(_, driver)| *driver);
        let quoted = [device.as_str(), driver, timed, case].map(|word| format!("\"{word}\"")).join(",");
        csv += &format!("{quoted},{median},{deviation},yes,wall clock,\"{processor}\",{commit},{date}\n");
    }
    let path = process::workspace_root().join("benches/records").join(format!("{name}.csv"));
    let folder = path.parent().unwrap_or(&path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, csv))
        .map_err(|reason| Error::Other(format!("{}: {reason}", path.display())))?;
    println!("    {} figures in {}", rows.len(), path.display());
    Ok(Outcome::Passed)
}

/// Reads `driver of DEVICE is DRIVER`, which the benches print first.
fn driver(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("driver of ")?.split_once(" is ")
}

/// The commit, marked where the tree has changes that are not in it.
fn commit() -> Result<String, Error> {
    let commit = process::capture(process::in_workspace("git").args(["rev-parse", "--short=12", "HEAD"]))?;
    let mut status = process::in_workspace("git");
    let changes = process::capture(status.args(["status", "--porcelain", "--", "src", "shaders"]))?;
    let mark = if changes.is_empty() { "" } else { "+changes" };
    Ok(format!("{}{mark}", commit.trim()))
}

/// The day in UTC.
fn date() -> Result<String, Error> {
    let date = process::capture(process::in_workspace("date").args(["-u", "+%Y-%m-%d"]))?;
    Ok(date.trim().to_owned())
}

/// The row of CONTRIBUTING.md's table for a run of the nightly tier: date, commit, result, minutes.
pub fn nightly(summary: &Summary) -> String {
    let [date, commit] = [date(), commit()].map(|known| known.unwrap_or_else(|_| "unknown".into()));
    format!("| {date} | {commit} | {} | {} min |", result(summary), summary.elapsed.as_secs().div_ceil(60))
}

fn result(summary: &Summary) -> String {
    let mut result = format!("{} passed", summary.passed);
    for (stages, word) in [(&summary.skipped, "not run"), (&summary.failed, "failed")] {
        if !stages.is_empty() {
            result += &format!(", {} {word}: {}", stages.len(), stages.join(", "));
        }
    }
    result
}

fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value = |key: &str| {
        let line = info.lines().find(|line| line.starts_with(key))?;
        line.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    let cores = info.lines().filter(|line| line.starts_with("processor")).count();
    let name = value("model name").unwrap_or_else(|| "unknown processor".into());
    format!("{name} ({cores} cores)")
}

/// One figure.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    device: String,
    timed: String,
    case: String,
    median: u64,
    deviation: u64,
}

impl Row {
    /// Reads `test DEVICE/TIMED/CASE ... bench:   1,234 ns/iter (+/- 56)`: Criterion's median and standard
    /// deviation.
    fn parse(line: &str) -> Option<Self> {
        let (id, figures) = line.strip_prefix("test ")?.split_once(" ... bench:")?;
        let (median, deviation) = figures.split_once(" ns/iter (+/- ")?;
        let mut words = id.rsplitn(3, '/');
        let (case, timed, device) = (words.next()?, words.next()?, words.next()?);
        let number = |text: &str| text.trim().trim_end_matches(')').replace(',', "").parse().ok();
        Some(Self {
            device: device.into(),
            timed: timed.into(),
            case: case.into(),
            median: number(median)?,
            deviation: number(deviation)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_figures_is_read() {
        let line =
            "test gl: llvmpipe (LLVM 15)/step/gru-b1-i64-h64 ... bench:   1,239,327 ns/iter (+/- 16,782)";
        let row = Row {
            device: "gl: llvmpipe (LLVM 15)".into(),
            timed: "step".into(),
            case: "gru-b1-i64-h64".into(),
            median: 1_239_327,
            deviation: 16_782,
        };
        assert_eq!(Row::parse(line), Some(row));
        assert_eq!(Row::parse("Warning: something"), None);
        assert_eq!(driver("driver of gl: llvmpipe is Mesa 22.3"), Some(("gl: llvmpipe", "Mesa 22.3")));
    }

    #[test]
    fn a_nightly_line_names_what_did_not_pass() {
        let mut summary = Summary { passed: 3, ..Summary::default() };
        assert_eq!(result(&summary), "3 passed");
        summary.skipped = vec!["matrices"];
        summary.failed = vec!["soaks", "arm check"];
        assert_eq!(result(&summary), "3 passed, 1 not run: matrices, 2 failed: soaks, arm check");
    }

    #[test]
    fn a_name_that_would_leave_the_folder_is_refused() {
        for name in ["", "../x", "a b"] {
            assert!(record(name).is_err(), "{name}");
        }
    }
}
