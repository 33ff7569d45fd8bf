//! What the npm package's JavaScript (`web/js`) calls. Arguments are as flat as they cross the border most cheaply; names,
//! defaults and documentation of what a user sees are there. Every error is an `Error` of JavaScript with a `kind`.

#[cfg(feature = "run")]
mod arrays;
#[cfg(feature = "run")]
mod device;
#[cfg(feature = "run")]
mod engine;
mod error;
mod model;
#[cfg(feature = "run")]
mod pool;
#[cfg(feature = "run")]
mod pytorch;
#[cfg(feature = "run")]
mod session;

use wasm_bindgen::prelude::*;

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
