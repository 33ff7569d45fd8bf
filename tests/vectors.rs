//! Public conformance vectors: 196 cases from nine suites of others, on the reference, the CPU path and every
//! adapter, each within the bound that its own suite sets. They lie beside the repository, in `../shared/vectors`,
//! with a README of their own; where they are absent this says so.

mod common;

#[path = "onnx/file.rs"]
#[allow(dead_code, reason = "each suite uses a part")]
mod file;
#[path = "vectors/keras.rs"]
mod keras;
#[path = "vectors/onnx.rs"]
mod onnx;
#[path = "vectors/operator.rs"]
mod operator;
#[path = "vectors/suite.rs"]
mod suite;
#[path = "vectors/torch.rs"]
mod torch;
#[path = "vectors/webnn.rs"]
mod webnn;

use suite::{FILES, Suite};

#[test]
fn the_files_hold_196_cases() {
    assert_eq!(FILES.iter().map(|(_, count)| count).sum::<usize>(), 196);
    for (file, count) in FILES {
        let Some(suite) = Suite::open(file) else { return };
        assert_eq!(suite.cases.len(), count, "{file}");
    }
}
