//! What PyTorch gives for some words: `compare.py expect` has written `words.txt`.

use wgru_g2p::{G2p, Spoken};

/// A word of the file.
pub struct Expected {
    pub word: &'static str,
    pub log_probability: f32,
    pub phonemes: Vec<&'static str>,
}

pub fn expected() -> Vec<Expected> {
    let lines: Vec<Expected> = include_str!("words.txt")
        .lines()
        .map(|line| {
            let mut parts = line.split(' ');
            let mut next = || parts.next().unwrap();
            let (word, log_probability) = (next(), next().parse().unwrap());
            Expected { word, log_probability, phonemes: parts.collect() }
        })
        .collect();
    assert!(lines.len() >= 64, "{} words", lines.len());
    lines
}

#[track_caller]
pub fn assert_all(g2p: &G2p, expected: &[Expected], spoken: &[Spoken], device: &str) {
    assert_eq!(spoken.len(), expected.len());
    for (expected, spoken) in expected.iter().zip(spoken) {
        let Expected { word, log_probability, phonemes } = expected;
        assert_eq!(g2p.network().names(&spoken.phonemes), *phonemes, "{device}: {word}");
        let off = (spoken.log_probability - log_probability).abs();
        assert!(off < 1e-3, "{device}: {word}: {} and {log_probability}", spoken.log_probability);
        assert!(spoken.is_complete, "{device}: {word}");
    }
}
