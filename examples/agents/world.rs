//! The application: its buffers and its passes.

use std::collections::HashMap;
use std::error::Error;

use wgru::wgpu;

/// The number of values that an agent observes, and of values in its action.
pub const OBSERVATIONS: usize = 4;
pub const ACTIONS: usize = 2;

/// The values of `world.wgsl`.
pub fn hash(value: u32) -> u32 {
    let state = value.wrapping_mul(747796405).wrapping_add(2891336453);
    let word = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277803737);
    (word >> 22) ^ word
}

pub fn unit(word: u32) -> f32 {
    (word >> 8) as f32 / 8388608.0 - 1.0
}

pub fn spawn(agent: u32, episode: u32) -> [f32; 4] {
    let a = hash(agent.wrapping_mul(7919).wrapping_add(episode));
    let (b, c) = (hash(a), hash(hash(a)));
    [a, b, c, hash(c)].map(unit)
}

pub fn length(agent: u32, episode: u32) -> u32 {
    8 + hash(agent ^ episode.wrapping_mul(104729)) % 64
}

pub struct World {
    agents: usize,
    pub observations: wgpu::Buffer,
    pub actions: wgpu::Buffer,
    /// Which agents have just begun an episode.
    pub begun: wgpu::Buffer,
    places: wgpu::Buffer,
    lives: wgpu::Buffer,
    sum: wgpu::Buffer,
    staging: wgpu::Buffer,
    passes: HashMap<&'static str, (wgpu::ComputePipeline, wgpu::BindGroup)>,
}

impl World {
    pub fn new(device: &wgpu::Device, queue: &wgpu::Queue, agents: usize) -> Self {
        use wgpu::BufferUsages as Usages;
        let make = |label: &str, words: usize, usage: Usages| {
            let size = words as u64 * 4;
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size,
                usage,
                mapped_at_creation: false,
            })
        };
        // wgpu fills them with zeros.
        let own = |label, words| make(label, words, Usages::STORAGE | Usages::COPY_SRC | Usages::COPY_DST);
        let [places, lives] = [own("places", agents * 4), own("lives", agents * 2)];
        let observations = own("observations", agents * OBSERVATIONS);
        let actions = own("actions", agents * ACTIONS);
        let (begun, sum) = (own("begun", agents), own("sum", 1));
        let staging = make("staging", agents * 6, Usages::MAP_READ | Usages::COPY_DST);
        let module = device.create_shader_module(wgpu::include_wgsl!("world.wgsl"));
        let buffers = [&places, &lives, &observations, &actions, &begun, &sum];
        let uses: [(&str, &[usize]); 4] =
            [("begin", &[0]), ("observe", &[0, 2]), ("advance", &[0, 1, 3, 4]), ("add_up", &[0, 1, 5])];
        let pass = |(name, bound): (&'static str, &[usize])| {
            let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(name),
                layout: None,
                module: &module,
                entry_point: Some(name),
                compilation_options: Default::default(),
                cache: None,
            });
            let entry = |&index: &usize| wgpu::BindGroupEntry {
                binding: index as u32,
                resource: buffers[index].as_entire_binding(),
            };
            let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(name),
                layout: &pipeline.get_bind_group_layout(0),
                entries: &bound.iter().map(entry).collect::<Vec<_>>(),
            });
            (name, (pipeline, bindings))
        };
        let passes = uses.into_iter().map(pass).collect();
        let world = Self { agents, observations, actions, begun, places, lives, sum, staging, passes };
        world.submit(device, queue, |encoder| world.dispatch(encoder, "begin"));
        world
    }

    fn submit(
        &self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        record: impl FnOnce(&mut wgpu::CommandEncoder),
    ) {
        let mut encoder = device.create_command_encoder(&Default::default());
        record(&mut encoder);
        queue.submit([encoder.finish()]);
    }

    fn dispatch(&self, encoder: &mut wgpu::CommandEncoder, name: &str) {
        let (pipeline, bindings) = &self.passes[name];
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, bindings, &[]);
        pass.dispatch_workgroups(self.agents.div_ceil(64) as u32, 1, 1);
    }

    /// Writes what every agent observes.
    pub fn observe(&self, encoder: &mut wgpu::CommandEncoder) {
        self.dispatch(encoder, "observe");
    }

    /// Moves every agent by its action, and starts another episode where one has ended.
    pub fn advance(&self, encoder: &mut wgpu::CommandEncoder) {
        self.dispatch(encoder, "advance");
    }

    /// Copies arrays to the host, after the commands that `record` records.
    fn fetch(
        &self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        arrays: &[&wgpu::Buffer],
        record: impl FnOnce(&mut wgpu::CommandEncoder),
    ) -> Result<Vec<u32>, Box<dyn Error>> {
        let mut bytes = 0;
        self.submit(device, queue, |encoder| {
            record(encoder);
            for array in arrays {
                encoder.copy_buffer_to_buffer(array, 0, &self.staging, bytes, array.size());
                bytes += array.size();
            }
        });
        self.staging.map_async(wgpu::MapMode::Read, ..bytes, |_| ());
        device.poll(wgpu::PollType::wait_indefinitely())?;
        let view = self.staging.get_mapped_range(..bytes)?;
        let words = bytemuck::cast_slice(&view).to_vec();
        drop(view);
        self.staging.unmap();
        Ok(words)
    }

    /// A checksum of the places and episodes of all agents.
    pub fn checksum(&self, device: &wgpu::Device, queue: &wgpu::Queue) -> Result<u32, Box<dyn Error>> {
        Ok(self.fetch(device, queue, &[&self.sum], |encoder| self.dispatch(encoder, "add_up"))?[0])
    }

    /// Places `[N, 4]`, and ages and episodes `[N, 2]`.
    pub fn read(
        &self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
    ) -> Result<(Vec<f32>, Vec<u32>), Box<dyn Error>> {
        let words = self.fetch(device, queue, &[&self.places, &self.lives], |_| ())?;
        let (places, lives) = words.split_at(self.agents * 4);
        Ok((places.iter().copied().map(f32::from_bits).collect(), lives.to_vec()))
    }

    /// What every agent observes, `[N, 4]`, and which have just begun an episode, `[N]`.
    pub fn down(
        &self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
    ) -> Result<(Vec<f32>, Vec<u32>), Box<dyn Error>> {
        let arrays = [&self.observations, &self.begun];
        let words = self.fetch(device, queue, &arrays, |encoder| self.observe(encoder))?;
        let (observations, begun) = words.split_at(self.agents * OBSERVATIONS);
        Ok((observations.iter().copied().map(f32::from_bits).collect(), begun.to_vec()))
    }

    /// Uploads actions `[N, 2]` from the host, and moves every agent.
    pub fn up(&self, device: &wgpu::Device, queue: &wgpu::Queue, actions: &[f32]) {
        queue.write_buffer(&self.actions, 0, bytemuck::cast_slice(actions));
        self.submit(device, queue, |encoder| self.advance(encoder));
    }
}
