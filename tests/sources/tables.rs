//! The tables of speeds in `benches/tables/`, which the command and the benchmarks read.

use std::path::Path;

use wgru::plan::{Speed, Table};

fn table(name: &str) -> Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/tables").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Table::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn tables_are_read_and_have_samples() {
    for name in ["llvmpipe.txt", "swiftshader.txt"] {
        let count = table(name).measured.samples().len();
        assert!(count > 150, "{name}: {count} samples");
    }
}

/// The library has the numbers of one software driver and no samples.
#[test]
fn the_numbers_for_software_drivers_are_those_of_the_table() {
    assert_eq!(table("llvmpipe.txt").speed, Speed::SOFTWARE);
}
