//! CSV: a header, one column per feature, one row per step.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::Read;

use csv::{ReaderBuilder, StringRecord};
use flate2::read::MultiGzDecoder;
use wgru::error::listed;

use super::{Array, Source};
use crate::args::HeaderArg;
use crate::failure::{Outcome, error};
use crate::suggest::suggestion;
use wgru_harness::number::count;

/// The limit on the unpacked bytes of a file: a small compressed file can unpack to any size.
const UNPACKED: u64 = 4 << 30;
/// The field separators, in the order they are tried. The first that gives the first two lines the same number of
/// fields is taken. A comma is last, since it may be a decimal comma.
const SEPARATORS: [u8; 3] = [b';', b'\t', b','];
/// A hint for a file of one column.
pub const SEPARATED: &str = "; columns are separated by commas, semicolons or tabs";

/// Columns of a file.
#[derive(Debug)]
pub struct Series {
    source: String,
    /// Their names, in order.
    pub names: Vec<String>,
    /// Their values, column after column.
    columns: Vec<Vec<f64>>,
}

impl Series {
    /// Reads the columns `wanted` as numbers, or all columns if none is named; the contents of other columns are
    /// ignored. If `header` does not say whether the first line holds names, a first line without a number does.
    /// Columns without names are called 1, 2, ….
    ///
    /// # Errors
    /// Numbers in the first line where `header` is not given; a column that is missing or shares its name with
    /// another; a field that is no finite number, with its line and column; a row of another length; no rows.
    pub fn read(source: &Source, header: Option<HeaderArg>, wanted: &[String]) -> Outcome<Self> {
        let name = &source.name;
        Self::parse(name, &unpacked(source)?, header, wanted).map_err(|reason| error(name, reason))
    }

    fn parse(
        source: &str,
        bytes: &[u8],
        header: Option<HeaderArg>,
        wanted: &[String],
    ) -> Result<Self, String> {
        let mut reader = reader(separator(bytes)).from_reader(bytes);
        let mut records = reader.records();
        let unreadable = |reason: csv::Error| match reason.kind() {
            csv::ErrorKind::Utf8 { pos, .. } => {
                let line = pos.as_ref().map_or(0, csv::Position::line);
                format!("line {line} is not UTF-8 text; expected a CSV file, in UTF-8")
            }
            _ => reason.to_string(),
        };
        let first = records.next().transpose().map_err(unreadable)?.ok_or("an empty file")?;
        let has_names = has_names(&first, header, wanted)?;
        let name =
            |index: usize, name: &str| if has_names { name.trim().into() } else { (index + 1).to_string() };
        let all: Vec<String> = first.iter().enumerate().map(|(index, field)| name(index, field)).collect();
        let names = if wanted.is_empty() { all.clone() } else { wanted.to_vec() };
        let places: Vec<usize> =
            if wanted.is_empty() { every_place(&all)? } else { some_places(&all, wanted)? };
        let hint = match (all.len(), wanted) {
            _ if !has_names => "; --header no is for files without a header",
            (1, _) => SEPARATED,
            (_, []) => "; choose other columns with --columns",
            _ => "",
        };
        let mut columns = vec![Vec::new(); names.len()];
        let data = (!has_names).then(|| Ok(first.clone())).into_iter().chain(records);
        for record in data {
            let record = record.map_err(unreadable)?;
            let line = record.position().map_or(0, csv::Position::line);
            if record.len() != all.len() {
                let (own, first) = (count(record.len(), "field"), all.len());
                return Err(format!("line {line} has {own}, the first line {first}"));
            }
            for ((&place, column), name) in places.iter().zip(&mut columns).zip(&names) {
                let wrong = |why| format!("line {line}, column {name}: {why}{hint}");
                column.push(number(&record[place]).map_err(wrong)?);
            }
        }
        if columns.first().is_none_or(Vec::is_empty) {
            return Err("no rows below the header".into());
        }
        Ok(Self { source: source.into(), names, columns })
    }

    /// One column of those that were read.
    ///
    /// # Errors
    /// Another name.
    pub fn column(&self, name: &str) -> Outcome<&[f64]> {
        let index = place(&self.names, name).map_err(|reason| error(&self.source, reason))?;
        Ok(&self.columns[index])
    }

