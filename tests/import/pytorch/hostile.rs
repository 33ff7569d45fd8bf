//! Files that are corrupted, truncated or contradictory: one error, and no panic.

use wgru::import::PyTorch;
use wgru::{Error, ReadoutSteps};

use super::file::File;
use crate::common::onnx_file::of_file;

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    let bytes = File::stack(3, 1).bytes();
    for len in 0..bytes.len() {
        let error = PyTorch::new().parse("cut", &bytes[..len]).expect_err("it is not whole");
        assert!(matches!(&error, Error::Format { name, .. } if name == "cut"), "{len} bytes: {error}");
    }
    PyTorch::new().parse("whole", &bytes).expect("the whole file is fine");
    let error = PyTorch::new().parse("longer", &[&bytes[..], &[0]].concat()).expect_err("a byte too many");
    assert!(matches!(&error, Error::Format { .. }), "{error}");
}

#[test]
fn a_header_that_lies_about_its_length_is_refused() {
    let bytes = File::stack(3, 1).bytes();
    let header = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
    for length in [0, 1, header - 1, header + 1, bytes.len() as u64, 1 << 20, 1 << 40, u64::MAX - 7, u64::MAX]
    {
        let lying = [&length.to_le_bytes()[..], &bytes[8..]].concat();
        let error = PyTorch::new().parse("lying", &lying).expect_err("another length");
        assert!(matches!(&error, Error::Format { .. }), "length {length}: {error}");
    }
}

/// A file with a plain-text header and 72 bytes of data.
fn with_header(header: &str) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 72]].concat()
}

#[test]
fn a_header_that_lies_about_its_tensors_is_refused() {
    let tensor = |dtype: &str, shape: &str, offsets: &str| {
        let entry = format!(r#""dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}"#);
        with_header(&format!(r#"{{"weight_ih_l0":{{{entry}}}}}"#))
    };
    // A valid header: it is refused only because weight_hh is missing.
    let error = PyTorch::new().parse("whole", &tensor("F32", "[9,2]", "[0,72]")).expect_err("one tensor");
    assert!(matches!(&error, Error::MissingTensor { name, .. } if name == "weight_hh_l0"), "{error}");
    for (dtype, shape, offsets) in [
        ("F32", "[9,2]", "[0,76]"),
        ("F32", "[9,2]", "[4,76]"),
        ("F32", "[9,2]", "[72,0]"),
        ("F32", "[9,2]", "[0,36]"),
        ("F32", "[9,2]", "[1000000,1000072]"),
        ("F32", "[9,2]", "[0,18446744073709551615]"),
        ("F32", "[9,2]", "[18446744073709551615,71]"),
        ("F32", "[9,3]", "[0,72]"),
        ("F32", "[4611686018427387904,4]", "[0,72]"),
        ("F32", "[18446744073709551615,18446744073709551615]", "[0,72]"),
        ("F32", "[4611686018427387922]", "[0,72]"),
        ("F32", "[-9,-2]", "[0,72]"),
        ("F32", "[9.0,2]", "[0,72]"),
        ("F32", "null", "[0,72]"),
        ("F128", "[9,2]", "[0,72]"),
        ("F64", "[9,2]", "[0,72]"),
    ] {
        let result = PyTorch::new().parse("lying", &tensor(dtype, shape, offsets));
        let error = result.expect_err("a lie").to_string();
        assert!(error.starts_with("lying: not a readable"), "{dtype} {shape} {offsets}: {error}");
    }
    for header in ["", "{", "{}", "[]", "null", "\"weight_ih_l0\"", "{\"weight_ih_l0\":1}", "\u{0}", "{}{}"] {
        let error = PyTorch::new().parse("odd", &with_header(header)).expect_err("no tensors");
        assert!(matches!(&error, Error::Format { .. } | Error::Ambiguous { .. }), "{header}: {error}");
    }
    let deep = "[".repeat(100_000);
    PyTorch::new().parse("deep", &with_header(&deep)).expect_err("a hundred thousand brackets");
}

/// Small files of every kind that is read, by name.
fn kinds() -> [(&'static str, File); 6] {
    let mut plain = File::stack(3, 2);
    plain.metadata.insert("k".into(), "v".into());
    let form = |tensors: &[(&str, &[usize])]| {
        let mut file = File::default();
        tensors.iter().for_each(|(name, shape)| {
            file.f32(name, shape);
        });
        file
    };
    let weight_norm = form(&[
        ("weight_ih_l0_v", &[12, 2]),
        ("weight_ih_l0_g", &[12, 1]),
        ("parametrizations.weight_hh_l0.original0", &[1, 3]),
        ("parametrizations.weight_hh_l0.original1", &[12, 3]),
    ]);
    let spectral_norm = form(&[
        ("m.weight_ih_orig", &[3, 2]),
        ("m.weight_ih_u", &[3]),
        ("m.weight_ih_v", &[2]),
        ("m.parametrizations.weight_hh.original", &[3, 3]),
        ("m.parametrizations.weight_hh.0._u", &[3]),
        ("m.parametrizations.weight_hh.0._v", &[3]),
    ]);
    let pruned =
        form(&[("weight_ih_l0", &[9, 2]), ("weight_hh_l0_orig", &[9, 3]), ("weight_hh_l0_mask", &[9, 3])]);
    let cell =
        form(&[("module.weight_ih", &[12, 2]), ("module.weight_hh", &[12, 3]), ("module.bias", &[12])]);
    let wrapped = form(&[("a._orig_mod.weight_ih_l0", &[9, 2]), ("a._orig_mod.weight_hh_l0", &[9, 3])]);
    let kinds = [
        ("plain", plain),
        ("weight_norm", weight_norm),
        ("spectral_norm", spectral_norm),
        ("pruned", pruned),
        ("cell", cell),
        ("wrapped", wrapped),
    ];
    kinds.map(|(kind, mut file)| {
        file.f32("model.head.weight", &[2, 3]);
        (kind, file)
    })
}

#[test]
fn flipped_bytes_give_a_model_or_an_error() {
    let how = PyTorch::new().readout("head", ReadoutSteps::Every);
    let mut rng = crate::common::seed::Random::new();
    for (kind, file) in kinds() {
        let bytes = file.bytes();
        how.parse("whole", &bytes).unwrap_or_else(|error| panic!("{kind}, as it is: {error}"));
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
        let (mut read, mut refused) = (0, 0);
        for round in 0..3000 {
            let mut broken = bytes.clone();
            // Two thirds of the rounds corrupt the header alone, where there is more to misread.
            let end = if round % 3 == 0 { bytes.len() } else { header };
            for _ in 0..rng.usize(1..=4) {
                broken[rng.usize(..end)] = rng.u8(..);
            }
            match how.parse("flipped", &broken) {
                Ok(_) => read += 1,
                Err(error) => {
                    assert!((1..=2048).contains(&error.to_string().len()), "{kind}: {error}");
                    of_file(error);
                    refused += 1;
                }
            }
        }
        assert!(read > 0 && refused > 500, "{kind}: {read} read, {refused} refused: the flips reach nothing");
    }
}

#[test]
fn an_empty_file_is_refused() {
    for bytes in [&[][..], &[0; 7], &[0; 8], &[0; 9], &[0xff; 64]] {
        let error = PyTorch::new().parse("empty", bytes).expect_err("nothing in it");
        assert!(matches!(&error, Error::Format { .. }), "{} bytes: {error}", bytes.len());
    }
}
