//! A network on a device: words in, pronunciations out.

use wgru::{Batch, Device, Engine, State};

use crate::error::{Error, Result};
use crate::network::Network;
use crate::rows::Rows;
use crate::search::Search;
use crate::{WIDEST_BEAM, most_phonemes};

/// Rows of the decoder's session at most: words, or words times hypotheses.
const ROWS: usize = 256;

/// A network on a device.
#[derive(Debug)]
pub struct G2p {
    network: Network,
    encoder: Engine,
    decoder: Engine,
}

/// A word's pronunciation.
#[derive(Debug, Clone, PartialEq)]
pub struct Spoken {
    /// The phonemes' numbers in [`Network::phonemes`], without the end.
    pub phonemes: Vec<u32>,
    /// The natural logarithm of the probability that the network gives them.
    pub log_probability: f32,
    /// Whether the network ended the word. Otherwise it was cut off after [`most_phonemes`].
    pub is_complete: bool,
}

impl G2p {
    pub(crate) fn new(network: Network, device: &Device) -> Result<Self> {
        let encoder = device.load(network.encoder())?;
        let decoder = device.load(network.decoder())?;
        Ok(Self { network, encoder, decoder })
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The network alone.
    pub fn into_network(self) -> Network {
        self.network
    }

    /// The decoder on the device: each step of a session takes the embeddings of the phonemes before, `[B, E]`, and gives scores
    /// of the next ones, `[B, P]`.
    pub fn decoder(&self) -> &Engine {
        &self.decoder
    }

    /// The pronunciation of each word, with `beam` hypotheses for each; 1 is greedy. The pronunciation is the most probable that the
    /// search has found, without a correction for its length.
    ///
    /// # Errors
    /// [`Error::Word`] for the first word with characters that are not letters of the network, before anything is computed;
    /// [`Error::Beam`]; [`Error::Engine`] where the device fails or is lost.
    pub fn speak<W: AsRef<str>>(&self, words: &[W], beam: usize) -> Result<Vec<Spoken>> {
        if !(1..=WIDEST_BEAM).contains(&beam) {
            return Err(Error::Beam(beam));
        }
        let spelled = self.spell(words)?;
        // Words of about the same length end at about the same step, and pad each other little.
        let mut order: Vec<usize> = (0..words.len()).collect();
        order.sort_by_key(|&at| spelled[at].len());
        let mut all: Vec<Option<Spoken>> = vec![None; words.len()];
        let mut rows = Rows::new(&self.decoder, &self.network);
        for places in order.chunks((ROWS / beam).max(1)) {
            let some: Vec<&[u32]> = places.iter().map(|&at| &spelled[at][..]).collect();
            rows.start(&self.encode_letters(&some)?, some.len())?;
            let most = some.iter().map(|word| most_phonemes(word.len()));
            let found = Search::new(beam, most).run(&mut rows)?;
            for (&at, spoken) in places.iter().zip(found) {
                all[at] = Some(spoken);
            }
        }
        Ok(all.into_iter().flatten().collect())
    }

    /// The decoder's state before the first phoneme of each word, for [`wgru::Session::set_state`]: h `[1, B, H]`.
    ///
    /// # Errors
    /// As [`G2p::speak`].
    pub fn encode<W: AsRef<str>>(&self, words: &[W]) -> Result<State> {
        let spelled = self.spell(words)?;
        let all: Vec<&[u32]> = spelled.iter().map(Vec::as_slice).collect();
        Ok(State { h: self.encode_letters(&all)?, c: None })
    }

    fn spell<W: AsRef<str>>(&self, words: &[W]) -> Result<Vec<Vec<u32>>> {
        let spell = |(at, word): (usize, &W)| {
            let word = word.as_ref();
            self.network.spell(word).map_err(|reason| Error::Word { at, word: word.to_owned(), reason })
        };
        words.iter().enumerate().map(spell).collect()
    }

    /// The encoder's final states of words of any lengths, as one ragged batch: `[B, H]`, each row both directions side by side.
    fn encode_letters(&self, words: &[&[u32]]) -> Result<Vec<f32>> {
        let model = self.network.encoder();
        let (table, features) = (self.network.letter_rows(), model.input());
        let steps = words.iter().map(|word| word.len()).max().unwrap_or(0);
        let mut x = vec![0.0; words.len() * steps * features];
        for (word, rows) in words.iter().zip(x.chunks_exact_mut((steps * features).max(1))) {
            for (&letter, row) in word.iter().zip(rows.chunks_exact_mut(features)) {
                row.copy_from_slice(&table[letter as usize * features..][..features]);
            }
        }
        let lengths: Vec<u32> = words.iter().map(|word| word.len() as u32).collect();
        let batch = Batch::new(&x, [words.len(), steps, features])?.lengths(&lengths);
        let h_n = self.encoder.run(&batch)?.h_n;
        let (states, size) = (model.num_states(), model.state_size());
        let mut h = Vec::with_capacity(h_n.len());
        for row in 0..words.len() {
            for state in 0..states {
                h.extend_from_slice(&h_n[(state * words.len() + row) * size..][..size]);
            }
        }
        Ok(h)
    }
}
