//! The layers of the crate: imports go downward only, files do not import each other, each outside crate is used only
//! in its place, and files can be read in one sitting.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Every module of the root with its layer. A module may name itself and modules of lower layers.
const LAYERS: [(&str, u32); 19] = [
    ("error", 0),
    ("dims", 1),
    ("dtype", 1),
    ("file", 1),
    ("progress", 1),
    ("sync", 1),
    ("proto", 1),
    ("model", 2),
    ("io", 3),
    ("kernels", 4),
    ("plan", 5),
    ("import", 5),
    ("export", 5),
    ("reference", 5),
    ("cpu", 5),
    ("program", 6),
    ("info", 6),
    ("gpu", 7),
    ("engine", 8),
];

/// Outside crates, and the files or folders of `src` that may name them.
const OUTSIDE: [(&str, &[&str]); 11] = [
    ("wgpu", &["gpu/", "engine/device.rs", "io/bindings.rs"]),
    ("safetensors", &["import/", "engine/pool/snapshot.rs"]),
    ("prost", &["proto.rs", "import/onnx/", "export/onnx/"]),
    ("hdf5_reader", &["import/keras/store.rs"]),
    ("serde_json", &["import/keras/", "import/pytorch/shards.rs"]),
    ("zip", &["import/keras/container.rs"]),
    ("half", &["dtype.rs"]),
    ("log", &["engine/", "gpu/context/saved.rs", "import/mod.rs"]),
    ("bytemuck", &["cpu/panel.rs", "kernels/", "gpu/", "engine/gpu/read.rs", "engine/gpu/pool.rs"]),
    ("pollster", &["engine/"]),
    ("naga", &[]),
];

/// Assertions, which clippy does not deny as it does other panics (`src/lib.rs`), and the place where one may stand: unsafe code
/// relies on it.
const ASSERTS: [&str; 3] = ["assert!", "assert_eq!", "assert_ne!"];
const MAY_ASSERT: [&str; 1] = ["cpu/shared.rs"];

