//! Errors, and a program's response to each.
//!
//! ```sh
//! cargo run --release --example errors
//! ```

use std::error::Error as _;
use std::io;

use wgru::{Batch, Device, Engine, Error, ErrorKind, Model, Output};

/// Runs `batch`; if the device was lost or is too small for it, once more on another.
fn run(engine: &mut Engine, batch: &Batch<'_>) -> Result<Output, Error> {
    let error = match engine.run(batch) {
        Ok(output) => return Ok(output),
        Err(error) => error,
    };
    let model = engine.model().clone();
    *engine = match error.kind() {
        // The GPU was reset or unplugged: open it again.
        ErrorKind::LostDevice => Device::open("auto")?.load(&model)?,
        // It does not fit this device: the CPU has more memory.
        ErrorKind::Limit => Device::cpu().load(&model)?,
        // An error in the call, the file or the crate: another try would not help.
        _ => return Err(error),
    };
    eprintln!("{error}; trying again on {}", engine.device().info());
    engine.run(batch)
}

/// Runs the example.
pub fn main() -> Result<(), Error> {
    // A missing file: the system's error is kept as the source.
    if let Err(error) = Model::from_pytorch("no/such/file.safetensors") {
        let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        println!("{error} ({:?}, {:?})", error.kind(), source.map(io::Error::kind));
    }

    let model = Model::from_pytorch("models/co2_gru.safetensors")?.model;
    let mut engine = Device::open("auto")?.load(&model)?;

    // An array whose size is not that of its shape: the error has the name and the numbers.
    let short = vec![0.0; 5];
    if let Err(error) = Batch::new(&short, [2, 3, model.input()]) {
        println!("{error} ({:?})", error.kind());
        if let Error::Length { name, shape, got } = &error {
            println!("{name} needs {} numbers, {got} were given", shape.iter().product::<usize>());
        }
    }

    let x = vec![0.5; 2 * 3 * model.input()];
    let output = run(&mut engine, &Batch::new(&x, [2, 3, model.input()])?)?;
    println!("{} numbers of y", output.y.len());
    Ok(())
}
