//! The benchmark of the command, on one device.

use pollster::block_on;
use pyo3::prelude::*;
use pyo3::types::PyString;
use wgru::plan::Only;
use wgru_harness::case::Case;
use wgru_harness::measure::{Bench, Measuring, Stamp};
use wgru_harness::subject::Subject;
use wgru_harness::timing::Effort;
use wgru_harness::{COMMIT, suite};

use crate::device::Device;
use crate::error::{raised, wrong};

/// Times cases on a device; each is verified against the reference first.
#[pyfunction]
#[pyo3(signature = (device = None, *, cases = "default", rounds = 5))]
pub fn bench<'py>(
    py: Python<'py>,
    device: Option<&Bound<'py, PyAny>>,
    cases: &str,
    rounds: usize,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    if rounds == 0 {
        return Err(wrong("rounds: expected at least 1, got 0"));
    }
    let auto = PyString::new(py, "auto").into_any();
    let device = Device::of(device.unwrap_or(&auto))?;
    let opened = &device.get().0;
    let bench = Bench {
        selector: opened.selector.clone(),
        opened: opened.options.clone(),
        device: opened.device()?,
        peak: None,
        only: Only::default(),
        table: None,
        any_reduction_order: false,
    };
    let now = py.import("datetime")?.getattr("datetime")?.call_method1("now", (utc(py)?,))?;
    let date = now.call_method0("date")?.call_method0("isoformat")?.extract()?;
    let stamp = Stamp { commit: COMMIT.into(), date };
    let json = py.import("json")?;
    let mut all = Vec::new();
    for case in named(cases)? {
        let name = case.to_string();
        let failed = |reason: String| raised("DeviceError", format!("{name}: {reason}"));
        let subject = py.detach(|| Subject::new(case)).map_err(wrong)?;
        py.check_signals()?;
        let effort = if cases == "quick" { Effort::QUICK } else { Effort::NORMAL };
        let mut measuring =
            py.detach(|| block_on(Measuring::new(&subject, &bench, effort))).map_err(failed)?;
        for round in 0..rounds {
            py.check_signals()?;
            py.detach(|| block_on(measuring.round(round))).map_err(failed)?;
        }
        for record in measuring.records(&stamp) {
            let line = serde_json::to_string(&record)
                .map_err(|reason| raised("InternalError", reason.to_string()))?;
            all.push(json.call_method1("loads", (line,))?);
        }
    }
    Ok(all)
}

fn utc(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    py.import("datetime")?.getattr("timezone")?.getattr("utc")
}

/// The cases of a suite, or those that are named, with commas between them.
fn named(cases: &str) -> PyResult<Vec<Case>> {
    if let Some(cases) = suite::cases(cases) {
        return Ok(cases);
    }
    let known: Vec<&str> = suite::NAMES.iter().map(|(name, _)| *name).collect();
    let case = |text: &str| {
        text.trim()
            .parse::<Case>()
            .map_err(|reason| wrong(format!("cases: no suite ({}), and {reason}", known.join(", "))))
    };
    cases.split(',').map(case).collect()
}
