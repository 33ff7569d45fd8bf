//! The rules for a compiled kernel.

use crate::facts::Facts;

/// Growth of a number that is tolerated, in percent.
const TOLERATED: u64 = 5;

/// The faults of a kernel of so many `exchanges` a step, in words. A loop longer than the instruction cache, of
/// `cache` bytes, is loaded from memory again in every step.
pub fn faults(facts: &Facts, exchanges: u64, cache: u64) -> Vec<String> {
    let mut faults = Vec::new();
    let Facts { spills, scratch, loop_bytes, first_polls, polls, .. } = *facts;
    if spills > 0 {
        let registers = if spills == 1 { "register" } else { "registers" };
        faults.push(format!("{spills} {registers} spilled"));
    }
    if scratch > 0 {
        faults.push(format!("{scratch} bytes of scratch memory a subgroup"));
    }
    if loop_bytes > cache {
        faults.push(format!("a loop of {loop_bytes} bytes, more than {cache} of an instruction cache"));
    }
    // Each loop that polls repeats the load before it, and loads the abort word. One that does not compares
    // registers, and never sees a new value.
    if exchanges > 0 && polls < (first_polls + exchanges).max(2 * exchanges) {
        faults.push(format!(
            "{polls} coherent loads in the loops that poll other workgroups, expected {}: the values are loaded only before the loop",
            (first_polls + exchanges).max(2 * exchanges)
        ));
    }
    faults
}

/// The numbers that grew by more than the tolerance over `before`, in words.
pub fn regressions(facts: &Facts, before: &Facts) -> Vec<String> {
    let grown = |what: &str, now: u64, before: u64| {
        let is_more = now * 100 > before * (100 + TOLERATED);
        is_more.then(|| format!("{what}: {before} before, {now} now"))
    };
    let cycles = match facts.step {
        0 => grown("estimated cycles", facts.latency, before.latency),
        _ => grown("estimated cycles of a step", facts.step, before.step),
    };
    let found = [
        cycles,
        grown("instructions of the loop", facts.instructions(), before.instructions()),
        grown("bytes of workgroup memory", facts.lds, before.lds),
        (facts.occupancy < before.occupancy)
            .then(|| format!("subgroups of a SIMD: {} before, {} now", before.occupancy, facts.occupancy)),
    ];
    found.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CACHE: u64 = 32 << 10;

    #[test]
    fn each_rule_can_be_broken() {
        let good = Facts { loop_bytes: 32 << 10, first_polls: 4, polls: 5, ..Facts::default() };
        assert!(faults(&good, 1, CACHE).is_empty());
        assert!(faults(&Facts { polls: 0, first_polls: 0, ..good }, 0, CACHE).is_empty());
        for (bad, words) in [
            (Facts { spills: 1, ..good }, "1 register spilled"),
            (Facts { scratch: 16, ..good }, "16 bytes of scratch"),
            (Facts { loop_bytes: (32 << 10) + 4, ..good }, "a loop of 32772 bytes"),
            (Facts { polls: 1, ..good }, "1 coherent loads in the loops"),
            // A loop that loads only the abort word, and no load before it.
            (Facts { polls: 1, first_polls: 0, ..good }, "expected 2"),
        ] {
            let found = faults(&bad, 1, CACHE);
            assert!(found.len() == 1 && found[0].contains(words), "{found:?}");
        }
        assert_eq!(faults(&Facts { polls: 9, first_polls: 8, ..good }, 2, CACHE).len(), 1);
    }

    #[test]
    fn five_percent_are_tolerated_and_no_more() {
        let before = Facts { latency: 1000, step: 100, occupancy: 8, fma: 200, lds: 512, ..Facts::default() };
        assert!(regressions(&Facts { step: 105, latency: 5000, fma: 210, ..before }, &before).is_empty());
        for worse in [
            Facts { step: 106, ..before },
            Facts { valu: 11, ..before },
            Facts { occupancy: 7, ..before },
            Facts { lds: 1024, ..before },
        ] {
            assert_eq!(regressions(&worse, &before).len(), 1, "{worse:?}");
        }
        let once = Facts { step: 0, ..before };
        assert_eq!(regressions(&Facts { latency: 1051, ..once }, &once).len(), 1);
    }
}
