//! Input files in all supported variants: numbers of every type, compressed, extensions in capitals, arbitrary
//! padding.

use std::fs;
use std::io::Write;

use crate::common::{Folder, model, npy, npz, stderr, values};
use ndarray_npy::ReadNpyExt;
use safetensors::tensor::{Dtype, TensorView};

/// A GRU of I = 2, H = 4, and x `[2, 3, 2]` of small integers, which every type can represent.
fn folder(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("m.safetensors", model(3, 2, 4)).write("x.npy", npy(&[2, 3, 2], &whole()));
    folder
}

fn whole() -> Vec<f32> {
    (0..12).map(|i| ((i * 5) % 8) as f32).collect()
}

/// y of a run, and its output on stderr.
fn y(folder: &Folder, model: &str, input: &str, options: &[&str]) -> (Vec<u8>, String) {
    let run = ["run", model, "--input", input, "--device", "cpu", "--verify", "--output", "y.npz"];
    let output = folder.wgru(&[&run[..], options].concat());
    assert!(output.status.success(), "{input} {options:?}: {}", stderr(&output));
    (fs::read(folder.path().join("y.npz")).unwrap(), stderr(&output))
}

/// An `.npy` of `descr`, version 1.0.
fn npy_of(descr: &str, fortran: bool, shape: &[usize], data: &[u8]) -> Vec<u8> {
    let shape: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let order = if fortran { "True" } else { "False" };
    let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({shape}), }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(data);
    bytes
}

/// A small integer as a 16-bit float.
fn half(value: f32, mantissa: u32, bias: u32) -> [u8; 2] {
    let bits = value.to_bits();
    let (exponent, fraction) = (bits >> 23 & 0xff, bits & 0x7f_ffff);
    let word = if bits == 0 { 0 } else { (exponent + bias - 127) << mantissa | fraction >> (23 - mantissa) };
    (word as u16).to_le_bytes()
}

/// A type's name, its safetensors dtype, its NumPy descriptor, and a number in its bytes.
type Stored = (&'static str, Option<Dtype>, Option<&'static str>, fn(f32) -> Vec<u8>);

const TYPES: [Stored; 13] = [
    ("float16", Some(Dtype::F16), Some("<f2"), |v| half(v, 10, 15).to_vec()),
    ("bfloat16", Some(Dtype::BF16), Some("<V2"), |v| half(v, 7, 127).to_vec()),
    ("float64", Some(Dtype::F64), Some("<f8"), |v| f64::from(v).to_le_bytes().to_vec()),
    ("float64", None, Some(">f8"), |v| f64::from(v).to_be_bytes().to_vec()),
    ("float16", None, Some(">f2"), |v| half(v, 10, 15).into_iter().rev().collect()),
    ("int8", Some(Dtype::I8), Some("|i1"), |v| (v as i8).to_le_bytes().to_vec()),
    ("uint8", Some(Dtype::U8), Some("|u1"), |v| (v as u8).to_le_bytes().to_vec()),
    ("int16", Some(Dtype::I16), Some("<i2"), |v| (v as i16).to_le_bytes().to_vec()),
    ("uint16", Some(Dtype::U16), Some(">u2"), |v| (v as u16).to_le_bytes().to_vec()),
    ("int32", Some(Dtype::I32), Some("<i4"), |v| (v as i32).to_le_bytes().to_vec()),
    ("uint32", Some(Dtype::U32), Some("<u4"), |v| (v as u32).to_le_bytes().to_vec()),
    ("int64", Some(Dtype::I64), Some("<i8"), |v| (v as i64).to_le_bytes().to_vec()),
    ("uint64", Some(Dtype::U64), Some("<u8"), |v| (v as u64).to_le_bytes().to_vec()),
];

