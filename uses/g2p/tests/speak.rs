//! Pronunciations against PyTorch's, searches against a second computation of their probabilities, and refusals.

use wgru::{Batch, Device, Engine};
use wgru_g2p::{END, Error, G2p, MOST_LETTERS, Network, Spoken, WIDEST_BEAM};

mod expected;

use expected::expected;

fn own(device: &Device) -> G2p {
    Network::own().unwrap().load(device).unwrap()
}

fn words() -> Vec<&'static str> {
    expected().iter().map(|one| one.word).collect()
}

#[test]
fn greedy_search_gives_pytorchs_phonemes() {
    let g2p = own(&Device::cpu());
    let spoken = g2p.speak(&words(), 1).unwrap();
    expected::assert_all(&g2p, &expected(), &spoken, "cpu");
}

/// The log probability of phonemes with their end, by one run over all steps.
fn log_probability(decoder: &Engine, g2p: &G2p, word: &str, spoken: &Spoken) -> f32 {
    let network = g2p.network();
    let features = network.decoder().input();
    let phonemes: Vec<u32> =
        spoken.phonemes.iter().copied().chain(spoken.is_complete.then_some(END)).collect();
    let before = [&[END][..], &phonemes[..phonemes.len() - 1]].concat();
    let row = |&phoneme: &u32| network.phoneme_rows()[phoneme as usize * features..][..features].to_vec();
    let x: Vec<f32> = before.iter().flat_map(row).collect();
    let state = g2p.encode(&[word]).unwrap();
    let batch = Batch::new(&x, [1, before.len(), features]).unwrap().h0(&state.h);
    let scores = decoder.run(&batch).unwrap().out.unwrap();
    let rows = scores.chunks_exact(network.phonemes().len());
    let log = |(row, &phoneme): (&[f32], &u32)| {
        let sum: f64 = row.iter().map(|&score| f64::from(score).exp()).sum();
        f64::from(row[phoneme as usize]) - sum.ln()
    };
    rows.zip(&phonemes).map(log).sum::<f64>() as f32
}

#[test]
fn every_beam_reports_the_probability_of_what_it_found() {
    let device = Device::cpu();
    let g2p = own(&device);
    let decoder = device.load(g2p.network().decoder()).unwrap();
    let words = words();
    let greedy = g2p.speak(&words, 1).unwrap();
    let mut better = 0;
    for beam in [1, 2, 5, WIDEST_BEAM] {
        let spoken = g2p.speak(&words, beam).unwrap();
        assert_eq!(spoken.len(), words.len());
        for ((word, spoken), greedy) in words.iter().zip(&spoken).zip(&greedy) {
            let exact = log_probability(&decoder, &g2p, word, spoken);
            let off = (spoken.log_probability - exact).abs();
            assert!(off < 1e-3, "beam {beam}, {word}: {} and {exact}", spoken.log_probability);
            if beam == WIDEST_BEAM {
                // A beam as wide keeps the greedy beginnings of these words.
                assert!(spoken.log_probability >= greedy.log_probability - 1e-4, "{word}");
                better += usize::from(spoken.phonemes != greedy.phonemes);
            }
        }
    }
    assert!(better > 0, "the beam has found nothing else than greedy search");
}

#[test]
fn a_word_does_not_depend_on_the_words_beside_it() {
    for selector in ["cpu:1", "cpu:2"] {
        let g2p = own(&Device::open(selector).unwrap());
        // More than one chunk of rows.
        let many: Vec<&str> = words().into_iter().cycle().take(600).collect();
        for beam in [1, 3] {
            let together = g2p.speak(&many, beam).unwrap();
            for (at, word) in words().iter().enumerate().step_by(5) {
                let alone = g2p.speak(&[word], beam).unwrap();
                assert_eq!(alone[0], together[at], "{word}");
                assert_eq!(alone[0], together[at + words().len()], "{word}");
            }
        }
    }
}

#[test]
fn capitals_count_as_small_letters_and_no_words_are_no_pronunciations() {
    let g2p = own(&Device::cpu());
    let spoken = g2p.speak(&["Knight", "knight", "KNIGHT"], 1).unwrap();
    assert!(spoken.iter().all(|one| *one == spoken[0]));
    assert_eq!(g2p.speak::<&str>(&[], 1).unwrap(), []);
}

#[test]
fn words_of_other_alphabets_are_refused_before_anything_is_computed() {
    let g2p = own(&Device::cpu());
    let long = "a".repeat(MOST_LETTERS + 1);
    for (word, reason) in [
        ("", "no letters"),
        ("r2d2", "'2' is not a letter of this model ('abcdefghijklmnopqrstuvwxyz)"),
        ("naïve", "'ï' is not a letter"),
        ("слово", "'с' is not a letter"),
        ("two words", "' ' is not a letter"),
        (&long, "65 letters: expected at most 64"),
    ] {
        let error = g2p.speak(&["fine", word], 1).unwrap_err();
        assert!(matches!(error, Error::Word { at: 1, .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.starts_with("word 2, ") && text.contains(reason), "{text}");
    }
    let longest = "a".repeat(MOST_LETTERS);
    assert_eq!(g2p.speak(&[&longest], 1).unwrap().len(), 1);
    for beam in [0, WIDEST_BEAM + 1] {
        assert!(matches!(g2p.speak(&["word"], beam), Err(Error::Beam(found)) if found == beam));
    }
}

/// A file like the model's, changed by `change`: its JSON header and its numbers.
fn changed(change: impl FnOnce(&mut String, &mut Vec<u8>)) -> Vec<u8> {
    let bytes = include_bytes!("../g2p.safetensors");
    let length = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let mut header = String::from_utf8(bytes[8..8 + length].to_vec()).unwrap();
    let mut data = bytes[8 + length..].to_vec();
    change(&mut header, &mut data);
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

#[test]
fn files_of_another_model_are_refused_by_name() {
    #[track_caller]
    fn refused(bytes: &[u8], reason: &str) {
        let error = Network::from_bytes("file", bytes).unwrap_err();
        assert!(matches!(error, Error::Model { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.starts_with("file: ") && text.contains(reason), "{text}");
    }
    let other = include_bytes!("../../../models/co2_gru.safetensors");
    refused(
        other,
        "not a grapheme-to-phoneme model: expected metadata wgru.task = \"g2p\", found \"forecast\"",
    );
    refused(b"", "not a readable safetensors file");
    let whole = changed(|_, _| {});
    assert!(Network::from_bytes("file", &whole).is_ok());
    for cut in [7, 100, whole.len() - 1] {
        refused(&whole[..cut], "not a readable safetensors file");
    }
    let renamed = |from: &str, to: &str| {
        changed(|header, _| {
            assert!(header.contains(from));
            *header = header.replace(from, to);
        })
    };
    refused(&renamed("wgru.task", "other.key"), "found none");
    refused(&renamed("wgru.letters", "no.letters"), "no metadata \"wgru.letters\"");
    refused(&renamed("wgru.phonemes", "no.phonemes"), "no metadata \"wgru.phonemes\"");
    refused(&renamed("letters.weight", "alphabet.weight"), "letters.weight");
    refused(&renamed("encoder.", "recoder."), "encoder");
    refused(&renamed("readout.weight", "readout.matrix"), "readout.weight");
    refused(&renamed("'abc", "'abcé"), "letters.weight: expected [28, 64], found [27, 64]");
    // Half-precision NaN everywhere.
    refused(&changed(|_, data| data.fill(0xff)), "NaN");
}
