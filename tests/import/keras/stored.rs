//! The storage types of an array in HDF5: every float type in both byte orders is read, every other type is refused
//! with its description; and the depth limit of groups.

use serde_json::json;
use wgru::Error;
use wgru::import::Keras;

use super::hdf5::{Group, float};

/// Numbers that every 16-bit float can represent. Some are other numbers, but no NaN, with their bytes reversed.
const NUMBERS: [f32; 6] = [1.0, -2.0, 0.5, -0.15625, 96.0, 0.0];

/// A file of Keras 2 with one plain recurrent layer of 2 units on 3 features whose kernel is of the type `kind`.
fn root(kind: &[u8], bytes: Vec<u8>) -> Group {
    let layer = json!({"class_name": "SimpleRNN", "config": {
        "name": "rec", "units": 2, "activation": "tanh", "use_bias": false, "return_sequences": true,
    }});
    let config = json!({"class_name": "Sequential", "config": {"name": "outer", "layers": [layer]}});
    let mut root = Group::default();
    root.text("keras_version", "2.4.0").text("model_config", &config.to_string());
    let weights = root.at("model_weights").list("layer_names", &["rec".into()]).at("rec");
    weights.typed("rec/kernel:0", &[3, 2], kind, bytes);
    weights.array("rec/recurrent_kernel:0", &[2, 2], &[1.0; 4]);
    weights.list("weight_names", &["rec/kernel:0".into(), "rec/recurrent_kernel:0".into()]);
    root
}

const KERNEL: &str = "model_weights/rec/rec/kernel:0";

/// The layer's w_ih, `[2, 3]`.
fn w_ih(root: &Group) -> Result<Vec<f32>, Error> {
    let model = Keras::new().parse("stored.h5", &root.file())?.model;
    Ok(model.layers()[0].weights()[0].w_ih.clone())
}

/// [`NUMBERS`] `[3, 2]` in the order of w_ih, `[2, 3]`.
fn turned() -> Vec<f32> {
    [0, 2, 4, 1, 3, 5].map(|at| NUMBERS[at]).to_vec()
}

#[test]
fn every_float_is_read_in_both_orders_of_bytes() {
    let f16: Vec<u8> = NUMBERS.iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes()).collect();
    let bf16: Vec<u8> = NUMBERS.iter().flat_map(|&v| half::bf16::from_f32(v).to_le_bytes()).collect();
    let f32s: Vec<u8> = NUMBERS.iter().flat_map(|v| v.to_le_bytes()).collect();
    let f64s: Vec<u8> = NUMBERS.iter().flat_map(|&v| f64::from(v).to_le_bytes()).collect();
    for (width, exponent, bytes) in [(16, 5, f16), (16, 8, bf16.clone()), (32, 8, f32s), (64, 11, f64s)] {
        let mut kind = float(width, exponent);
        assert_eq!(
            w_ih(&root(&kind, bytes.clone())).expect("little-endian"),
            turned(),
            "{width}, {exponent}"
        );
        let mut turned_bytes = bytes;
        turned_bytes.chunks_exact_mut(usize::from(width / 8)).for_each(<[u8]>::reverse);
        kind[1] |= 1;
        assert_eq!(w_ih(&root(&kind, turned_bytes)).expect("big-endian"), turned(), "{width}, {exponent}");
    }
    // Keras writes bfloat16 as two opaque bytes, with the type's name in an attribute of the array.
    let opaque = [0x15, 0, 0, 0, 2, 0, 0, 0];
    let mut told = root(&opaque, bf16.clone());
    told.told(KERNEL, "dtype", "bfloat16");
    assert_eq!(w_ih(&told).expect("bfloat16"), turned());
    let mut other = root(&opaque, bf16);
    other.told(KERNEL, "dtype", "float16");
    let error = w_ih(&other).expect_err("another word").to_string();
    assert!(error.contains("stored as 2 bytes without a meaning"), "{error}");
}

#[test]
fn other_types_are_refused_in_words() {
    let integers = |flags: u8, size: u8| vec![0x10, flags, 0, 0, size, 0, 0, 0, 0, 0, 8 * size, 0];
    let f32_type = || float(32, 8);
    let enumeration =
        [&[0x18, 2, 0, 0, 1, 0, 0, 0][..], &integers(8, 1), b"FALSE\0\0\0", b"TRUE\0\0\0\0", &[0, 1]]
            .concat();
    let changed = |at: usize, byte: u8| {
        let mut kind = f32_type();
        kind[at] = byte;
        kind
    };
    let odd = |bits: u8| format!("floats of {bits} bits that are not IEEE 754");
    let mut vax = float(32, 8);
    vax[1] |= 0x41;
    for (kind, size, words) in [
        (integers(8, 4), 4, "integers of 32 bits".into()),
        (integers(0, 1), 1, "unsigned integers of 8 bits".into()),
        (integers(9, 8), 8, "integers of 64 bits".into()),
        (vec![0x13, 0, 0, 0, 5, 0, 0, 0], 5, "texts or lists".into()),
        ([&[0x19, 0, 0, 0, 16, 0, 0, 0][..], &f32_type()].concat(), 16, "texts or lists".into()),
        (vec![0x14, 0, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0], 1, "bits".into()),
        (vec![0x15, 0, 0, 0, 7, 0, 0, 0], 7, "7 bytes without a meaning".into()),
        (vec![0x17, 0, 0, 0, 8, 0, 0, 0], 8, "references".into()),
        (enumeration, 1, "an enumeration or booleans".into()),
        ([&[0x3a, 0, 0, 0, 8, 0, 0, 0, 1, 2, 0, 0, 0][..], &f32_type()].concat(), 8, "records".into()),
        ([&[0x36, 1, 0, 0, 4, 0, 0, 0][..], b"re\0", &[0], &f32_type()].concat(), 4, "records".into()),
        // As wide as a supported float: the order of VAX, another bias, no implied 1, the sign elsewhere, other
        // widths.
        (vax, 4, odd(32)),
        (changed(16, 129), 4, odd(32)),
        (changed(1, 0), 4, odd(32)),
        (changed(2, 30), 4, odd(32)),
        (changed(10, 24), 4, odd(32)),
        (changed(12, 24), 4, odd(32)),
        (float(16, 6), 2, odd(16)),
        (float(8, 4), 1, odd(8)),
        (float(128, 15), 16, odd(128)),
    ] {
        let error = w_ih(&root(&kind, vec![0; 6 * size])).expect_err(&words).to_string();
        let expected = format!("{KERNEL}: stored as {words}, expected IEEE floats of 16, 32 or 64 bits");
        assert_eq!(error, expected);
    }
    let bytes = root(&[0x15, 0, 0, 0, 2, 0, 0, 0], vec![0; 12]);
    let error = w_ih(&bytes).expect_err("what are they?").to_string();
    assert!(error.contains("2 bytes without a meaning (bfloat16 in .h5"), "{error}");
}

#[test]
fn groups_are_read_to_a_depth() {
    let whole: Vec<u8> = NUMBERS.iter().flat_map(|v| v.to_le_bytes()).collect();
    let nested = |depth: usize| {
        let mut root = root(&float(32, 8), whole.clone());
        root.at(&"a/".repeat(depth));
        w_ih(&root)
    };
    assert_eq!(nested(64).expect("as deep as can be"), turned());
    let error = nested(65).expect_err("too deep").to_string();
    assert_eq!(error, "stored.h5: groups are nested deeper than 64");
}