#[test]
fn x_of_every_type_gives_the_same_numbers_with_a_message() {
    let folder = folder("types");
    let (expected, said) = y(&folder, "m.safetensors", "x.npy", &[]);
    assert_eq!(said, "");
    for (name, dtype, descr, of) in TYPES {
        if let Some(descr) = descr {
            // Big-endian numbers are reversed unless the type's own function did it.
            let bytes = whole().into_iter().flat_map(|v| {
                let bytes = of(v);
                if descr == ">u2" { bytes.into_iter().rev().collect() } else { bytes }
            });
            let file = npy_of(descr, false, &[2, 3, 2], &bytes.collect::<Vec<u8>>());
            folder.write("in.npy", &file).write("in.npz", npz(&[("x", file)]));
            for input in ["in.npy", "in.npz"] {
                let (got, said) = y(&folder, "m.safetensors", input, &[]);
                assert!(got == expected, "{descr} in {input}");
                let how = if name == "float64" { "rounded" } else { "converted" };
                assert_eq!(said, format!("wgru: x: {name} {how} to float32\n"));
            }
        }
        if let Some(dtype) = dtype {
            let bytes: Vec<u8> = whole().into_iter().flat_map(of).collect();
            let view = TensorView::new(dtype, vec![2, 3, 2], &bytes).unwrap();
            folder.write("in.safetensors", safetensors::serialize([("x", view)], None).unwrap());
            let (got, said) = y(&folder, "m.safetensors", "in.safetensors", &[]);
            assert!(got == expected && said.contains(name), "{name}: {said}");
        }
    }
}

#[test]
fn other_orders_of_memory_and_0_and_1_are_read() {
    let folder = folder("orders");
    let bits: Vec<f32> = whole().iter().map(|v| (v % 2.0).floor()).collect();
    folder.write("bits.npy", npy(&[2, 3, 2], &bits));
    let (expected, _) = y(&folder, "m.safetensors", "bits.npy", &[]);
    let bytes: Vec<u8> = bits.iter().map(|&v| v as u8).collect();
    folder.write("bool.npy", npy_of("|b1", false, &[2, 3, 2], &bytes));
    assert!(y(&folder, "m.safetensors", "bool.npy", &[]).0 == expected);
    let x = whole();
    let mut turned = Vec::new();
    for i in 0..2 {
        for t in 0..3 {
            turned.extend((0..2).flat_map(|b| x[(b * 3 + t) * 2 + i].to_le_bytes()));
        }
    }
    folder.write("turned.npy", npy_of("<f4", true, &[2, 3, 2], &turned));
    let (expected, _) = y(&folder, "m.safetensors", "x.npy", &[]);
    assert!(y(&folder, "m.safetensors", "turned.npy", &[]).0 == expected);
}

