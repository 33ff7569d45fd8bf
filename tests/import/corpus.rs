//! The corpora of the fuzz targets, without a fuzzer: see `fuzz/README.md`.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../../fuzz/src/lib.rs"]
mod targets;

/// Corpora are part of every clone: small files, and not many.
const MOST_BYTES: u64 = 512 << 10;

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

#[test]
fn every_target_takes_its_corpus() {
    let mut bytes = 0;
    for (name, target) in targets::TARGETS {
        let (mut read, mut refused) = (0, 0);
        for path in files(&format!("fuzz/corpus/{name}")) {
            // The harness prints it if the code below panics.
            println!("{}", path.display());
            let file = fs::read(&path).unwrap();
            bytes += file.len() as u64;
            if target(&file) { read += 1 } else { refused += 1 }
        }
        assert!(read >= 3 && refused >= 20, "{name}: {read} files of its corpus are read, {refused} refused");
    }
    assert!(bytes <= MOST_BYTES, "the corpora have {bytes} bytes, more than {MOST_BYTES}: choose fewer");
}

/// Files of the importers' other suites, which compare numbers, as seeds: larger than corpus files should be.
#[test]
fn every_target_takes_the_goldens_of_its_format() {
    let mut read = 0;
    for path in ["tests/goldens", "tests/goldens/keras", "tests/pool/files"].into_iter().flat_map(files) {
        let targets: &[targets::Target] = match path.extension().and_then(|extension| extension.to_str()) {
            Some("h5" | "keras") => &[targets::keras],
            Some("onnx") => &[targets::onnx],
            Some("safetensors") => &[targets::safetensors, targets::snapshot],
            Some("json" | "md" | "py" | "rs" | "wgru") | None => continue,
            Some(other) => panic!("{}: no fuzz target reads files that end in .{other}", path.display()),
        };
        println!("{}", path.display());
        let file = fs::read(&path).unwrap();
        read += targets.iter().filter(|target| target(&file)).count();
    }
    assert!(read >= 8, "{read} goldens are read");
}

/// Every corpus has a target, and every target a program that the fuzzer runs.
#[test]
fn targets_corpora_and_programs_are_the_same() {
    let names = |folder: &str| -> Vec<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let stem = |path: PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| stem(entry.unwrap().path())).collect();
        names.sort();
        names
    };
    let targets: Vec<&str> = targets::TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names("fuzz/corpus"), targets);
    assert_eq!(names("fuzz/fuzz_targets"), targets);
}
