//! The example that polishes genomes: its network with random weights of the same shape, and the text that it writes.

use std::collections::HashMap;

use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};
use wgru::{Batch, Options, ReadoutActivation, reference};

use crate::common::{Draw, assert_close, bits, devices};
use crate::network::{SYMBOLS, Windows, consensus, importer, scores, symbols};

/// Features, H and outputs of the published network.
const INPUT: usize = 10;
const HIDDEN: usize = 128;
const OUTPUTS: usize = SYMBOLS.len();

fn file(arrays: &[(String, Vec<usize>, Vec<f32>)]) -> Vec<u8> {
    let bytes: HashMap<&str, Vec<u8>> = arrays
        .iter()
        .map(|(name, _, data)| (&name[..], data.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let view =
        |name: &str, shape: &[usize]| TensorView::new(Dtype::F32, shape.to_vec(), &bytes[name]).unwrap();
    serialize(arrays.iter().map(|(name, shape, _)| (name, view(name, shape))), None).unwrap()
}

/// Weights by their names in medaka.
fn weights(draw: &mut Draw) -> Vec<u8> {
    let mut all = Vec::new();
    let mut add = |name: String, shape: &[usize]| {
        all.push((name, shape.to_vec(), draw.values(shape.iter().product(), 0.15)));
    };
    for (layer, input) in [(0, INPUT), (1, 2 * HIDDEN)] {
        for end in ["", "_reverse"] {
            add(format!("gru.weight_ih_l{layer}{end}"), &[3 * HIDDEN, input]);
            add(format!("gru.weight_hh_l{layer}{end}"), &[3 * HIDDEN, HIDDEN]);
            add(format!("gru.bias_ih_l{layer}{end}"), &[3 * HIDDEN]);
            add(format!("gru.bias_hh_l{layer}{end}"), &[3 * HIDDEN]);
        }
    }
    add("linear.weight".into(), &[OUTPUTS, 2 * HIDDEN]);
    add("linear.bias".into(), &[OUTPUTS]);
    file(&all)
}

#[test]
fn windows_have_the_scores_of_the_reference_in_batches_of_any_size() {
    let mut draw = Draw::new();
    let weights = weights(&mut draw);
    let model = importer(ReadoutActivation::Softmax).parse("weights", &weights).unwrap().model;
    let (count, columns) = (3, 29);
    let features = draw.values(count * columns * INPUT, 1.0);
    let windows = file(&[("features".into(), vec![count, columns, INPUT], features)]);
    let windows = Windows::parse(&windows).unwrap();
    assert_eq!(windows.shape, [count, columns, INPUT]);
    let whole = Batch::new(&windows.features, windows.shape).unwrap();
    let truth = reference::run(&model, &whole).unwrap();
    let expected = truth.out.as_ref().unwrap();
    for device in devices() {
        let context = format!("{}, seed {}", device.info(), draw.seed);
        let engine = device.load_with(&model, Options::default().fill_nan(true)).unwrap();
        assert_close(&model, &whole, &engine.run(&whole).unwrap(), &context);
        let all = scores(&engine, &windows, count).unwrap();
        assert_eq!(bits(&scores(&engine, &windows, 2).unwrap()), bits(&all), "{context}");
        for ((symbol, _), exact) in symbols(&all).zip(expected.chunks_exact(OUTPUTS)) {
            let most = exact.iter().copied().fold(0.0, f64::max);
            assert!(most - exact[symbol] < 1e-4, "{context}: symbol {symbol} of {exact:?}");
        }
    }
}

#[test]
fn a_consensus_has_bases_without_gaps_and_their_qualities() {
    let columns = [
        [0.9, 0.1, 0.0, 0.0, 0.0],
        [0.0, 0.999, 0.001, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 1.0],
        [0.1, 0.2, 0.5, 0.2, 0.0],
    ];
    assert_eq!(consensus(columns.as_flattened()), ["ATC", "?]$"]);
    assert_eq!(consensus(&[]), ["", ""]);
}

#[test]
fn other_files_are_refused_by_name() {
    let refused = |bytes: &[u8]| Windows::parse(bytes).map(|_| ()).unwrap_err().to_string();
    assert!(refused(&file(&[("x".into(), vec![1, 2, 10], vec![0.0; 20])])).contains("features"));
    assert!(refused(&file(&[("features".into(), vec![2, 10], vec![0.0; 20])])).contains("[N, T, I]"));
    assert!(!refused(b"none").is_empty());
}
