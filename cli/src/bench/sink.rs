//! The files that records go to, as they are measured: what was measured stays, whatever comes after.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::record::Record;
use super::report;
use crate::args::BenchArgs;
use crate::arrays::write;
use crate::failure::{Outcome, error};

/// The files that were asked for, opened before anything is measured.
pub struct Sink<'a> {
    json: Option<(&'a Path, File)>,
    csv: Option<(&'a Path, csv::Writer<File>)>,
    html: Option<&'a Path>,
    all: Vec<Record>,
}

impl<'a> Sink<'a> {
    /// Creates the files; a report that is there already stays until there is something to show.
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

    /// Adds records to every file, and to what [`Sink::records`] gives even where a file fails.
    ///
    /// # Errors
    /// What the system refuses.
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
        // A run that could measure nothing has nothing to show.
        if let Some(path) = self.html.filter(|_| !self.all.is_empty()) {
            let page = report::html(&self.all).map_err(|reason| error(path.display(), reason))?;
            write::replace(path, page.as_bytes())?;
        }
        Ok(())
    }

    /// All that was kept.
    pub fn records(&self) -> &[Record] {
        &self.all
    }
}
