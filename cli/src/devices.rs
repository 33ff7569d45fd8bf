//! `wgru devices`: every adapter and the CPU paths.

use serde_json::{Value, json};
use wgru::dtype::Precision;
use wgru::kernels::matrices;
use wgru::{Device, DeviceInfo, DeviceOptions, DeviceRanking, Model, Options, RunShape};

use crate::args::DevicesArgs;
use crate::failure::{Outcome, error};
use crate::print::print;
use crate::table::Table;

/// Prints a table, or JSON.
pub fn devices(args: &DevicesArgs) -> Outcome {
    let devices = Device::list()?;
    if args.json {
        let list: Vec<Value> = devices.iter().map(to_json).collect();
        return print(&format!("{:#}\n", Value::from(list)));
    }
    let mut table = Table::new(&[
        "device",
        "kind",
        "binding",
        "buffer",
        "threads",
        "shared",
        "f16",
        "timestamps",
        "subgroup",
        "driver",
    ]);
    for device in &devices {
        table.row(row(device));
    }
    let mut text = table.to_string();
    if !devices.iter().any(|device| matches!(device, DeviceInfo::Gpu(info) if !info.software)) {
        text += "only software drivers, no GPU: auto runs on the CPU\n";
    }
    print(&text)
}

/// Tests the exchange between workgroups if the options ask for it, and prints the result. If the exchange does not
/// work, plans do not use it.
pub fn test_exchange(device: &Device, asked: bool) -> Outcome {
    if !asked {
        return Ok(());
    }
    match device.self_test() {
        Ok(found) => eprintln!("wgru: {}: {found}", device.info()),
        Err(reason @ wgru::Error::Unsupported { .. }) => eprintln!("wgru: {reason}"),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Refuses cooperative matrices for runs without f16, where they would have no effect.
pub fn check_matrices(asked: bool, what: impl std::fmt::Display, precision: Precision) -> Outcome {
    if asked && precision != matrices::PRECISION {
        let Precision { weights, activations } = precision;
        let reason =
            format!("needs weights and activations in f16 (this run has {weights} and {activations})");
        return Err(error(format!("--matrices with {what}"), reason));
    }
    Ok(())
}

/// With `--matrices`, prints which cooperative matrices the device has, or that plans do not use any.
pub fn say_matrices(device: &Device, asked: bool) {
    match device.matrices() {
        _ if !asked => {}
        Some(of) => eprintln!("wgru: {}: matrices of {1} × {1}", device.info(), of.side),
        None => eprintln!("wgru: {}: no cooperative matrices of f16 with sums in f32", device.info()),
    }
}

fn row(device: &DeviceInfo) -> Vec<String> {
    let mut row = vec![device.to_string()];
    match device {
        DeviceInfo::Gpu(info) => {
            let yes = |on: bool| if on { "yes" } else { "no" }.to_owned();
            let caps = &info.caps;
            row.extend([
                info.kind.to_owned(),
                size(caps.max_binding_bytes),
                size(caps.max_buffer_bytes),
                caps.max_threads.to_string(),
                size(caps.max_workgroup_bytes.into()),
                yes(info.shader_f16),
                yes(info.timestamps),
                info.subgroup.map_or_else(|| "no".into(), |(min, max)| format!("{min}–{max}")),
                info.driver.clone(),
            ]);
        }
        DeviceInfo::Cpu(info) => {
            let threads = if info.threads == 1 { "thread" } else { "threads" };
            row.push(format!("f32, {}, {} {threads}", info.instructions, info.threads));
        }
        DeviceInfo::Reference => row.push("f64, the truth".into()),
        _ => {}
    }
    row
}

/// Bytes in the largest unit that keeps the number above 1.
fn size(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if value.fract() < 0.05 {
        format!("{value:.0} {}", units[unit])
    } else {
        format!("{value:.1} {}", units[unit])
    }
}

/// The device that `selector` names, with the exchange tested if `exchange` is set. If the selector leaves the choice
/// open, the device that is predicted to run a batch of `run_shape` fastest, and why.
pub fn choose(
    selector: &str,
    opened: &DeviceOptions,
    exchange: bool,
    model: &Model,
    run_shape: RunShape,
    options: Options,
) -> Outcome<(Device, Option<DeviceRanking>)> {
    let device = Device::open_with(selector, opened)?;
    test_exchange(&device, exchange)?;
    if !["", "auto"].contains(&selector.trim().to_lowercase().as_str()) {
        return Ok((device, None));
    }
    let choice = DeviceRanking::or_cpu(device, model, run_shape, options)?;
    Ok((choice.device().clone(), Some(choice)))
}

/// A device as JSON: what the table shows, in plain numbers.
pub fn to_json(device: &DeviceInfo) -> Value {
    match device {
        DeviceInfo::Gpu(info) => json!({
            "device": device.to_string(),
            "name": info.name,
            "backend": info.backend,
            "vendor": info.vendor,
            "kind": info.kind,
            "software": info.software,
            "driver": info.driver,
            "max_binding_bytes": info.caps.max_binding_bytes,
            "max_buffer_bytes": info.caps.max_buffer_bytes,
            "max_storage_buffers": info.caps.max_storage_buffers,
            "max_workgroups": info.caps.max_workgroups,
            "max_threads": info.caps.max_threads,
            "max_workgroup_bytes": info.caps.max_workgroup_bytes,
            "max_iterations": info.caps.max_iterations,
            "shader_f16": info.shader_f16,
            "timestamps": info.timestamps,
            "subgroup": info.subgroup.map(|(min, max)| [min, max]),
            "cooperative_matrices": info.cooperative_matrices,
        }),
        DeviceInfo::Cpu(info) => json!({
            "device": "cpu",
            "backend": "cpu",
            "software": true,
            "instructions": info.instructions.name(),
            "threads": info.threads,
        }),
        other => json!({ "device": other.to_string(), "backend": other.to_string(), "software": true }),
    }
}
