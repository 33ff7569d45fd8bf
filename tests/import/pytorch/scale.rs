//! Large files: the time to read one grows with its size, and the limits hold.

use std::fmt::Write;
use std::time::{Duration, Instant};

use wgru::import::PyTorch;
use wgru::import::{Limits, read_tensors};
use wgru::{Error, ReadoutSteps};

/// A safetensors file of tensors of one element each, by name and shape.
fn file(tensors: impl Iterator<Item = (String, &'static str)>) -> Vec<u8> {
    let (mut header, mut count) = (String::from("{"), 0);
    for (name, shape) in tensors {
        let comma = if count == 0 { "" } else { "," };
        let (from, to) = (4 * count, 4 * count + 4);
        write!(header, r#"{comma}"{name}":{{"dtype":"F32","shape":{shape},"data_offsets":[{from},{to}]}}"#)
            .expect("memory");
        count += 1;
    }
    header.push('}');
    let data = 0.5_f32.to_le_bytes().repeat(count);
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

/// An RNN of I = H = 1.
fn layer(prefix: &str, index: usize) -> impl Iterator<Item = (String, &'static str)> {
    let parts = [("weight_ih", "[1,1]"), ("weight_hh", "[1,1]"), ("bias_ih", "[1]"), ("bias_hh", "[1]")];
    parts.into_iter().map(move |(part, shape)| (format!("{prefix}{part}_l{index}"), shape))
}

/// Files of about `n` tensors, of every kind that the importer visits.
fn kinds(n: usize) -> Vec<(&'static str, Vec<u8>)> {
    let named = |name: fn(usize) -> String, shape| (0..n).map(move |i| (name(i), shape));
    let stack = |prefix| layer(prefix, 0);
    let pruned = (0..n / 8).flat_map(|i| {
        layer("", i).flat_map(|(name, shape)| ["_orig", "_mask"].map(|end| (format!("{name}{end}"), shape)))
    });
    vec![
        ("layers", file((0..n / 4).flat_map(|i| layer("", i)))),
        ("layers of computed weights", file(pruned)),
        ("other layers", file(stack("rnn.").chain(named(|i| format!("other.{i}.weight"), "[1]")))),
        ("other layers of a bare stack", file(stack("").chain(named(|i| format!("o{i}.weight"), "[1,1]")))),
        ("norms of a bare stack", file(stack("").chain(named(|i| format!("n{i}.weight"), "[1]")))),
        ("parts of the module", file(stack("a.").chain(named(|i| format!("a.p{i}"), "[1]")))),
        ("copies", file(stack("a.b.").chain(named(|i| format!("a.weight_hh_l0_{i}"), "[1]")))),
        ("stacks", file((0..n / 4).flat_map(stack_at))),
        ("no stack", file(named(|i| format!("layer.{i}.weight"), "[1]"))),
    ]
}

fn stack_at(index: usize) -> impl Iterator<Item = (String, &'static str)> {
    let parts = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"];
    parts.into_iter().map(move |part| (format!("module.{index}.{part}"), "[1,1]"))
}

/// All functions that read such a file; most refuse it, which takes as long.
fn read(bytes: &[u8]) {
    let _ = PyTorch::new().parse("large", bytes);
    let _ = PyTorch::new().prefix("0").readout("o", ReadoutSteps::Last).parse("large", bytes);
}

/// The CPU time of this thread, so that other work on the machine counts less; the wall clock if the system does not
/// provide it.
fn computed(start: Instant) -> Duration {
    // Linux updates the CPU time of a thread when it yields.
    std::thread::yield_now();
    let said = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = said.and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| start.elapsed(), Duration::from_nanos)
}

fn best_of_five(mut work: impl FnMut()) -> Duration {
    let start = Instant::now();
    let mut time = || {
        let before = computed(start);
        work();
        computed(start) - before
    };
    (0..5).map(|_| time()).min().expect("five times")
}

#[test]
fn the_time_grows_with_the_size() {
    for ((kind, small), (_, large)) in kinds(3_000).into_iter().zip(kinds(12_000)) {
        // The machine may have other work: another try, not another bound.
        // The small one four times, so that both take many ticks of the clock.
        let ratio = || {
            let large = best_of_five(|| read(&large));
            let small = best_of_five(|| (0..4).for_each(|_| read(&small)));
            4.0 * large.as_secs_f64() / small.as_secs_f64()
        };
        let mut ratios = Vec::new();
        while ratios.len() < 3 && ratios.last().is_none_or(|ratio| *ratio >= 6.0) {
            ratios.push(ratio());
        }
        println!("{kind}: {ratios:.1?}");
        assert!(ratios.last() < Some(&6.0), "{kind}: four times the size takes {ratios:.1?} times as long");
    }
}

#[test]
fn a_hundred_thousand_tensors_take_about_a_second() {
    let bytes = file((0..25_000).flat_map(|i| layer("", i)));
    let best = best_of_five(|| {
        let imported = PyTorch::new().parse("large", &bytes).expect("an RNN");
        assert_eq!(imported.model.layers().len(), 25_000);
        assert_eq!(read_tensors("large", &bytes).expect("floats").len(), 100_000);
    });
    println!("{best:?}");
    // Without optimisation, and on a slow machine.
    assert!(best < Duration::from_secs(3), "{best:?}");
}

#[test]
fn the_limits_are_options_and_refusals_name_them() {
    let bytes = file((0..10).flat_map(|i| layer("", i)));
    let header = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
    let with = |limits| PyTorch::new().limits(limits).parse("m.safetensors", &bytes);
    with(Limits::default().tensors(40).header(header)).expect("within the limits");
    let error = with(Limits::default().tensors(39)).expect_err("one tensor too many");
    assert!(matches!(&error, Error::TooLarge { needed: 40, limit: 39, unit: "tensors", .. }), "{error}");
    assert!(error.to_string().contains("import::Limits::tensors"), "{error}");
    let error = with(Limits::default().header(header - 1)).expect_err("one byte too many");
    assert!(matches!(&error, Error::TooLarge { needed, .. } if *needed == header), "{error}");
    assert!(error.to_string().contains("import::Limits::header"), "{error}");
    let Limits { tensors, header, decompressed, .. } = Limits::default();
    assert_eq!((tensors, header, decompressed), (1_000_000, 256 << 20, 4 << 30));
}
