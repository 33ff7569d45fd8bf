//! Two files of records side by side: what became slower or faster beyond the noise.
//!
//! Records are of the same measurement if their [`Record::key`] agrees. Two of their times are compared, the median
//! and the fifth percentile p05, each as the ratio after / before. A case is slower (faster) if
//!
//! ```text
//! |ln ratio of medians| > ln(1 + DRIFT) + MARGIN · √(spread_before² + spread_after²)
//! |ln ratio of p05|     > ln(1 + DRIFT), in the same direction
//! ```
//!
//! `spread` is half the 95 % confidence interval of a median, so the root is that of the ratio. `MARGIN` widens it to
//! three standard deviations, because a file has many cases and each may differ by chance. If the rounds of a run lie
//! further apart, `spread` is their distance. `DRIFT` is the change from one run to the next, which no interval
//! within a run can show. More drift than that, from other work that outlasts a run, cannot be told from a slower
//! program. The p05 is a second criterion: other work on the machine slows some runs and leaves the fastest alone,
//! while a slower kernel slows all of them.
//!
//! If a file has several records of one measurement, the record with the middle median is used. Half the range of
//! these medians replaces the spread if it is larger: that drift was measured.

use std::collections::HashMap;
use std::fmt;

use crate::table::Table;
use wgru_harness::number::{count, percent, si, three};
use wgru_harness::record::Record;

/// The difference between repeats of the same run that the program does not cause.
const DRIFT: f64 = 0.05;
/// Half a 95 % interval is 1.96 standard deviations; this makes it three.
const MARGIN: f64 = 3.0 / 1.96;

/// The verdict on a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Slower beyond the noise.
    Slower,
    /// Faster beyond the noise.
    Faster,
    /// Within the noise.
    Same,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Slower => "slower",
            Self::Faster => "faster",
            Self::Same => "same",
        })
    }
}

/// One measurement that both files have.
#[derive(Debug, Clone)]
pub struct Compared {
    /// The representative record before.
    pub before: Record,
    /// The representative record after.
    pub after: Record,
    /// Median after over median before: above 1 is slower.
    pub ratio: f64,
    /// The share by which the median may differ within the noise.
    pub noise: f64,
    /// The verdict.
    pub verdict: Verdict,
}

/// Two files side by side.
#[derive(Debug, Clone)]
pub struct Comparison {
    compared: Vec<Compared>,
    notes: Vec<String>,
}

/// A median and its noise.
struct Figure<'a> {
    record: &'a Record,
    spread: f64,
}

/// Puts two files side by side.
pub fn compare(before: &[Record], after: &[Record]) -> Comparison {
    let (mut compared, mut notes) = (Vec::new(), Vec::new());
    let (old, new) = (figures(before), figures(after));
    let place: HashMap<_, usize> = new.iter().enumerate().map(|(at, f)| (f.record.key(), at)).collect();
    for figure in &old {
        match place.get(&figure.record.key()) {
            None => notes.push(format!("only before: {}", name(figure.record))),
            Some(&at) => match pair(figure, &new[at]) {
                Some(pair) => compared.push(pair),
                None => notes.push(format!("no positive time: {}", name(figure.record))),
            },
        }
    }
    let known: HashMap<_, ()> = old.iter().map(|figure| (figure.record.key(), ())).collect();
    let only = new.iter().filter(|figure| !known.contains_key(&figure.record.key()));
    notes.extend(only.map(|figure| format!("only after: {}", name(figure.record))));
    notes.extend(changes(&compared));
    Comparison { compared, notes }
}

impl Comparison {
    /// What is slower by more than `percent`, and beyond the noise.
    pub fn slower_than(&self, percent: f64) -> Vec<&Compared> {
        let slower = |c: &&Compared| c.verdict == Verdict::Slower && c.ratio > 1.0 + percent / 100.0;
        self.compared.iter().filter(slower).collect()
    }
}

/// One figure for each measurement in a file, in the order of the file.
fn figures(records: &[Record]) -> Vec<Figure<'_>> {
    let mut place = HashMap::new();
    let mut groups: Vec<Vec<&Record>> = Vec::new();
    for record in records {
        let at = *place.entry(record.key()).or_insert(groups.len());
        match groups.get_mut(at) {
            Some(group) => group.push(record),
            None => groups.push(vec![record]),
        }
    }
    groups.into_iter().map(figure).collect()
}

fn figure(mut group: Vec<&Record>) -> Figure<'_> {
    group.sort_by(|a, b| a.median_s.total_cmp(&b.median_s));
    let record = group[(group.len() - 1) / 2];
    let range = group[group.len() - 1].median_s - group[0].median_s;
    let drift = if record.median_s > 0.0 { range / 2.0 / record.median_s } else { 0.0 };
    Figure { record, spread: record.spread.max(drift) }
}

