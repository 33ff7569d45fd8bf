//! Thousands of agents on an application's own device, steered by a recurrent policy on that device.
//!
//! ```sh
//! cargo run --release --example agents -- [--agents N] [--steps N] [--device SELECTOR] [--verify]
//! ```
//!
//! Each step is three things in one encoder: a pass of the application writes what every agent observes, the policy
//! (a GRU with a readout) computes actions from that, and a pass of the application moves the agents and ends
//! episodes. Where an episode ends, the agent restarts at another place, and its state is reset. Only a checksum at
//! the end is read back. For comparison the same loop also runs through the host: observations are downloaded, the
//! policy runs on slices, actions are uploaded.
//!
//! `--verify` replays everything on the CPU path and compares. SELECTOR is an API, a part of an adapter's name, or both as
//! `vulkan:llvmpipe`.

mod host;
mod world;

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use wgru::{
    Bindings, Cell, Device, Direction, Layer, Model, Readout, ReadoutSteps, StepInput, Weights, wgpu,
};
use world::{ACTIONS, OBSERVATIONS, World};

/// H of the policy.
const HIDDEN: usize = 32;
/// Steps per submission.
const TOGETHER: usize = 16;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("agents: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Arguments {
    agents: usize,
    steps: usize,
    device: String,
    verify: bool,
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut arguments = Arguments { agents: 4096, steps: 256, device: String::new(), verify: false };
    let mut all = std::env::args().skip(1);
    while let Some(name) = all.next() {
        let mut value = || all.next().ok_or_else(|| format!("{name} needs a value"));
        match name.as_str() {
            "--agents" => arguments.agents = value()?.parse()?,
            "--steps" => arguments.steps = value()?.parse()?,
            "--device" => arguments.device = value()?,
            "--verify" => arguments.verify = true,
            _ => return Err("usage: agents [--agents N] [--steps N] [--device SELECTOR] [--verify]".into()),
        }
    }
    if arguments.agents == 0 || arguments.steps == 0 {
        return Err("no agents or no steps".into());
    }
    Ok(arguments)
}

/// The application's device.
fn open(selector: &str) -> Result<(wgpu::Device, wgpu::Queue), Box<dyn Error>> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::all();
    let instance = wgpu::Instance::new(descriptor);
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let name = |adapter: &wgpu::Adapter| {
        let info = adapter.get_info();
        format!("{}:{}", info.backend.to_str(), info.name).to_lowercase()
    };
    let names: Vec<String> = adapters.iter().map(name).collect();
    let parts: Vec<String> = selector.split(':').map(str::to_lowercase).collect();
    let found = names.iter().position(|name| parts.iter().all(|part| name.contains(part)));
    let index =
        found.ok_or_else(|| format!("no adapter matches \"{selector}\"; found: {}", names.join(", ")))?;
    println!("{}", names[index]);
    let limits = wgpu::Limits::default();
    let limits =
        if limits.check_limits(&adapters[index].limits()) { limits } else { adapters[index].limits() };
    let descriptor = wgpu::DeviceDescriptor { required_limits: limits, ..Default::default() };
    Ok(pollster::block_on(adapters[index].request_device(&descriptor))?)
}

/// A policy with random weights from a fixed seed.
fn policy() -> Result<Model, wgru::Error> {
    let mut state = 1u32;
    let mut draw = |len: usize, scale: f32| {
        let mut next = || {
            state = world::hash(state);
            scale * world::unit(state)
        };
        (0..len).map(|_| next()).collect::<Vec<f32>>()
    };
    let scale = 1.0 / (HIDDEN as f32).sqrt();
    let weights = Weights {
        w_ih: draw(3 * HIDDEN * OBSERVATIONS, 1.0),
        w_hh: draw(3 * HIDDEN * HIDDEN, scale),
        b_ih: Some(draw(3 * HIDDEN, scale)),
        b_hh: Some(draw(3 * HIDDEN, scale)),
        ..Weights::default()
    };
    let layer = Layer::new(Cell::GRU, Direction::Forward, OBSERVATIONS, HIDDEN, vec![weights])?;
    let readout =
        Readout::new(HIDDEN, ACTIONS, ReadoutSteps::Every, draw(ACTIONS * HIDDEN, 3.0 * scale), None)?;
    Model::new(vec![layer])?.with_readout(readout)
}

fn run() -> Result<(), Box<dyn Error>> {
    let Arguments { agents, steps, device, verify } = arguments()?;
    let (device, queue) = open(&device)?;
    let model = policy()?;
    let engine = Device::from_wgpu(device.clone(), queue.clone()).load(&model)?;
    println!("{agents} agents, {steps} steps, {model}");

    // The whole loop on the device: a step of a session, with resets where an episode has begun.
    let world = World::new(&device, &queue, agents);
    let bindings = || Bindings::new(&world.observations).resets(&world.begun).out(&world.actions);
    // Drivers compile at the first run: one step of another session.
    let mut encoder = device.create_command_encoder(&Default::default());
    engine.session(agents)?.recording(bindings())?.record(&mut encoder);
    queue.submit([encoder.finish()]);
    device.poll(wgpu::PollType::wait_indefinitely())?;
    let mut session = engine.session(agents)?;
    let recording = session.recording(bindings())?;
    let created = engine.device().resource_counts();
    let start = Instant::now();
    for first in (0..steps).step_by(TOGETHER) {
        let mut encoder = device.create_command_encoder(&Default::default());
        for _ in 0..TOGETHER.min(steps - first) {
            world.observe(&mut encoder);
            recording.record(&mut encoder);
            world.advance(&mut encoder);
        }
        let submitted = queue.submit([encoder.finish()]);
        // Do not run too far ahead of the device.
        if first / TOGETHER % 4 == 3 {
            device.poll(wgpu::PollType::Wait { submission_index: Some(submitted), timeout: None })?;
        }
    }
    let checksum = world.checksum(&device, &queue)?;
    let recorded = steps as f64 / start.elapsed().as_secs_f64();
    println!("recorded: {recorded:.0} steps/s, checksum {checksum:08x}");
    if engine.device().resource_counts() != created {
        return Err("the recorded loop has created GPU objects".into());
    }

    // The same through the host.
    let other = World::new(&device, &queue, agents);
    let mut session = engine.session(agents)?;
    let mut output = session.output()?;
    let start = Instant::now();
    for _ in 0..steps {
        let (observations, begun) = other.down(&device, &queue)?;
        session.step_into(StepInput::new(&observations).resets(&begun), &mut output)?;
        other.up(&device, &queue, output.out.as_deref().unwrap_or_default());
    }
    let other = other.checksum(&device, &queue)?;
    let through_host = steps as f64 / start.elapsed().as_secs_f64();
    println!("through the host: {through_host:.0} steps/s, checksum {other:08x}");
    println!("{:.1} times as fast", recorded / through_host);
    if checksum != other {
        return Err("both loops differ".into());
    }

    if verify {
        let (places, lives) = world.read(&device, &queue)?;
        let engine = Device::cpu().load(&model)?;
        let worst = host::replay(&engine, steps, &places, &lives)?;
        println!("verified on the CPU path: places differ by {worst:.1e} at the most, episodes not at all");
    }
    Ok(())
}
