//! The files that records are written to as they are measured: an error later in the run does not lose them.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::args::BenchArgs;
use crate::arrays::write;
use crate::failure::{Failure, Outcome, error};
use wgru_harness::record::Record;
use wgru_harness::report;

/// The output files, opened before anything is measured.
pub struct Sink<'a> {
    json: Option<(&'a Path, File)>,
    csv: Option<(&'a Path, csv::Writer<File>)>,
    html: Option<&'a Path>,
    all: Vec<Record>,
}

impl<'a> Sink<'a> {
    /// Creates the files; an existing report is kept until there is a record to write.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn open(args: &'a BenchArgs) -> Outcome<Self> {
        let files = [&args.json, &args.csv, &args.html].map(Option::as_deref);
        for (index, path) in files.iter().enumerate().filter_map(|(index, path)| Some((index, (*path)?))) {
            write::check_target(path)?;
            let read = args.from.iter().chain(&args.speed).map(PathBuf::as_path);
            write::check_apart(path, read.chain(files[..index].iter().flatten().copied()))?;
        }
        let create = |path: &'a Path| match File::create(path) {
            Ok(file) => Ok((path, file)),
            Err(reason) => Err(error(path.display(), reason)),
        };
        let [json, csv, html] = files;
        let csv = csv.map(create).transpose()?.map(|(path, file)| (path, csv::Writer::from_writer(file)));
        Ok(Self { json: json.map(create).transpose()?, csv, html, all: Vec::new() })
    }

    /// Adds records to every file, and to [`Sink::records`] even if a file fails.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn keep(&mut self, records: Vec<Record>) -> Outcome {
        let new = self.all.len();
        self.all.extend(records);
        let new = &self.all[new..];
        if let Some((path, file)) = &mut self.json {
            for record in new {
                let line = serde_json::to_string(record).map_err(|reason| error(path.display(), reason))?;
                writeln!(file, "{line}").map_err(|reason| error(path.display(), reason))?;
            }
        }
        if let Some((path, writer)) = &mut self.csv {
            let written = new.iter().try_for_each(|record| writer.serialize(record));
            let flushed = written.and_then(|()| Ok(writer.flush()?));
            flushed.map_err(|reason| error(path.display(), reason))?;
        }
        // A run without measurements leaves the report as it was.
        if let Some(path) = self.html.filter(|_| !self.all.is_empty()) {
            let page = report::html(&self.all).map_err(|reason| error(path.display(), reason))?;
            write::replace(path, page.as_bytes())?;
        }
        Ok(())
    }

    /// All records so far.
    pub fn records(&self) -> &[Record] {
        &self.all
    }

    /// All records.
    pub fn into_records(self) -> Vec<Record> {
        self.all
    }
}

/// Reads a file of JSON lines.
pub fn read(path: &Path) -> Outcome<Vec<Record>> {
    let text = fs::read_to_string(path).map_err(|reason| error(path.display(), reason))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let records: Vec<Record> = lines
        .map(|(number, line)| {
            let at = || format!("{}: line {}", path.display(), number + 1);
            serde_json::from_str(line).map_err(|reason| error(at(), reason))
        })
        .collect::<Outcome<_>>()?;
    if records.is_empty() {
        return Err(Failure::Error(format!("{}: holds no record", path.display())));
    }
    Ok(records)
}
