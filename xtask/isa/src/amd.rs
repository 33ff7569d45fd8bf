//! AMD's compiler: the driver's figures, and its disassembly.

use std::collections::BTreeMap;

use ash::vk;
use wgru::kernels::{Access, Kernel};

use crate::Result;
use crate::assembly::{Assembly, Instruction, Kind};
use crate::cases::Case;
use crate::facts::Facts;
use crate::spirv::Shader;
use crate::vulkan::{Bindings, Gpu};

/// Trips of a loop that an estimate adds for a nested one: 8 · 8 instead of 8.
const MORE_TRIPS: u64 = 8 * 8 - 8;

/// Compiles a case, and counts its instructions.
///
/// # Errors
/// The errors of naga and the driver.
pub fn facts(gpu: &Gpu, case: &Case) -> Result<Facts> {
    let kernel = &case.kernel;
    let shader = Shader::new(&kernel.source(), &kernel.constants())?;
    let bindings = bindings(kernel);
    let compiled = gpu.compile(&shader.words(gpu.checks_buffers)?, &bindings, true)?;
    let latency = compiled.figure("Latency")?;
    let mut step = 0;
    if case.is_persistent() {
        let nested = gpu.compile(&shader.nested()?.words(gpu.checks_buffers)?, &bindings, false)?;
        step = nested.figure("Latency")?.saturating_sub(latency) / MORE_TRIPS;
    }
    let facts = Facts {
        subgroup: u64::from(compiled.subgroup),
        registers: compiled.figure("VGPRs")?,
        spills: compiled.figure("Spilled VGPRs")? + compiled.figure("Spilled SGPRs")?,
        scratch: compiled.figure("Scratch size")?,
        lds: compiled.figure("LDS size")?,
        occupancy: compiled.figure("Subgroups per SIMD")?,
        code: compiled.figure("Code size")?,
        latency,
        step,
        ..Facts::default()
    };
    facts.with_loop(case, &parse(&compiled.assembly))
}

fn bindings(kernel: &Kernel) -> Bindings {
    let kind = |access: Access| match access {
        Access::Params(_) => vk::DescriptorType::UNIFORM_BUFFER,
        Access::StepIndex(_) => vk::DescriptorType::UNIFORM_BUFFER_DYNAMIC,
        Access::Read | Access::ReadWrite => vk::DescriptorType::STORAGE_BUFFER,
    };
    kernel.bindings().iter().map(|binding| (binding.index, kind(binding.access))).collect()
}

/// Reads lines such as `BB1:` and `\ts_add_u32 s1, s2, s3   ; 80010302`, whose comment has the words of the instruction.
pub fn parse(text: &str) -> Assembly<'_> {
    let mut code: Vec<Instruction<'_>> = Vec::new();
    let mut labels = BTreeMap::new();
    for line in text.lines() {
        let (line, words) = line.split_once(';').unwrap_or((line, ""));
        let line = line.trim();
        if let Some(label) = line.strip_suffix(':') {
            labels.insert(label, code.len());
        } else if let Some(times) = repeated(line) {
            code.extend(code.last().copied().into_iter().cycle().take(times));
        } else if !line.is_empty() {
            let is_word = |word: &&str| word.len() == 8 && word.bytes().all(|b| b.is_ascii_hexdigit());
            let words = words.split_whitespace().filter(is_word).count().max(1);
            let (name, operands) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            // Two operations in one instruction count as two.
            let (first, second) = operands.split_once("::").unwrap_or((operands, ""));
            code.push(instruction(name, first.trim(), 4 * words as u32));
            if let Some((name, operands)) = second.trim().split_once(char::is_whitespace) {
                code.push(instruction(name, operands, 0));
            }
        }
    }
    Assembly::new(code, &labels, |one| {
        let jumps = one.name.starts_with("s_branch") || one.name.starts_with("s_cbranch");
        one.operands.split_whitespace().next().filter(|_| jumps)
    })
}

/// How often the instruction before is repeated, in a line that says so.
fn repeated(line: &str) -> Option<usize> {
    line.strip_prefix("(then repeated ")?.strip_suffix(" times)")?.parse().ok()
}

fn instruction<'a>(name: &'a str, operands: &'a str, bytes: u32) -> Instruction<'a> {
    let is_load = ["buffer_load", "global_load", "flat_load"].iter().any(|load| name.starts_with(load));
    let is_marked = |word: &str| matches!(word, "glc" | "sc1" | "scope:SCOPE_DEV" | "scope:SCOPE_SYS");
    let is_coherent = is_load && operands.split_whitespace().any(is_marked);
    Instruction { name, operands, bytes, kind: kind(name), is_coherent }
}

const FMA: [&str; 13] = [
    "v_dual_fma",
    "v_fma_f32",
    "v_fmac_f32",
    "v_fmaak_f32",
    "v_fmamk_f32",
    "v_fma_mix",
    "v_mac_f32",
    "v_mad_f32",
    "v_madak_f32",
    "v_madmk_f32",
    "v_mad_mix",
    "v_pk_fma",
    "v_dot2",
];
const HINTS: [&str; 11] = [
    "s_delay_alu",
    "s_clause",
    "s_nop",
    "s_set_inst_prefetch",
    "s_inst_prefetch",
    "s_wait_alu",
    "s_waitcnt_depctr",
    "s_code_end",
    "s_endpgm",
    "s_sendmsg",
    "s_barrier_signal",
];

