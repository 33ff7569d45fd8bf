//! A pronouncing dictionary in the format of CMU's, and error rates against it. `dictionary.py` has the same rules.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::g2p::Spoken;
use crate::network::Network;

/// Words, each with its pronunciations.
#[derive(Debug, Clone, Default)]
pub struct Dictionary {
    words: BTreeMap<String, Vec<Vec<u32>>>,
    left_out: usize,
}

impl Dictionary {
    /// Reads lines of a word and its phonemes: `read R EH1 D`, then `read(2) R IY1 D`. `#` begins a comment. Words that `network`
    /// cannot spell are left out, and counted.
    ///
    /// # Errors
    /// [`Error::Dictionary`] for a line without phonemes and for a phoneme that the network does not have.
    pub fn parse(text: &str, network: &Network) -> Result<Self> {
        let mut dictionary = Self::default();
        for (line, content) in (1..).zip(text.lines()) {
            let content = content.split('#').next().unwrap_or_default();
            let mut parts = content.split_whitespace();
            let Some(word) = parts.next() else { continue };
            let word = word.split('(').next().unwrap_or_default();
            let number = |name: &str| {
                let unknown = || format!("{name:?} is not a phoneme of this model");
                network.phoneme(name).ok_or_else(|| Error::Dictionary { line, reason: unknown() })
            };
            let phonemes = parts.map(number).collect::<Result<Vec<u32>>>()?;
            if phonemes.is_empty() {
                let reason =
                    format!("{word:?} has no phonemes: expected a word and its phonemes, as `hi HH AY1`");
                return Err(Error::Dictionary { line, reason });
            }
            if network.spell(word).is_err() {
                dictionary.left_out += 1;
                continue;
            }
            let listed = dictionary.words.entry(word.to_owned()).or_default();
            if !listed.contains(&phonemes) {
                listed.push(phonemes);
            }
        }
        Ok(dictionary)
    }

    /// The words that were held out of training.
    pub fn held_out(&self) -> Vec<&str> {
        self.words.keys().map(String::as_str).filter(|word| is_held_out(word)).collect()
    }

    /// The words.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there is no word.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Lines that were left out, because the network cannot spell their words.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Adds what is wrong with the pronunciation of `word`: nothing, where it is any of the listed ones. Otherwise the edits to the
    /// listed one that is nearest, by the share of its phonemes. A word that is not listed is not counted.
    pub fn count(&self, rates: &mut Rates, word: &str, spoken: &Spoken) {
        let edits = self.words.get(word).into_iter().flatten().map(|listed| {
            let edits = distance(&spoken.phonemes, listed);
            (edits, listed.len())
        });
        let nearest = edits.min_by(|a, b| (a.0 * b.1).cmp(&(b.0 * a.1)).then(b.1.cmp(&a.1)));
        if let Some((edits, phonemes)) = nearest {
            rates.words += 1;
            rates.wrong_words += usize::from(edits > 0);
            rates.phonemes += phonemes;
            rates.edits += edits;
        }
    }
}

/// Errors of some words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// Words.
    pub words: usize,
    /// Words whose pronunciation is none of the listed ones.
    pub wrong_words: usize,
    /// Phonemes of the listed pronunciations.
    pub phonemes: usize,
    /// Phonemes to insert, to delete or to replace.
    pub edits: usize,
}

impl Rates {
    /// The phoneme error rate, in per cent: edits by phonemes.
    pub fn per(&self) -> f64 {
        100.0 * self.edits as f64 / self.phonemes.max(1) as f64
    }

    /// The word error rate, in per cent: the share of wrong words.
    pub fn wer(&self) -> f64 {
        100.0 * self.wrong_words as f64 / self.words.max(1) as f64
    }
}

/// Whether a word is of the tenth that training does not see: CRC-32 of its bytes, modulo 10, is 0.
pub fn is_held_out(word: &str) -> bool {
    crc_32(word.as_bytes()).is_multiple_of(10)
}

/// The CRC-32 of zlib, gzip and PNG.
fn crc_32(bytes: &[u8]) -> u32 {
    let bit = |crc: u32, _| if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0xedb8_8320 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), bit))
}

/// The edit distance of two pronunciations.
fn distance(a: &[u32], b: &[u32]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_one_of_the_script() {
        assert_eq!(crc_32(b"123456789"), 0xcbf4_3926);
        // By `dictionary.part`.
        for (word, expected) in [("hello", true), ("knight", true), ("world", false), ("able", true)] {
            assert_eq!(is_held_out(word), expected, "{word}");
        }
    }

    #[test]
    fn distances_count_insertions_deletions_and_replacements() {
        for (a, b, edits) in [
            (&[1, 2, 3][..], &[1, 2, 3][..], 0),
            (&[], &[1, 2], 2),
            (&[1, 2, 3], &[1, 3], 1),
            (&[1, 3], &[1, 2, 3], 1),
            (&[1, 2, 3], &[4, 2, 5], 2),
            (&[1, 2, 3, 4], &[2, 3, 4, 5], 2),
        ] {
            assert_eq!(distance(a, b), edits, "{a:?} {b:?}");
            assert_eq!(distance(b, a), edits, "{b:?} {a:?}");
        }
    }
}
