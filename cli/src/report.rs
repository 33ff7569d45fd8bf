//! `wgru report`: what a report of a fault or of a measurement needs, in one file that its sender can read first. It has no paths and
//! no names of the user or the machine.

use serde_json::{Value, json};
use wgru::{Device, DeviceInfo, Error};

use crate::args::ReportArgs;
use crate::arrays::write;
use crate::bench;
use crate::devices::to_json;
use crate::failure::Outcome;
use crate::print::print;
use wgru_harness::number::count;

/// Lists, tests and measures every device, and writes the file.
pub fn report(args: &ReportArgs) -> Outcome {
    write::check_target(&args.output)?;
    let devices = Device::list()?;
    let (records, failed) = bench::quick()?;
    let tests: Vec<Value> =
        devices.iter().filter(|device| matches!(device, DeviceInfo::Gpu(_))).map(self_test).collect();
    let report = json!({
        "wgru": { "version": env!("CARGO_PKG_VERSION"), "commit": wgru_harness::COMMIT },
        "system": { "os": std::env::consts::OS, "arch": std::env::consts::ARCH },
        "devices": devices.iter().map(to_json).collect::<Vec<_>>(),
        "self_tests": tests,
        "records": records,
        "not_measured": failed,
    });
    write::replace(&args.output, format!("{report:#}\n").as_bytes())?;
    print(&format!(
        "{}: {}, {}, {} not measured. Read it before you send it.\n",
        args.output.display(),
        count(devices.len(), "device"),
        count(records.len(), "record"),
        failed.len()
    ))
}

/// The self-test of workgroups that exchange values.
fn self_test(info: &DeviceInfo) -> Value {
    let name = info.to_string();
    let found = Device::open(&name).and_then(|device| device.self_test());
    match found {
        Ok(found) => json!({ "device": name, "found": found.to_string() }),
        Err(Error::Unsupported { what }) => json!({ "device": name, "not_run": what }),
        Err(error) => json!({ "device": name, "failed": error.to_string() }),
    }
}
