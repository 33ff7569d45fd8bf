//! A first program: three sequences of different lengths through a trained model, in one batch.
//!
//! ```sh
//! cargo run --release --example ragged
//! ```

use wgru::{Batch, Device, Error, Model};

/// Reads a model, runs a batch, prints the outputs.
pub fn main() -> Result<(), Error> {
    // The weights of a PyTorch nn.GRU. The report says how the file was read; here, it says that a readout was left
    // out.
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/models/co2_gru.safetensors");
    let imported = Model::from_pytorch(path)?;
    let model = imported.model;
    println!("{model}; not used: {}", imported.report.left_over.join(", "));

    // A device holds the model once and runs any number of batches. `Device::best` also looks for a GPU.
    let engine = Device::cpu().load(&model)?;

    // Monthly values of one, two and a half, and three years, one feature each (I = 1).
    let sequences = [12, 30, 36].map(|months| (0..months).map(month).collect::<Vec<f32>>());

    // x is [B, T, I]: each sequence from the start of its row, the rest of the row padding, which is never read.
    let (rows, steps, input) = (sequences.len(), 36, model.input());
    let mut x = vec![0.0; rows * steps * input];
    for (row, sequence) in x.chunks_exact_mut(steps * input).zip(&sequences) {
        row[..sequence.len()].copy_from_slice(sequence);
    }
    let lengths = sequences.each_ref().map(|sequence| (sequence.len() / input) as u32);
    let batch = Batch::new(&x, [rows, steps, input])?.lengths(&lengths);

    let output = engine.run(&batch)?;

    // y is [B, T, D·P]: the last layer's h at every step, 0 in the padding.
    // h_n is [L·D, B, P]: every layer's h after the last step of each sequence.
    let width = model.output();
    println!("y [{rows}, {steps}, {width}], h_n [{}, {rows}, {}]", model.num_states(), model.state_size());
    let last_layer = output.h_n.chunks_exact(rows * width).last().unwrap_or_default();
    for (row, &length) in lengths.iter().enumerate() {
        let y = &output.y[row * steps * width..][..steps * width];
        let last = &y[(length as usize - 1) * width..][..width];
        let h_n = &last_layer[row * width..][..width];
        println!("sequence {row}: {length} steps, h_n begins {:.4?}", &h_n[..4]);
        assert_eq!(last, h_n, "the final state is y at the sequence's own last step");
    }
    Ok(())
}

/// A value that rises over the years, with a season.
fn month(index: usize) -> f32 {
    let index = index as f32;
    0.02 * index + (std::f32::consts::TAU * index / 12.0).sin()
}
