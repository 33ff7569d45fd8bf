//! Grapheme to phoneme (g2p_en, Kyubyong Park): a GRU reads a word, another writes its phonemes one by one.
//!
//! ```text
//! encoder   h = GRU(enc_emb[letters, </s>])            96 words of different lengths, one ragged batch
//! decoder   h = GRU(dec_emb[previous], h)   previous ← argmax(fc_w h + fc_b), from <s> until </s> or 20 steps
//! ```
//!
//! Both 256 → 256 in PyTorch's convention (r z n, reset after). The decoder is a session of 96 streams whose state
//! is the encoder's final one and whose readout is fc.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use wgru::import::Tensor;
use wgru::{Batch, Cell, Device, Direction, Layer, Model, Readout, ReadoutSteps, State, Weights};

const SIZE: usize = 256;

struct G2p {
    tensors: HashMap<String, Tensor>,
    /// Letters of each word with the end mark, as row numbers of `enc_emb`.
    words: Vec<Vec<usize>>,
    /// Phonemes of each word, as row numbers of `dec_emb`.
    phonemes: Vec<Vec<usize>>,
    begin: usize,
    end: usize,
    most: usize,
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn number(value: &Value) -> usize {
    value.as_u64().expect("a number") as usize
}

impl G2p {
    fn read(folder: &Path) -> Self {
        let golden = super::json(&folder.with_file_name("g2p_en_greedy.json"));
        let letters = list(&golden["grapheme_table"]);
        let letter = |text: &str| letters.iter().position(|l| l == text).expect("a letter of the table");
        let word = |word: &Value| {
            let letters = word.as_str().expect("a word").chars().map(|c| letter(&c.to_string()));
            letters.chain([letter("</s>")]).collect()
        };
        let tensors = super::tensors(&folder.join("checkpoint20.safetensors"));
        Self {
            tensors: tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect(),
            words: list(&golden["words"]).iter().map(word).collect(),
            phonemes: list(&golden["phoneme_ids"])
                .iter()
                .map(|ids| list(ids).iter().map(number).collect())
                .collect(),
            begin: number(&golden["bos"]),
            end: number(&golden["eos"]),
            most: number(&golden["max_steps"]),
        }
    }

    fn tensor(&self, name: &str) -> &[f32] {
        &self.tensors[name].data
    }

    fn gru(&self, which: &str) -> Model {
        let part = |name: &str| self.tensor(&format!("{which}_{name}")).to_vec();
        let weights = Weights {
            w_ih: part("w_ih"),
            w_hh: part("w_hh"),
            b_ih: Some(part("b_ih")),
            b_hh: Some(part("b_hh")),
            ..Weights::default()
        };
        let layer = Layer::new(Cell::GRU, Direction::Forward, SIZE, SIZE, vec![weights]);
        layer.and_then(|layer| Model::new(vec![layer])).expect("256 to 256")
    }

    /// `[1, 96, H]`: the encoder's final state for each word.
    fn encode(&self, device: &Device) -> Vec<f32> {
        let longest = self.words.iter().map(Vec::len).max().expect("words");
        let mut x = vec![0.0; self.words.len() * longest * SIZE];
        for (word, x) in self.words.iter().zip(x.chunks_exact_mut(longest * SIZE)) {
            for (&letter, x) in word.iter().zip(x.chunks_exact_mut(SIZE)) {
                x.copy_from_slice(&self.tensor("enc_emb")[letter * SIZE..][..SIZE]);
            }
        }
        let lengths: Vec<u32> = self.words.iter().map(|word| word.len() as u32).collect();
        let batch = Batch::new(&x, [self.words.len(), longest, SIZE]).expect("x fits").lengths(&lengths);
        let engine = device.load_with(&self.gru("enc"), crate::common::options()).expect("the encoder fits");
        engine.run(&batch).expect("the encoder runs").h_n
    }

    /// The phonemes of each word, and the least distance from a chosen phoneme's score to the next best.
    fn decode(&self, device: &Device, state: Vec<f32>) -> (Vec<Vec<usize>>, f32) {
        let (w, b) = (self.tensor("fc_w").to_vec(), self.tensor("fc_b").to_vec());
        let outputs = b.len();
        let readout = Readout::new(SIZE, outputs, ReadoutSteps::Every, w, Some(b)).expect("256 to 74");
        let model = self.gru("dec").with_readout(readout).expect("the readout fits");
        let engine = device.load_with(&model, crate::common::options()).expect("the decoder fits");
        let mut session = engine.session(self.words.len()).expect("a session");
        session.set_state(&State { h: state, c: None }).expect("the encoder's states");
        let mut said = vec![Vec::new(); self.words.len()];
        let mut previous = vec![self.begin; self.words.len()];
        let mut ended = vec![false; self.words.len()];
        let mut margin = f32::INFINITY;
        for _ in 0..self.most {
            let x: Vec<f32> = previous
                .iter()
                .flat_map(|&id| &self.tensor("dec_emb")[id * SIZE..][..SIZE])
                .copied()
                .collect();
            let scores = session.step(&x).expect("a step").out.expect("a readout");
            for (word, scores) in scores.chunks_exact(outputs).enumerate().filter(|(word, _)| !ended[*word]) {
                let mut order: Vec<usize> = (0..outputs).collect();
                order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
                margin = margin.min(scores[order[0]] - scores[order[1]]);
                previous[word] = order[0];
                if order[0] != self.end {
                    said[word].push(order[0]);
                }
            }
            ended = previous.iter().map(|&id| id == self.end).collect();
            if ended.iter().all(|&ended| ended) {
                break;
            }
        }
        (said, margin)
    }
}

pub fn phonemes_of_96_words(folder: PathBuf) {
    let g2p = G2p::read(&folder);
    assert_eq!((g2p.words.len(), g2p.phonemes.len()), (96, 96));
    for device in crate::common::everywhere() {
        let (said, margin) = g2p.decode(&device, g2p.encode(&device));
        let info = device.info();
        for (word, (said, expected)) in said.iter().zip(&g2p.phonemes).enumerate() {
            assert_eq!(said, expected, "word {word} on {info}");
        }
        eprintln!("g2p_en: the phonemes of {} words on {info}, decided by {margin:e} or more", said.len());
    }
}
