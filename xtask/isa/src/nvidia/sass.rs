//! NVIDIA's disassembly.

use std::collections::BTreeMap;

use crate::assembly::{Assembly, Instruction, Kind};

/// Bytes of every instruction since Volta.
const BYTES: u32 = 16;

/// Reads lines such as `.L_x_3:` and `        /*0150*/              @P0  BRA `(.L_x_1) ;`.
pub fn parse(text: &str) -> Assembly<'_> {
    let mut code = Vec::new();
    let mut labels = BTreeMap::new();
    for line in text.lines().map(str::trim) {
        if let Some(label) = line.strip_suffix(':') {
            labels.insert(label, code.len());
        } else if let Some(instruction) = instruction(line) {
            code.push(instruction);
        }
    }
    Assembly::new(code, &labels, |one| {
        let (_, label) = one.operands.split_once("`(").filter(|_| one.name.starts_with("BRA"))?;
        label.split(')').next()
    })
}

fn instruction(line: &str) -> Option<Instruction<'_>> {
    let (address, rest) = line.strip_prefix("/*")?.split_once("*/")?;
    if address.is_empty() || !address.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let text = rest.split(';').next()?.trim();
    // A predicate before the name.
    let text = match text.strip_prefix('@') {
        Some(guarded) => guarded.split_once(char::is_whitespace)?.1.trim(),
        None => text,
    };
    let (name, operands) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let is_coherent = name.starts_with("LDG") && name.contains(".STRONG");
    (!name.is_empty()).then(|| Instruction {
        name,
        operands: operands.trim(),
        bytes: BYTES,
        kind: kind(name),
        is_coherent,
    })
}

/// The kind of an instruction. Waits are bits of the waiting instructions, which are not shown.
fn kind(name: &str) -> Kind {
    let of = name.split('.').next().unwrap_or_default();
    match of {
        "FFMA" | "FFMA2" | "HFMA2" => Kind::Fma,
        "HMMA" | "IMMA" | "DMMA" | "QGMMA" | "HGMMA" => Kind::Matrix,
        "LDS" | "STS" | "LDSM" | "STSM" | "ATOMS" => Kind::Shared,
        "LDL" | "STL" => Kind::Scratch,
        "LDG" | "STG" | "LD" | "ST" | "ATOM" | "ATOMG" | "RED" | "REDG" | "LDGSTS" => Kind::Memory,
        "BAR" => Kind::Barrier,
        "DEPBAR" | "LDGDEPBAR" => Kind::Wait,
        "NOP" | "WARPSYNC" | "BSSY" | "BSYNC" | "BREAK" | "YIELD" | "NANOSLEEP" => Kind::Hint,
        "BRA" | "EXIT" | "CALL" | "RET" | "BRX" | "LDC" | "LDCU" | "S2R" | "CS2R" | "S2UR" | "R2UR"
        | "CCTL" | "MEMBAR" | "ERRBAR" | "VOTE" | "VOTEU" => Kind::Scalar,
        // Instructions of the datapath that all threads of a warp share.
        _ if of.starts_with('U') => Kind::Scalar,
        _ => Kind::Valu,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOP: &str = "\
\t.section\t.text.kern,\"ax\",@progbits
.text.kern:
        /*0000*/                   LDC R1, c[0x0][0x28] ;
.L_x_1:
        /*0010*/              @!P0 LDG.E.STRONG.GPU R4, desc[UR4][R2.64] ;
        /*0018*/                   LD.E.STRONG.GPU R5, desc[UR4][R2.64] ;
        /*0020*/                   LDG.E.CONSTANT R5, desc[UR4][R2.64] ;
        /*0030*/                   FFMA R6, R4, R5, R6 ;
        /*0040*/                   LDS.128 R8, [R7] ;
        /*0050*/                   STL [R1], R8 ;
        /*0060*/                   BAR.SYNC.DEFER_BLOCKING 0x0 ;
        /*0070*/                   IMNMX.U32 R9, R9, 0x7f, PT ;
        /*0080*/                   UIADD3 UR4, UR4, 0x1, URZ ;
        /*0090*/              @P0  BRA `(.L_x_1) ;
        /*00a0*/                   EXIT ;
.L_x_2:
        /*00b0*/                   BRA `(.L_x_2);
";

    #[test]
    fn loops_and_kinds_are_found() {
        let assembly = parse(LOOP);
        assert_eq!(assembly.loops, [1..11, 12..13]);
        let step = assembly.step_loop().unwrap();
        assert_eq!(step, 1..11);
        let count = |kind| assembly.count(&step, kind);
        assert_eq!([count(Kind::Fma), count(Kind::Valu), count(Kind::Shared)], [1, 1, 1]);
        assert_eq!([count(Kind::Memory), count(Kind::Scratch), count(Kind::Barrier)], [3, 1, 1]);
        assert_eq!([count(Kind::Scalar), assembly.bytes(&step) as usize], [2, 10 * 16]);
        let coherent: Vec<&str> =
            assembly.code.iter().filter(|one| one.is_coherent).map(|one| one.name).collect();
        assert_eq!(coherent, ["LDG.E.STRONG.GPU"]);
    }
}
