//! NumPy's `.npy` and `.npz`.

use std::io::{Cursor, Read};

use ndarray::ArrayD;
use ndarray_npy::npy::header::Header;
use ndarray_npy::{ReadNpyError, ReadNpyExt, ReadableElement, WriteNpyError, WriteNpyExt};
use zip::ZipArchive;

use super::Array;

/// Bytes of a member that are unpacked to find its header.
const HEADER_BYTES: u64 = 1 << 20;

/// Every array of an `.npz`. A member is unpacked once `known` has let its name pass, and no further than its
/// header claims: a compressed file can hold anything.
///
/// # Errors
/// What cannot be read, and why.
pub fn read_npz(
    bytes: &[u8],
    known: impl Fn(&str) -> Result<(), String>,
) -> Result<Vec<(String, Array)>, String> {
    let broken = |error: zip::result::ZipError| format!("not a readable .npz: {error}");
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
    let mut arrays = Vec::new();
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).map_err(broken)?;
        let name = member.name().trim_end_matches(".npy").to_owned();
        known(&name)?;
        let array = unpack(&mut member).and_then(|data| read_npy(&data));
        arrays.push((name.clone(), array.map_err(|reason| format!("array \"{name}\": {reason}"))?));
    }
    Ok(arrays)
}

fn unpack(member: &mut impl Read) -> Result<Vec<u8>, String> {
    let mut data = Vec::new();
    member.by_ref().take(HEADER_BYTES).read_to_end(&mut data).map_err(|error| error.to_string())?;
    let (header, rest) = header(&data)?;
    // 8 bytes is the widest element that is read; one byte more, so that what is too much is seen.
    let claimed = elements(&header).and_then(|elements| elements.checked_mul(8)).unwrap_or(0) as u64;
    let more = (claimed + 1).saturating_sub(rest.len() as u64);
    member.take(more).read_to_end(&mut data).map_err(|error| error.to_string())?;
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

/// The product of the sizes, where it fits.
fn elements(header: &Header) -> Option<usize> {
    header.shape.iter().try_fold(1usize, |all, &size| all.checked_mul(size))
}

/// One `.npy` of 32- or 64-bit floats, or integers as lengths are, in either memory order.
///
/// # Errors
/// What cannot be read, and why.
pub fn read_npy(bytes: &[u8]) -> Result<Array, String> {
    check_size(bytes)?;
    type Reader = fn(&[u8]) -> Result<Array, ReadNpyError>;
    let readers: [Reader; 4] = [
        |bytes| read::<f32>(bytes, |value| value),
        |bytes| read::<f64>(bytes, |value| value as f32),
        |bytes| read::<i32>(bytes, |value| value as f32),
        |bytes| read::<i64>(bytes, |value| value as f32),
    ];
    for reader in readers {
        match reader(bytes) {
            Err(ReadNpyError::WrongDescriptor(_)) => {}
            Err(ReadNpyError::MissingData) => return Err("ends before its last element".into()),
            Err(error) => return Err(format!("not a readable .npy: {error}")),
            Ok(array) => return Ok(array),
        }
    }
    let (header, _) = header(bytes)?;
    Err(format!("stored as {}, expected float32, float64, int32 or int64", header.type_descriptor))
}

/// The reader allocates what the header claims, so the claim is held against the bytes that are there first.
fn check_size(bytes: &[u8]) -> Result<(), String> {
    let (header, data) = header(bytes)?;
    match elements(&header) {
        Some(elements) if elements <= data.len() => Ok(()),
        _ => Err(format!("shape {:?} does not fit its {} bytes", header.shape, data.len())),
    }
}

fn read<T: ReadableElement + Copy>(bytes: &[u8], to_f32: impl Fn(T) -> f32) -> Result<Array, ReadNpyError> {
    let array = ArrayD::<T>::read_npy(bytes)?;
    // iter() walks in row-major order whatever the order in memory.
    Ok(Array { shape: array.shape().to_vec(), data: array.iter().map(|&value| to_f32(value)).collect() })
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
