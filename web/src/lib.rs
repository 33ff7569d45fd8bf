//! What the npm package's JavaScript (`web/js`) calls. Arguments are as flat as they cross the border most cheaply; names,
//! defaults and documentation of what a user sees are there. Every error is an `Error` of JavaScript with a `kind`.

mod arrays;
mod device;
mod engine;
mod error;
mod model;
mod pool;
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
