//! A service with streams that come and go: a tick advances every stream that has frames, and a snapshot is kept
//! across processes.
//!
//! ```sh
//! cargo run --release --example streams
//! ```

use wgru::{Device, Model, PoolOptions, Snapshot};

/// Runs the example.
pub fn main() -> Result<(), wgru::Error> {
    let model = Model::from_pytorch("models/co2_gru.safetensors")?.model;
    let engine = Device::best(&model, [64, 1])?.load(&model)?;

    // Slots for 64 streams; the pool grows if more are opened.
    let mut pool = engine.pool(PoolOptions::growing(64))?;
    let [a, b] = [pool.open()?, pool.open()?];
    pool.push(a, &vec![0.1; model.input()])?; // one frame
    pool.push(b, &vec![0.2; 3 * model.input()])?; // three frames
    for of in pool.tick()?.iter() {
        println!("stream {}: y of {} of its frames, {} numbers", of.stream, of.frames, of.y.len());
    }
    pool.close(b)?;

    // The states of all streams, in a file: writing is atomic, so the file is the old one or the new one.
    let file = std::env::temp_dir().join(format!("wgru-streams-{}", std::process::id()));
    pool.snapshot()?.write(&file)?;

    // Later, in another process or on another device, the streams continue under their ids.
    let snapshot = Snapshot::read(&file)?;
    let engine = Device::cpu().load(&model)?;
    let mut again = engine.pool_from(&snapshot, PoolOptions::growing(64))?;
    for pool in [&mut pool, &mut again] {
        pool.push(a, &vec![0.3; model.input()])?;
        let out = pool.tick()?;
        let y = out.of(a).map(|of| of.y[0]).unwrap_or_default();
        println!("stream {a} on {}: y begins with {y:.5}", pool.engine().device().info());
    }
    // One stream alone, at the end of a session or for another pool: Pool::open_with takes it.
    println!("h of stream {a} has {} numbers", again.state(a)?.h.len());
    let _ = std::fs::remove_file(file);
    Ok(())
}
