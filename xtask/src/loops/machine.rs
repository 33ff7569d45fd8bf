//! The effects of instructions of 64-bit x86 (in AT&T's notation) and of 64-bit Arm, as far as the check of loops
//! needs them. Registers are named without their size: `a`, `si`, `sp`, `r8` on x86, `x8` and `sp` on Arm.

use super::assembly::Instruction;

/// The machine of the assembly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    X86,
    Arm,
}

/// Where control goes from a jump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jump<'a> {
    /// The label; None where a register holds it.
    pub to: Option<&'a str>,
    /// Whether the next instruction may follow.
    pub falls: bool,
}

/// How an instruction uses the memory that its operand names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Load,
    Store,
    /// The address alone.
    Hint,
}

/// The effect of an instruction on addresses in general registers.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    None,
    /// The registers get a new value that is not derived from an address here.
    Loses(Vec<String>),
    /// The register gets a value derived from these.
    Derives {
        to: String,
        from: Vec<String>,
    },
}

impl Machine {
    /// The beginning of a comment.
    pub fn comment(self) -> &'static str {
        match self {
            Self::X86 => "#",
            Self::Arm => "//",
        }
    }

    pub fn jump<'a>(self, instruction: &Instruction<'a>) -> Option<Jump<'a>> {
        let (name, last) = (instruction.name, instruction.operands.last().copied());
        let ends = Some(Jump { to: Some(""), falls: false });
        match self {
            Self::X86 if name.starts_with("ret") || name == "ud2" => ends,
            Self::X86 if name.starts_with('j') => {
                let to = last.filter(|to| !to.starts_with('*'));
                Some(Jump { to, falls: !name.starts_with("jmp") })
            }
            Self::Arm if name == "ret" || name == "brk" => ends,
            Self::Arm if name == "br" => Some(Jump { to: None, falls: false }),
            Self::Arm if name == "b" => Some(Jump { to: last, falls: false }),
            Self::Arm if name.starts_with("b.") || ["cbz", "cbnz", "tbz", "tbnz"].contains(&name) => {
                Some(Jump { to: last, falls: true })
            }
            _ => None,
        }
    }

    /// Whether it multiplies and adds vectors.
    pub fn is_fma(self, instruction: &Instruction<'_>) -> bool {
        match self {
            Self::X86 => instruction.name.starts_with("vfmadd") && instruction.name.ends_with("ps"),
            Self::Arm => instruction.name == "fmla",
        }
    }

    /// Whether it copies one register to another.
    pub fn is_move(self, instruction: &Instruction<'_>) -> bool {
        let [a, b] = instruction.operands[..] else { return false };
        match self {
            Self::X86 => {
                let name = instruction.name.trim_start_matches('v');
                name.starts_with("mov") && a.starts_with('%') && b.starts_with('%')
            }
            Self::Arm => matches!(instruction.name, "mov" | "fmov") && !b.starts_with('#'),
        }
    }

    /// Whether it uses the stack without naming it: a call, a push or a pop.
    pub fn is_call_or_push(self, instruction: &Instruction<'_>) -> bool {
        let name = instruction.name;
        match self {
            Self::X86 => ["call", "push", "pop"].iter().any(|start| {
                // Not popcnt.
                name.strip_prefix(start).is_some_and(|size| size.is_empty() || size == "q" || size == "w")
            }),
            Self::Arm => name == "bl" || name == "blr",
        }
    }

    /// How it uses memory, and the general registers of the address.
    pub fn access(self, instruction: &Instruction<'_>) -> Option<(Access, Vec<String>)> {
        let (name, operands) = (instruction.name, &instruction.operands);
        let (open, close) = match self {
            Self::X86 => ('(', ')'),
            Self::Arm => ('[', ']'),
        };
        // In lists of vectors, `v0.s[1]`, the brackets do not begin the operand.
        let inside = |operand: &&str| self == Self::X86 || operand.starts_with('[');
        let at = operands.iter().position(|operand| inside(operand) && operand.contains(open))?;
        let registers = operands[at].split([open, close, ',', ' ', '!']);
        let registers = registers.filter_map(|word| self.register(word)).collect();
        let access = match self {
            Self::X86
                if name.starts_with("lea") || name.starts_with("prefetch") || name.starts_with("nop") =>
            {
                Access::Hint
            }
            // An addition to memory loads it too.
            Self::X86 if at + 1 == operands.len() && name.trim_start_matches('v').starts_with("mov") => {
                Access::Store
            }
            Self::Arm if name.starts_with("prf") => Access::Hint,
            Self::Arm if name.starts_with("st") => Access::Store,
            _ => Access::Load,
        };
        Some((access, registers))
    }

    pub fn effect(self, instruction: &Instruction<'_>) -> Effect {
        match self {
            Self::X86 => self.effect_x86(instruction),
            Self::Arm => self.effect_arm(instruction),
        }
    }

    /// The last operand is written, and, except by moves, also read.
    fn effect_x86(self, instruction: &Instruction<'_>) -> Effect {
        let (name, operands) = (instruction.name, &instruction.operands);
        let lost = |names: &[&str]| Effect::Loses(names.iter().map(|&name| name.to_owned()).collect());
        if name.starts_with("call") {
            return lost(&["a", "c", "d", "si", "di", "r8", "r9", "r10", "r11"]);
        }
        let reads_alone = ["cmp", "test", "push", "j", "prefetch", "nop", "ret", "bt"];
        if reads_alone.iter().any(|start| name.starts_with(start)) {
            return Effect::None;
        }
        let Some(to) = operands.last().and_then(|last| self.register(last)) else { return Effect::None };
        let sources: Vec<String> = operands.iter().filter_map(|operand| self.register(operand)).collect();
        let is_xor = name.starts_with("xor") && operands.len() == 2 && sources.iter().all(|of| *of == to);
        match self.access(instruction) {
            Some((Access::Hint, from)) => Effect::Derives { to, from },
            _ if is_xor || name.starts_with("pop") => Effect::Loses(vec![to]),
            _ if name.starts_with("mov") || name.starts_with("set") => {
                Effect::Derives { from: sources[..sources.len() - 1].to_vec(), to }
            }
            _ => Effect::Derives { to, from: sources },
        }
    }

    /// The first operand is written, or the first two of a pair.
    fn effect_arm(self, instruction: &Instruction<'_>) -> Effect {
        let (name, operands) = (instruction.name, &instruction.operands);
        if name == "bl" || name == "blr" {
            return Effect::Loses((0..=18).map(|number| format!("x{number}")).collect());
        }
        let reads_alone = ["st", "cmp", "cmn", "tst", "ccmp", "prf", "b.", "cb", "tb", "ret", "br"];
        if name == "b" || reads_alone.iter().any(|start| name.starts_with(start)) {
            return Effect::None;
        }
        let registers: Vec<String> = operands.iter().filter_map(|operand| self.register(operand)).collect();
        if name.starts_with("ld") {
            return Effect::Loses(registers);
        }
        // The result of a vector instruction is no address, unless it goes to a general register.
        match operands.first().and_then(|first| self.register(first)) {
            Some(to) => Effect::Derives { to, from: registers[1..].to_vec() },
            None => Effect::None,
        }
    }

    /// The general register that `text` names, whatever part of it.
    pub fn register(self, text: &str) -> Option<String> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match self {
            Self::X86 => {
                let name = text.strip_prefix('%')?;
                let number = name.strip_prefix('r').map(|rest| rest.trim_end_matches(['b', 'w', 'd']));
                if let Some(number) = number.filter(|number| digits(number)) {
                    return Some(format!("r{number}"));
                }
                let short = name.trim_start_matches(['r', 'e']);
                match short.as_bytes() {
                    [b'a' | b'b' | b'c' | b'd', b'x' | b'l' | b'h'] => Some(short[..1].to_owned()),
                    [b's' | b'd', b'i', ..] | [b's' | b'b', b'p', ..] => Some(short[..2].to_owned()),
                    _ => None,
                }
            }
            Self::Arm => match text {
                "sp" | "wsp" => Some("sp".to_owned()),
                _ => {
                    let number = text.strip_prefix(['x', 'w'])?;
                    digits(number).then(|| format!("x{number}"))
                }
            },
        }
    }
}
