//! The benchmark as a page. A worker measures, case by case; the page itself draws the report of the records.

use js_sys::{Array, Date, Function};
use wasm_bindgen::prelude::*;
use wgru::plan::Only;
use wgru::{Device, DeviceInfo, DeviceOptions};
use wgru_harness::measure::{Bench, Measuring, Stamp};
use wgru_harness::record::{Record, Timing};
use wgru_harness::subject::Subject;
use wgru_harness::timing::{Effort, ROUNDS};
use wgru_harness::{COMMIT, report, suite};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn console_error(text: &str);
}

/// Panics end the module; what they say goes to the console first.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|panic| console_error(&format!("wgru: {panic}"))));
}

fn raise(message: impl AsRef<str>) -> JsValue {
    js_sys::Error::new(message.as_ref()).into()
}

/// The names of the suites, each with its purpose.
#[wasm_bindgen]
pub fn suites() -> Array {
    suite::NAMES.iter().map(|(name, purpose)| pair(name, purpose)).collect()
}

fn pair(first: &str, second: &str) -> JsValue {
    Array::of2(&first.into(), &second.into()).into()
}

/// The cases of a suite.
///
/// # Errors
/// An unknown suite.
#[wasm_bindgen]
pub fn cases(suite: &str) -> Result<Vec<String>, JsValue> {
    let cases = suite::cases(suite).ok_or_else(|| raise(format!("no suite has the name \"{suite}\"")))?;
    Ok(cases.iter().map(ToString::to_string).collect())
}

/// The smallest step of the browser's clock, in seconds.
#[wasm_bindgen]
pub fn resolution() -> f64 {
    wgru_harness::timing::resolution().as_secs_f64()
}

/// The devices of a benchmark.
#[wasm_bindgen]
pub struct Devices {
    benches: Vec<Bench>,
    /// The adapter in the browser's words.
    adapter: String,
    /// Whether the clock is so coarse that steps are timed many together. Their means have no rare values.
    coarse: bool,
}

#[wasm_bindgen]
impl Devices {
    /// Opens `webgpu`, `cpu` or both. `adapter` describes the GPU, since the library's own name for it is often empty in a browser.
    ///
    /// # Errors
    /// Those of opening a device.
    pub async fn open(selectors: Vec<String>, adapter: String) -> Result<Self, JsValue> {
        let mut benches = Vec::new();
        for selector in selectors {
            let device = Device::open_async(&selector).await;
            let device = device.map_err(|error| raise(format!("{selector}: {error}")))?;
            let opened = DeviceOptions::default();
            let only = Only::default();
            benches.push(Bench {
                selector,
                opened,
                device,
                peak: None,
                only,
                table: None,
                any_reduction_order: false,
            });
        }
        Ok(Self { benches, adapter, coarse: resolution() > 1e-6 })
    }

    /// Measures a case on every device, in turns: pairs of a word and a text, where the word is `record` (a line of JSON) or `error`.
    /// `progress` is called with a text and the share that is done.
    ///
    /// # Errors
    /// A name that is no case.
    pub async fn measure(&self, case: String, quick: bool, progress: Function) -> Result<Array, JsValue> {
        let subject = Subject::new(case.parse().map_err(|reason: String| raise(reason))?).map_err(raise)?;
        let effort = if quick { Effort::QUICK } else { Effort::NORMAL };
        let total = (self.benches.len() * (ROUNDS + 1)) as f64;
        let mut done = 0.0;
        let mut say = |doing: &str, bench: &Bench| {
            let text = format!("{doing} {case} on {}", self.place(bench));
            let called = progress.call2(&JsValue::NULL, &text.into(), &(done / total).into());
            done += 1.0;
            called.map(|_| ())
        };
        let mut all = Vec::new();
        for bench in &self.benches {
            say("verifying", bench)?;
            all.push(Measuring::new(&subject, bench, effort).await);
        }
        for round in 0..ROUNDS {
            for (measuring, bench) in all.iter_mut().zip(&self.benches) {
                say("timing", bench)?;
                let timed = match measuring {
                    Ok(measuring) => measuring.round(round).await,
                    Err(_) => continue,
                };
                if let Err(reason) = timed {
                    *measuring = Err(reason);
                }
            }
        }
        let stamp = Stamp { commit: COMMIT.into(), date: today() };
        let found = Array::new();
        for (measuring, bench) in all.into_iter().zip(&self.benches) {
            match measuring {
                Err(reason) => {
                    found.push(&pair("error", &reason));
                }
                Ok(measuring) => {
                    // Where the clock is coarse, the GPU's timestamps are rounded too, and their runs are timed one by one.
                    let told = |record: &Record| record.timing == Timing::Wall || !self.coarse;
                    for record in measuring.records(&stamp).into_iter().filter(told) {
                        let line = serde_json::to_string(&self.named(record, bench));
                        let line = line.map_err(|reason| raise(reason.to_string()))?;
                        found.push(&pair("record", &line));
                    }
                }
            }
        }
        Ok(found)
    }
}

impl Devices {
    /// A record with the device's name as the page has it.
    fn named(&self, mut record: Record, bench: &Bench) -> Record {
        record.device = self.place(bench);
        record.p999_s = record.p999_s.filter(|_| !self.coarse);
        record
    }

    fn place(&self, bench: &Bench) -> String {
        match bench.device.info() {
            DeviceInfo::Gpu(info) if !info.name.is_empty() => info.name,
            DeviceInfo::Gpu(_) if !self.adapter.is_empty() => self.adapter.clone(),
            DeviceInfo::Gpu(_) => "WebGPU, adapter not named".into(),
            _ => "cpu".into(),
        }
    }
}

/// The day, UTC.
fn today() -> String {
    String::from(Date::new_0().to_iso_string()).split('T').next().unwrap_or_default().to_owned()
}

/// The report, a page of its own, of records by lines.
///
/// # Errors
/// A line that is no record, no record at all, or the error of the plotting library.
#[wasm_bindgen]
pub fn report_of(lines: &str) -> Result<String, JsValue> {
    let lines = lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let records = lines.map(|(number, line)| {
        serde_json::from_str(line).map_err(|reason| raise(format!("record {}: {reason}", number + 1)))
    });
    report::html(&records.collect::<Result<Vec<Record>, JsValue>>()?).map_err(raise)
}
