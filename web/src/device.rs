//! Devices.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wasm_bindgen::prelude::*;
use wgru::{Device as Inner, DeviceInfo, Options, Storage};

use crate::engine::Engine;
use crate::error::{Result, cannot_wait, fail, wrong};
use crate::model::Model;

/// A device.
#[wasm_bindgen]
pub struct Device(Inner);

/// The result of `future`, without waiting: on the CPU path and the reference its first poll computes. The library's blocking
/// calls do the same, but with them the module would have the code of every run twice, for them and for the calls that wait.
///
/// # Errors
/// Those of the future. A GPU is refused before the future begins.
pub fn at_once<T>(
    device: &Inner,
    future: impl Future<Output = std::result::Result<T, wgru::Error>>,
) -> Result<T> {
    if matches!(device.info(), DeviceInfo::Gpu(_)) {
        return Err(cannot_wait());
    }
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result.map_err(fail),
        Poll::Pending => Err(cannot_wait()),
    }
}

fn storage(word: Option<&str>, name: &str) -> Result<Storage> {
    match word {
        None | Some("f32") => Ok(Storage::F32),
        Some("f16") => Ok(Storage::F16),
        Some("bf16") => Ok(Storage::Bf16),
        Some(other) => Err(wrong(&format!("{name}: `{other}` is none of \"f32\", \"f16\", \"bf16\""))),
    }
}

#[wasm_bindgen]
impl Device {
    /// The CPU path, at once.
    pub fn cpu() -> Self {
        Self(Inner::cpu())
    }

    /// The f64 reference.
    pub fn reference() -> Self {
        Self(Inner::reference())
    }

    /// The device of a selector.
    #[cfg(feature = "gpu")]
    pub async fn open(selector: String) -> Result<Self> {
        Inner::open_async(&selector).await.map(Self).map_err(fail)
    }

    /// Descriptions of all devices.
    #[cfg(feature = "gpu")]
    pub async fn list() -> Vec<String> {
        Inner::list_async().await.iter().map(ToString::to_string).collect()
    }

    /// In words.
    pub fn text(&self) -> String {
        self.0.info().to_string()
    }

    /// `cpu`, `gpu` or `reference`.
    #[wasm_bindgen(getter)]
    pub fn kind(&self) -> String {
        match self.0.info() {
            DeviceInfo::Cpu(_) => "cpu",
            DeviceInfo::Gpu(_) => "gpu",
            _ => "reference",
        }
        .into()
    }

    /// Of a GPU, whether its driver is software.
    #[wasm_bindgen(getter)]
    pub fn is_software(&self) -> bool {
        matches!(self.0.info(), DeviceInfo::Gpu(info) if info.software)
    }

    /// Whether it is lost.
    #[wasm_bindgen(getter)]
    pub fn is_lost(&self) -> bool {
        self.0.is_lost()
    }

    /// The model on the device.
    pub fn load(
        &self,
        model: &Model,
        weights: Option<String>,
        activations: Option<String>,
        memory: Option<f64>,
        strategy: Option<String>,
    ) -> Result<Engine> {
        let mut options = Options::default()
            .weights(storage(weights.as_deref(), "weights")?)
            .activations(storage(activations.as_deref(), "activations")?);
        if let Some(bytes) = memory {
            options = options.memory(bytes as u64);
        }
        if let Some(name) = strategy {
            options = options.strategy(name.parse().map_err(|reason: String| wrong(&reason))?);
        }
        self.0.load_with(&model.model, options).map(Engine::new).map_err(fail)
    }
}
