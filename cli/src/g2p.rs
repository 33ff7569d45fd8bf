//! `wgru g2p`: the pronunciation of words, and the error rates of the model on the words that training did not see.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use wgru::{Device, DeviceOptions, Options, RunShape};
use wgru_g2p::dictionary::{Dictionary, Rates};
use wgru_g2p::{Network, Spoken};

use crate::args::G2pArgs;
use crate::arrays::{Source, check_not_empty, write};
use crate::devices::{choose, to_json};
use crate::failure::{Failure, Outcome, error};
use crate::print::{is_standard, print};
use crate::table::Table;
use wgru_harness::number::{count, three};

impl From<wgru_g2p::Error> for Failure {
    fn from(error: wgru_g2p::Error) -> Self {
        Self::Error(error.to_string())
    }
}

/// Reads words, pronounces them, prints or writes the result.
pub fn g2p(args: &G2pArgs) -> Outcome {
    if let Some(output) = args.output.as_ref().filter(|path| !is_standard(path)) {
        let read = [&args.file, &args.evaluate, &args.model].into_iter().flatten();
        write::check_apart(output, read.map(|path| path.as_path()))?;
        write::check_target(output)?;
    }
    let network = match &args.model {
        Some(path) => {
            check_not_empty(path)?;
            let bytes = std::fs::read(path).map_err(|reason| error(path.display(), reason))?;
            Network::from_bytes(&path.display().to_string(), &bytes)?
        }
        None => Network::own()?,
    };
    let text = match (&args.evaluate, &args.file) {
        (Some(path), _) => evaluate(args, network, path)?,
        (None, Some(path)) => {
            let text = read_text(path)?;
            let words: Vec<&str> = text.lines().map(str::trim).collect();
            check_words(&network, &words).map_err(|(at, reason)| {
                error(path.display(), format!("line {}, {:?}: {reason}", at + 1, words[at]))
            })?;
            pronounce(args, network, &words)?
        }
        (None, None) => {
            let words: Vec<&str> = args.word.iter().map(String::as_str).collect();
            check_words(&network, &words)
                .map_err(|(at, reason)| error(format!("{:?}", words[at]), reason))?;
            pronounce(args, network, &words)?
        }
    };
    match &args.output {
        Some(path) => write::replace(path, text.as_bytes()),
        None => print(&text),
    }
}

/// The place of the first word that the network cannot spell, and why.
fn check_words(network: &Network, words: &[&str]) -> Result<(), (usize, String)> {
    let wrong = |(at, word): (usize, &&str)| network.spell(word).err().map(|reason| (at, reason));
    words.iter().enumerate().find_map(wrong).map_or(Ok(()), Err)
}

fn read_text(path: &Path) -> Outcome<String> {
    let Source { name, bytes, .. } = Source::read(path)?;
    String::from_utf8(bytes).map_err(|reason| error(name, format!("not UTF-8 text: {reason}")))
}

/// Words with their pronunciations, and what the device needed.
struct Pronounced {
    network: Network,
    spoken: Vec<Spoken>,
    device: Device,
    seconds: f64,
}

impl Pronounced {
    fn of(args: &G2pArgs, network: Network, words: &[&str]) -> Outcome<Self> {
        let shape = RunShape::from([words.len().max(1), 1]);
        let (options, model) = (DeviceOptions::default(), network.decoder());
        let (device, _) = choose(&args.device, &options, false, model, shape, Options::default())?;
        let g2p = network.load(&device)?;
        // Drivers compile at the first run.
        g2p.speak(&words[..words.len().min(1)], args.beam)?;
        let start = Instant::now();
        let spoken = g2p.speak(words, args.beam)?;
        let seconds = start.elapsed().as_secs_f64();
        for (word, _) in words.iter().zip(&spoken).filter(|(_, spoken)| !spoken.is_complete) {
            eprintln!("wgru: {word}: cut off, the model found no end");
        }
        Ok(Self { network: g2p.into_network(), spoken, device, seconds })
    }

    fn per_second(&self) -> f64 {
        self.spoken.len() as f64 / self.seconds.max(1e-9)
    }

    fn to_json(&self, args: &G2pArgs) -> Value {
        json!({
            "device": to_json(&self.device.info()),
            "beam": args.beam,
            "words": self.spoken.len(),
            "seconds": self.seconds,
            "words_per_s": self.per_second(),
        })
    }
}

/// A line for each word: the word, then its phonemes, as in the dictionary.
fn pronounce(args: &G2pArgs, network: Network, words: &[&str]) -> Outcome<String> {
    let done = Pronounced::of(args, network, words)?;
    let pairs = words.iter().zip(&done.spoken);
    if !args.json {
        let line = |(word, spoken): (&&str, &Spoken)| {
            let names = done.network.names(&spoken.phonemes);
            format!("{word} {}\n", names.join(" "))
        };
        return Ok(pairs.map(line).collect());
    }
    let mut json = done.to_json(args);
    let one = |(word, spoken): (&&str, &Spoken)| {
        json!({
            "word": word,
            "phonemes": done.network.names(&spoken.phonemes),
            "log_probability": spoken.log_probability,
            "complete": spoken.is_complete,
        })
    };
    json["pronunciations"] = pairs.map(one).collect();
    Ok(format!("{json:#}\n"))
}

/// Error rates of the held-out words, all and by their number of letters.
fn evaluate(args: &G2pArgs, network: Network, path: &Path) -> Outcome<String> {
    let text = read_text(path)?;
    let dictionary = Dictionary::parse(&text, &network).map_err(|reason| error(path.display(), reason))?;
    let words = dictionary.held_out();
    if words.is_empty() {
        let reason = format!("none of {} was held out of training", count(dictionary.len(), "word"));
        return Err(error(path.display(), reason));
    }
    let done = Pronounced::of(args, network, &words)?;
    let (mut all, mut by_letters) = (Rates::default(), BTreeMap::<usize, Rates>::new());
    for (word, spoken) in words.iter().zip(&done.spoken) {
        dictionary.count(&mut all, word, spoken);
        dictionary.count(by_letters.entry(word.chars().count()).or_default(), word, spoken);
    }
    if args.json {
        let mut json = done.to_json(args);
        json["left_out"] = dictionary.left_out().into();
        json["per"] = all.per().into();
        json["wer"] = all.wer().into();
        let rows = by_letters.iter().map(|(letters, rates)| {
            json!({ "letters": letters, "words": rates.words, "per": rates.per(), "wer": rates.wer() })
        });
        json["by_letters"] = rows.collect();
        return Ok(format!("{json:#}\n"));
    }
    let mut table = Table::new(&["letters", "words", "PER %", "WER %"]);
    let row = |letters: String, rates: &Rates| {
        vec![letters, rates.words.to_string(), format!("{:.2}", rates.per()), format!("{:.2}", rates.wer())]
    };
    by_letters.iter().for_each(|(letters, rates)| table.row(row(letters.to_string(), rates)));
    table.row(row("all".into(), &all));
    Ok(format!(
        "{}: {} held out of training, {}, in {:.2} s ({} words/s)\n\
         left out of the dictionary, with other characters than letters: {}\n{table}",
        done.device.info(),
        count(words.len(), "word"),
        if args.beam == 1 { "greedy".into() } else { format!("beam of {}", args.beam) },
        done.seconds,
        three(done.per_second()),
        count(dictionary.left_out(), "line"),
    ))
}
