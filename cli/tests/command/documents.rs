//! The commands of the README and the guide, run as they stand there.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{Folder, root, stderr};

/// What the command is in a clone: as it is measured, and as it is tried first.
const IN_A_CLONE: [&str; 2] = ["cargo run --release -- ", "cargo run --profile first -- "];

fn pages() -> Vec<PathBuf> {
    let guide = fs::read_dir(root().join("docs/guide/src")).expect("the guide is there");
    let paths = guide.map(|entry| entry.expect("an entry").path());
    let mut pages: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|ending| ending == "md")).collect();
    pages.push(root().join("README.md"));
    pages.sort();
    pages
}

/// The arguments of each command of a page.
fn commands(page: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(page).expect("the page is there");
    let lines =
        text.lines().filter_map(|line| IN_A_CLONE.iter().find_map(|words| line.trim().strip_prefix(words)));
    lines.map(|arguments| arguments.split_whitespace().map(str::to_owned).collect()).collect()
}

/// A folder that has what a clone has, so that nothing is written to this one.
fn clone() -> Folder {
    let folder = Folder::new("documents");
    for name in ["data", "models"] {
        let to = folder.path().join(name);
        fs::create_dir_all(&to).expect("the temporary folder can be written to");
        for entry in fs::read_dir(root().join(name)).expect("the folder is there").flatten() {
            if entry.path().is_file() {
                fs::copy(entry.path(), to.join(entry.file_name())).expect("the file can be copied");
            }
        }
    }
    fs::create_dir_all(folder.path().join("target")).expect("the temporary folder can be written to");
    folder
}

#[test]
fn commands_of_the_readme_and_the_guide_run() {
    let folder = clone();
    let mut run = 0;
    for page in pages() {
        for mut arguments in commands(&page) {
            // A benchmark of every device takes minutes: here of the CPU alone, and of one case where the page names none.
            if arguments[0] == "bench" {
                arguments.extend(["--device", "cpu"].map(str::to_owned));
                if !arguments.iter().any(|word| word == "--case") {
                    arguments.extend(["--case", "gru-b1-t10-i8-h8"].map(str::to_owned));
                }
            }
            let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let output = folder.wgru(&words);
            assert!(
                output.status.success(),
                "{}: wgru {}\n{}",
                page.display(),
                words.join(" "),
                stderr(&output)
            );
            run += 1;
        }
    }
    assert!(run >= 10, "{run} commands");
    assert!(folder.has("forecast.svg") && folder.has("report.html") && folder.has("target/co2.onnx"));
}