fn pair(before: &Figure<'_>, after: &Figure<'_>) -> Option<Compared> {
    let ratio = after.record.median_s / before.record.median_s;
    let fast = after.record.p05_s / before.record.p05_s;
    if !(ratio.is_finite() && ratio > 0.0 && fast.is_finite() && fast > 0.0) {
        return None;
    }
    let drift = DRIFT.ln_1p();
    let limit = drift + MARGIN * before.spread.hypot(after.spread);
    let beyond = |sign: f64| sign * ratio.ln() > limit && sign * fast.ln() > drift;
    let verdict = match (beyond(1.0), beyond(-1.0)) {
        (true, _) => Verdict::Slower,
        (_, true) => Verdict::Faster,
        _ => Verdict::Same,
    };
    let (before, after) = (before.record.clone(), after.record.clone());
    Some(Compared { before, after, ratio, noise: limit.exp_m1(), verdict })
}

/// Differences besides the times that may be the cause.
fn changes(compared: &[Compared]) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    for Compared { before, after, .. } in compared {
        let driver = format!("driver of {}: {} -> {}", before.device, before.driver, after.driver);
        if before.driver != after.driver && !notes.contains(&driver) {
            notes.push(driver);
        }
        if before.strategy != after.strategy {
            notes.push(format!("other kernels: {}: {} -> {}", name(before), before.strategy, after.strategy));
        }
        notes.extend(load_changes(before, after));
    }
    notes
}

/// Differences in how a load went that latencies alone do not show.
fn load_changes(before: &Record, after: &Record) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |what: &str, [old, new]: [String; 2]| {
        if old != new {
            notes.push(format!("{what}: {}: {old} -> {new}", name(before)));
        }
    };
    let both = [before, after];
    let overloaded = |record: &Record| if record.overloaded == Some(true) { "yes" } else { "no" };
    note("overloaded", both.map(|record| overloaded(record).to_owned()));
    note("missed deadlines", both.map(|record| record.missed_share().map_or("none known".into(), percent)));
    let most = |record: &Record| record.most_streams.map_or("not found".into(), |most| most.to_string());
    note("most streams", both.map(most));
    notes
}

fn name(record: &Record) -> String {
    let rate = record.rate_hz.map_or(String::new(), |rate| format!(" at {rate} Hz"));
    format!("{}, {} {}{rate}, {} clock", place(record), record.timed, record.case, record.timing)
}

fn place(record: &Record) -> String {
    let Record { engine, device, backend, threads, .. } = record;
    let engine = if engine == "wgru" { String::new() } else { format!("{engine} on ") };
    let backend = if backend == device { String::new() } else { format!(" ({backend})") };
    let threads = if *threads == 0 { String::new() } else { format!(", {}", count(*threads, "thread")) };
    format!("{engine}{device}{backend}{threads}")
}