/// Integers that f32 cannot represent are rounded with a message; as lengths they are refused.
#[test]
fn integers_that_f32_rounds_are_reported() {
    let folder = folder("inexact");
    let large: Vec<u8> = (0..12).flat_map(|i| ((1i64 << 24) + i).to_le_bytes()).collect();
    folder.write("large.npy", npy_of("<i8", false, &[2, 3, 2], &large));
    assert_eq!(y(&folder, "m.safetensors", "large.npy", &[]).1, "wgru: x: int64 rounded to float32\n");
    let lengths: Vec<u8> = [3i64, (1 << 24) + 1].iter().flat_map(|v| v.to_le_bytes()).collect();
    let members = [("x", npy(&[2, 3, 2], &whole())), ("lengths", npy_of("<i8", false, &[2], &lengths))];
    folder.write("lengths.npz", npz(&members));
    let output = folder.wgru(&["run", "m.safetensors", "--input", "lengths.npz", "--device", "cpu"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("lengths"), "{}", stderr(&output));
    let beyond: Vec<u8> = (0..12).flat_map(|i| [1.0f64, 1e300][usize::from(i == 7)].to_le_bytes()).collect();
    folder.write("beyond.npy", npy_of("<f8", false, &[2, 3, 2], &beyond));
    let output = folder.wgru(&["run", "m.safetensors", "--input", "beyond.npy", "--device", "cpu"]);
    assert_eq!(output.status.code(), Some(2));
    for words in ["1 number beyond its range", "element [1, 0, 1] of [2, 3, 2] is inf"] {
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn compressed_files_are_read() {
    let folder = folder("gz");
    let (expected, _) = y(&folder, "m.safetensors", "x.npy", &[]);
    let file = gzipped(&npy(&[2, 3, 2], &whole()));
    folder.write("x.npy.gz", &file).write("X.NPY.GZ", &file);
    for input in ["x.npy.gz", "X.NPY.GZ"] {
        assert!(y(&folder, "m.safetensors", input, &[]).0 == expected);
    }
    let csv = "a,b\n1,2\n3,4\n";
    // Two members, one after the other, as `cat` of two files gives them.
    let members = [gzipped(&csv.as_bytes()[..9]), gzipped(&csv.as_bytes()[9..])].concat();
    folder.write("in.csv", csv).write("in.csv.gz", members);
    let plain = y(&folder, "m.safetensors", "in.csv", &[]).0;
    assert!(y(&folder, "m.safetensors", "in.csv.gz", &[]).0 == plain);
    folder.write("short.npy.gz", &file[..file.len() - 9]);
    let output = folder.wgru(&["run", "m.safetensors", "--input", "short.npy.gz"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("cannot be unpacked"), "{}", stderr(&output));
}

#[test]
fn extensions_may_be_in_capitals() {
    let folder = folder("capitals");
    let (expected, _) = y(&folder, "m.safetensors", "x.npy", &[]);
    let bytes = |name: &str| fs::read(folder.path().join(name)).unwrap();
    folder.write("M.SafeTensors", bytes("m.safetensors")).write("X.NPY", bytes("x.npy"));
    assert!(y(&folder, "M.SafeTensors", "X.NPY", &[]).0 == expected);
    folder.write("X.NPZ", npz(&[("x", bytes("x.npy"))]));
    assert!(y(&folder, "M.SafeTensors", "X.NPZ", &[]).0 == expected);
    let export = |from: &str, to: &str| {
        let output = folder.wgru(&["export", from, to]);
        assert!(output.status.success(), "{to}: {}", stderr(&output));
    };
    export("M.SafeTensors", "A.ONNX");
    export("A.ONNX", "B.SAFETENSORS");
    assert!(y(&folder, "B.SAFETENSORS", "X.NPY", &[]).0 == expected);
    folder.write("IN.CSV", "a,b\n1,2\n").write("in.csv", "a,b\n1,2\n");
    assert!(y(&folder, "m.safetensors", "IN.CSV", &[]).0 == y(&folder, "m.safetensors", "in.csv", &[]).0);
    let output = ["run", "m.safetensors", "--input", "x.npy", "--device", "cpu", "--output"];
    for (name, plain) in [("Y.NPZ", "y.npz"), ("Y.SAFETENSORS", "z.safetensors")] {
        for name in [name, plain] {
            assert!(folder.wgru(&[&output[..], &[name]].concat()).status.success());
        }
        assert!(bytes(name) == bytes(plain), "{name}");
    }
}

/// On every device of the machine: values past the end of a sequence do not matter, NaN or not.
#[test]
fn padding_may_hold_anything() {
    let folder = folder("padding");
    let (x, lengths) = (values(3, 5 * 7 * 2), [7.0, 3.0, 0.0, 5.0, 1.0]);
    let padded = |with: f32, time_major: bool| {
        let mut padded = x.clone();
        for (b, &length) in lengths.iter().enumerate() {
            padded[(b * 7 + length as usize) * 2..(b + 1) * 14].fill(with);
        }
        let turned = |at: usize| padded[(at / 2 % 5 * 7 + at / 10) * 2 + at % 2];
        let members = match time_major {
            true => npy(&[7, 5, 2], &(0..70).map(turned).collect::<Vec<f32>>()),
            false => npy(&[5, 7, 2], &padded),
        };
        npz(&[("x", members), ("lengths", npy(&[5], &lengths))])
    };
    for time_major in [false, true] {
        let options: &[&str] = if time_major { &["--layout", "time"] } else { &[] };
        for device in ["cpu", "reference", "auto"] {
            let options = [options, &["--device", device]].concat();
            let run = |with: f32| {
                folder.write("in.npz", padded(with, time_major));
                let args = ["run", "m.safetensors", "--input", "in.npz", "--verify", "--output", "y.npz"];
                let output = folder.wgru(&[&args[..], &options].concat());
                assert!(output.status.success(), "{options:?}: {}", stderr(&output));
                let file = fs::File::open(folder.path().join("y.npz")).unwrap();
                let mut archive = zip::ZipArchive::new(file).unwrap();
                let y = ndarray::ArrayD::<f32>::read_npy(archive.by_name("y.npy").unwrap()).unwrap();
                assert!(y.iter().all(|value| value.is_finite()), "{options:?} with {with}");
                y
            };
            let zeros = run(0.0);
            for with in [f32::NAN, f32::INFINITY, -1e30] {
                assert_eq!(run(with), zeros, "{options:?} with {with}");
            }
        }
    }
}