    /// Windows of `window` rows (all rows where `None`), one every `stride` rows: `[B, T, I]`.
    ///
    /// # Errors
    /// A window of 0 or longer than the file, a stride of 0.
    pub fn windows(&self, window: Option<usize>, stride: usize) -> Outcome<Array> {
        let rows = self.columns[0].len();
        let window = window.unwrap_or(rows);
        if window == 0 || window > rows {
            let (steps, rows) = (count(window, "step"), count(rows, "row"));
            return Err(error(&self.source, format!("a window of {steps} from {rows}; see --window")));
        }
        if stride == 0 {
            return Err(error("--stride", "must be at least 1, got 0"));
        }
        let starts = (0..=rows - window).step_by(stride);
        let shape = vec![starts.clone().count(), window, self.columns.len()];
        let elements = shape.iter().try_fold(1usize, |all, &size| all.checked_mul(size));
        let mut data = Vec::new();
        if elements.is_none_or(|elements| data.try_reserve_exact(elements).is_err()) {
            return Err(error(&self.source, format!("no memory for windows of {shape:?}; see --stride")));
        }
        let values = starts.flat_map(|start| start..start + window);
        data.extend(values.flat_map(|row| self.columns.iter().map(move |column| column[row] as f32)));
        Ok(Array { shape, data })
    }
}

/// A file's bytes, unpacked if its ending is that of a compressed file.
fn unpacked(source: &Source) -> Outcome<Cow<'_, [u8]>> {
    let Source { name: source, ending, bytes } = source;
    if !ending.ends_with("gz") {
        return Ok(bytes.into());
    }
    let mut all = Vec::new();
    let unpacked = MultiGzDecoder::new(&bytes[..]).take(UNPACKED + 1).read_to_end(&mut all);
    unpacked.map_err(|reason| error(source, format!("cannot be unpacked: {reason}")))?;
    if all.len() as u64 > UNPACKED {
        return Err(error(source, format!("unpacks to more than {UNPACKED} bytes")));
    }
    Ok(all.into())
}

fn reader(separator: u8) -> ReaderBuilder {
    let mut builder = ReaderBuilder::new();
    builder.has_headers(false).flexible(true).delimiter(separator);
    builder
}

/// The separator that splits the first two lines into the same number of fields, more than one; a comma if none does.
fn separator(bytes: &[u8]) -> u8 {
    let agree = |separator: &u8| {
        let mut reader = reader(*separator).from_reader(bytes);
        let mut counts = reader.records().take(2).map(|record| record.map_or(0, |record| record.len()));
        let first = counts.next().unwrap_or(0);
        first > 1 && counts.next().is_none_or(|second| second == first)
    };
    SEPARATORS.into_iter().find(agree).unwrap_or(b',')
}

/// # Errors
/// Numbers in the first line where `header` is not given and no column is named: they may be names or the first step.
fn has_names(first: &StringRecord, header: Option<HeaderArg>, wanted: &[String]) -> Result<bool, String> {
    if let Some(header) = header {
        return Ok(header == HeaderArg::Yes);
    }
    let is_name = |name: &String| number(name).is_err() && first.iter().any(|field| field.trim() == name);
    if wanted.iter().any(is_name) {
        return Ok(true);
    }
    let numbers: Vec<&str> = first.iter().map(str::trim).filter(|field| number(field).is_ok()).collect();
    if numbers.is_empty() {
        return Ok(true);
    }
    let reason = "the first line is read as a header with the names of the columns, but has numbers";
    let options = "--header no takes it as the first step, --header yes as names";
    Err(format!("{reason} ({}): {options}", listed(&numbers)))
}

/// The indices of all columns; names must be unique.
fn every_place(all: &[String]) -> Result<Vec<usize>, String> {
    let mut seen = HashSet::new();
    if let Some(twice) = all.iter().find(|name| !seen.insert(name.as_str())) {
        place(all, twice)?;
    }
    Ok((0..all.len()).collect())
}

/// The indices of the wanted columns.
fn some_places(all: &[String], wanted: &[String]) -> Result<Vec<usize>, String> {
    wanted.iter().map(|name| place(all, name)).collect()
}

/// The index of the only column with a name.
fn place(all: &[String], name: &str) -> Result<usize, String> {
    let places: Vec<usize> = (0..all.len()).filter(|&place| all[place] == name).collect();
    match places[..] {
        [place] => Ok(place),
        [] => Err(format!("no column \"{name}\"; there are {}{}", listed(all), suggestion(name, all))),
        [one, other, ..] => {
            let places = format!("columns {} and {}", one + 1, other + 1);
            Err(format!("{places} have one name, \"{name}\"; rename one, or choose others with --columns"))
        }
    }
}

