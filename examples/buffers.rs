//! An application's own device and buffers: wgru reads x and writes y in the application's buffers.
//!
//! ```sh
//! cargo run --release --example buffers
//! ```

use std::error::Error;

use wgru::{Bindings, Device, Model, wgpu};

/// Rows and steps.
const SHAPE: [usize; 2] = [4, 12];

/// Runs the example.
pub fn main() -> Result<(), Box<dyn Error>> {
    // What an application already has: a device and a queue, of wgpu 30.
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()))?;
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
        required_limits: adapter.limits(),
        ..Default::default()
    }))?;

    let model = Model::from_pytorch("models/co2_gru.safetensors")?.model;
    let engine = Device::from_wgpu(device.clone(), queue.clone()).load(&model)?;

    // Its buffers need the usage STORAGE. x [B, T, I] would be written by the application's own pass; here the host
    // writes it.
    let [batch, steps] = SHAPE;
    let numbers = vec![0.25f32; batch * steps * model.input()];
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
    let buffer = |label, numbers: usize| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: 4 * numbers as u64,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        })
    };
    let (x, y) = (buffer("x", numbers.len()), buffer("y", batch * steps * model.output()));
    queue.write_buffer(&x, 0, &bytes);

    // Immediately: y stays on the device, h_n comes to the host.
    let mut h_n = vec![0.0; model.num_states() * batch * model.state_size()];
    engine.run_bound(SHAPE, Bindings::new(&x).y(&y).h_n(&mut h_n[..]))?;
    println!("{}: {} numbers of h_n, the first is {:.5}", engine.device().info(), h_n.len(), h_n[0]);

    // Or recorded into the application's encoder, between its own passes, any number of times.
    let run = engine.recording(SHAPE, Bindings::new(&x).y(&y))?;
    for _ in 0..3 {
        let mut encoder = device.create_command_encoder(&Default::default());
        run.record(&mut encoder);
        queue.submit([encoder.finish()]);
    }
    // The application reads y, as it would read any buffer of its own.
    let read = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("read"),
        size: y.size(),
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    encoder.copy_buffer_to_buffer(&y, 0, &read, 0, y.size());
    queue.submit([encoder.finish()]);
    read.map_async(wgpu::MapMode::Read, .., |_| {});
    device.poll(wgpu::PollType::wait_indefinitely())?;
    let bytes = read.get_mapped_range(..)?;
    let last: Vec<f32> =
        bytes.chunks_exact(4).map(|b| f32::from_ne_bytes([b[0], b[1], b[2], b[3]])).collect();
    println!("recorded and run three times; the first number of y is {:.5}", last[0]);
    Ok(())
}
