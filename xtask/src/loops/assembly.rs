//! The text of an assembly file: its functions, their blocks, and the loops among these.

use std::collections::BTreeSet;

use super::machine::{Jump, Machine};

/// An instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction<'a> {
    pub text: &'a str,
    pub name: &'a str,
    pub operands: Vec<&'a str>,
}

impl<'a> Instruction<'a> {
    fn parse(text: &'a str) -> Self {
        let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        Self { text, name, operands: operands(rest) }
    }
}

/// The parts between commas outside brackets.
fn operands(text: &str) -> Vec<&str> {
    let mut depth = 0;
    let parts = text.split(|c| {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// Instructions of which only the last may jump.
#[derive(Debug, Default)]
pub struct Block<'a> {
    pub code: Vec<Instruction<'a>>,
    /// The blocks that may follow.
    pub next: Vec<usize>,
}

/// A function.
#[derive(Debug)]
pub struct Function<'a> {
    pub symbol: &'a str,
    pub blocks: Vec<Block<'a>>,
}

/// The functions whose symbol is `wanted`.
pub fn functions(machine: Machine, text: &str, wanted: impl Fn(&str) -> bool) -> Vec<Function<'_>> {
    let mut functions = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let symbol = line.strip_suffix(':').filter(|symbol| !symbol.starts_with(".L") && wanted(symbol));
        if let Some(symbol) = symbol {
            // The directive of its size ends a function.
            let body = lines.by_ref().take_while(|line| !line.trim_start().starts_with(".size"));
            functions.push(Function { symbol, blocks: blocks(machine, body) });
        }
    }
    functions
}

fn blocks<'a>(machine: Machine, lines: impl Iterator<Item = &'a str>) -> Vec<Block<'a>> {
    let mut blocks = vec![Block::default()];
    let mut labels: Vec<(&str, usize)> = Vec::new();
    let mut jumps: Vec<Option<Jump<'a>>> = vec![None];
    for line in lines {
        // A comment of inline assembly for the compiler is `/* a comment */`.
        let ends = [machine.comment(), "/*"].iter().filter_map(|comment| line.find(comment)).min();
        let line = line[..ends.unwrap_or(line.len())].trim();
        if let Some(label) = line.strip_suffix(':') {
            blocks.push(Block::default());
            jumps.push(None);
            labels.push((label, blocks.len() - 1));
        } else if !line.is_empty() && !line.starts_with('.') {
            let instruction = Instruction::parse(line);
            let jump = machine.jump(&instruction);
            let last = blocks.len() - 1;
            blocks[last].code.push(instruction);
            if jump.is_some() {
                jumps[last] = jump;
                blocks.push(Block::default());
                jumps.push(None);
            }
        }
    }
    let count = blocks.len();
    for (at, (block, jump)) in blocks.iter_mut().zip(jumps).enumerate() {
        let Jump { to, falls } = jump.unwrap_or(Jump { to: Some(""), falls: true });
        // A jump to an address in a register may go to any label; one to another function leaves this one.
        let taken = labels.iter().filter(|(label, _)| to.is_none_or(|to| to == *label)).map(|(_, at)| *at);
        block.next = taken.chain((falls && at + 1 < count).then_some(at + 1)).collect();
    }
    blocks
}

