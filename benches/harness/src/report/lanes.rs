//! How a report sorts its records: cases by number, records by device, and a device's records by engine, clock and
//! precision.

use std::collections::HashMap;

use crate::number::count;
use crate::record::{Record, Timed, Timing};

/// The cases in the order of the records; each has a number that every chart and the table use.
pub struct Cases<'a>(pub Vec<&'a str>);

/// Records that differ in the case and the kind of measurement alone.
pub struct Lane<'a> {
    /// A letter in place of the name, where there is no space for the name.
    pub tag: String,
    /// Its name.
    pub name: String,
    /// The index of its colour.
    pub colour: usize,
    /// Its records.
    pub records: Vec<&'a Record>,
}

/// The records of a device.
pub struct Device<'a> {
    /// Its name.
    pub name: &'a str,
    /// The engines that ran on it.
    pub lanes: Vec<Lane<'a>>,
}

/// Cases that differ in one size.
pub struct Scaling<'a> {
    /// The name they share, with `*` in place of the size.
    pub name: String,
    /// The size and its record, in ascending order.
    pub points: Vec<(usize, &'a Record)>,
}

/// A size that scaling curves run over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// The batch.
    Batch,
    /// The hidden size; where the input has the same size, both.
    Hidden,
}

impl<'a> Cases<'a> {
    /// The cases of `records`.
    pub fn of(records: &'a [Record]) -> Self {
        Self(unique(records.iter().map(|record| record.case.as_str())))
    }

    /// The number of a case, from 1.
    pub fn number(&self, case: &str) -> usize {
        self.0.iter().position(|&known| known == case).map_or(0, |at| at + 1)
    }
}

impl<'a> Lane<'a> {
    /// The record of a case, if its time can be drawn.
    pub fn find(&self, timed: Timed, case: &str) -> Option<&'a Record> {
        self.timed(timed).find(|record| record.case == case)
    }

    /// All records of one kind whose time can be drawn. If a case was timed twice, the later record counts.
    pub fn timed(&self, timed: Timed) -> impl Iterator<Item = &'a Record> {
        let drawn = move |record: &&'a Record| record.timed == timed && positive(record.median_s);
        self.records.iter().rev().copied().filter(drawn)
    }
}

/// Whether a logarithmic axis can show it: positive, and of a plausible size.
pub fn positive(value: f64) -> bool {
    (1e-30..1e30).contains(&value)
}

/// The devices in the order of the records.
pub fn devices(records: &[Record]) -> Vec<Device<'_>> {
    let names = unique(records.iter().map(|record| record.device.as_str()));
    let of = |name| lanes(records.iter().filter(move |record| record.device == name), lane_name);
    names.into_iter().map(|name| Device { name, lanes: of(name) }).collect()
}

/// All devices beside each other, all by one clock: the host's if there is one, since every engine has it.
pub fn side_by_side(records: &[Record]) -> Vec<Lane<'_>> {
    let wall: Vec<_> = records.iter().filter(|r| r.timing == Timing::Wall).map(who).collect();
    let shown = records.iter().filter(|r| r.timing == Timing::Wall || !wall.contains(&who(r)));
    lanes(shown, |record| format!("{} · {}", record.device, lane_name(record)))
}

fn who(record: &Record) -> (&str, &str, &str, usize, Timed) {
    (&record.device, &record.engine, &record.backend, record.threads, record.timed)
}

fn lane_name(record: &Record) -> String {
    let Record { engine, backend, threads, timing, .. } = record;
    let threads = if *threads == 0 { String::new() } else { format!(" · {}", count(*threads, "thread")) };
    format!("{engine} · {backend}{threads} · {timing} clock")
}

fn lanes<'a>(records: impl Iterator<Item = &'a Record>, name: impl Fn(&Record) -> String) -> Vec<Lane<'a>> {
    let mut lanes: Vec<Lane<'a>> = Vec::new();
    for record in records {
        let name = name(record);
        match lanes.iter_mut().find(|lane| lane.name == name) {
            Some(lane) => lane.records.push(record),
            None => {
                let colour = lanes.len();
                lanes.push(Lane { tag: tag(colour), name, colour, records: vec![record] });
            }
        }
    }
    lanes
}

/// A, B, … Z, then numbers.
pub fn tag(index: usize) -> String {
    match u8::try_from(index) {
        Ok(index @ 0..26) => char::from(b'A' + index).to_string(),
        _ => (index + 1).to_string(),
    }
}

/// The curves over `size` in a lane's sequences, of at least two points each.
pub fn scaling<'a>(lane: &Lane<'a>, size: Size) -> Vec<Scaling<'a>> {
    let mut curves: Vec<Scaling<'a>> = Vec::new();
    let mut seen = HashMap::new();
    for record in lane.timed(Timed::Sequence).filter(|record| positive(record.gflops)) {
        for (name, value) in without(&record.case, size) {
            let at = *seen.entry(name.clone()).or_insert(curves.len());
            match curves.get_mut(at) {
                Some(curve) if curve.points.iter().any(|&(known, _)| known == value) => {}
                Some(curve) => curve.points.push((value, record)),
                None => curves.push(Scaling { name, points: vec![(value, record)] }),
            }
        }
    }
    curves.retain(|curve| curve.points.len() > 1);
    curves.iter_mut().for_each(|curve| curve.points.sort_by_key(|&(value, _)| value));
    curves.sort_by(|a, b| a.name.cmp(&b.name));
    curves
}

/// A case's name with `*` for its size, and that size. There are two names if input and hidden size are equal, since
/// the case may belong to a row that varies both or only one.
fn without(case: &str, size: Size) -> Vec<(String, usize)> {
    let value =
        |letter: char| case.split('-').find_map(|part| part.strip_prefix(letter)?.parse::<usize>().ok());
    let starred = |letters: &[char]| {
        let parts = case.split('-').map(|part| {
            let letter = letters.iter().find(|&&l| part.strip_prefix(l).is_some_and(is_number));
            letter.map_or_else(|| part.to_owned(), |letter| format!("{letter}*"))
        });
        parts.collect::<Vec<_>>().join("-")
    };
    match (size, value('b'), value('i'), value('h')) {
        (Size::Batch, Some(b), ..) if b > 0 => vec![(starred(&['b']), b)],
        (Size::Hidden, _, Some(i), Some(h)) if i == h && h > 0 => {
            vec![(starred(&['i', 'h']), h), (starred(&['h']), h)]
        }
        (Size::Hidden, .., Some(h)) if h > 0 => vec![(starred(&['h']), h)],
        _ => Vec::new(),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The distinct values, in the order of their first occurrence.
pub fn unique<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for item in items {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen
}
