//! Which instructions of a loop use the stack.
//!
//! The stack's own register is not all. A frame pointer is a copy of it, and an array that is not in registers is
//! accessed through an address computed before the loop. So registers are tracked through the function: one that is
//! derived from an address of the stack holds one.

use std::collections::BTreeSet;

use super::assembly::{Function, Instruction};
use super::machine::{Access, Effect, Machine};

/// Registers that hold addresses of the stack.
type Held = BTreeSet<String>;

/// The instructions of `blocks` that read or write the stack.
pub fn uses<'f, 'a>(
    machine: Machine,
    function: &'f Function<'a>,
    blocks: &[usize],
) -> Vec<&'f Instruction<'a>> {
    let at_begin = held(machine, function);
    let mut uses = Vec::new();
    for &block in blocks {
        let mut held = at_begin[block].clone();
        for instruction in &function.blocks[block].code {
            if uses_stack(machine, instruction, &held) {
                uses.push(instruction);
            }
            follow(machine, instruction, &mut held);
        }
    }
    uses
}

/// The registers that hold addresses of the stack at the beginning of each block, on any path to it.
fn held(machine: Machine, function: &Function<'_>) -> Vec<Held> {
    let mut at_begin = vec![Held::from(["sp".to_owned()]); function.blocks.len()];
    let mut open: Vec<usize> = (0..function.blocks.len()).collect();
    while let Some(at) = open.pop() {
        let mut held = at_begin[at].clone();
        for instruction in &function.blocks[at].code {
            follow(machine, instruction, &mut held);
        }
        for &next in &function.blocks[at].next {
            let before = at_begin[next].len();
            at_begin[next].extend(held.iter().cloned());
            if at_begin[next].len() > before {
                open.push(next);
            }
        }
    }
    at_begin
}

fn follow(machine: Machine, instruction: &Instruction<'_>, held: &mut Held) {
    match machine.effect(instruction) {
        Effect::None => {}
        Effect::Loses(registers) => held.retain(|register| !registers.contains(register)),
        Effect::Derives { to, from } => {
            if from.iter().any(|register| held.contains(register)) {
                held.insert(to);
            } else {
                held.remove(&to);
            }
        }
    }
    held.insert("sp".to_owned());
}

fn uses_stack(machine: Machine, instruction: &Instruction<'_>, held: &Held) -> bool {
    let is_access = |(access, registers): (Access, Vec<String>)| {
        access != Access::Hint && registers.iter().any(|register| held.contains(register))
    };
    machine.is_call_or_push(instruction) || machine.access(instruction).is_some_and(is_access)
}

#[cfg(test)]
mod tests {
    use super::super::assembly;
    use super::*;

    /// The instructions that use the stack in the loop of `fma` of a function with this code.
    fn found(machine: Machine, code: &[&str]) -> Vec<String> {
        let text = format!("f:\n{}\n\t.size\tf, 1\n", code.join("\n"));
        let functions = assembly::functions(machine, &text, |symbol| symbol == "f");
        let loops = functions[0].innermost(|instruction| machine.is_fma(instruction));
        assert_eq!(loops.len(), 1, "{code:?}");
        let uses = uses(machine, &functions[0], &loops[0]);
        uses.iter().map(|instruction| instruction.text.replace('\t', " ")).collect()
    }

    #[test]
    fn a_loop_in_registers_uses_no_stack_though_its_function_does() {
        let x86 = [
            "pushq %rbx",
            "subq $64, %rsp",
            "movq 8(%rsp), %rdx",
            "vmovups %ymm1, 32(%rsp)",
            ".L1:",
            "vmovups (%rax), %ymm12",
            "vbroadcastss (%rdx,%rbx,4), %ymm0",
            "vfmadd231ps %ymm12, %ymm0, %ymm9",
            "prefetcht1 (%r11)",
            "incq %rbx",
            "cmpq %rbx, %rsi",
            "jne .L1",
            "vmovups 32(%rsp), %ymm1",
            "addq $64, %rsp",
            "popq %rbx",
            "retq",
        ];
        assert!(found(Machine::X86, &x86).is_empty());
        let arm = [
            "sub sp, sp, #160",
            "stp x29, x30, [sp, #144]",
            "add x29, sp, #144",
            "ldr x9, [x29, #8]",
            ".L1:",
            "ldp q11, q10, [x9, #-32]",
            "ld1r { v12.4s }, [x12], #4",
            "fmla v31.4s, v11.4s, v12.4s",
            "subs x1, x1, #1",
            "b.ne .L1",
            "ldp x29, x30, [sp, #144]",
            "ret",
        ];
        assert!(found(Machine::Arm, &arm).is_empty());
    }

