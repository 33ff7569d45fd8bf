//! Faults that tests of the exchange inject into its text, to check that each is noticed. The text itself contains
//! none of them.

use crate::kernels::source::wgsl;

/// A fault to inject, to test the fallback path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// No fault.
    #[default]
    None,
    /// In one chunk, one workgroup of each tile stops writing.
    Dies {
        /// Its number, in the order of units.
        group: u32,
        /// The chunk of the run, layer by layer; of pipelined layers, the dispatch.
        chunk: u32,
        /// From which step of the chunk on.
        step: u32,
    },
    /// Every exchange word is late, by up to so many polls, and no workgroup takes a step before all have begun.
    Late {
        /// The most polls.
        polls: u32,
    },
    /// No fault, but each chunk is dispatched so many times, and finds the exchange words of the time before. So the
    /// exchange can be tested where workgroups run one after the other.
    Again {
        /// How many times.
        times: u32,
    },
    /// Both: each chunk is dispatched so many times, and in one chunk a workgroup of each tile writes nothing.
    AgainUntil {
        /// How many times.
        times: u32,
        /// Which chunk, as of [`Fault::Dies`].
        chunk: u32,
    },
}

/// The places of injected faults: the test for a workgroup that stops writing, the write of an exchange word, and the
/// place before the first step.
const HAS_STOPPED: &str = "return exchange >= atomicLoad(&stops_from);";
const WRITE_WORD: &str = "    for (var r = 0u; r < ROWS; r++) {\n        atomicStore(&exchange_buffer[slot";
const BEGINNING: &str = "    hold(dir, at);\n";

impl Fault {
    /// `text`, which has no fault, with this one.
    pub(super) fn planted(self, text: String) -> String {
        let [group, chunk, step] = match self {
            Self::None | Self::Again { .. } => return text,
            Self::Late { polls } => {
                let head = format!("const DELAY: u32 = {polls}u;\n\n");
                let text = text.replace(WRITE_WORD, &format!("    delay(at);\n{WRITE_WORD}"));
                let met = format!("    if (lane == 0u) {{\n        wait_for_all();\n    }}\n{BEGINNING}");
                return text.replace(BEGINNING, &met) + &head + wgsl!(.."exchange/late.wgsl");
            }
            Self::Dies { group, chunk, step } => [group, chunk, step],
            Self::AgainUntil { chunk, .. } => [0, chunk, 0],
        };
        let head = format!(
            "const DEAD_GROUP: u32 = {group}u;\nconst DEAD_CHUNK: u32 = {chunk}u;\nconst DEAD_FROM: u32 = {step}u;\n\n"
        );
        let has_stopped = HAS_STOPPED.replace("exchange >=", "is_dead(at) || exchange >=");
        text.replace(HAS_STOPPED, &has_stopped) + &head + wgsl!(.."exchange/dead.wgsl")
    }

    /// How often each chunk is dispatched.
    pub(crate) fn times(self) -> usize {
        if let Self::Again { times } | Self::AgainUntil { times, .. } = self {
            times.max(1) as usize
        } else {
            1
        }
    }

    pub(super) fn polls(self) -> u64 {
        if let Self::Late { polls } = self { polls.into() } else { 0 }
    }
}
