//! Shapes and values of single tensors: the supported ones, and the messages of refusals.

use safetensors::tensor::Dtype;
use wgru::import::PyTorch;
use wgru::{Cell, Error};

use super::file::{File, Tensor, fields, shape, value};

#[test]
fn a_wrong_shape_is_named_with_its_numbers() {
    for (name, got, expected) in [
        ("weight_ih_l0", &[8, 2][..], &[9, 2][..]),
        ("weight_ih_l0", &[9, 2, 1], &[9, 1]),
        ("weight_ih_l0", &[18], &[9, 18]),
        ("bias_ih_l0", &[8], &[9]),
        ("bias_hh_l0", &[9, 1], &[9]),
        ("bias_hh_l0", &[], &[9]),
        ("weight_ih_l1", &[12, 3], &[9, 3]),
        ("weight_hh_l1", &[12, 3], &[9, 3]),
    ] {
        assert_eq!(fields(File::stack(3, 2).f32(name, got).refused()), shape(name, expected, got));
    }
    // H of a layer is read from its weight_hh, so another H shows at the first tensor that contradicts it.
    let error = File::stack(3, 2).f32("weight_hh_l1", &[9, 4]).refused();
    assert_eq!(fields(error), shape("weight_ih_l1", &[12, 3], &[9, 3]));
    for got in [&[27][..], &[9, 3, 1], &[]] {
        let error = File::stack(3, 1).f32("weight_hh_l0", got).refused();
        assert!(matches!(&error, Error::Format { name, .. } if name == "weight_hh_l0"), "{error}");
        assert!(error.to_string().contains(&format!("{got:?}")), "{error}");
    }
}

#[test]
fn sizes_of_zero_are_refused() {
    for cell in [None, Some(Cell::GRU)] {
        let how = cell.map_or_else(PyTorch::new, |cell| PyTorch::new().cell(cell));
        let error = File::default().layer("", "l0", 0, 2, 0).refused_with(&how);
        assert!(matches!(&error, Error::Zero { name } if name.contains("weight_hh_l0")), "{error}");
        let error = File::default().layer("", "l0", 9, 0, 3).refused_with(&how);
        assert!(matches!(&error, Error::Zero { name } if name.contains("input")), "{error}");
    }
    let error = File::default().layer("", "l0", 0, 2, 3).refused();
    assert!(matches!(&error, Error::Format { .. }), "{error}");
}

#[test]
fn weights_that_are_not_finite_are_named_with_their_place() {
    for (bad, index) in [(f32::NAN, 0), (f32::INFINITY, 7), (f32::NEG_INFINITY, 17)] {
        let mut data: Vec<f32> = (0..18).map(value).collect();
        data[index] = bad;
        let error = File::stack(3, 1).data("weight_ih_l0", &[9, 2], &data).refused();
        let Error::NotFinite { name, index: at, value, .. } = &error else { panic!("{error}") };
        assert_eq!((name.as_str(), *at, value.to_bits()), ("weight_ih_l0", index, bad.to_bits()));
    }
    // Finite as f64, infinite as f32.
    let bytes = [1e300f64; 9].iter().flat_map(|v| v.to_le_bytes()).collect();
    let large = Tensor { dtype: Dtype::F64, shape: vec![9], bytes };
    let error = File::stack(3, 1).set("bias_ih_l0", large).refused();
    assert!(matches!(&error, Error::NotFinite { name, index: 0, .. } if name == "bias_ih_l0"), "{error}");
}

/// 1, −2 and 0.5 in every storage type, by hand.
#[test]
fn floats_of_every_width_are_read() {
    let f64s = [1.0f64, -2.0, 0.5].iter().flat_map(|v| v.to_le_bytes()).collect();
    for (dtype, bytes) in [
        (Dtype::F16, vec![0x00, 0x3c, 0x00, 0xc0, 0x00, 0x38]),
        (Dtype::BF16, vec![0x80, 0x3f, 0x00, 0xc0, 0x00, 0x3f]),
        (Dtype::F64, f64s),
    ] {
        let bias = Tensor { dtype, shape: vec![3], bytes };
        let model = File::stack(1, 1).set("bias_ih_l0", bias).read().expect("a float").model;
        assert_eq!(model.layers()[0].weights()[0].b_ih, Some(vec![1.0, -2.0, 0.5]), "{dtype:?}");
    }
}

#[test]
fn integers_are_no_weights() {
    for (dtype, width) in [(Dtype::I8, 1), (Dtype::U8, 1), (Dtype::I32, 4), (Dtype::I64, 8), (Dtype::BOOL, 1)]
    {
        let bias = Tensor { dtype, shape: vec![9], bytes: vec![0; 9 * width] };
        let error = File::stack(3, 1).set("bias_ih_l0", bias).refused();
        assert!(matches!(&error, Error::Format { name, .. } if name == "bias_ih_l0"), "{error}");
        assert!(error.to_string().contains(&format!("{dtype:?}")), "{error}");
    }
}
