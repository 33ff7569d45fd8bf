//! GPUs: which chip an adapter is, and the numbers of the cost model that follow from its data sheet. None of them was
//! measured.

mod architectures;
mod table;

pub use architectures::{ALL as ARCHITECTURES, Architecture};
pub use table::CHIPS;

use super::Speed;

/// A GPU, as its maker's product page describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chip {
    /// Its name.
    pub name: &'static str,
    /// The vendor's PCI number.
    pub vendor: u32,
    /// What adapters of this chip are called: words of the adapter's name in lower case, a name in each. The longest that
    /// is found decides.
    pub called: &'static [&'static str],
    /// Its architecture.
    pub architecture: Architecture,
    /// Cores.
    pub cores: u64,
    /// MHz under load.
    pub clock: u64,
    /// GB/s of memory.
    pub bandwidth: u64,
    /// KiB of the last cache.
    pub cache: u64,
    /// Whether it shares its memory with the processor.
    pub integrated: bool,
}

/// What an adapter says of itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Adapter<'a> {
    /// The vendor's PCI number; 0 if unknown.
    pub vendor: u32,
    /// The device's PCI number; 0 if unknown.
    pub device: u32,
    /// Its name; in a browser possibly its architecture, or nothing.
    pub name: &'a str,
    /// Whether it shares its memory with the processor.
    pub integrated: bool,
    /// The size of its subgroups, where there is one alone.
    pub subgroup: Option<u32>,
}

const NVIDIA: u32 = 0x10de;
const AMD: u32 = 0x1002;
const INTEL: u32 = 0x8086;
const APPLE: u32 = 0x106b;
const QUALCOMM: u32 = 0x5143;
const ARM: u32 = 0x13b5;

/// Words in names by which a vendor is known where an adapter has no number.
const VENDORS: [(&str, u32); 12] = [
    ("nvidia", NVIDIA),
    ("geforce", NVIDIA),
    ("amd", AMD),
    ("radeon", AMD),
    ("radv", AMD),
    ("intel", INTEL),
    ("arc", INTEL),
    ("apple", APPLE),
    ("adreno", QUALCOMM),
    ("qualcomm", QUALCOMM),
    ("mali", ARM),
    ("immortalis", ARM),
];

/// The chips that stand for a vendor's others: discrete and integrated ones of the middle of its range.
const DEFAULTS: [(u32, bool, &str); 12] = [
    (NVIDIA, false, "GeForce RTX 3060"),
    (NVIDIA, true, "GeForce RTX 3060"),
    (AMD, false, "Radeon RX 6700 XT"),
    (AMD, true, "Radeon 780M"),
    (INTEL, false, "Arc A750"),
    (INTEL, true, "Iris Xe"),
    (APPLE, false, "Apple M1"),
    (APPLE, true, "Apple M1"),
    (QUALCOMM, false, "Adreno 740"),
    (QUALCOMM, true, "Adreno 740"),
    (ARM, false, "Mali-G710"),
    (ARM, true, "Mali-G710"),
];

/// Ranges of NVIDIA's device numbers, by architecture (the list of PCI IDs), for adapters of unknown names. Other
/// vendors' numbers do not follow their architectures.
const NUMBERS: [(std::ops::RangeInclusive<u32>, &str); 7] = [
    (0x1e00..=0x21ff, "GeForce RTX 2060"),
    (0x20b0..=0x20ff, "A100"),
    (0x2200..=0x22ff, "GeForce RTX 3080"),
    (0x2300..=0x23ff, "H100"),
    (0x2400..=0x25ff, "GeForce RTX 3060"),
    (0x2600..=0x28ff, "GeForce RTX 4070"),
    (0x2b00..=0x2fff, "GeForce RTX 5070"),
];