const LONGEST: usize = 500;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file under `folder` with one of the extensions, as its path from `folder` and its text.
fn files(folder: &str, extensions: &[&str]) -> BTreeMap<String, String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        let entries = folder.read_dir().unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries {
            let path = entry.expect("a folder can be listed").path();
            if path.is_dir() {
                walk(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let base = root().join(folder);
    let mut found = Vec::new();
    walk(&base, &mut found);
    let wanted = |path: &&PathBuf| {
        path.extension().is_some_and(|have| extensions.iter().any(|extension| *extension == have))
    };
    let read = |path: &PathBuf| {
        let text =
            std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.strip_prefix(&base).expect("below its folder").to_string_lossy().replace('\\', "/");
        (name, text)
    };
    found.iter().filter(wanted).map(read).collect()
}

/// The library's files; `seed.rs` is the tests' alone.
fn sources() -> BTreeMap<String, String> {
    let mut sources = files("src", &["rs"]);
    sources.remove("seed.rs").expect("what tests draw from");
    assert!(sources.len() > 40, "only {} files found", sources.len());
    sources
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// `text` with comments and the inside of strings and characters blanked, line by line as long as before.
fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let blank = |c: char| if c == '\n' { '\n' } else { ' ' };
    let mut i = 0;
    while i < chars.len() {
        let rest = &chars[i..];
        let len = match rest {
            ['/', '/', ..] => rest.iter().position(|&c| c == '\n').unwrap_or(rest.len()),
            ['/', '*', ..] => {
                let end = rest.windows(2).position(|pair| pair == ['*', '/']);
                end.map_or(rest.len(), |end| end + 2)
            }
            ['r', '"', ..] | ['r', '#', ..] if i == 0 || !is_word(chars[i - 1]) => raw_string(rest),
            ['"', ..] => quoted(rest, '"'),
            ['\'', '\\', ..] | ['\'', _, '\'', ..] => quoted(rest, '\''),
            _ => 0,
        };
        if len == 0 {
            out.push(rest[0]);
            i += 1;
        } else {
            out.extend(rest[..len].iter().copied().map(blank));
            i += len;
        }
    }
    out
}

/// The length of a string or character that begins with its quote.
fn quoted(chars: &[char], quote: char) -> usize {
    let mut i = 1;
    while i < chars.len() && chars[i] != quote {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(chars.len())
}

/// The length of a raw string, or 0 where `r#` begins a raw identifier.
fn raw_string(chars: &[char]) -> usize {
    let hashes = chars[1..].iter().take_while(|&&c| c == '#').count();
    if chars.get(1 + hashes) != Some(&'"') {
        return 0;
    }
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let from = 2 + hashes;
    let at = chars[from..].windows(end.len()).position(|window| window == end);
    at.map_or(chars.len(), |at| from + at + end.len())
}

/// `code` with every item under `#[cfg(test)]` blanked.
fn without_tests(code: &str) -> String {
    let mut out = code.to_owned();
    while let Some(at) = out.find("#[cfg(test)]") {
        let open = out[at..].find(['{', ';']).map_or(out.len() - 1, |open| at + open);
        let mut depth = 0;
        let mut end = open + 1;
        for (offset, c) in out[open..].char_indices() {
            depth += i32::from(c == '{') - i32::from(c == '}');
            if depth == 0 {
                end = open + offset + 1;
                break;
            }
        }
        let blanked = out[at..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect::<String>();
        out.replace_range(at..end, &blanked);
    }
    out
}

/// The module of the root that a file of `src` belongs to; `None` for `lib.rs`.
fn top_module(file: &str) -> Option<&str> {
    let first = file.split('/').next().unwrap_or(file);
    let module = first.strip_suffix(".rs").unwrap_or(first);
    (module != "lib").then_some(module)
}

/// The module of a file: its names from the root.
fn module(file: &str) -> Vec<String> {
    let path = file.strip_suffix(".rs").unwrap_or(file);
    path.strip_suffix("/mod").unwrap_or(path).split('/').map(str::to_owned).collect()
}

/// The path that `text` begins with, or every path in a group `{a::b, c}`, each as its names.
fn paths(text: &str) -> Vec<Vec<String>> {
    let text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        let (mut found, mut depth, mut from) = (Vec::new(), 1, 0);
        for (at, c) in group.char_indices() {
            depth += i32::from(c == '{') - i32::from(c == '}');
            if depth == 0 || c == ',' && depth == 1 {
                found.extend(paths(&group[from..at]));
                from = at + 1;
            }
            if depth == 0 {
                break;
            }
        }
        return found;
    }
    let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return Vec::new();
    }
    let below = rest.strip_prefix("::").map(paths).unwrap_or_default();
    let below = if below.is_empty() { vec![Vec::new()] } else { below };
    below.into_iter().map(|names| [vec![name.to_owned()], names].concat()).collect()
}

/// What a file names by `crate::`, `super::` or `self::`, as names from the root.
fn named(file: &str, code: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(start) {
            if code[..at].chars().next_back().is_some_and(|c| is_word(c) || c == ':') {
                continue;
            }
            for path in paths(&code[at..]) {
                let levels = path.iter().take_while(|name| *name == "super").count();
                let mut names = if start == "crate::" { Vec::new() } else { module(file) };
                assert!(levels <= names.len(), "{file} climbs out of the crate");
                names.truncate(names.len() - levels);
                names.extend(path[levels.max(usize::from(start != "super::"))..].iter().cloned());
                all.push(names);
            }
        }
    }
    all
}

/// The names of the root that a file uses, without its own module.
fn names_at_the_root(file: &str, code: &str) -> BTreeSet<String> {
    let heads = named(file, code).into_iter().filter_map(|names| names.into_iter().next());
    heads.filter(|head| top_module(file) != Some(head)).collect()
}

/// `crate::Error` and `crate::Result` are read as what they re-export.
fn layer(module: &str) -> Option<u32> {
    let module = if ["Error", "Result"].contains(&module) { "error" } else { module };
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

#[test]
fn every_module_has_a_layer() {
    let modules: BTreeSet<String> =
        sources().keys().filter_map(|file| top_module(file)).map(str::to_owned).collect();
    let known: BTreeSet<String> = LAYERS.iter().map(|(module, _)| (*module).to_owned()).collect();
    assert_eq!(modules, known, "the modules of src, then those with a layer");
    let lib = &sources()["lib.rs"];
    for module in known {
        assert!(lib.contains(&format!("mod {module};\n")), "lib.rs does not have {module}");
    }
}

#[test]
fn imports_go_downward_only() {
    let mut seen = 0;
    for (file, text) in sources() {
        let Some(own) = top_module(&file) else { continue };
        for name in names_at_the_root(&file, &without_tests(&code(&text))) {
            seen += 1;
            let other = layer(&name);
            assert!(other.is_some(), "{file} names crate::{name}: name the module, not the re-export");
            assert!(other < layer(own), "{file} names {name}, which is not below {own}");
        }
    }
    assert!(seen > 50, "only {seen} imports found");
}

/// Files that import each other, directly or not, in groups. A module and its submodules do not count: the one
/// declares the others, and they share its items.
fn circles(sources: &BTreeMap<String, String>) -> BTreeSet<Vec<String>> {
    let files: BTreeMap<Vec<String>, &String> = sources.keys().map(|file| (module(file), file)).collect();
    let imports = |file: &String, text: &String| {
        let own = module(file);
        let targets = named(file, &without_tests(&code(text))).into_iter().filter_map(|names| {
            let found = (1..=names.len()).rev().find_map(|len| files.get_key_value(&names[..len]));
            found.filter(|(other, _)| !own.starts_with(other) && !other.starts_with(&own))
        });
        targets.map(|(_, file)| (*file).clone()).collect::<BTreeSet<String>>()
    };
    let imports: BTreeMap<&String, BTreeSet<String>> =
        sources.iter().map(|(file, text)| (file, imports(file, text))).collect();
    let reached = |from: &String| {
        let (mut seen, mut left) = (BTreeSet::new(), vec![from]);
        while let Some(file) = left.pop() {
            left.extend(imports[file].iter().filter(|next| seen.insert((*next).clone())));
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<String>> =
        sources.keys().map(|file| (file, reached(file))).collect();
    let circle = |file: &&String| {
        let others = reached[*file].iter().filter(|other| reached[other].contains(*file));
        others.cloned().collect::<Vec<String>>()
    };
    sources.keys().map(|file| circle(&file)).filter(|circle| !circle.is_empty()).collect()
}

#[test]
fn files_do_not_import_each_other() {
    assert_eq!(circles(&sources()), BTreeSet::new());
}

#[test]
fn import_cycles_are_found() {
    let files = |texts: &[(&str, &str)]| {
        let all = texts.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned()));
        circles(&all.collect()).into_iter().collect::<Vec<_>>()
    };
    let two = files(&[
        ("a/mod.rs", "mod b; mod c;"),
        ("a/b.rs", "use super::c::C;"),
        ("a/c.rs", "use crate::a::b::{B};"),
    ]);
    assert_eq!(two, [["a/b.rs", "a/c.rs"]]);
    let three = [
        ("a.rs", "use crate::{d, b::{self, B}};"),
        ("b/mod.rs", "fn f() { super::c::C }"),
        ("c.rs", "use super::a::A;"),
        ("d.rs", ""),
    ];
    assert_eq!(files(&three), [["a.rs", "b/mod.rs", "c.rs"]]);
    let none = [
        ("a/mod.rs", "use self::b::B; pub struct A;"),
        ("a/b.rs", "use super::A; use super::c;"),
        ("a/c.rs", "// super::b\n#[cfg(test)]\nmod tests { use super::super::b; }"),
    ];
    assert!(files(&none).is_empty());
}

/// The reference checks the fast paths, so it shares none of their parts.
#[test]
fn the_reference_uses_neither_packing_nor_kernels() {
    for (file, text) in sources() {
        if top_module(&file) != Some("reference") {
            continue;
        }
        let code = without_tests(&code(&text));
        let names = names_at_the_root(&file, &code);
        // dtype: the tolerance depends on the rounding of a storage type; the cells do not. sync: a run may be interrupted.
        let allowed = ["dims", "dtype", "error", "io", "model", "sync"];
        assert!(names.iter().all(|name| allowed.contains(&name.as_str())), "{file} names {names:?}");
        for word in code.split(|c| !is_word(c)) {
            assert!(!["pack", "constants", "Constant"].contains(&word), "{file} uses {word}");
        }
    }
}

#[test]
fn outside_crates_stay_in_their_places() {
    let mut used: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (file, text) in sources() {
        let code = without_tests(&code(&text));
        for (name, places) in OUTSIDE {
            let path = format!("{name}::");
            let named = code
                .match_indices(&path)
                .any(|(at, _)| code[..at].chars().next_back().is_none_or(|c| !is_word(c) && c != ':'));
            if named {
                assert!(places.iter().any(|place| file.starts_with(place)), "{file} names {name}");
                let here = places.iter().filter(|place| file.starts_with(**place));
                used.extend(here.map(|place| (name, *place)));
            }
        }
    }
    for (name, places) in OUTSIDE {
        for place in places {
            assert!(
                used.contains(&(name, *place)),
                "{place} does not name {name} any more: take it off the list"
            );
        }
    }
}

/// `engine/device.rs` passes the caller's wgpu objects on, and returns adapters; it records and creates nothing.
#[test]
fn the_engine_passes_wgpu_types_through() {
    let code = without_tests(&code(&sources()["engine/device.rs"]));
    let names: BTreeSet<String> = code
        .match_indices("wgpu::")
        .flat_map(|(at, _)| paths(&code[at..]))
        .map(|names| names[1].clone())
        .collect();
    let allowed: BTreeSet<String> = ["Device", "Queue", "Adapter"].map(str::to_owned).into();
    assert!(names.is_subset(&allowed), "engine/device.rs names {names:?}");
}

/// Files with unsafe code: experimental features of wgpu, pipelines from disk, and, in the CPU path, vectors,
/// threads, their shared data and their models.
const UNSAFE: [&str; 10] = [
    "gpu/adapter.rs",
    "gpu/context/saved.rs",
    "cpu/gates.rs",
    "cpu/models.rs",
    "cpu/product.rs",
    "cpu/run.rs",
    "cpu/shared.rs",
    "cpu/simd/",
    "cpu/team.rs",
    "cpu/walk.rs",
];

/// Files that read a clock: the calibration, measurements of tests, the spin time of threads and its measured
/// benefit, the times that a staged run reports, and when a run's caller is asked again. Benchmarks are in the command.
const CLOCKS: [&str; 6] = [
    "cpu/calibrate.rs",
    "cpu/measure.rs",
    "cpu/barrier.rs",
    "cpu/mod.rs",
    "gpu/staged.rs",
    "sync/interrupt.rs",
];

/// The objects that `Device::resource_counts` counts are created in one file; unsafe code and clocks are only in the
/// listed files.
#[test]
fn objects_are_created_in_one_place() {
    let counted = ["create_shader_module", "create_compute_pipeline", "create_bind_group", "create_buffer"];
    for (file, text) in sources() {
        let code = without_tests(&code(&text));
        let words: BTreeSet<&str> = code.split(|c| !is_word(c)).collect();
        for name in counted {
            assert_eq!(words.contains(name), file == "gpu/create.rs", "{file}: {name}");
        }
        let is_listed = UNSAFE.iter().any(|module| file.starts_with(module));
        assert!(is_listed || !words.contains("unsafe"), "{file}: unsafe");
        let reads_clock = ["Instant", "SystemTime"].iter().any(|name| words.contains(name));
        assert_eq!(reads_clock, CLOCKS.contains(&file.as_str()), "{file}: a clock");
    }
}

#[test]
fn no_file_is_too_long() {
    for folder in ["src", "shaders", "tests", "cli", "xtask"] {
        let files = files(folder, &["rs", "wgsl"]);
        assert!(!files.is_empty(), "{folder} is empty");
        for (file, text) in files {
            let lines = text.lines().count();
            assert!(lines <= LONGEST, "{folder}/{file} has {lines} lines, more than {LONGEST}");
        }
    }
}

/// A test that cannot run is ignored (`tests/conditional/`): if it returned early, it would be counted as passed.
#[test]
fn no_test_passes_over_what_it_cannot_do() {
    let word = ["SKIP", "PED"].concat();
    for folder in ["tests", "cli/tests", "src", "cli/src"] {
        for (file, text) in files(folder, &["rs"]) {
            assert!(!text.contains(&word), "{folder}/{file} prints {word}: see tests/conditional/main.rs");
        }
    }
}

#[test]
fn the_library_asserts_in_one_place() {
    let asserts = |text: &str| {
        let code = without_tests(&code(text));
        // debug_assert! is no assert!.
        let is_whole = |at: usize| code[..at].chars().next_back().is_none_or(|c| !is_word(c));
        ASSERTS.iter().any(|what| code.match_indices(what).any(|(at, _)| is_whole(at)))
    };
    // Models are tests.
    let files = sources().into_iter().filter(|(file, text)| file != "cpu/models.rs" && asserts(text));
    assert_eq!(files.map(|(file, _)| file).collect::<Vec<_>>(), MAY_ASSERT);
}

/// The parser above, on text that is easy to misread.
#[test]
fn the_readers_of_this_file_can_be_trusted() {
    let text = "use crate::{gpu::{a, b}, /* crate::no */ dims};\nlet s = \"crate::io \\\" //\"; // crate::cpu\nlet c = '\"'; super::super::plan::x;\nlet r = r#\"crate::program \" \"#; fn f<'a>(x: &'a str) {}\n#[cfg(test)]\nmod tests { use crate::engine::{A}; }\nuse crate::error::E;";
    let code = without_tests(&code(text));
    assert_eq!(code.lines().count(), text.lines().count());
    let names = names_at_the_root("model/cell.rs", &code);
    assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), ["dims", "error", "gpu", "plan"]);
    assert_eq!(names_at_the_root("dims.rs", "use super::{gpu, io::x};").len(), 2);
    assert!(names_at_the_root("model/cell.rs", "use super::gpu; mycrate::io; a::crate::b").is_empty());
    assert_eq!(
        [module("dims.rs"), module("model/mod.rs"), module("model/cell.rs")].map(|names| names.len()),
        [1, 1, 2]
    );
    assert_eq!(
        [top_module("dims.rs"), top_module("model/cell.rs"), top_module("lib.rs")],
        [Some("dims"), Some("model"), None]
    );
}
