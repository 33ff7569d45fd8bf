//! NumPy's `.npy` and `.npz`. Sizes are held against the bytes that are there before anything is allocated.

use std::io::{Cursor, Read};

use npyz::{DType, NpyFile, Order, TypeChar};
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

/// One `.npy`.
///
/// # Errors
/// What cannot be read, and why.
pub fn read_npy(bytes: &[u8]) -> Result<Array, String> {
    let broken = |error: std::io::Error| format!("not a readable .npy: {error}");
    let mut reader = bytes;
    let header = npyz::NpyHeader::from_reader(&mut reader).map_err(broken)?;
    let shape: Vec<usize> = header
        .shape()
        .iter()
        .map(|&size| usize::try_from(size).map_err(|_| format!("size {size} does not fit this machine")))
        .collect::<Result<_, _>>()?;
    let DType::Plain(dtype) = header.dtype() else {
        return Err(format!(
            "records of several fields ({:?}) are no array of numbers",
            header.dtype().descr()
        ));
    };
    let width = match (dtype.type_char(), dtype.size_field()) {
        (TypeChar::Float, size @ (2 | 4 | 8)) => size as usize,
        _ => return Err(format!("stored as {dtype}, expected a float of 16, 32 or 64 bits")),
    };
    let bytes_needed = shape.iter().try_fold(width, |all, &size| all.checked_mul(size));
    if bytes_needed != Some(reader.len()) {
        return Err(format!("shape {shape:?} of {dtype} does not fit its {} bytes", reader.len()));
    }

    let order = header.order();
    let file = || NpyFile::new(bytes).map_err(broken);
    let data: Vec<f32> = match width {
        2 => file()?.into_vec::<half::f16>().map_err(broken)?.into_iter().map(f32::from).collect(),
        4 => file()?.into_vec::<f32>().map_err(broken)?,
        _ => file()?.into_vec::<f64>().map_err(broken)?.into_iter().map(|v| v as f32).collect(),
    };
    let data = if order == Order::Fortran { row_major(&shape, &data) } else { data };
    Ok(Array { shape, data })
}

/// From column-major (NumPy's Fortran order) to row-major.
fn row_major(shape: &[usize], data: &[f32]) -> Vec<f32> {
    let mut index = vec![0; shape.len()];
    let mut out = Vec::with_capacity(data.len());
    for _ in 0..data.len() {
        let at = index.iter().zip(shape).rev().fold(0, |at, (&i, &size)| at * size + i);
        out.push(data[at]);
        for (i, &size) in index.iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < size {
                break;
            }
            *i = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_major_is_turned() {
        // [[1, 2, 3], [4, 5, 6]] as Fortran stores it
        assert_eq!(row_major(&[2, 3], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }
}
