//! Times of the parts of a kernel on a device: the numbers of the cost model.

use std::fmt;

use crate::error::{Error, Result};

/// Times in femtoseconds, so that a plan stays a pure function of numbers that compare and print exactly.
///
/// A device is modelled as `cores` that each run one workgroup at a time. The times of operations are those of a busy
/// core, for one scalar operation of any of its threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speed {
    /// Workgroups that run at once.
    pub cores: u64,
    /// A dispatch that waits for the one before it.
    pub dispatch: u64,
    /// A step within a dispatch: the input from memory, activations.
    pub step: u64,
    /// A barrier, for each thread of the workgroup.
    pub barrier: u64,
    /// A product and sum.
    pub fma: u64,
    /// A product and sum where a thread has four rows side by side.
    pub fma4: u64,
    /// A product and sum of cooperative matrices.
    pub matrix: u64,
    /// A load from a buffer.
    pub load: u64,
    /// A load from workgroup memory.
    pub share: u64,
    /// A product and sum that waits for the one before it.
    pub chain: u64,
    /// The latency of a load from a buffer, from memory or a cache. 0 where loads do not wait, as on a processor: there
    /// kernels load each weight when they need it.
    pub latency: u64,
    /// 32-bit numbers that a workgroup can keep in registers.
    pub registers: u64,
    /// The time of a number from one workgroup to another within a dispatch.
    pub exchange: u64,
}

impl Speed {
    /// A discrete GPU, from data sheets; not measured.
    pub const DISCRETE: Self = Self {
        cores: 80,
        dispatch: 3_000_000_000,
        step: 250_000_000,
        barrier: 100_000,
        fma: 5_000,
        fma4: 5_000,
        matrix: 2_000,
        load: 40_000,
        share: 5_000,
        chain: 2_500_000,
        latency: 300_000_000,
        registers: 48 * 1024,
        exchange: 800_000_000,
    };

    /// A GPU that shares its memory with the processor, from data sheets; not measured.
    pub const INTEGRATED: Self =
        Self { cores: 16, dispatch: 8_000_000_000, load: 80_000, registers: 24 * 1024, ..Self::DISCRETE };

    /// A software driver: llvmpipe's, fitted on two cores of a server's processor (`benches/tables/llvmpipe.txt`).
    /// The number of cores is of that machine too.
    pub const SOFTWARE: Self = Self {
        cores: 2,
        dispatch: 88_603_083_795,
        step: 964_691_345,
        barrier: 41_805_106,
        fma: 169_137,
        fma4: 342_473,
        matrix: 1_200_000,
        load: 1_953_215,
        share: 2_382,
        chain: 170_034,
        latency: 0,
        registers: 96 * 1024,
        exchange: 800_000_000,
    };

    /// Reads numbers: lines of a name and a number, and comments that begin with `#`.
    ///
    /// # Errors
    /// [`Error::Format`] for a line of another form, a name that is unknown, repeated or missing, and 0 cores.
    pub fn parse(text: &str) -> Result<Self> {
        let mismatch =
            |line: &str, reason: &str| Err(Error::format("table of speeds", format!("`{line}`: {reason}")));
        let mut speed = Self::DISCRETE;
        let mut missing: Vec<&str> = speed.fields().iter().map(|(name, _)| *name).collect();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let Some((name, number)) = line.split_once(char::is_whitespace) else {
                return mismatch(line, "no name with a number");
            };
            let Some(index) = missing.iter().position(|missing| *missing == name) else {
                return mismatch(line, "no such name, or one that was there before");
            };
            missing.swap_remove(index);
            match (number.trim().parse(), speed.field_mut(name)) {
                (Ok(number), Some(field)) => *field = number,
                _ => return mismatch(line, "no whole number"),
            }
        }
        if let Some(name) = missing.first() {
            return mismatch(name, "is missing");
        }
        if speed.cores == 0 {
            return mismatch("cores 0", "a device has at least one");
        }
        Ok(speed)
    }

    /// The name of each number, and the number.
    pub fn fields(&self) -> [(&'static str, u64); 13] {
        [
            ("cores", self.cores),
            ("dispatch", self.dispatch),
            ("step", self.step),
            ("barrier", self.barrier),
            ("fma", self.fma),
            ("fma4", self.fma4),
            ("matrix", self.matrix),
            ("load", self.load),
            ("share", self.share),
            ("chain", self.chain),
            ("latency", self.latency),
            ("registers", self.registers),
            ("exchange", self.exchange),
        ]
    }

    /// The number of this name.
    pub fn field_mut(&mut self, name: &str) -> Option<&mut u64> {
        Some(match name {
            "cores" => &mut self.cores,
            "dispatch" => &mut self.dispatch,
            "step" => &mut self.step,
            "barrier" => &mut self.barrier,
            "fma" => &mut self.fma,
            "fma4" => &mut self.fma4,
            "matrix" => &mut self.matrix,
            "load" => &mut self.load,
            "share" => &mut self.share,
            "chain" => &mut self.chain,
            "latency" => &mut self.latency,
            "registers" => &mut self.registers,
            "exchange" => &mut self.exchange,
            _ => return None,
        })
    }
}

impl fmt::Display for Speed {
    /// As [`Speed::parse`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fields().iter().try_for_each(|(name, number)| writeln!(f, "{name} {number}"))
    }
}

/// A predicted time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost {
    /// In femtoseconds, saturating.
    pub femtoseconds: u64,
}

impl Cost {
    /// No time.
    pub const ZERO: Self = Self { femtoseconds: 0 };

    /// The sum of both.
    pub fn plus(self, other: Self) -> Self {
        Self { femtoseconds: self.femtoseconds.saturating_add(other.femtoseconds) }
    }

    /// The time multiplied by a fraction.
    pub(super) fn times(self, numerator: u128, denominator: u128) -> Self {
        let femtoseconds = u128::from(self.femtoseconds).saturating_mul(numerator) / denominator.max(1);
        Self { femtoseconds: u64::try_from(femtoseconds).unwrap_or(u64::MAX) }
    }

    /// In seconds.
    pub fn seconds(self) -> f64 {
        self.femtoseconds as f64 * 1e-15
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seconds() {
            s if s < 1e-3 => write!(f, "{:.3} µs", s * 1e6),
            s if s < 1.0 => write!(f, "{:.3} ms", s * 1e3),
            s => write!(f, "{s:.3} s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_round_trip() {
        let speed = Speed { cores: 3, chain: 0, ..Speed::INTEGRATED };
        assert_eq!(Speed::parse(&format!("# a device\n\n{speed}")).unwrap(), speed);
    }

    #[test]
    fn invalid_tables_are_refused_by_their_line() {
        let text = Speed::DISCRETE.to_string();
        for (bad, named) in [
            (text.replace("fma 5000\n", ""), "fma"),
            (text.replace("fma 5000", "fma five"), "fma five"),
            (text.replace("fma 5000", "fma"), "fma"),
            (text.replace("fma ", "fmas "), "fmas 5000"),
            (format!("{text}load 1\n"), "load 1"),
            (text.replace("cores 80", "cores 0"), "cores 0"),
        ] {
            let error = Speed::parse(&bad).unwrap_err().to_string();
            assert!(error.contains(&format!("`{named}`")), "{error}");
        }
    }
}