/// The kind of an instruction.
fn kind(name: &str) -> Kind {
    let is = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    match () {
        () if is(&FMA) => Kind::Fma,
        () if is(&["v_wmma", "v_swmmac", "v_mfma"]) => Kind::Matrix,
        () if is(&["v_"]) => Kind::Valu,
        () if is(&["ds_"]) => Kind::Shared,
        () if is(&["scratch_", "s_scratch_"]) => Kind::Scratch,
        () if is(&["buffer_", "global_", "flat_", "tbuffer_", "image_"]) => Kind::Memory,
        () if is(&HINTS) => Kind::Hint,
        () if is(&["s_barrier"]) => Kind::Barrier,
        () if is(&["s_wait"]) => Kind::Wait,
        () => Kind::Scalar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step loop with a barrier, and in it one that waits for another workgroup.
    const MULTI_WORKGROUP: &str = "\
BB0:
\ts_load_b128 s[8:11], s[2:3], null                           ; f4080201 f8000000
\ts_waitcnt lgkmcnt(0)                                        ; bf89fc07
BB1:
\ts_cbranch_scc1 BB4                                          ; bfa20589
\tv_fmac_f32_e32 v1, v2, v3                                   ; 56020503
\tv_min_u32_e32 v4, 15, v4                                    ; 2608088f
\t(then repeated 2 times)
\tds_load_b128 v[4:7], v4                                     ; dbfc0000 04000004
\tbuffer_load_b32 v8, v8, s[52:55], 0 offen glc               ; e0504000 804d0808
BB2:
\ts_delay_alu instid0(SALU_CYCLE_1) | instskip(NEXT) | instid1(SALU_CYCLE_1) ; bf870499
\ts_cbranch_scc0 BB3                                          ; bfa10027
\tbuffer_load_b32 v9, off, s[52:55], 0 glc                    ; e0504000 800d0980
\ts_branch BB2                                                ; bfa0ffd4
BB3:
\tbuffer_store_b32 v9, v9, s[4:7], 0 offen glc                ; e0684000 80010909
\ts_barrier                                                   ; bfbd0000
\ts_branch BB1                                                ; bfa0fa6d
BB4:
\ts_endpgm                                                    ; bfb00000
";

    #[test]
    fn loops_and_kinds_are_found() {
        let assembly = parse(MULTI_WORKGROUP);
        assert_eq!(assembly.loops, [2..16, 9..13]);
        let step = assembly.step_loop().unwrap();
        assert_eq!(step, 2..16);
        let count = |kind| assembly.count(&step, kind);
        assert_eq!([count(Kind::Fma), count(Kind::Valu), count(Kind::Shared)], [1, 3, 1]);
        assert_eq!([count(Kind::Memory), count(Kind::Barrier), count(Kind::Wait)], [3, 1, 0]);
        assert_eq!([count(Kind::Hint), count(Kind::Scalar), count(Kind::Scratch)], [1, 4, 0]);
        assert_eq!(assembly.bytes(&step), 14 * 4 + 4 * 4);
        assert_eq!(assembly.innermost(&step), assembly.loops[1..]);
        assert_eq!(assembly.innermost(&(9..13)), assembly.loops[1..]);
    }

    #[test]
    fn coherent_loads_are_told_from_stores_and_from_others() {
        let is_coherent = |line: &str| {
            let assembly = parse(line);
            assembly.code[0].is_coherent
        };
        for line in [
            "\tbuffer_load_dword v3, off, s[28:31], s23 glc dlc   ; e030c000 17070380",
            "\tbuffer_load_b32 v3, off, s[28:31], s23 scope:SCOPE_DEV ; c4050017 00883803 00000000",
            "\tglobal_load_b32 v3, v0, s[2:3] glc ; 00000000",
        ] {
            assert!(is_coherent(line), "{line}");
        }
        for line in [
            "\tbuffer_load_dword v3, off, s[28:31], s23 offen     ; e030c000 17070380",
            "\tbuffer_store_dword v6, v7, s[40:43], 0 offen glc   ; e0705000 800a0607",
            "\ts_load_dword s3, s[2:3], glc",
        ] {
            assert!(!is_coherent(line), "{line}");
        }
    }

    #[test]
    fn a_pair_counts_as_two_and_its_bytes_once() {
        let line = "\tv_dual_fmac_f32 v1, v2, v3 :: v_dual_mov_b32 v4, v5   ; c8000503 01040305";
        let assembly = parse(line);
        assert_eq!((assembly.code.len(), assembly.bytes(&(0..2))), (2, 8));
        assert_eq!(assembly.code[1].name, "v_dual_mov_b32");
    }

    #[test]
    fn products_are_counted_where_most_of_them_are() {
        let text = "BB0:\n\tv_fma_f32 v1, v2, v3, v1\nBB1:\n\tv_fmac_f32_e32 v1, v2, v3\n\tv_fmac_f32_e32 v1, v2, v3\n\
                    \ts_cbranch_scc0 BB1\nBB2:\n\tv_fmac_f32_e32 v1, v2, v3\n\ts_cbranch_scc0 BB2\n\ts_endpgm\n";
        assert_eq!(parse(text).product_loop(), 1..4);
        let without = parse("\tv_fma_f32 v1, v2, v3, v1\n\ts_endpgm\n");
        assert_eq!(without.product_loop(), 0..2);
        // For matrices a loop that contains another, which copies.
        let product = "\tv_wmma_f32_16x16x16_f16 v[0:7], v[8:15], v[16:23], v[0:7]\n";
        let inner = "BB2:\n\tds_store_b32 v1, v2\n\ts_cbranch_scc0 BB2\n";
        let text = format!("BB0:\n\tv_mov_b32 v1, 0\nBB1:\n{inner}{product}\ts_branch BB1\n\ts_branch BB0\n");
        let of_matrices = parse(&text);
        assert_eq!(of_matrices.product_loop(), 1..5);
        assert_eq!(of_matrices.count(&(1..5), Kind::Matrix), 1);
    }
}
