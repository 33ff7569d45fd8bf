//! The report shows its records, is self-contained, and accepts any contents of a file.

use super::sample::{SEQUENCES, load, machine, record};
use super::{html, lanes};
use crate::record::{Record, Timed};

#[test]
fn every_device_and_case_is_shown() {
    let records = machine();
    let page = html(&records).unwrap();
    for device in ["NVIDIA H200", "llvmpipe (LLVM 19.1.7, 256 bits)", "cpu"] {
        assert!(page.contains(&format!("<h2>{device}</h2>")), "{device}");
        assert!(page.contains(&format!("aria-label=\"Throughput of {device} by case")), "{device}");
        assert!(page.contains(&format!("aria-label=\"Latency of a step on {device}")), "{device}");
        assert!(page.contains(&format!("aria-label=\"Throughput over batch on {device}")), "{device}");
        assert!(page.contains(&format!("aria-label=\"Throughput over hidden size on {device}")), "{device}");
        assert!(page.contains(&format!("aria-label=\"Roofline of {device}")), "{device}");
    }
    for case in SEQUENCES {
        assert!(page.contains(&format!("<td>{case}</td>")), "{case}");
        assert!(page.contains(&format!("in case {} · {case}\"", number(&records, case))), "{case}");
    }
    assert_eq!(page.matches("<tr>").count(), records.len() + 4 + 2);
    assert!(page.contains("torch · cudnn · wall clock"));
}

fn number(records: &[Record], case: &str) -> usize {
    lanes::Cases::of(records).number(case)
}

#[test]
fn records_cannot_write_html() {
    let evil = "<script>alert('\"1\"')</script>&\u{1}";
    let mut record = record(evil, Timed::Sequence, 1e-3);
    for text in [&mut record.engine, &mut record.device, &mut record.backend, &mut record.driver] {
        *text = evil.into();
    }
    for text in [&mut record.strategy, &mut record.dtype, &mut record.commit, &mut record.date] {
        *text = evil.into();
    }
    let other = Record { device: "other".into(), ..record.clone() };
    let step = Record { timed: Timed::Step, ..record.clone() };
    let page = html(&[record, other, step]).unwrap();
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(page.matches("alert(").count(), page.matches("&lt;script&gt;alert(").count());
    assert!(!page.contains('\u{1}'));
}

#[test]
fn the_page_is_self_contained() {
    let page = html(&machine()).unwrap();
    let alone = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for load in ["http:", "https:", "src=", "@import", "url(", "<link"] {
        assert!(!alone.contains(load), "{load}");
    }
    assert!(page.contains("prefers-color-scheme:dark"));
}

#[test]
fn every_colour_of_a_chart_follows_the_theme() {
    let page = html(&machine()).unwrap();
    let (head, body) = page.split_once("</style>").unwrap();
    for attribute in ["fill=\"", "stroke=\""] {
        for rest in body.split(&format!(" {attribute}")).skip(1) {
            let (value, _) = rest.split_once('"').unwrap();
            assert!(
                value == "none" || head.contains(&format!("[{attribute}{value}\"]")),
                "{attribute}{value}"
            );
        }
    }
}

#[test]
fn one_record_or_one_kind_is_enough() {
    for timed in [Timed::Prepare, Timed::Sequence, Timed::EndToEnd, Timed::Step, Timed::Tick] {
        let page = html(&[record("gru-b1-t1-i2-h3", timed, 1e-3)]).unwrap();
        assert!(page.contains("<h2>H200</h2>") && page.contains("<svg "), "{timed}");
        assert!(!page.contains("Side by side"));
    }
    assert!(html(&[]).is_err());
}

#[test]
fn a_load_is_shown_with_its_outcome() {
    let lost = Record { overloaded: Some(true), seconds: Some(0.0), ..load("gru-b2000-t1-i2-h3", 2e-3) };
    let page = html(&[load("gru-b1000-t1-i2-h3", 1e-3), lost]).unwrap();
    let words =
        ["Latency of a tick on H200", "1400 at 100 Hz", "100\u{a0}k frames/s", "0.100\u{a0}%, overloaded"];
    for words in words {
        assert!(page.contains(words), "{words}");
    }
}

#[test]
fn without_measurements_nothing_is_drawn() {
    let whole = record("a case of no size", Timed::Sequence, 1e-3);
    let bare = Record { peak_share: None, peak_gflops: None, peak_gbs: None, ..whole.clone() };
    let one = Record { peak_gbs: Some(1e3), ..bare.clone() };
    let other = Record { peak_gflops: Some(1e3), ..bare.clone() };
    for record in [bare.clone(), one, other] {
        assert!(html(&[record]).unwrap().contains("Roofline"));
    }
    let empty = Record { bytes: 0, gflops: 0.0, ..bare.clone() };
    assert!(html(&[empty]).unwrap().contains("No record has a time"));
    for value in [0.0, f64::NAN, f64::INFINITY, -1.0, 1e300, 1e-300] {
        let peaks = Record { peak_gflops: Some(value), peak_gbs: Some(value), ..bare.clone() };
        let times = Record { median_s: value, p05_s: value, p95_s: value, p99_s: value, ..bare.clone() };
        let step = Record { timed: Timed::Step, ..times.clone() };
        html(&[peaks, times, step]).unwrap();
    }
}

#[test]
fn noise_is_named_and_no_share_is_above_the_whole() {
    let fine = record("gru-b1-t1-i2-h3", Timed::Sequence, 1e-3);
    assert!(!html(std::slice::from_ref(&fine)).unwrap().contains("noisy:"));
    let noisy = Record { spread: 16.9, peak_share: Some(1.7), ..fine.clone() };
    let page = html(&[fine, noisy]).unwrap();
    assert!(page.contains("1 of 2 figures noisy: ") && page.contains("<td class=\"n\">noisy</td>"), "{page}");
    assert!(page.contains("\n≈ ") && !page.contains("1690") && !page.contains("170\u{a0}%"));
}

#[test]
fn curves_join_cases_that_differ_in_one_size() {
    let records = machine();
    let devices = lanes::devices(&records);
    let curve = |size| {
        let curves = lanes::scaling(&devices[0].lanes[0], size);
        let sizes = |points: &[(usize, &Record)]| points.iter().map(|&(size, _)| size).collect::<Vec<_>>();
        curves.iter().map(|curve| (curve.name.clone(), sizes(&curve.points))).collect::<Vec<_>>()
    };
    let batch = vec![("gru-b*-t100-i256-h256".to_owned(), vec![1, 4, 16, 64, 256])];
    assert_eq!(curve(lanes::Size::Batch), batch);
    let hidden = vec![("gru-b16-t100-i*-h*".to_owned(), vec![128, 256, 512, 1024])];
    assert_eq!(curve(lanes::Size::Hidden), hidden);
}
