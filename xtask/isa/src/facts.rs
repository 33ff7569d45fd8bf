//! The numbers of a compiled kernel, and their line in a record.

use std::ops::Range;

use crate::Result;
use crate::assembly::{Assembly, Kind};
use crate::cases::Case;

macro_rules! facts {
    ($($(#[$doc:meta])* $field:ident),+ $(,)?) => {
        /// The numbers of a kernel on a chip. Those from `step_bytes` on are of the step loop, or, for a kernel of
        /// one step or a matmul, of its innermost loop.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Facts {
            $($(#[$doc])* pub $field: u64),+
        }

        impl Facts {
            /// Their names, as a record has them.
            pub const NAMES: &[&str] = &[$(stringify!($field)),+];

            fn numbers(&self) -> Vec<u64> {
                vec![$(self.$field),+]
            }

            fn of_numbers(numbers: &[u64]) -> Option<Self> {
                let mut numbers = numbers.iter().copied();
                let facts = Self { $($field: numbers.next()?),+ };
                numbers.next().is_none().then_some(facts)
            }
        }
    };
}

facts! {
    /// Threads of a subgroup.
    subgroup,
    /// Vector registers of a thread.
    registers,
    /// Spilled registers, vector or scalar.
    spills,
    /// Bytes of private memory of the threads of a subgroup.
    scratch,
    /// Bytes of workgroup memory.
    lds,
    /// Subgroups that a SIMD can have at once.
    occupancy,
    /// Bytes of code.
    code,
    /// Cycles of the whole kernel, as the compiler estimates them with 8 trips of each loop.
    latency,
    /// Cycles of a step, by the same estimate; 0 for kernels that are not persistent.
    step,
    /// Bytes of the loop.
    loop_bytes,
    /// Products and sums.
    fma,
    /// Products of matrices.
    matrix,
    /// Other vector instructions.
    valu,
    /// Operations on workgroup memory.
    shared,
    /// Vector loads and stores of buffers.
    memory,
    /// Waits for memory.
    waits,
    /// Waits for the other threads.
    barriers,
    /// Scalar instructions.
    scalar,
    /// Coherent loads outside of loops that poll other workgroups.
    first_polls,
    /// Coherent loads within them.
    polls,
}

impl Facts {
    /// With the counts of the loop that the rules apply to.
    ///
    /// # Errors
    /// A persistent kernel without such a loop.
    pub fn with_loop(self, case: &Case, assembly: &Assembly<'_>) -> Result<Self> {
        let counted = match case.is_persistent() {
            true => assembly.step_loop().ok_or("no loop over steps in the disassembly")?,
            false => assembly.product_loop(),
        };
        Ok(self.with_counts(assembly, &counted))
    }

    /// With the counts of a part of the code.
    pub fn with_counts(self, assembly: &Assembly<'_>, part: &Range<usize>) -> Self {
        let count = |kind| assembly.count(part, kind) as u64;
        let coherent =
            |part: &Range<usize>| assembly.part(part).iter().filter(|one| one.is_coherent).count() as u64;
        let polls = assembly.innermost(part).iter().map(coherent).sum();
        Self {
            loop_bytes: u64::from(assembly.bytes(part)),
            fma: count(Kind::Fma),
            matrix: count(Kind::Matrix),
            valu: count(Kind::Valu),
            shared: count(Kind::Shared),
            memory: count(Kind::Memory) + count(Kind::Scratch),
            waits: count(Kind::Wait),
            barriers: count(Kind::Barrier),
            scalar: count(Kind::Scalar),
            first_polls: coherent(part) - polls,
            polls,
            ..self
        }
    }

    /// Its text.
    pub fn line(&self) -> String {
        let Self { registers, occupancy, lds, code, latency, step, .. } = self;
        let cycles = if *step > 0 { format!("{step} cycles a step") } else { format!("{latency} cycles") };
        let of_matrices =
            if self.matrix > 0 { format!("{} of matrices, ", self.matrix) } else { String::new() };
        let others = self.instructions() - self.fma - self.matrix;
        format!(
            "{registers} registers, {occupancy} subgroups a SIMD, {lds} bytes shared, {code} of code, {cycles}; \
             loop {} bytes: {} FMA, {of_matrices}{others} others ({} vector, {} shared, {} memory, {} waits, {} barriers, {} scalar)",
            self.loop_bytes,
            self.fma,
            self.valu,
            self.shared,
            self.memory,
            self.waits,
            self.barriers,
            self.scalar,
        )
    }

    /// Instructions of the loop.
    pub fn instructions(&self) -> u64 {
        let Self { fma, matrix, valu, shared, memory, waits, barriers, scalar, .. } = self;
        fma + matrix + valu + shared + memory + waits + barriers + scalar
    }
}

/// The kernels of a chip with their numbers, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// The compiler.
    pub compiler: String,
    /// A line for each kernel.
    pub lines: Vec<(String, Facts)>,
}

const COMPILER: &str = "# compiler: ";

impl Record {
    /// As text.
    pub fn text(&self) -> String {
        let mut text = format!("{COMPILER}{}\nkernel,{}\n", self.compiler, Facts::NAMES.join(","));
        for (name, facts) in &self.lines {
            let numbers: Vec<String> = facts.numbers().iter().map(u64::to_string).collect();
            text += &format!("\"{name}\",{}\n", numbers.join(","));
        }
        text
    }

    /// Reads what [`Record::text`] wrote.
    ///
    /// # Errors
    /// Names the invalid line.
    pub fn parse(text: &str) -> Result<Self> {
        let mut lines = text.lines();
        let compiler = lines.next().and_then(|line| line.strip_prefix(COMPILER));
        let compiler = compiler.ok_or("line 1 names no compiler")?.to_owned();
        if lines.next() != Some(&format!("kernel,{}", Facts::NAMES.join(","))) {
            return Err("line 2 has other columns than this version writes".into());
        }
        let line = |line: &str| {
            let (name, numbers) = line.strip_prefix('"')?.split_once("\",")?;
            let numbers: Option<Vec<u64>> = numbers.split(',').map(|number| number.parse().ok()).collect();
            Some((name.to_owned(), Facts::of_numbers(&numbers?)?))
        };
        let all =
            lines.map(|text| line(text).ok_or_else(|| format!("`{text}` is no line of a record").into()));
        Ok(Self { compiler, lines: all.collect::<Result<_>>()? })
    }

    /// The numbers of a kernel.
    pub fn of(&self, name: &str) -> Option<&Facts> {
        self.lines.iter().find(|(of, _)| of == name).map(|(_, facts)| facts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let facts = Facts { registers: 252, step: 1038, polls: 5, ..Facts::default() };
        let name = "persistent_gru_after (1 row × 64 units, weights packed) H 64 f16";
        let record = Record { compiler: "radv Mesa 25".into(), lines: vec![(name.into(), facts)] };
        assert_eq!(Record::parse(&record.text()).unwrap(), record);
        assert_eq!(record.of(name), Some(&facts));
        for wrong in [
            "",
            "# compiler: x\nkernel,y\n",
            &record.text().replace(",252", ""),
            &record.text().replace("252", "x"),
        ] {
            assert!(Record::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn loads_are_counted_inside_and_outside_of_loops_that_wait() {
        let load = "\tbuffer_load_b32 v8, v8, s[52:55], 0 offen glc\n";
        let text =
            format!("BB1:\n\ts_barrier\n{load}{load}BB2:\n{load}\ts_cbranch_scc0 BB2\n\ts_branch BB1\n");
        let assembly = crate::amd::parse(&text);
        let facts = Facts::default().with_counts(&assembly, &assembly.step_loop().unwrap());
        assert_eq!((facts.first_polls, facts.polls, facts.barriers, facts.memory), (2, 1, 1, 3));
        assert_eq!(facts.instructions(), 6);
    }
}
