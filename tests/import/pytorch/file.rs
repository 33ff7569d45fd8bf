//! Safetensors files being written.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, TensorView, serialize};
use wgru::import::PyTorch;
use wgru::{Error, Imported};

use crate::common::onnx_file::of_file;

/// One tensor of a file.
#[derive(Clone)]
pub struct Tensor {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

/// A safetensors file being written.
#[derive(Clone, Default)]
pub struct File {
    pub tensors: Vec<(String, Tensor)>,
    pub metadata: HashMap<String, String>,
}

/// Element `i` of a tensor of `len`: small, different, and exact in f16, bf16, f32 and f64.
pub fn value(i: usize) -> f32 {
    (i % 17) as f32 / 16.0 - 0.5
}

impl File {
    /// Sets a tensor, replacing an earlier one of its name.
    pub fn set(&mut self, name: &str, tensor: Tensor) -> &mut Self {
        self.tensors.retain(|(other, _)| other != name);
        self.tensors.push((name.into(), tensor));
        self
    }

    pub fn f32(&mut self, name: &str, shape: &[usize]) -> &mut Self {
        let data: Vec<f32> = (0..shape.iter().product()).map(value).collect();
        self.data(name, shape, &data)
    }

    pub fn data(&mut self, name: &str, shape: &[usize], data: &[f32]) -> &mut Self {
        let bytes = data.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.set(name, Tensor { dtype: Dtype::F32, shape: shape.to_vec(), bytes })
    }

    pub fn without(&self, name: &str) -> Self {
        let mut file = self.clone();
        file.tensors.retain(|(other, _)| other != name);
        assert!(file.tensors.len() < self.tensors.len(), "there is no {name} to leave out");
        file
    }

    /// One direction of one layer; `rows` is G·H.
    pub fn layer(&mut self, prefix: &str, end: &str, rows: usize, input: usize, hidden: usize) -> &mut Self {
        self.f32(&format!("{prefix}weight_ih_{end}"), &[rows, input])
            .f32(&format!("{prefix}weight_hh_{end}"), &[rows, hidden])
            .f32(&format!("{prefix}bias_ih_{end}"), &[rows])
            .f32(&format!("{prefix}bias_hh_{end}"), &[rows])
    }

    /// A stack of `gates`, I = 2 and H = 3.
    pub fn stack(gates: usize, layers: usize) -> Self {
        let mut file = Self::default();
        for index in 0..layers {
            file.layer("", &format!("l{index}"), gates * 3, if index == 0 { 2 } else { 3 }, 3);
        }
        file
    }

    pub fn bytes(&self) -> Vec<u8> {
        let views = self.tensors.iter().map(|(name, tensor)| {
            let view = TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.bytes);
            (name, view.expect("the bytes fit the shape"))
        });
        serialize(views, Some(self.metadata.clone())).expect("a file can be made")
    }

    pub fn read(&self) -> Result<Imported, Error> {
        self.read_with(&PyTorch::new())
    }

    pub fn read_with(&self, how: &PyTorch) -> Result<Imported, Error> {
        how.parse("test.safetensors", &self.bytes())
    }

    /// The error, and that it can be printed.
    pub fn refused(&self) -> Error {
        self.refused_with(&PyTorch::new())
    }

    pub fn refused_with(&self, how: &PyTorch) -> Error {
        let error = self.read_with(how).expect_err("it must be refused");
        of_file(error)
    }
}

/// Asserts that an error says that this tensor is missing, and that it lists those that exist.
#[track_caller]
pub fn assert_missing(error: &Error, missing: &str) {
    let Error::MissingTensor { name, source, found } = error else { panic!("{error}") };
    assert_eq!((name.as_str(), source.as_str()), (missing, "test.safetensors"));
    assert!(!found.is_empty() && error.to_string().contains(&found[0]), "{error}");
}

pub fn shape(name: &str, expected: &[usize], got: &[usize]) -> String {
    fields(Error::Shape { name: name.into(), expected: expected.to_vec(), got: got.to_vec() })
}

/// Variant and fields, to be compared.
pub fn fields(error: Error) -> String {
    format!("{error:?}")
}
