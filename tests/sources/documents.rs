//! The README and the guide: their length, their links, and the commands that other suites do not run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|reason| panic!("{}: {reason}", path.display()))
}

/// Files of a folder and its subfolders that end in `.md`.
fn pages_under(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("an entry").path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let files = files.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "md"));
    files.chain(folders.iter().flat_map(|folder| pages_under(folder))).collect()
}

/// The pages that people read: those of the root, the guide and the folders with programs.
fn pages() -> Vec<PathBuf> {
    let at_root =
        fs::read_dir(root()).expect("the root is there").map(|entry| entry.expect("an entry").path());
    let mut pages: Vec<PathBuf> =
        at_root.filter(|path| path.extension().is_some_and(|ending| ending == "md")).collect();
    pages.extend(pages_under(&root().join("docs/guide/src")));
    let more = [
        "benches/README.md",
        "benches/peers/README.md",
        "models/README.md",
        "uses/dtln/README.md",
        "uses/g2p/README.md",
        "web/README.md",
    ];
    pages.extend(more.map(|page| root().join(page)));
    pages
}

/// The lines of a page outside of its blocks of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !is_fence && !in_code
    })
}

/// The lines of the blocks of shell commands.
fn commands(text: &str) -> Vec<String> {
    let mut is_shell = None;
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        match (line.strip_prefix("```"), is_shell) {
            (Some(language), None) => is_shell = Some(language == "sh"),
            (Some(_), Some(_)) => is_shell = None,
            (None, Some(true)) if !line.is_empty() && !line.starts_with('#') => found.push(line.to_owned()),
            _ => {}
        }
    }
    found
}

/// The heading's anchor, as GitHub and mdBook make it.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The targets of links and pictures.
fn targets(text: &str) -> Vec<String> {
    let lines = prose(text).collect::<Vec<_>>().join("\n");
    let links = lines.match_indices("](").map(|(at, _)| &lines[at + 2..]);
    links.filter_map(|link| link.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

#[test]
fn links_inside_the_repository_lead_somewhere() {
    let mut wrong = Vec::new();
    for page in pages() {
        let text = read(&page);
        for target in targets(&text).iter().filter(|target| !target.contains("://")) {
            let (path, wanted) = target.split_once('#').unwrap_or((target, ""));
            let file =
                if path.is_empty() { page.clone() } else { page.parent().expect("a folder").join(path) };
            if !file.exists() {
                wrong.push(format!("{}: {target}: no such file", page.display()));
            } else if !wanted.is_empty() && file.extension().is_some_and(|ending| ending == "md") {
                let there = read(&file);
                if !prose(&there).any(|line| line.starts_with('#') && anchor(line) == wanted) {
                    wrong.push(format!("{}: {target}: no such heading", page.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_page_of_the_guide_is_in_its_summary_and_has_something_to_run() {
    let folder = root().join("docs/guide/src");
    let summary = read(&folder.join("SUMMARY.md"));
    let listed: BTreeSet<PathBuf> = targets(&summary).iter().map(|target| folder.join(target)).collect();
    let there: BTreeSet<PathBuf> =
        pages_under(&folder).into_iter().filter(|page| !page.ends_with("SUMMARY.md")).collect();
    assert_eq!(listed, there);
    for page in there.iter().filter(|page| !page.ends_with("index.md")) {
        assert!(!commands(&read(page)).is_empty(), "{}: no command", page.display());
    }
}

#[test]
fn the_readme_is_short() {
    let text = read(&root().join("README.md"));
    let words = text.split_whitespace().count();
    assert!(words < 700, "README.md has {words} words; the guide has room");
    let pictures = prose(&text).filter(|line| line.starts_with("![")).count();
    assert_eq!(pictures, 2, "pictures");
}

/// `wgru ARGS` is run by the command's suite, examples by those of the crate. Here is what each command names.
#[test]
fn commands_name_what_is_there() {
    let tasks = read(&root().join("xtask/src/main.rs"));
    let members = ["-p", "--example"];
    // The other engines are a workspace of their own.
    let peers = root().join("benches/peers");
    for page in pages().iter().filter(|page| !page.starts_with(&peers)) {
        for command in commands(&read(page)) {
            let words: Vec<&str> = command.split_whitespace().collect();
            let what = format!("{}: {command}", page.display());
            match &words[..] {
                ["cargo", "xtask", task, ..] => {
                    assert!(tasks.contains(&format!("\n  {task}")), "{what}: no such task");
                }
                ["cargo", "run", rest @ ..] => {
                    for (flag, name) in
                        rest.iter().zip(rest.iter().skip(1)).filter(|(flag, _)| members.contains(flag))
                    {
                        let found = match *flag {
                            "--example" => {
                                [root().to_path_buf(), root().join("uses/g2p")].iter().any(|member| {
                                    let examples = member.join("examples");
                                    examples.join(format!("{name}.rs")).exists()
                                        || examples.join(name).is_dir()
                                })
                            }
                            _ => read(&root().join("Cargo.lock")).contains(&format!("name = \"{name}\"")),
                        };
                        assert!(found, "{what}: no such {flag}");
                    }
                }
                _ => {}
            }
        }
    }
}

/// Words in code marks that are paths, of this repository or of a folder in it: with a slash and an ending.
fn paths(text: &str) -> Vec<&str> {
    let marked = prose(text).flat_map(|line| line.split('`').skip(1).step_by(2));
    let is_path = |word: &&str| {
        let plain = word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-./".contains(c));
        let ending =
            word.rsplit_once('.').is_some_and(|(_, ending)| !ending.is_empty() && !ending.contains('/'));
        plain && word.contains('/') && (ending || word.ends_with('/')) && !word.starts_with(['.', '/'])
    };
    marked.filter(is_path).collect()
}

#[test]
fn files_that_pages_for_contributors_name_are_there() {
    let folders = ["", "src", "shaders", "benches"].map(|folder| root().join(folder));
    // What a build makes.
    let made = ["target/", "web/pkg/"];
    let (mut seen, mut wrong) = (0, Vec::new());
    for page in ["ARCHITECTURE.md", "CONTRIBUTING.md", "PERFORMANCE.md"] {
        let text = read(&root().join(page));
        for path in
            paths(&text).into_iter().filter(|path| !made.iter().any(|folder| path.starts_with(folder)))
        {
            seen += 1;
            if !folders.iter().any(|folder| folder.join(path).exists()) {
                wrong.push(format!("{page}: {path}: no such file"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 50, "{seen} paths");
}
