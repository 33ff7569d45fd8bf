//! CSV: a header, one column per feature, one row per step.

use std::path::Path;

use super::Array;
use crate::failure::{Outcome, error};

/// The columns of a file.
#[derive(Debug)]
pub struct Series {
    source: String,
    /// Their names, in order.
    pub names: Vec<String>,
    /// Their values, column after column.
    columns: Vec<Vec<f64>>,
}

impl Series {
    /// Reads every column as numbers.
    ///
    /// # Errors
    /// A field that is no finite number, with its line and column; a row of another length; no rows.
    pub fn read(path: &Path) -> Outcome<Self> {
        let source = path.display().to_string();
        let mut reader = csv::Reader::from_path(path).map_err(|reason| error(&source, reason))?;
        let header = reader.headers().map_err(|reason| error(&source, reason))?;
        let names: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
        let mut columns = vec![Vec::new(); names.len()];
        for record in reader.records() {
            let record = record.map_err(|reason| error(&source, reason))?;
            let line = record.position().map_or(0, |position| position.line());
            for ((field, column), name) in record.iter().zip(&mut columns).zip(&names) {
                match field.trim().parse::<f64>() {
                    Ok(value) if value.is_finite() => column.push(value),
                    _ => {
                        let reason =
                            format!("line {line}, column {name}: \"{field}\" is not a finite number");
                        return Err(error(&source, reason));
                    }
                }
            }
        }
        if columns.first().is_none_or(Vec::is_empty) {
            return Err(error(&source, "no rows below the header"));
        }
        Ok(Self { source, names, columns })
    }

    /// One column.
    ///
    /// # Errors
    /// A name that is not in the header.
    pub fn column(&self, name: &str) -> Outcome<&[f64]> {
        match self.names.iter().position(|other| other == name) {
            Some(index) => Ok(&self.columns[index]),
            None => {
                let reason = format!("no column \"{name}\"; the header has {}", self.names.join(", "));
                Err(error(&self.source, reason))
            }
        }
    }

    /// Windows of `window` rows (all rows where `None`), one every `stride` rows: `[B, T, I]`.
    ///
    /// # Errors
    /// A window of 0 or longer than the file, a stride of 0.
    pub fn windows(&self, names: &[String], window: Option<usize>, stride: usize) -> Outcome<Array> {
        let columns: Vec<&[f64]> = names.iter().map(|name| self.column(name)).collect::<Outcome<_>>()?;
        let rows = self.columns[0].len();
        let window = window.unwrap_or(rows);
        if window == 0 || window > rows {
            return Err(error(&self.source, format!("a window of {window} steps from {rows} rows")));
        }
        if stride == 0 {
            return Err(error("--stride", "must be at least 1, got 0"));
        }
        let starts = (0..=rows - window).step_by(stride);
        let shape = vec![starts.clone().count(), window, columns.len()];
        let elements = shape.iter().try_fold(1usize, |all, &size| all.checked_mul(size));
        let mut data = Vec::new();
        if elements.is_none_or(|elements| data.try_reserve_exact(elements).is_err()) {
            return Err(error(&self.source, format!("no memory for windows of {shape:?}; see --stride")));
        }
        let values = starts.flat_map(|start| start..start + window);
        data.extend(values.flat_map(|row| columns.iter().map(move |column| column[row] as f32)));
        Ok(Array { shape, data })
    }
}
