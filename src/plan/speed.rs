//! Times of the parts of a kernel on a device: the numbers of the cost model.

use std::fmt;

use crate::error::{Error, Result};

/// The numbers, with their names.
macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Times in femtoseconds, so that a plan stays a pure function of numbers that compare and print exactly.
        ///
        /// A device is modelled as `cores`, each of which holds one or several workgroups at once, as many as its
        /// threads, registers and workgroup memory allow. These share its arithmetic. The times of operations are those
        /// of a busy core, for one scalar operation of any of its threads.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct Speed {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Speed {
            /// The name of each number, and the number.
            pub fn fields(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name)),*]
            }

            /// The number of this name.
            pub fn field_mut(&mut self, name: &str) -> Option<&mut u64> {
                match name {
                    $(stringify!($name) => Some(&mut self.$name),)*
                    _ => None,
                }
            }
        }
    };
}

numbers! {
    /// Cores: streaming multiprocessors, compute units or pairs of them, shader cores.
    cores,
    /// A dispatch that waits for the one before it.
    dispatch,
    /// A step within a dispatch: the input from memory, activations.
    step,
    /// A barrier, for each thread of the workgroup.
    barrier,
    /// A product and sum.
    fma,
    /// A product and sum where a thread has four rows side by side.
    fma4,
    /// A product and sum of cooperative matrices.
    matrix,
    /// A load from a buffer.
    load,
    /// A load from workgroup memory.
    share,
    /// A product and sum that waits for the one before it.
    chain,
    /// 32-bit numbers that a workgroup can keep in registers.
    registers,
    /// The time of a number from one workgroup to another within a dispatch.
    exchange,
    /// Weights that a thread can keep in registers, of one row.
    held,
    /// The same with four rows side by side.
    held4,
    /// Workgroups that a core holds at once, at most.
    resident,
    /// Threads of a core.
    threads,
    /// 32-bit registers of a core.
    file,
    /// Bytes of workgroup memory of a core.
    memory,
    /// Threads that are scheduled together.
    subgroup,
    /// Threads from which a core works at its full rate.
    full,
    /// Bytes of the last cache.
    cache,
    /// A byte from the last cache to a core.
    cached,
    /// A byte from memory, all cores together.
    uncached,
    /// The latency of a load from a cache, or of any where `far` is 0. 0 where loads do not wait, as on a processor:
    /// there kernels load each weight when they need it.
    latency,
    /// The latency of a load from memory.
    far,
}

/// How many of the numbers, the first, every table must have. Tables of earlier versions lack the others, and were
/// fitted to cores that hold one workgroup at a time and to memory whose latency and bandwidth are part of `load`.
const REQUIRED: usize = 12;

impl Speed {
    /// A discrete GPU of an unknown vendor, from data sheets, not measured.
    /// [`Chip`](super::Chip) has the numbers of known ones.
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
        registers: 48 * 1024,
        exchange: 800_000_000,
        held: 192,
        held4: 192,
        // So many as have 64 threads of 128 registers each, on GPUs of today.
        resident: 8,
        threads: 8 * 1024,
        file: 8 * 64 * 1024,
        memory: 8 * 64 * 1024,
        subgroup: 1,
        full: 1,
        cache: 0,
        cached: 0,
        uncached: 0,
        latency: 300_000_000,
        far: 0,
    };

    /// Numbers that a table may lack: of cores that hold one workgroup at a time, and loads that do not wait.
    const ONE_AT_A_TIME: Self = Self { resident: 1, latency: 0, ..Self::DISCRETE };

    /// A GPU that shares its memory with the processor, from data sheets; not measured.
    pub const INTEGRATED: Self =
        Self { cores: 16, dispatch: 8_000_000_000, load: 80_000, registers: 24 * 1024, ..Self::DISCRETE };

    /// A software driver: llvmpipe's, with two cores. Fitted to its code with AVX-512VL and with AVX2 alone, together, so that the order
    /// of the kernels is right on both (`benches/pages/gpu-drivers.md`); times lie between the two kinds, which differ by a factor of 4.
    pub const SOFTWARE: Self = Self {
        cores: 2,
        dispatch: 64_980_885_695,
        step: 854_350_008,
        barrier: 39_974_079,
        fma: 903_686,
        fma4: 160_506,
        matrix: 1_200_000,
        load: 2_667_380,
        share: 5_592_473,
        chain: 341_078,
        registers: 96 * 1024,
        exchange: 800_000_000,
        ..Self::ONE_AT_A_TIME
    };

    /// Registers that each thread of a workgroup of so many can have: those of a core are divided evenly among its schedulers, and
    /// a scheduler's among the subgroups that it has.
    pub fn registers_of_thread(&self, threads: u64) -> u64 {
        let full = self.full.max(1);
        self.file / full / threads.div_ceil(full).max(1)
    }

    /// Reads numbers: lines of a name and a number, and comments that begin with `#`. Those after `exchange` may be
    /// missing, as in tables of earlier versions: then a core holds one workgroup at a time.
    ///
    /// # Errors
    /// [`Error::Format`] for a line of another form, a name that is unknown, repeated or missing, and 0 cores.
    pub fn parse(text: &str) -> Result<Self> {
        let mismatch =
            |line: &str, reason: &str| Err(Error::format("table of speeds", format!("`{line}`: {reason}")));
        let mut speed = Self::ONE_AT_A_TIME;
        let names: Vec<&str> = speed.fields().iter().map(|(name, _)| *name).collect();
        let mut missing = names.clone();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let Some((name, number)) = line.split_once(char::is_whitespace) else {
                return mismatch(line, "no name with a number");
            };
            let Some(index) = missing.iter().position(|missing| *missing == name) else {
                return mismatch(line, "no such name, or one that was there before");
            };
            missing.remove(index);
            match (number.trim().parse(), speed.field_mut(name)) {
                (Ok(number), Some(field)) => *field = number,
                _ => return mismatch(line, "no whole number"),
            }
        }
        if let Some(name) = missing.first().filter(|name| names[..REQUIRED].contains(name)) {
            return mismatch(name, "is missing");
        }
        if speed.cores == 0 {
            return mismatch("cores 0", "a device has at least one");
        }
        Ok(speed)
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

    /// The numbers of earlier versions mean what they meant: a core that holds one workgroup at a time.
    #[test]
    fn tables_of_earlier_versions_are_read() {
        let known = Speed::SOFTWARE.to_string();
        let (earlier, since) = known.split_at(known.find("held ").unwrap());
        assert_eq!((earlier.lines().count(), since.lines().count()), (REQUIRED, 13));
        assert_eq!(Speed::parse(earlier).unwrap(), Speed::SOFTWARE);
        let chip = Speed { resident: 16, ..Speed::SOFTWARE };
        assert_eq!(Speed::parse(&format!("{earlier}resident 16\n")).unwrap(), chip);
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
