//! The registers and the occupancy that the cost model assumes, beside those of the compilers of GPUs.

use wgru::dims::Dims;
use wgru::dtype::Precision;
use wgru::kernels::Definition;
use wgru::kernels::persistent::Keep;
use wgru::model::Cell;
use wgru::plan::{Chip, Limit, Occupancy, Recurrence, alternatives};

use crate::predictions::{caps, model};

const CELLS: [Cell; 4] = [Cell::GRU, Cell::ORIGINAL_GRU, Cell::LSTM, Cell::Rnn];

/// The registers that kernels declare, and the occupancy that follows, beside those of AMD's and NVIDIA's compilers.
#[test]
fn occupancy_is_near_that_of_the_compilers() {
    for (record, chip, of_subgroup) in [
        ("navi31", "Radeon RX 7900 XTX", 32),
        ("navi21", "Radeon RX 6900 XT", 32),
        ("vega10", "Radeon RX Vega 64", 64),
        ("sm_90", "H200", 32),
        ("sm_89", "GeForce RTX 4090", 32),
    ] {
        let path = format!("{}/benches/records/isa-{record}.csv", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<(&str, Vec<u64>)> = text.lines().filter_map(line).collect();
        let caps = caps(Chip::named(chip).unwrap(), true);
        let (mut found, mut total) = (0, 0.0);
        for cell in CELLS {
            for hidden in [64, 128, 256, 512] {
                let model = model(cell, hidden);
                for batch in [1, 4, 64] {
                    let dims = Dims::new(batch, 100).unwrap();
                    for candidate in &alternatives(&model, dims, Precision::default(), &caps).unwrap()[0] {
                        let Ok((recipe, _)) = &candidate.outcome else { continue };
                        // Kernels of steps are compiled with more loads at a time than the records have; those that stream all
                        // weights load as many as registers are left for.
                        let kernel: &dyn Definition = match &recipe.recurrence {
                            Recurrence::Persistent(kernel) if kernel.shape.keep == Keep::Streamed => continue,
                            Recurrence::Persistent(kernel) => kernel,
                            Recurrence::MultiWorkgroup { kernel, .. } => kernel,
                            Recurrence::Step(_) => continue,
                        };
                        for kernel in [kernel] {
                            let name = format!("{} H {hidden} f32", kernel.text());
                            let Some((_, numbers)) = lines.iter().find(|(own, _)| *own == name) else {
                                continue;
                            };
                            // After the name: subgroup, registers, spills, scratch, LDS, occupancy.
                            let (registers, occupancy) = (numbers[1] as f64, numbers[5] * 4 * of_subgroup);
                            let declared = f64::from(kernel.resources().registers);
                            let ratio = declared / registers;
                            assert!(
                                (0.5..2.0).contains(&ratio),
                                "{record}: {name}: {declared} of {registers}"
                            );
                            total += ratio.ln().abs();
                            found += 1;
                            // A record's occupancy does not count in whole workgroups, or their number.
                            let own = Occupancy::of(kernel, &caps.speed);
                            let is_near = own.threads * 3 >= occupancy
                                || own.limit == Limit::Workgroups
                                || own.limit == Limit::Memory;
                            assert!(
                                is_near && own.threads <= occupancy * 2,
                                "{record}: {name}: {own:?} of {occupancy}"
                            );
                        }
                    }
                }
            }
        }
        assert!(found >= 10, "{record}: {found} kernels");
        assert!((total / f64::from(found)).exp() < 1.35, "{record}");
    }
}

/// The name and the numbers of a line of a record.
fn line(line: &str) -> Option<(&str, Vec<u64>)> {
    let (name, numbers) = line.strip_prefix('"')?.split_once("\",")?;
    Some((name, numbers.split(',').map(|number| number.parse().unwrap()).collect()))
}
