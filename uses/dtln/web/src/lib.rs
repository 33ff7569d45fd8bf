//! What the demo page's JavaScript calls: a network on the CPU path or on WebGPU, a voice for its audio worklet, recordings for its
//! worker.

mod voice;

use wasm_bindgen::prelude::*;
use wgru::{Device, DeviceInfo};
use wgru_dtln::Dtln;

use voice::Voice;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn console_error(text: &str);
}

/// Panics end the module; what they say goes to the console first.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|panic| console_error(&format!("dtln: {panic}"))));
}

type Result<T> = std::result::Result<T, JsError>;

/// DTLN on a device.
#[wasm_bindgen]
pub struct Network(Dtln);

#[wasm_bindgen]
impl Network {
    /// On the CPU path; the bytes are those of the two ONNX files.
    pub fn cpu(core_1: &[u8], core_2: &[u8]) -> Result<Self> {
        Ok(Self(Dtln::from_onnx(core_1, core_2, &Device::cpu())?))
    }

    /// On the device of a selector: `webgpu`, `cpu`.
    #[cfg(feature = "gpu")]
    pub async fn open(core_1: Vec<u8>, core_2: Vec<u8>, selector: String) -> Result<Self> {
        let device = Device::open_async(&selector).await?;
        Ok(Self(Dtln::from_onnx(&core_1, &core_2, &device)?))
    }

    /// The device in words.
    pub fn text(&self) -> String {
        match self.0.device().info() {
            DeviceInfo::Cpu(info) => format!("CPU, {}", info.instructions),
            // A browser does not name its adapter.
            DeviceInfo::Gpu(info) if info.name.is_empty() => "WebGPU".into(),
            info => info.to_string(),
        }
    }

    /// A recording at 16 kHz without its noise, as a promise of a `Float32Array`.
    #[cfg(feature = "gpu")]
    pub fn denoise(&self, samples: Vec<f32>) -> js_sys::Promise {
        let dtln = self.0.clone();
        wasm_bindgen_futures::future_to_promise(async move {
            let denoised = dtln.denoise_async(&samples).await.map_err(JsError::from)?;
            Ok(js_sys::Float32Array::from(&denoised[..]).into())
        })
    }

    /// A voice that comes and goes at a sampling rate. On the CPU path only.
    pub fn voice(&self, rate: u32) -> Result<Voice> {
        Voice::new(&self.0, rate)
    }
}