fn number(field: &str) -> Result<f64, String> {
    let field = field.trim();
    let shown = || listed(&[field]);
    match field.parse::<f64>() {
        Ok(value) if (value as f32).is_finite() => Ok(value),
        Ok(value) if value.is_finite() => Err(format!("{} is beyond the range of float32", shown())),
        _ if field.replacen(',', ".", 1).parse::<f64>().is_ok() => {
            Err(format!("\"{}\" has a decimal comma, expected a point", shown()))
        }
        _ => Err(format!("\"{}\" is not a finite number", shown())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, header: Option<HeaderArg>, wanted: &[&str]) -> Result<Series, String> {
        let wanted: Vec<String> = wanted.iter().map(|&name| name.into()).collect();
        Series::parse("in.csv", text.as_bytes(), header, &wanted)
    }

    #[test]
    fn separators_are_found() {
        for separator in [",", ";", "\t"] {
            for text in ["a,b\n1,2\n3,4\n", "\u{feff}a,b\r\n1,2\r\n\r\n3, 4 ", "\"a\",\"b\"\n\"1\",2\n3,4\n"]
            {
                let series = parse(&text.replace(',', separator), None, &[]).unwrap();
                assert_eq!(
                    (series.names, series.columns),
                    (vec!["a".into(), "b".into()], vec![vec![1.0, 3.0], vec![2.0, 4.0]])
                );
            }
        }
        // A separator inside a quoted name does not count.
        let series = parse("\"a;x\",\"b;y\"\n1,2\n", None, &["b;y"]).unwrap();
        assert_eq!(series.columns, [[2.0]]);
        let series = parse("level (m, NAP);flow\n1;2\n", None, &[]).unwrap();
        assert_eq!(series.names, ["level (m, NAP)", "flow"]);
        // Decimal commas do not separate fields, however many there are.
        for separator in [";", "\t"] {
            for text in ["a;b\n1,5;2\n", "Time, s;Level, m\n0,5;2,5\n", "1,5;2,5\n3,5;4,5\n"] {
                for header in [HeaderArg::Yes, HeaderArg::No] {
                    let error = parse(&text.replace(';', separator), Some(header), &[]).unwrap_err();
                    let is_named =
                        error.contains("has a decimal comma") || error.contains("not a finite number");
                    assert!(is_named, "{text}: {error}");
                }
            }
        }
        assert!(parse("a;b\n1,5;2\n", None, &[]).unwrap_err().contains("\"1,5\" has a decimal comma"));
        // A column selected by its name shows that there is a header.
        assert_eq!(parse("id,2019,x\n1,2,3\n", None, &["x"]).unwrap().columns, [[3.0]]);
        assert!(parse("id,2019,x\n1,2,3\n", None, &["2019"]).is_err());
    }

    #[test]
    fn only_the_wanted_columns_are_numbers() {
        let text = "date,a,x,x,b\n2020-01-01,1,?,,2\n2020-01-02,3,,!,4\n";
        let series = parse(text, None, &["b", "a"]).unwrap();
        assert_eq!(series.columns, [[2.0, 4.0], [1.0, 3.0]]);
        assert!(parse(text, None, &["a", "x"]).unwrap_err().contains("columns 3 and 4 have one name, \"x\""));
        assert!(parse(text, None, &[]).unwrap_err().contains("\"x\""));
        assert!(
            parse(text, None, &["c"]).unwrap_err().contains("no column \"c\"; there are date, a, x, x, b")
        );
    }

    #[test]
    fn numbers_in_the_first_line_are_asked_about() {
        for text in ["1,2\n3,4\n", "t,2\n0,4\n", ",0,1\n0,1,2\n", "2020-01-01,1.5\n2020-01-02,2.5\n"] {
            let error = parse(text, None, &[]).unwrap_err();
            assert!(error.contains("header") && error.contains("--header no"), "{error}");
        }
        assert_eq!(parse("1,2\n3,4\n", Some(HeaderArg::No), &[]).unwrap().columns, [[1.0, 3.0], [2.0, 4.0]]);
        assert_eq!(parse("1,2\n3,4\n", Some(HeaderArg::No), &["2"]).unwrap().columns, [[2.0, 4.0]]);
        assert_eq!(parse("1,2\n3,4\n", Some(HeaderArg::Yes), &["2"]).unwrap().columns, [[4.0]]);
    }

    #[test]
    fn rows_that_are_none_are_named_by_their_line() {
        for (text, reason) in [
            ("a,b\n1,2\n3\n", "line 3 has 1 field, the first line 2"),
            ("a,b\n1,2\n3,4,5\n", "line 3 has 3 fields"),
            ("a,b\n1,2\n3,\n", "line 3, column b: \"\" is not a finite number"),
            ("a,b\n1,inf\n", "line 2, column b"),
            ("a,b\n1,1e39\n", "1e39 is beyond the range of float32"),
            ("a,b\n", "no rows"),
            ("", "an empty file"),
            ("a\tb\n", "no rows"),
            (&format!("a,b\n1,{}\n", "x".repeat(100_000)), "…xxx"),
        ] {
            let error = parse(text, None, &[]).unwrap_err();
            assert!(error.contains(reason) && error.len() < 300, "{text:?}: {error}");
        }
        assert!(Series::parse("in.csv", b"a,b\n1,\xff\n", None, &[]).unwrap_err().contains("UTF-8"));
    }
}
