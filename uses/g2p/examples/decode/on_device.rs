//! Greedy decoding whose phonemes stay on the device until the last step.

use std::error::Error;

use wgru::{Bindings, Session, wgpu};
use wgru_g2p::{G2p, most_phonemes};

/// A word for each workgroup of the gather at the most, and the most workgroups of a dispatch in WebGPU.
const MOST_WORDS: usize = 65_535;

/// A pass of the application.
struct Pass {
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    workgroups: u32,
}

impl Pass {
    fn record(&self, encoder: &mut wgpu::CommandEncoder) {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bindings, &[]);
        pass.dispatch_workgroups(self.workgroups, 1, 1);
    }
}

/// The words of one decode: their session, their buffers, and the passes between the steps.
pub struct OnDevice {
    device: wgpu::Device,
    queue: wgpu::Queue,
    session: Session,
    /// S of all words, and the most phonemes of each.
    steps: usize,
    most: Vec<usize>,
    x: wgpu::Buffer,
    scores: wgpu::Buffer,
    spoken: wgpu::Buffer,
    staging: wgpu::Buffer,
    gather: Pass,
    choose: Pass,
}

impl OnDevice {
    /// Runs the encoder on `words`, and prepares the decoder's steps. `g2p` has to be on `device`.
    pub fn new(
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        g2p: &G2p,
        words: &[&str],
    ) -> Result<Self, Box<dyn Error>> {
        if words.is_empty() || words.len() > MOST_WORDS {
            return Err(format!("{} words: expected 1 to {MOST_WORDS}", words.len()).into());
        }
        let mut session = g2p.decoder().session(words.len())?;
        session.set_state(&g2p.encode(words)?)?;
        let most: Vec<usize> = words.iter().map(|word| most_phonemes(word.chars().count())).collect();
        let steps = most.iter().copied().max().unwrap_or(0);
        let (phonemes, features) = (g2p.network().phonemes().len(), g2p.network().decoder().input());

        use wgpu::BufferUsages as Usages;
        let make = |label, words: usize, usage| {
            let size = 4 * words as u64;
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size,
                usage,
                mapped_at_creation: false,
            })
        };
        let rows = g2p.network().phoneme_rows();
        let embeddings = make("embeddings", rows.len(), Usages::STORAGE | Usages::COPY_DST);
        queue.write_buffer(&embeddings, 0, bytemuck::cast_slice(rows));
        // wgpu fills them with zeros: the end before every word, and no phonemes.
        let x = make("x", words.len() * features, Usages::STORAGE);
        let before = make("before", words.len(), Usages::STORAGE);
        let scores = make("scores", words.len() * phonemes, Usages::STORAGE);
        let spoken = make("spoken", words.len() * (1 + steps), Usages::STORAGE | Usages::COPY_SRC);
        let staging = make("staging", words.len() * (1 + steps), Usages::MAP_READ | Usages::COPY_DST);

        let module = device.create_shader_module(wgpu::include_wgsl!("decode.wgsl"));
        let sizes = [("PHONEMES", phonemes), ("FEATURES", features), ("STEPS", steps)];
        let sizes = sizes.map(|(name, size)| (name, size as f64));
        let buffers = [&embeddings, &x, &before, &scores, &spoken];
        let pass = |entry_point: &str, bound: &[usize], threads: usize| {
            let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(entry_point),
                layout: None,
                module: &module,
                entry_point: Some(entry_point),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: &sizes,
                    ..Default::default()
                },
                cache: None,
            });
            let entry = |&index: &usize| wgpu::BindGroupEntry {
                binding: index as u32,
                resource: buffers[index].as_entire_binding(),
            };
            let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(entry_point),
                layout: &pipeline.get_bind_group_layout(0),
                entries: &bound.iter().map(entry).collect::<Vec<_>>(),
            });
            Pass { pipeline, bindings, workgroups: threads.div_ceil(64) as u32 }
        };
        let gather = pass("gather", &[0, 1, 2], words.len() * features);
        let choose = pass("choose", &[2, 3, 4], words.len());
        let (device, queue) = (device.clone(), queue.clone());
        Ok(Self { device, queue, session, steps, most, x, scores, spoken, staging, gather, choose })
    }

    /// Submits all steps at once: gather, decoder, choose, and so on. Nothing comes back to the host.
    pub fn submit(&mut self) -> Result<(), Box<dyn Error>> {
        let step = self.session.recording(Bindings::new(&self.x).out(&self.scores))?;
        let mut encoder = self.device.create_command_encoder(&Default::default());
        for _ in 0..self.steps {
            self.gather.record(&mut encoder);
            step.record(&mut encoder);
            self.choose.record(&mut encoder);
        }
        encoder.copy_buffer_to_buffer(&self.spoken, 0, &self.staging, 0, self.spoken.size());
        self.queue.submit([encoder.finish()]);
        Ok(())
    }

    /// Waits for the steps, and reads the phonemes of each word.
    pub fn read(&self) -> Result<Vec<Vec<u32>>, Box<dyn Error>> {
        let (sender, mapped) = std::sync::mpsc::channel();
        self.staging.map_async(wgpu::MapMode::Read, .., move |result| drop(sender.send(result)));
        self.device.poll(wgpu::PollType::wait_indefinitely())?;
        mapped.recv()??;
        let view = self.staging.get_mapped_range(..)?;
        let numbers: &[u32] = bytemuck::cast_slice(&view);
        let word = |(row, &most): (&[u32], &usize)| {
            let count = (row[0] as usize).min(most);
            row[1..=count].to_vec()
        };
        let all = numbers.chunks_exact(1 + self.steps).zip(&self.most).map(word).collect();
        drop(view);
        self.staging.unmap();
        Ok(all)
    }
}