impl Chip {
    /// The chip of an adapter: by its name, or its number, or one of its vendor's that is like it. `None` where the
    /// vendor is unknown.
    pub fn of(adapter: Adapter<'_>) -> Option<&'static Self> {
        let name = words(adapter.name);
        let vendor = match adapter.vendor {
            0 => VENDORS.iter().find(|(word, _)| is_in(&name, word)).map(|(_, vendor)| *vendor),
            vendor => Some(vendor),
        };
        let own = CHIPS.iter().filter(|chip| vendor.is_none_or(|vendor| vendor == chip.vendor));
        let called = own.flat_map(|chip| chip.called.iter().map(move |called| (*called, chip)));
        let found = called.filter(|(called, _)| is_in(&name, called)).max_by_key(|(called, _)| called.len());
        let by_number = || {
            let number = NUMBERS.iter().rev().find(|(range, _)| range.contains(&adapter.device));
            number.filter(|_| vendor == Some(NVIDIA)).and_then(|(_, name)| Self::named(name))
        };
        let of_vendor = || {
            let is = |(vendor_of, integrated, _): &&(u32, bool, &str)| {
                Some(*vendor_of) == vendor && *integrated == adapter.integrated
            };
            DEFAULTS.iter().find(is).and_then(|(_, _, name)| Self::named(name))
        };
        found.map(|(_, chip)| chip).or_else(by_number).or_else(of_vendor)
    }

    /// The chip of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        CHIPS.iter().find(|chip| chip.name == name)
    }

    /// The numbers of the cost model.
    ///
    /// * Times of a core in cycles: a product takes 1.3 of its slots, since a step's loop has three other instructions
    ///   for ten products (`benches/records/isa-*.csv`). A core loads a number for four lanes in a cycle from its own
    ///   cache, and for two from workgroup memory. A barrier takes 32 cycles for 256 threads, a step 350 beside its
    ///   product: activations, sums passed on, the input.
    /// * A core takes 24 bytes a cycle from the last cache, of which 32 to 64 are the peak.
    /// * A dispatch takes 3 µs on discrete GPUs and 8 µs on others, an exchange 0.8 µs. Both are assumed.
    pub fn speed(&self) -> Speed {
        let base = if self.integrated { Speed::INTEGRATED } else { Speed::DISCRETE };
        let core = self.architecture;
        let cycle = 1_000_000_000 / self.clock;
        let fma = cycle * 13 / 10 / core.lanes;
        let nanoseconds = |count: u64| count * 1_000_000;
        Speed {
            cores: self.cores,
            step: 350 * cycle,
            barrier: cycle / 8,
            fma,
            fma4: fma,
            matrix: if core.has_matrices { fma * 2 / 5 } else { fma },
            load: 4 * cycle / core.lanes,
            share: 2 * cycle / core.lanes,
            chain: core.latency * cycle,
            // A quarter is for what a thread has beside its weights.
            registers: core.file / 4 * 3,
            held: core.held[0],
            held4: core.held[1],
            resident: core.resident,
            threads: core.threads,
            file: core.file,
            memory: core.memory << 10,
            subgroup: core.subgroup,
            full: core.schedulers * core.subgroup,
            cache: self.cache << 10,
            cached: cycle / 24,
            uncached: 1_000_000 / self.bandwidth,
            latency: nanoseconds(core.loads[0]),
            far: nanoseconds(core.loads[1]),
            ..base
        }
    }
}

impl Speed {
    /// The numbers for an adapter that is no software driver. Those of an unknown vendor's, as a browser's are, are
    /// [`Speed::DISCRETE`] and [`Speed::INTEGRATED`], with as many weights of a thread as all vendors of computers hold.
    pub fn of(adapter: Adapter<'_>) -> Self {
        let unknown = if adapter.integrated { Self::INTEGRATED } else { Self::DISCRETE };
        let [held, held4] = architectures::XE_LP.held;
        let unknown = Self { held, held4, ..unknown };
        let Some(chip) = Chip::of(adapter) else { return unknown };
        let speed = chip.speed();
        let Some(subgroup) = adapter.subgroup.map(u64::from).filter(|size| *size > 0) else { return speed };
        Self { subgroup, full: chip.architecture.schedulers * subgroup, ..speed }
    }
}

/// The words of a name, in lower case, with a space around each.
fn words(name: &str) -> String {
    let parts = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    let lower: Vec<String> = parts.map(str::to_ascii_lowercase).collect();
    format!(" {} ", lower.join(" "))
}

