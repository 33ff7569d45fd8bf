//! NumPy's `.npy` and `.npz`.

use std::io::{Cursor, Read};

use ndarray::ArrayD;
use ndarray_npy::npy::header::Header;
use ndarray_npy::{ReadNpyError, ReadNpyExt, ReadableElement, WriteNpyError, WriteNpyExt};
use zip::ZipArchive;

use super::Array;

/// The most that one member of an `.npz` may unpack to: a compressed file can claim anything.
const MOST_BYTES: u64 = 16 << 30;

/// Every array of an `.npz`.
///
/// # Errors
/// What cannot be read, and why.
pub fn read_npz(bytes: &[u8]) -> Result<Vec<(String, Array)>, String> {
    let broken = |error: zip::result::ZipError| format!("not a readable .npz: {error}");
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
    let mut arrays = Vec::new();
    for index in 0..archive.len() {
        let member = archive.by_index(index).map_err(broken)?;
        let name = member.name().trim_end_matches(".npy").to_owned();
        let mut data = Vec::new();
        member
            .take(MOST_BYTES)
            .read_to_end(&mut data)
            .map_err(|error| format!("array \"{name}\": {error}"))?;
        let array = read_npy(&data).map_err(|reason| format!("array \"{name}\": {reason}"))?;
        arrays.push((name, array));
    }
    Ok(arrays)
}

/// One `.npy` of 32- or 64-bit floats, in either memory order.
///
/// # Errors
/// What cannot be read, and why.
pub fn read_npy(bytes: &[u8]) -> Result<Array, String> {
    check_size(bytes)?;
    match read::<f32>(bytes, |value| value) {
        Err(ReadNpyError::WrongDescriptor(_)) => read::<f64>(bytes, |value| value as f32),
        read => read,
    }
    .map_err(|error| match error {
        ReadNpyError::WrongDescriptor(stored) => {
            format!("stored as {stored}, expected float32 or float64")
        }
        ReadNpyError::MissingData => "ends before its last element".into(),
        error => format!("not a readable .npy: {error}"),
    })
}

/// The reader allocates what the header claims, so the claim is held against the bytes that are there first.
fn check_size(bytes: &[u8]) -> Result<(), String> {
    let mut data = bytes;
    let header = Header::from_reader(&mut data).map_err(|error| format!("not a readable .npy: {error}"))?;
    let elements = header.shape.iter().try_fold(1usize, |all, &size| all.checked_mul(size));
    match elements {
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
