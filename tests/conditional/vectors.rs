//! Public conformance vectors: 196 cases from nine third-party suites, on the reference, the CPU path and every
//! adapter, each within the bound of its own suite.

mod keras;
mod onnx;
mod operator;
mod suite;
mod torch;
mod webnn;

use libtest_mimic::Trial;

use suite::{FILES, Suite};

use crate::trial;

/// A name, its file and its runner.
type Test = (&'static str, &'static str, fn(Suite));

pub fn trials() -> Vec<Trial> {
    let suites: [Test; 10] = [
        ("keras_layer_tests", "keras_rnn.json", keras::keras_layer_tests),
        ("onnx_node_tests", "onnx_node_rnn_1.23.2.json", onnx::onnx_node_tests),
        ("onnx_runtime", "ort_gru.json", onnx::onnx_runtime),
        ("ngraph", "ngraph_lstm.json", onnx::ngraph),
        ("pytorch_in_other_crates", "torch_convention_from_rust_tests.json", torch::pytorch_in_other_crates),
        ("whole_pytorch_stacks", "rtneural_torch_models.json", torch::whole_pytorch_stacks),
        ("web_platform_tests", "wpt_webnn_rnn.json", webnn::web_platform_tests),
        ("webnn_polyfill", "webnn_polyfill_gru.json", webnn::webnn_polyfill),
        ("webnn_baseline", "webnn_baseline_rnn.json", webnn::webnn_baseline),
        ("webnn_baseline_in_f64", "webnn_baseline_rnn.json", webnn::webnn_baseline_in_f64),
    ];
    let trials = suites.map(|(name, file, test)| {
        trial(&format!("published::vectors::{name}"), move || Suite::open(file), test)
    });
    // Every file belongs to one suite at least, and all of them hold as many cases as stated above.
    assert!(FILES.iter().all(|(file, _)| suites.iter().any(|(_, of, _)| of == file)));
    assert_eq!(FILES.iter().map(|(_, count)| count).sum::<usize>(), 196);
    trials.into()
}
