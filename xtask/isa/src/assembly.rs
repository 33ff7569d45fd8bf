//! A disassembled shader: its instructions, their kinds, and its loops.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

/// The kind of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Multiplies and adds floating-point numbers.
    Fma,
    /// Multiplies small matrices.
    Matrix,
    /// Any other vector instruction.
    Valu,
    /// Workgroup memory.
    Shared,
    /// Buffers, by vectors.
    Memory,
    /// Registers stored to or loaded from memory.
    Scratch,
    /// Waits for memory.
    Wait,
    /// Waits for the other threads of the workgroup.
    Barrier,
    /// Scalar: arithmetic, loads, jumps.
    Scalar,
    /// A hint to the processor, without effect.
    Hint,
}

/// An instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its operands.
    pub operands: &'a str,
    /// Its size in bytes.
    pub bytes: u32,
    /// Its kind.
    pub kind: Kind,
    /// Whether it loads values that other workgroups may just have written.
    pub is_coherent: bool,
}

/// A disassembled shader.
#[derive(Debug, Default)]
pub struct Assembly<'a> {
    /// Its instructions, in order.
    pub code: Vec<Instruction<'a>>,
    /// Its loops, those of one head as one, in the order of their heads.
    pub loops: Vec<Range<usize>>,
}

impl<'a> Assembly<'a> {
    /// The instructions `code`, with `labels` before some of them. A jump backwards to a label, as `jump` finds it,
    /// ends a loop.
    pub fn new(
        code: Vec<Instruction<'a>>,
        labels: &BTreeMap<&str, usize>,
        jump: impl Fn(&Instruction<'a>) -> Option<&'a str>,
    ) -> Self {
        let mut ends: BTreeMap<usize, usize> = BTreeMap::new();
        for (at, instruction) in code.iter().enumerate() {
            let head = jump(instruction).and_then(|label| labels.get(label).copied());
            if let Some(head) = head.filter(|head| *head <= at) {
                ends.insert(head, at + 1);
            }
        }
        Self { loops: ends.into_iter().map(|(head, end)| head..end).collect(), code }
    }

    /// The instructions of a part.
    pub fn part(&self, part: &Range<usize>) -> &[Instruction<'a>] {
        self.code.get(part.clone()).unwrap_or_default()
    }

    /// The number of instructions of this kind in a part.
    pub fn count(&self, part: &Range<usize>, kind: Kind) -> usize {
        self.part(part).iter().filter(|one| one.kind == kind).count()
    }

    /// The loops within a part that have no loop within them.
    pub fn innermost(&self, part: &Range<usize>) -> Vec<Range<usize>> {
        let within = |outer: &Range<usize>, inner: &Range<usize>| {
            outer != inner && outer.start <= inner.start && inner.end <= outer.end
        };
        let is_innermost = |of: &&Range<usize>| !self.loops.iter().any(|other| within(of, other));
        let inside = self.loops.iter().filter(|of| within(part, of) || *of == part);
        inside.filter(is_innermost).cloned().collect()
    }

    /// The loop over steps of a kernel that has one: the loop with the most barriers, or where no barrier is needed,
    /// the one that multiplies most.
    pub fn step_loop(&self) -> Option<Range<usize>> {
        let rank = |of: &&Range<usize>| (self.count(of, Kind::Barrier), self.count(of, Kind::Fma), of.len());
        self.loops.iter().max_by_key(rank).cloned()
    }

    /// The innermost loop that multiplies most; for a kernel of matrices the smallest loop with all their products.
    /// The whole code, without such loops.
    pub fn product_loop(&self) -> Range<usize> {
        let all = 0..self.code.len();
        let count = |of: &Range<usize>, kind| self.count(of, kind);
        let of_matrices = self.loops.iter().filter(|of| count(of, Kind::Matrix) > 0);
        let of_matrices = of_matrices.max_by_key(|of| (count(of, Kind::Matrix), Reverse(of.len()))).cloned();
        let of_numbers = self.innermost(&all).into_iter().filter(|of| count(of, Kind::Fma) > 0);
        of_matrices.or_else(|| of_numbers.max_by_key(|of| count(of, Kind::Fma))).unwrap_or(all)
    }

    /// Bytes of a part.
    pub fn bytes(&self, part: &Range<usize>) -> u32 {
        self.part(part).iter().map(|one| one.bytes).sum()
    }
}