impl Function<'_> {
    /// The loops that hold a `wanted` instruction and no smaller loop that does: the blocks of each, in the order of
    /// the text.
    pub fn innermost(&self, wanted: impl Fn(&Instruction<'_>) -> bool) -> Vec<Vec<usize>> {
        let has = |block: &usize| self.blocks[*block].code.iter().any(&wanted);
        self.loops_of((0..self.blocks.len()).collect(), &has)
    }

    fn loops_of(&self, nodes: BTreeSet<usize>, has: &impl Fn(&usize) -> bool) -> Vec<Vec<usize>> {
        let reached: Vec<BTreeSet<usize>> =
            (0..self.blocks.len()).map(|from| self.reached(from, &nodes)).collect();
        let mut found = Vec::new();
        let mut left = nodes;
        while let Some(first) = left.pop_first() {
            // All blocks from which control returns to this one are a loop, and its first block is the head.
            let mut around: BTreeSet<usize> =
                reached[first].iter().copied().filter(|&at| reached[at].contains(&first)).collect();
            left.retain(|at| !around.contains(at));
            if !around.iter().any(has) {
                continue;
            }
            let all: Vec<usize> = around.iter().copied().collect();
            let enters = |&at: &usize| {
                let outside = (0..self.blocks.len()).filter(|from| !around.contains(from));
                outside.into_iter().any(|from| self.blocks[from].next.contains(&at))
            };
            let head = all.iter().copied().find(enters).unwrap_or(first);
            around.remove(&head);
            let inner = self.loops_of(around, has);
            found.extend(if inner.is_empty() { vec![all] } else { inner });
        }
        found
    }

    /// The blocks of `nodes` that control may reach from `from`, including itself if it returns.
    fn reached(&self, from: usize, nodes: &BTreeSet<usize>) -> BTreeSet<usize> {
        let mut reached = BTreeSet::new();
        let mut open = if nodes.contains(&from) { vec![from] } else { Vec::new() };
        while let Some(at) = open.pop() {
            for &next in &self.blocks[at].next {
                if nodes.contains(&next) && reached.insert(next) {
                    open.push(next);
                }
            }
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(machine: Machine, text: &str) -> Function<'_> {
        let mut functions = functions(machine, text, |symbol| symbol == "f");
        assert_eq!(functions.len(), 1);
        functions.remove(0)
    }

    fn texts(function: &Function<'_>, blocks: &[usize]) -> Vec<String> {
        let code = blocks.iter().flat_map(|&at| &function.blocks[at].code);
        code.map(|instruction| instruction.text.to_owned()).collect()
    }

    #[test]
    fn operands_are_split_outside_of_brackets() {
        assert_eq!(operands("-96(%rax,%rbx,4), %ymm1"), ["-96(%rax,%rbx,4)", "%ymm1"]);
        assert_eq!(operands("{ v12.4s }, [x12, #8]!"), ["{ v12.4s }", "[x12, #8]!"]);
        assert!(operands("").is_empty());
    }

    #[test]
    fn a_function_ends_with_its_size_and_others_are_left_out() {
        let text = "g:\n\tnop\n\t.size\tg, 1\nf:\n\t.cfi_startproc\n\tincq\t%rax\t# a word\n\t#APP\n\t/* %xmm1 %rax */\n\t#NO_APP\n\tretq\n\t.size f, 1\nh:\n\tnop\n";
        let function = only(Machine::X86, text);
        assert_eq!(texts(&function, &[0, 1]), ["incq\t%rax", "retq"]);
    }

    #[test]
    fn the_innermost_loop_with_the_instruction_is_found() {
        let text = "f:\n.L1:\n\tmovq\t$0, %rax\n.L2:\n\tvfmadd231ps\t%ymm1, %ymm2, %ymm3\n\tincq\t%rax\n\tjne\t.L2\n\tdecq\t%rbx\n\tjne\t.L1\n.L3:\n\tdecq\t%rbx\n\tjne\t.L3\n\tretq\n\t.size f, 1\n";
        let function = only(Machine::X86, text);
        let loops = function.innermost(|instruction| instruction.name.starts_with("vfmadd"));
        assert_eq!(loops.len(), 1);
        assert_eq!(
            texts(&function, &loops[0]),
            ["vfmadd231ps\t%ymm1, %ymm2, %ymm3", "incq\t%rax", "jne\t.L2"]
        );
    }

    #[test]
    fn an_inner_loop_without_the_instruction_belongs_to_the_outer() {
        let text = "f:\n.L1:\n\tfmla\tv0.4s, v1.4s, v2.4s\n.L2:\n\tsubs\tx1, x1, #1\n\tb.ne\t.L2\n\tcbnz\tx2, .L1\n\tret\n\t.size f, 1\n";
        let function = only(Machine::Arm, text);
        let loops = function.innermost(|instruction| instruction.name == "fmla");
        assert_eq!(loops.len(), 1);
        assert_eq!(texts(&function, &loops[0]).len(), 4);
    }

    /// Rarely executed code is placed behind the loop, and jumps back into it.
    #[test]
    fn a_part_that_stands_elsewhere_belongs_to_its_loop() {
        let text = "f:\n.L1:\n\tvfmadd231ps\t%ymm1, %ymm2, %ymm3\n\tje\t.L3\n.L2:\n\tdecq\t%rbx\n\tjne\t.L1\n\tretq\n.L3:\n\tvmovups\t%ymm3, (%rsp)\n\tjmp\t.L2\n\t.size f, 1\n";
        let function = only(Machine::X86, text);
        let loops = function.innermost(|instruction| instruction.name.starts_with("vfmadd"));
        assert!(texts(&function, &loops[0]).contains(&"vmovups\t%ymm3, (%rsp)".to_owned()));
    }

    #[test]
    fn two_loops_of_which_one_takes_what_is_left_are_both_found() {
        let text = "f:\n.L1:\n\tfmla\tv0.4s, v1.4s, v2.4s\n\tb.ne\t.L1\n.L2:\n\tfmla\tv0.4s, v1.4s, v2.4s\n\ttbnz\tw1, #3, .L2\n\tret\n\t.size f, 1\n";
        let function = only(Machine::Arm, text);
        assert_eq!(function.innermost(|instruction| instruction.name == "fmla").len(), 2);
    }
}