/// Whether all of these words stand there, one after the other.
fn is_in(name: &str, words: &str) -> bool {
    name.contains(&format!(" {words} "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dims::Dims;
    use crate::dtype::{Precision, Storage};
    use crate::kernels::Definition;
    use crate::model::{Cell, Direction, Layer, Model, Weights};
    use crate::plan::{Caps, Exchange, Fault, Recurrence, alternatives, plan, predictions};

    fn model(cell: Cell, hidden: usize) -> Model {
        let matrix = vec![0.0; cell.gates() * hidden * hidden];
        let weights = Weights { w_ih: matrix.clone(), w_hh: matrix, ..Weights::default() };
        Model::new(vec![Layer::new(cell, Direction::Forward, hidden, hidden, vec![weights]).unwrap()])
            .unwrap()
    }

    fn caps(speed: Speed) -> Caps {
        let exchange =
            Exchange { workgroups: 64, workgroup_bytes: 32 << 10, steps: 1000, fault: Fault::None };
        let exchange = Some(exchange);
        Caps { max_threads: 1024, max_workgroup_bytes: 32 << 10, speed, exchange, ..Caps::webgpu_minimum() }
    }

    const CELLS: [Cell; 4] = [Cell::GRU, Cell::ORIGINAL_GRU, Cell::LSTM, Cell::Rnn];
    const STORAGES: [Storage; 2] = [Storage::F32, Storage::F16];

    #[test]
    fn adapters_are_the_chips_that_they_are_called() {
        for (vendor, name, chip) in [
            (NVIDIA, "NVIDIA GeForce RTX 4090", "GeForce RTX 4090"),
            (NVIDIA, "NVIDIA GeForce RTX 4090 Laptop GPU", "GeForce RTX 4080"),
            (NVIDIA, "NVIDIA GeForce RTX 3060 Ti", "GeForce RTX 3070"),
            (NVIDIA, "NVIDIA A100-SXM4-80GB", "A100"),
            (0, "NVIDIA H200", "H200"),
            (AMD, "AMD Radeon RX 7900 XTX (RADV NAVI31)", "Radeon RX 7900 XTX"),
            (AMD, "AMD Radeon RX 7900 XT (RADV NAVI31)", "Radeon RX 7900 XT"),
            (AMD, "AMD Radeon Graphics (RADV RENOIR)", "Radeon Vega 8"),
            (INTEL, "Intel(R) Arc(tm) A770 Graphics (DG2)", "Arc A770"),
            (INTEL, "Intel(R) Iris(R) Xe Graphics (TGL GT2)", "Iris Xe"),
            (0, "Apple M2", "Apple M2"),
            (0, "Apple M2 Max", "Apple M2 Max"),
            (QUALCOMM, "Turnip Adreno (TM) 750", "Adreno 750"),
            (ARM, "Mali-G710", "Mali-G710"),
        ] {
            let found = Chip::of(Adapter { vendor, name, ..Adapter::default() });
            assert_eq!(found.map(|found| found.name), Some(chip), "{name}");
        }
    }

    #[test]
    fn unknown_chips_are_like_others_of_their_vendor() {
        for (vendor, device, name, integrated, chip) in [
            (NVIDIA, 0x2b85, "", false, Some("GeForce RTX 5070")),
            (NVIDIA, 0x1234, "NVIDIA Something", false, Some("GeForce RTX 3060")),
            (AMD, 0x2b85, "AMD Radeon RX 99999", false, Some("Radeon RX 6700 XT")),
            (0, 0, "AMD Radeon Graphics", true, Some("Radeon 780M")),
            (0, 0, "Apple M9", true, Some("Apple M1")),
            // Not the number of the A100.
            (NVIDIA, 0, "NVIDIA RTX A1000", false, Some("GeForce RTX 3060")),
            (0, 0, "", false, None),
            (0x1ae0, 0, "some GPU", false, None),
        ] {
            let adapter = Adapter { vendor, device, name, integrated, subgroup: None };
            assert_eq!(Chip::of(adapter).map(|found| found.name), chip, "{name}");
        }
        let unknown = |integrated| Speed::of(Adapter { name: "x", integrated, ..Adapter::default() });
        let few = |speed| Speed { held: 80, held4: 48, ..speed };
        assert_eq!((unknown(false), unknown(true)), (few(Speed::DISCRETE), few(Speed::INTEGRATED)));
    }

    /// Every name in the lists exists and finds its chip; every vendor has its defaults.
    #[test]
    fn the_lists_go_together() {
        for chip in &CHIPS {
            for called in chip.called {
                let found = Chip::of(Adapter { vendor: chip.vendor, name: called, ..Adapter::default() });
                assert_eq!(found, Some(chip), "{called}");
            }
            assert!(ARCHITECTURES.contains(&chip.architecture), "{}", chip.name);
            assert!(DEFAULTS.iter().any(|(vendor, _, _)| *vendor == chip.vendor), "{}", chip.name);
        }
        for name in DEFAULTS.iter().map(|(_, _, name)| name).chain(NUMBERS.iter().map(|(_, name)| name)) {
            assert!(Chip::named(name).is_some(), "{name}");
        }
        for architecture in ARCHITECTURES {
            assert!(CHIPS.iter().any(|chip| chip.architecture == architecture), "{}", architecture.name);
        }
    }

    /// Numbers in whole femtoseconds are not rounded to nothing, and no core is faster than its clock.
    #[test]
    fn numbers_of_chips_are_plausible() {
        for chip in &CHIPS {
            let speed = chip.speed();
            let count = |name: &str| speed.fields().iter().find(|(own, _)| *own == name).unwrap().1;
            for name in ["fma", "matrix", "load", "share", "barrier", "cached", "uncached"] {
                assert!(count(name) >= 100, "{}: {name}", chip.name);
            }
            let per_second = speed.cores as f64 / (speed.fma as f64 * 1e-15);
            let peak = (chip.cores * chip.architecture.lanes * chip.clock) as f64 * 1e6;
            assert!((0.7..0.85).contains(&(per_second / peak)), "{}: {per_second:e} of {peak:e}", chip.name);
            assert!(
                speed.latency < speed.far && speed.uncached * speed.cores > speed.cached / 2,
                "{}",
                chip.name
            );
        }
    }

    /// A chip of every architecture.
    fn one_of_each() -> Vec<&'static Chip> {
        let of = |architecture: &Architecture| CHIPS.iter().find(|chip| chip.architecture == *architecture);
        ARCHITECTURES.iter().filter_map(of).collect()
    }

    /// For every architecture there is a plan, of every cell, size and batch, with a plausible prediction for each
    /// kernel.
    #[test]
    fn every_architecture_has_a_plan_for_every_case() {
        let chips = one_of_each();
        assert_eq!(chips.len(), ARCHITECTURES.len());
        for cell in CELLS {
            for (hidden, [batch, steps]) in [(3, [1, 1]), (64, [1, 100]), (256, [16, 100]), (512, [64, 50])] {
                let (model, dims) = (model(cell, hidden), Dims::new(batch, steps).unwrap());
                for (chip, weights) in chips.iter().flat_map(|chip| STORAGES.map(|weights| (chip, weights))) {
                    let (caps, name) = (caps(chip.speed()), chip.name);
                    let plan =
                        plan(&model, dims, Precision { weights, ..Precision::default() }, &caps).unwrap();
                    let all = predictions(&model, &plan, &caps);
                    assert!(all.len() == 1 && all[0].len() >= 2, "{name}: {plan}");
                    for (kernel, prediction) in &all[0] {
                        let (speed, occupancy) = (&caps.speed, prediction.occupancy);
                        let fits =
                            occupancy.threads <= speed.threads && occupancy.workgroups <= speed.resident;
                        assert!(fits && prediction.waves > 0, "{name}: {kernel}: {prediction:?}");
                    }
                    let seconds = plan.cost.seconds() / steps as f64;
                    assert!((1e-8..1e-2).contains(&seconds), "{name}: {plan}: {seconds}");
                }
            }
        }
    }

    /// A thread has one gate where it may not keep a block of all of them, so kernels of common sizes keep their weights
    /// on all chips, or where a core has too few registers for all of them some.
    #[test]
    fn layers_of_64_to_128_units_are_persistent_on_every_architecture() {
        let mut ways = [0; 2];
        for (cell, hidden) in CELLS.iter().flat_map(|cell| [64, 65, 96, 128].map(|hidden| (*cell, hidden))) {
            let (model, dims) = (model(cell, hidden), Dims::new(1, 100).unwrap());
            for (chip, weights) in
                one_of_each().iter().flat_map(|chip| STORAGES.map(|weights| (chip, weights)))
            {
                let (caps, precision) = (caps(chip.speed()), Precision { weights, ..Precision::default() });
                let all = &alternatives(&model, dims, precision, &caps).unwrap()[0];
                let persistent: Vec<_> = all
                    .iter()
                    .filter_map(|candidate| match &candidate.outcome {
                        Ok((recipe, _)) => match &recipe.recurrence {
                            Recurrence::Persistent(kernel) if kernel.shape.held() > 0 => Some(kernel.shape),
                            _ => None,
                        },
                        Err(_) => None,
                    })
                    .collect();
                // A core of Apple, Adreno or Mali may have too few registers for the weights of the largest layers: for some of them too,
                // since a workgroup of many threads leaves each few.
                let weights_of_layer = (cell.gates() * hidden * hidden) as u64;
                let is_too_large = weights == Storage::F32 && 2 * weights_of_layer > caps.speed.file;
                assert!(!persistent.is_empty() || is_too_large, "{}: {cell:?} {hidden} {weights}", chip.name);
                for shape in persistent {
                    ways[usize::from(shape.has_one_gate())] += 1;
                }
            }
        }
        assert!(ways.iter().all(|count| *count > 20), "{ways:?}");
    }

    /// No thread keeps more weights than its device's compilers hold, whatever the cell, the tile and H.
    #[test]
    fn no_thread_holds_more_weights_than_the_device_can() {
        let mut held = [0; 2];
        let chips = one_of_each();
        let hidden = [8, 16, 21, 24, 27, 32, 40, 48, 64, 65, 80, 97, 128, 160, 192, 256, 384];
        for (cell, hidden) in CELLS.iter().flat_map(|cell| hidden.map(|hidden| (*cell, hidden))) {
            let (model, dims) = (model(cell, hidden), Dims::new(4, 100).unwrap());
            for (chip, weights) in chips.iter().flat_map(|chip| STORAGES.map(|weights| (chip, weights))) {
                let (caps, precision) = (caps(chip.speed()), Precision { weights, ..Precision::default() });
                for candidate in &alternatives(&model, dims, precision, &caps).unwrap()[0] {
                    let Ok((recipe, _)) = &candidate.outcome else { continue };
                    let (gates, rows, shape, registers) = match &recipe.recurrence {
                        Recurrence::Persistent(k) => {
                            (k.cell.gates(), k.rows, k.shape, k.resources().registers)
                        }
                        Recurrence::MultiWorkgroup { kernel: k, .. } => {
                            (k.cell.gates(), k.rows, k.shape, k.resources().registers)
                        }
                        Recurrence::Step(_) => continue,
                    };
                    let of_thread = caps.speed.registers_of_thread(shape.threads().into());
                    assert!(u64::from(registers) <= of_thread, "{}: {}", chip.name, recipe.recurrence);
                    let weights = u64::from(shape.gates_of_thread(gates) * shape.held_depth(hidden as u32));
                    let index = usize::from(rows.count() == 4);
                    let (needed, most) = (shape.keep.registers(weights), chip.architecture.held[index]);
                    assert!(needed <= most, "{}: {}: {needed} of {most}", chip.name, recipe.recurrence);
                    held[index] = held[index].max(needed);
                }
            }
        }
        // The test sees kernels that hold as much as is allowed.
        assert_eq!(held, [192, 192]);
        let of = |name: &str, threads| Chip::named(name).unwrap().speed().registers_of_thread(threads);
        let vega = [256, 257, 1024].map(|threads| of("Radeon RX Vega 64", threads));
        assert_eq!((vega, of("H200", 384)), ([256, 128, 64], 170));
    }
}
