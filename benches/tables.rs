//! The tables of speeds beside the records, for the devices that they were measured on.

use wgru::plan::Table;
use wgru::{Device, DeviceInfo, Options};

/// Options with the table of `device`, if there is one: `benches/tables/` has those of software drivers.
pub fn options(device: &Device) -> Options {
    let DeviceInfo::Gpu(info) = device.info() else { return Options::default() };
    let name = info.name.to_lowercase();
    let Some(known) = ["llvmpipe", "swiftshader"].into_iter().find(|known| name.contains(known)) else {
        return Options::default();
    };
    let path = format!("{}/benches/tables/{known}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    Options::default().speed(Table::parse(&text).unwrap_or_else(|error| panic!("{path}: {error}")))
}
