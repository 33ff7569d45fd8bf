//! Greedy and beam search over the rows of a session.
//!
//! Greedy search is a beam of one hypothesis. A hypothesis has a row of the session. After a step each word keeps its `width` best
//! continuations. One that ends is a candidate for the result; the others take the rows of their parents. Only if two have the same
//! parent, or if a smaller session would do, are the states gathered anew.

use crate::END;
use crate::error::Result;
use crate::g2p::Spoken;
use crate::rows::{Rows, session_rows};

/// A beginning of a pronunciation.
#[derive(Debug, Clone)]
struct Hypothesis {
    /// Its row of the session.
    row: usize,
    spoken: Spoken,
}

/// A word whose end has not been found yet, or its result.
#[derive(Debug)]
struct Word {
    /// The most phonemes.
    most: usize,
    /// By falling probability.
    live: Vec<Hypothesis>,
    /// The most probable of those that have ended.
    ended: Option<Spoken>,
}

/// A continuation of a hypothesis.
#[derive(Debug, Clone, Copy)]
struct Next {
    parent: usize,
    phoneme: u32,
    log_probability: f32,
}

/// A search for the pronunciations of some words at once.
pub(crate) struct Search {
    width: usize,
    words: Vec<Word>,
}

impl Search {
    /// `most`: after how many phonemes each word is cut off. Word i begins in row i.
    pub(crate) fn new(width: usize, most: impl Iterator<Item = usize>) -> Self {
        let word = |(row, most)| {
            let spoken = Spoken { phonemes: Vec::new(), log_probability: 0.0, is_complete: false };
            Word { most, live: vec![Hypothesis { row, spoken }], ended: None }
        };
        Self { width, words: most.enumerate().map(word).collect() }
    }

    /// Steps until every word has ended or is cut off.
    pub(crate) fn run(mut self, rows: &mut Rows<'_>) -> Result<Vec<Spoken>> {
        while self.words.iter().any(|word| !word.live.is_empty()) {
            let mut before = vec![END; rows.size()];
            for hypothesis in self.words.iter().flat_map(|word| &word.live) {
                before[hypothesis.row] = hypothesis.spoken.phonemes.last().copied().unwrap_or(END);
            }
            let phonemes = rows.phonemes();
            let scores = rows.step(&before)?;
            for word in &mut self.words {
                word.advance(self.width, |row| &scores[row * phonemes..][..phonemes]);
            }
            self.place(rows)?;
        }
        Ok(self.words.into_iter().filter_map(|word| word.ended).collect())
    }

    /// Gives each hypothesis a row of its own with the state of its parent's.
    fn place(&mut self, rows: &mut Rows<'_>) -> Result<()> {
        let from: Vec<usize> = self.words.iter().flat_map(|word| &word.live).map(|live| live.row).collect();
        let mut children = vec![0u32; rows.size()];
        from.iter().for_each(|&row| children[row] += 1);
        let is_shared = children.iter().any(|&count| count > 1);
        // A gather costs less than the steps of a quarter of the rows.
        let is_loose = 4 * session_rows(from.len()) <= 3 * rows.size();
        if from.is_empty() || !(is_shared || is_loose) {
            return Ok(());
        }
        rows.gather(&from)?;
        for (row, live) in self.words.iter_mut().flat_map(|word| &mut word.live).enumerate() {
            live.row = row;
        }
        Ok(())
    }
}

impl Word {
    /// The `width` best continuations of all hypotheses, by the scores of their rows.
    fn advance<'s>(&mut self, width: usize, scores: impl Fn(usize) -> &'s [f32]) {
        let mut best: Vec<Next> = Vec::with_capacity(width + 1);
        for (parent, hypothesis) in self.live.iter().enumerate() {
            let scores = scores(hypothesis.row);
            let base = hypothesis.spoken.log_probability - log_sum(scores);
            for (phoneme, score) in (0..).zip(scores) {
                let log_probability = base + score;
                // The earlier of two equal ones stays before the other.
                let worse = |kept: &Next| kept.log_probability < log_probability;
                if best.len() < width || best.last().is_some_and(worse) {
                    let at = best.iter().position(worse).unwrap_or(best.len());
                    best.insert(at, Next { parent, phoneme, log_probability });
                    best.truncate(width);
                }
            }
        }
        let mut live = Vec::with_capacity(width);
        for Next { parent, phoneme, log_probability } in best {
            let Hypothesis { row, spoken } = &self.live[parent];
            let mut spoken = Spoken { log_probability, ..spoken.clone() };
            if phoneme == END {
                spoken.is_complete = true;
                if self.ended.as_ref().is_none_or(|ended| ended.log_probability < log_probability) {
                    self.ended = Some(spoken);
                }
            } else {
                spoken.phonemes.push(phoneme);
                live.push(Hypothesis { row: *row, spoken });
            }
        }
        self.live = live;
        self.end();
    }

    /// Ends the word where no hypothesis can be better than the one that has ended, or where none may go on.
    fn end(&mut self) {
        let Some(best) = self.live.first() else { return };
        match &self.ended {
            // Probabilities only fall.
            Some(ended) if ended.log_probability >= best.spoken.log_probability => self.live.clear(),
            _ if best.spoken.phonemes.len() >= self.most => {
                self.ended.get_or_insert_with(|| best.spoken.clone());
                self.live.clear();
            }
            _ => {}
        }
    }
}

/// `ln Σ exp(score)`.
fn log_sum(scores: &[f32]) -> f32 {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    largest + scores.iter().map(|score| (score - largest).exp()).sum::<f32>().ln()
}
