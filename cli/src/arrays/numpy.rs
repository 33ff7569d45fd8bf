//! NumPy's `.npy` and `.npz`.

use std::io::{Cursor, Read};

use ndarray_npy::npy::header::Header;
use ndarray_npy::{WriteNpyError, WriteNpyExt};
use wgru::dtype::Dtype;
use zip::ZipArchive;

use super::number::{Numbers, Stored};
use super::{Array, Found};

/// Bytes of a member that are unpacked to find its header.
const HEADER_BYTES: u64 = 1 << 20;

/// Every array of an `.npz`. A member is unpacked only if `known` accepts its name.
///
/// # Errors
/// A member that cannot be read, with the reason.
pub fn read_npz(bytes: &[u8], known: impl Fn(&str) -> Result<(), String>) -> Result<Vec<Found>, String> {
    let broken = |error: zip::result::ZipError| format!("not a readable .npz: {error}");
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
    let mut arrays = Vec::new();
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).map_err(broken)?;
        let name = member.name().trim_end_matches(".npy").to_owned();
        known(&name)?;
        let found = unpack(&mut member).and_then(|data| read_npy(&name, &data));
        arrays.push(found.map_err(|reason| format!("array \"{name}\": {reason}"))?);
    }
    Ok(arrays)
}

/// The bytes of a compressed `.npy`, up to the size that its header states: a small compressed file can unpack to any
/// size.
///
/// # Errors
/// A file that cannot be unpacked.
pub fn unpack(mut compressed: impl Read) -> Result<Vec<u8>, String> {
    let mut data = Vec::new();
    let mut take = |most: u64, data: &mut Vec<u8>| {
        let part = compressed.by_ref().take(most).read_to_end(data);
        part.map_err(|error| format!("cannot be unpacked: {error}"))
    };
    take(HEADER_BYTES, &mut data)?;
    let (header, rest) = header(&data)?;
    // 8 bytes is the widest supported element. One byte more is read, so that excess data is detected.
    let claimed = elements(&header).and_then(|elements| elements.checked_mul(8)).unwrap_or(0) as u64;
    let more = (claimed + 1).saturating_sub(rest.len() as u64);
    take(more, &mut data)?;
    Ok(data)
}

/// The header of an `.npy`, and what follows it.
fn header(bytes: &[u8]) -> Result<(Header, &[u8]), String> {
    let mut data = bytes;
    match Header::from_reader(&mut data) {
        Ok(header) => Ok((header, data)),
        Err(error) => Err(format!("not a readable .npy: {error}")),
    }
}

/// The product of the sizes, unless it overflows.
fn elements(header: &Header) -> Option<usize> {
    header.shape.iter().try_fold(1usize, |all, &size| all.checked_mul(size))
}

/// One numeric `.npy`, in either byte order and either memory order.
///
/// # Errors
/// A file that cannot be read, with the reason.
pub fn read_npy(name: &str, bytes: &[u8]) -> Result<Found, String> {
    let (header, data) = header(bytes)?;
    let descriptor = header.type_descriptor.to_string();
    let descriptor = descriptor.trim_matches('\'');
    let stored = stored(descriptor).ok_or_else(|| {
        let kind = kind(descriptor);
        format!("stored as {kind}{descriptor}, expected floats of 16, 32 or 64 bits, integers or bool")
    })?;
    let needed = elements(&header).and_then(|elements| elements.checked_mul(stored.size()));
    if needed != Some(data.len()) {
        let needed =
            needed.map_or("more bytes than can be counted".into(), |needed| format!("{needed} bytes"));
        return Err(format!("{:?} of {stored} takes {needed}, the file has {}", header.shape, data.len()));
    }
    let numbers = if descriptor.starts_with('>') {
        let turned: Vec<u8> =
            data.chunks_exact(stored.size()).flat_map(|one| one.iter().rev()).copied().collect();
        stored.read(&turned)
    } else {
        stored.read(data)
    };
    let Numbers { data, inexact, beyond } = numbers;
    let array = if header.layout.is_fortran() {
        // The first index runs fastest: this is row-major with the shape reversed.
        let order: Vec<usize> = (0..header.shape.len()).rev().collect();
        Array { shape: header.shape.into_iter().rev().collect(), data }.permuted(&order)?
    } else {
        Array { shape: header.shape, data }
    };
    Ok(Found { name: name.into(), array, stored, inexact, beyond })
}

/// An element's type from its descriptor, such as `<f4`.
fn stored(descriptor: &str) -> Option<Stored> {
    let mut rest = descriptor.chars();
    rest.next().filter(|order| "<>|".contains(*order))?;
    Some(match rest.as_str() {
        "f2" => Stored::Float(Dtype::F16),
        "f4" => Stored::Float(Dtype::F32),
        "f8" => Stored::Float(Dtype::F64),
        // NumPy has no bfloat16: ml_dtypes arrays are stored as bytes without a type.
        "V2" => Stored::Float(Dtype::Bf16),
        "b1" => Stored::Bool,
        "i1" | "i2" | "i4" | "i8" | "u1" | "u2" | "u4" | "u8" => {
            let signed = rest.next() == Some('i');
            Stored::Int { bytes: rest.as_str().parse().ok()?, signed }
        }
        _ => return None,
    })
}

/// An unsupported element type, in words.
fn kind(descriptor: &str) -> &'static str {
    match descriptor.trim_start_matches(['<', '>', '|']).chars().next() {
        Some('c') => "complex numbers ",
        Some('O') => "Python objects ",
        Some('U' | 'S') => "text ",
        Some('M' | 'm') => "dates or times ",
        Some('[') => "records ",
        _ => "",
    }
}

/// A `.npy` of 32-bit floats.
///
/// # Errors
/// A shape that does not fit its data.
pub fn write_npy(array: &Array) -> Result<Vec<u8>, String> {
    let view = ndarray::ArrayViewD::from_shape(array.shape.clone(), &array.data);
    let mut bytes = Vec::new();
    view.map_err(|error| error.to_string())?
        .write_npy(&mut bytes)
        .map_err(|error: WriteNpyError| error.to_string())?;
    Ok(bytes)
}