fn geometric_mean<'a>(compared: impl Iterator<Item = &'a Compared>) -> (f64, usize) {
    let (sum, count) = compared.fold((0.0, 0), |(sum, count), c| (sum + c.ratio.ln(), count + 1));
    ((sum / count.max(1) as f64).exp(), count)
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table =
            Table::new(&["device", "timed", "clock", "case", "before", "after", "ratio", "noise", "verdict"]);
        let mut places: Vec<String> = Vec::new();
        for c in &self.compared {
            let place = place(&c.before);
            table.row(vec![
                place.clone(),
                c.before.timed.to_string(),
                c.before.timing.to_string(),
                c.before.case.clone()
                    + &c.before.rate_hz.map_or(String::new(), |rate| format!(" at {rate} Hz")),
                si(c.before.median_s, "s"),
                si(c.after.median_s, "s"),
                format!("{:.3}", c.ratio),
                format!("±{}", percent(c.noise)),
                c.verdict.to_string(),
            ]);
            if !places.contains(&place) {
                places.push(place);
            }
        }
        write!(f, "{table}")?;
        writeln!(f)?;
        if places.len() > 1 {
            for of in &places {
                let (mean, count) = geometric_mean(self.compared.iter().filter(|c| place(&c.before) == *of));
                writeln!(f, "{of}: geometric mean of the ratios {mean:.3} over {count}")?;
            }
        }
        let (mean, count) = geometric_mean(self.compared.iter());
        let of = |verdict| self.compared.iter().filter(|c| c.verdict == verdict).count();
        let (slower, faster) = (of(Verdict::Slower), of(Verdict::Faster));
        match count {
            0 => writeln!(f, "no record is in both files")?,
            _ => writeln!(
                f,
                "all: geometric mean of the ratios {mean:.3} over {count}; {slower} slower, {faster} faster, {} the same",
                count - slower - faster
            )?,
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "{note}"))
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slower = three((self.ratio - 1.0) * 100.0);
        write!(f, "{}: {slower} % slower", name(&self.before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::slice::from_ref;
    use wgru_harness::record::Timed;
    use wgru_harness::report::sample::{load, machine, record, timed_again};

    fn verdicts(comparison: &Comparison, verdict: Verdict) -> Vec<String> {
        let with = comparison.compared.iter().filter(|c| c.verdict == verdict);
        with.map(|c| format!("{} {}", place(&c.before), c.before.case)).collect()
    }

    #[test]
    fn a_repeat_is_the_same() {
        // Each draw is a new pair of runs of some sixty cases, with noise within and drift between them.
        for seed in 0..50 {
            let (before, after) =
                (timed_again(&machine(), seed, |_| 1.0), timed_again(&machine(), seed + 1000, |_| 1.0));
            let comparison = compare(&before, &after);
            assert_eq!(comparison.compared.len(), before.len());
            assert_eq!(verdicts(&comparison, Verdict::Slower), Vec::<String>::new(), "seed {seed}");
            assert_eq!(verdicts(&comparison, Verdict::Faster), Vec::<String>::new(), "seed {seed}");
            assert!(comparison.slower_than(0.0).is_empty());
        }
    }

    #[test]
    fn a_planted_slowdown_is_found() {
        for seed in 0..50 {
            let planted =
                |r: &Record| if r.case.contains("-b16-") && r.timed == Timed::Sequence { 1.2 } else { 1.0 };
            let before = timed_again(&machine(), seed, |_| 1.0);
            let after = timed_again(&machine(), seed + 1000, planted);
            let comparison = compare(&before, &after);
            let count = before.iter().filter(|r| planted(r) > 1.0).count();
            assert!(count > 3);
            assert_eq!(verdicts(&comparison, Verdict::Slower).len(), count, "seed {seed}\n{comparison}");
            assert_eq!(comparison.slower_than(10.0).len(), count);
            assert!(comparison.slower_than(50.0).is_empty());
            assert_eq!(verdicts(&compare(&after, &before), Verdict::Faster).len(), count);
        }
    }

    #[test]
    fn a_busy_machine_is_not_a_slower_kernel() {
        let before = record("gru-b1-t100-i64-h64", Timed::Sequence, 1e-3);
        let mut after = before.clone();
        (after.median_s, after.p95_s) = (1.3e-3, 4e-3);
        assert_eq!(compare(from_ref(&before), from_ref(&after)).compared[0].verdict, Verdict::Same);
        after.p05_s = before.p05_s * 1.3;
        assert_eq!(compare(&[before], &[after]).compared[0].verdict, Verdict::Slower);
    }

    #[test]
    fn measured_drift_widens_the_noise() {
        let at = |factor: f64| record("gru-b1-t100-i64-h64", Timed::Sequence, 1e-3 * factor);
        assert_eq!(compare(&[at(1.0)], &[at(1.2)]).compared[0].verdict, Verdict::Slower);
        let steady = compare(&[at(1.0), at(0.8), at(1.2)], &[at(1.2)]);
        assert_eq!(steady.compared.len(), 1);
        assert_eq!(steady.compared[0].verdict, Verdict::Same);
        assert!((steady.compared[0].ratio - 1.2).abs() < 1e-9);
    }

    #[test]
    fn what_one_file_lacks_is_named() {
        let (a, b) = (record("gru-b1", Timed::Step, 1e-3), record("gru-b2", Timed::Step, 1e-3));
        let mut c = record("gru-b3", Timed::Step, 1e-3);
        let text = compare(&[a.clone(), c.clone()], &[b, c.clone()]).to_string();
        assert!(text.contains("only before: H200 (vulkan), step gru-b1, wall clock"), "{text}");
        assert!(text.contains("only after: H200 (vulkan), step gru-b2, wall clock"), "{text}");
        assert!(text.contains("1.000 over 1; 0 slower, 0 faster, 1 the same"), "{text}");
        c.median_s = 0.0;
        let text = compare(&[c.clone()], &[c]).to_string();
        assert!(text.contains("no positive time: ") && text.contains("no record is in both files"), "{text}");
    }

    #[test]
    fn loads_are_told_apart_and_their_ends_are_named() {
        let before = load("gru-b1000", 1e-3);
        let faster = Record { rate_hz: Some(200.0), ..before.clone() };
        let text = compare(from_ref(&before), &[faster]).to_string();
        assert!(text.contains("only before: H200 (vulkan), tick gru-b1000 at 100 Hz, wall clock"), "{text}");
        assert!(text.contains("only after: H200 (vulkan), tick gru-b1000 at 200 Hz, wall clock"), "{text}");
        let text = compare(from_ref(&before), from_ref(&before)).to_string();
        assert!(!text.contains("missed") && !text.contains("most streams"), "{text}");
        let (missed, most_streams) = (Some(60_000), Some(700));
        let after = Record { missed, most_streams, overloaded: Some(true), ..before.clone() };
        let text = compare(&[before], &[after]).to_string();
        for words in [
            "overloaded: H200",
            "no -> yes",
            "missed deadlines: H200",
            "0.100\u{a0}% -> 1.00\u{a0}%",
            "1400 -> 700",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }

    #[test]
    fn reasons_are_named() {
        let before = record("gru-b1", Timed::Step, 1e-3);
        let after = Record { driver: "9.9".into(), strategy: "other".into(), ..before.clone() };
        let text = compare(&[before], &[after]).to_string();
        assert!(text.contains("driver of H200: 580.1 -> 9.9"), "{text}");
        assert!(
            text.contains("other kernels: H200 (vulkan), step gru-b1, wall clock: persistent -> other"),
            "{text}"
        );
    }
}
