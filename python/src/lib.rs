//! The module `wgru._wgru` of the Python package. `python/wgru/__init__.pyi` documents what a user sees: names, defaults, shapes and
//! errors. Here are the checks of arrays and the calls of the crate; no call holds the GIL while it computes.

mod arrays;
mod bench;
mod device;
mod engine;
mod error;
mod handle;
mod input;
mod model;
mod options;
mod output;
mod pool;
mod recipe;
mod session;
mod signals;
mod state_dict;

use pyo3::prelude::*;

/// All devices, in words.
#[pyfunction]
fn devices(py: Python<'_>) -> PyResult<Vec<String>> {
    let all = error::free(py, wgru::Device::list)?;
    Ok(all.iter().map(ToString::to_string).collect())
}

#[pymodule]
fn _wgru(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<model::Model>()?;
    module.add_class::<device::Device>()?;
    module.add_class::<engine::Engine>()?;
    module.add_class::<recipe::Recipe>()?;
    module.add_class::<output::Output>()?;
    module.add_class::<output::Step>()?;
    module.add_class::<output::Frames>()?;
    module.add_class::<session::Session>()?;
    module.add_class::<pool::Pool>()?;
    module.add_function(wrap_pyfunction!(devices, module)?)?;
    module.add_function(wrap_pyfunction!(bench::bench, module)?)?;
    module.add_function(wrap_pyfunction!(model::model_from_bytes, module)?)?;
    module.add_function(wrap_pyfunction!(recipe::recipe_of, module)?)?;
    Ok(())
}
