//! Error rates on the words that were held out of training, where `dictionary.py` has put CMU's dictionary. Otherwise the test is
//! ignored, with the reason.

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Trial};
use wgru::Device;
use wgru_g2p::Network;
use wgru_g2p::dictionary::{Dictionary, Rates};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let test = || {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("cmudict.dict");
        match std::fs::read_to_string(path) {
            Ok(text) => {
                error_rates(&text);
                Ok(Completion::Completed)
            }
            Err(_) => Ok(Completion::ignored_with("without uses/g2p/cmudict.dict: uses/g2p/README.md")),
        }
    };
    let trial = Trial::ignorable_test("g2p::dictionary::error_rates_are_those_of_the_record", test);
    libtest_mimic::run(&arguments, vec![trial]).exit_code()
}

/// The error rates of greedy search, against the record and what the model is to reach: PER 12 %, WER 45 %.
fn error_rates(text: &str) {
    let network = Network::own().unwrap();
    let dictionary = Dictionary::parse(text, &network).unwrap();
    let g2p = network.load(&Device::cpu()).unwrap();
    let words = dictionary.held_out();
    let mut rates = Rates::default();
    for (word, spoken) in words.iter().zip(g2p.speak(&words, 1).unwrap()) {
        dictionary.count(&mut rates, word, &spoken);
    }
    println!("{} words: PER {:.2} %, WER {:.2} %", rates.words, rates.per(), rates.wer());
    assert!(rates.per() <= 12.0 && rates.wer() <= 45.0, "{rates:?}");
    let record = include_str!("../../../benches/records/g2p-error-rates.csv");
    let row = record.lines().find_map(|line| line.strip_prefix("wgru greedy,all,")).unwrap();
    let recorded: Vec<f64> = row.split(',').take(3).map(|number| number.parse().unwrap()).collect();
    // Other processors round sums differently, which decides some ties otherwise.
    let near = |found: f64, recorded: f64| (found - recorded).abs() < 0.1;
    assert_eq!(rates.words as f64, recorded[0]);
    assert!(near(rates.per(), recorded[1]) && near(rates.wer(), recorded[2]), "{recorded:?}");
}
