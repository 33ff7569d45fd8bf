//! The planner's table for a GPU: the numbers of the cost model, and the measurements.

use std::fmt;

use super::{Measured, Sample, Speed};
use crate::error::{Error, Result};

/// The result of `wgru tune` for a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The numbers of the cost model.
    pub speed: Speed,
    /// The corrections of its predictions.
    pub measured: Measured,
}

impl From<Speed> for Table {
    /// The model alone.
    fn from(speed: Speed) -> Self {
        Self { speed, measured: Measured::default() }
    }
}

/// The first word of a line that holds a sample.
const SAMPLE: &str = "measured";
/// The first word of the line with the version of the format, and the version that is written. Tables without such a
/// line are of version 1.
const VERSION: (&str, u32) = ("version", 1);

impl Table {
    /// Reads a table. Its lines are:
    ///
    /// * `version 1`, which may be missing;
    /// * a name and a number, as [`Speed::parse`] reads them;
    /// * `measured` and a [`Sample`], any number of them;
    /// * comments that begin with `#`.
    ///
    /// # Errors
    /// As [`Speed::parse`]; [`Error::Format`] for another version, and for a sample that is invalid or repeated.
    pub fn parse(text: &str) -> Result<Self> {
        let begins = |line: &str, word: &str| line.split_whitespace().next() == Some(word);
        let mismatch =
            |line: &str, reason: String| Error::format("table of speeds", format!("`{line}`: {reason}"));
        let (version, written) = VERSION;
        let (versions, lines): (Vec<&str>, Vec<&str>) =
            text.lines().map(str::trim).partition(|line| begins(line, version));
        if let Some(line) = versions.iter().find(|line| line[version.len()..].trim() != written.to_string()) {
            return Err(mismatch(
                line,
                format!("this program reads version {written}: make the table again with it"),
            ));
        }
        let (samples, numbers): (Vec<&str>, Vec<&str>) =
            lines.into_iter().partition(|line| begins(line, SAMPLE));
        let speed = Speed::parse(&numbers.join("\n"))?;
        let mut known: Vec<Sample> = Vec::new();
        for line in samples {
            let sample: Sample =
                line[SAMPLE.len()..].parse().map_err(|reason: String| mismatch(line, reason))?;
            if known.iter().any(|other| other.is_of(&sample)) {
                return Err(mismatch(line, "a candidate that was there before".into()));
            }
            known.push(sample);
        }
        Ok(Self { speed, measured: known.into_iter().collect() })
    }
}

impl fmt::Display for Table {
    /// As [`Table::parse`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (version, written) = VERSION;
        write!(f, "{version} {written}\n{}", self.speed)?;
        self.measured.samples().iter().try_for_each(|sample| writeln!(f, "{SAMPLE} {sample}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLES: &str = "measured gru-b16-t50-i64-h64 step-r4-t2-u1 1034\n\
        measured gru-b16-t50-i64-h64 persistent-r1-s1 7\n";

    #[test]
    fn tables_round_trip() {
        let numbers = Speed::DISCRETE.to_string();
        assert_eq!(Table::parse(&numbers).unwrap(), Table::from(Speed::DISCRETE));
        let text = format!("version 1\n{numbers}{SAMPLES}");
        let table = Table::parse(&text).unwrap();
        assert_eq!((table.to_string(), table.measured.samples().len()), (text, 2));
        let mixed = Table::parse(&format!("# a device\n\n  {SAMPLES}\n{numbers}")).unwrap();
        assert_eq!(mixed, table);
    }

    #[test]
    fn invalid_lines_are_refused_with_the_reason() {
        let numbers = Speed::DISCRETE.to_string();
        for (line, reason) in [
            ("measured", "thousandths"),
            ("measured gru-b1-t1-i1-h1 streamed-r1-s1", "thousandths"),
            ("measured gru-b1-t1-i1-h1 streamed-r1-s1 9 9", "thousandths"),
            ("measured gru-b1-t1-i1-h1 streamed-r1-s1 0", "from 1 to"),
            ("measured gru-b1-t1-i1-h1 streamed-r1-s1 1.5", "from 1 to"),
            ("measured gru-b1-t1-i1-h1 streamed-r1-s1 1000001", "from 1 to"),
            ("measured gru-b1-h1 streamed-r1-s1 9", "gru-b1-h1 is no shape"),
            ("measured gru-b1-t1-i1-h1 fast 9", "fast is no candidate"),
            ("measured gru-b16-t50-i64-h64 persistent-r1-s1 8", "before"),
            ("version 2", "reads version 1"),
            ("version", "reads version 1"),
            ("measuredgru-b1-t1-i1-h1 streamed-r1-s1 9", "no such name"),
        ] {
            let error = Table::parse(&format!("{numbers}{SAMPLES}{line}\n")).unwrap_err().to_string();
            assert!(error.contains(&format!("`{line}`")) && error.contains(reason), "{error}");
        }
    }
}