    #[test]
    fn a_spill_is_found() {
        let x86 = [
            ".L1:",
            "vmovups (%rsp), %ymm0",
            "vfmadd231ps 32(%rsp), %ymm1, %ymm0",
            "vmovups %ymm0, (%rsp)",
            "decq 64(%rsp)",
            "jne .L1",
            "retq",
        ];
        let expected = [
            "vmovups (%rsp), %ymm0",
            "vfmadd231ps 32(%rsp), %ymm1, %ymm0",
            "vmovups %ymm0, (%rsp)",
            "decq 64(%rsp)",
        ];
        assert_eq!(found(Machine::X86, &x86), expected);
        let arm = [
            ".L1:",
            "stp q0, q6, [sp, #48]",
            "fmla v31.4s, v11.4s, v12.s[1]",
            "ldr q1, [sp]",
            "cbnz x1, .L1",
            "ret",
        ];
        assert_eq!(found(Machine::Arm, &arm), ["stp q0, q6, [sp, #48]", "ldr q1, [sp]"]);
    }

    const LOOP_WITH_RBP: [&str; 5] =
        [".L1:", "vfmadd231ps -32(%rbp), %ymm1, %ymm0", "addq $32, %rbp", "cmpq %rbp, %rsi", "jne .L1"];

    #[test]
    fn rbp_is_the_stack_where_it_is_the_frame_pointer() {
        for frame in ["movq %rsp, %rbp", "leaq 128(%rsp), %rbp"] {
            let code = [&["pushq %rbp", frame][..], &LOOP_WITH_RBP].concat();
            assert_eq!(found(Machine::X86, &code), ["vfmadd231ps -32(%rbp), %ymm1, %ymm0"], "{frame}");
        }
    }

    #[test]
    fn rbp_is_any_register_where_it_holds_something_else() {
        for general in ["movq 8(%rdi), %rbp", "leaq 8(%rdi,%rsi,4), %rbp", "xorl %ebp, %ebp"] {
            let code = [&["pushq %rbp", general][..], &LOOP_WITH_RBP].concat();
            assert!(found(Machine::X86, &code).is_empty(), "{general}");
        }
        // It was the frame pointer, until now.
        let code = [&["movq %rsp, %rbp", "movq %rdi, %rbp"][..], &LOOP_WITH_RBP].concat();
        assert!(found(Machine::X86, &code).is_empty());
    }

    #[test]
    fn x29_is_the_stack_where_it_is_the_frame_pointer() {
        let body = [".L1:", "fmla v0.4s, v1.4s, v2.4s", "ldur q3, [x29, #-32]", "cbnz x1, .L1", "ret"];
        for (before, expected) in [("mov x29, sp", 1), ("add x29, sp, #16", 1), ("ldr x29, [x0]", 0)] {
            let code = [&[before][..], &body].concat();
            assert_eq!(found(Machine::Arm, &code).len(), expected, "{before}");
        }
    }

    /// An array that is not in registers.
    #[test]
    fn an_address_of_the_stack_in_another_register_is_followed() {
        let x86 = [
            "leaq 32(%rsp), %rax",
            "movq %rax, %rcx",
            "addq %rdx, %rcx",
            ".L1:",
            "vfmadd231ps (%rcx,%rbx,4), %ymm1, %ymm0",
            "incq %rbx",
            "jne .L1",
            "retq",
        ];
        assert_eq!(found(Machine::X86, &x86), ["vfmadd231ps (%rcx,%rbx,4), %ymm1, %ymm0"]);
        let arm = [
            "add x8, sp, #32",
            "add x9, x8, x1, lsl #2",
            ".L1:",
            "fmla v0.4s, v1.4s, v2.4s",
            "ldr q3, [x9], #16",
            "cbnz x1, .L1",
            "ret",
        ];
        assert_eq!(found(Machine::Arm, &arm), ["ldr q3, [x9], #16"]);
        // A value that was loaded from the stack is no address of it.
        let read = ["leaq 32(%rsp), %rax", "movq (%rax), %rax", ".L1:"];
        let rest = ["vfmadd231ps (%rax), %ymm1, %ymm0", "jne .L1", "retq"];
        assert!(found(Machine::X86, &[&read[..], &rest].concat()).is_empty());
    }

    #[test]
    fn a_call_and_a_push_use_the_stack() {
        let x86 = [".L1:", "vfmadd231ps %ymm2, %ymm1, %ymm0", "callq *%rax", "popcntq %rax, %rcx", "jne .L1"];
        assert_eq!(found(Machine::X86, &x86), ["callq *%rax"]);
        let arm = [".L1:", "fmla v0.4s, v1.4s, v2.4s", "bl something", "cbnz x1, .L1"];
        assert_eq!(found(Machine::Arm, &arm), ["bl something"]);
    }
}
