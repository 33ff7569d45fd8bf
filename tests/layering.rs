//! The rooms of the crate and what may stand in them: imports go downward only, each outside crate has its
//! room, files can be read in one sitting, and no library path panics.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Every room with its floor. A room may name itself and rooms on lower floors.
const FLOORS: [(&str, u32); 19] = [
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
const OUTSIDE: [(&str, &[&str]); 10] = [
    ("wgpu", &["gpu/", "engine/device.rs"]),
    ("safetensors", &["import/", "engine/pool/snapshot.rs"]),
    ("prost", &["proto.rs", "import/onnx/", "export/onnx/"]),
    ("hdf5_reader", &["import/keras/store.rs"]),
    ("serde_json", &["import/keras/", "import/pytorch/shards.rs"]),
    ("zip", &["import/keras/container.rs"]),
    ("half", &["dtype.rs"]),
    ("bytemuck", &["cpu/panel.rs", "kernels/", "gpu/", "engine/gpu/read.rs", "engine/pool/gpu.rs"]),
    ("pollster", &["engine/"]),
    ("naga", &[]),
];

/// What panics, and the places where it may stand: a state that the types around it rule out.
const PANICS: [&str; 9] = [
    "unwrap()",
    "expect(",
    "panic!",
    "unreachable!",
    "todo!",
    "unimplemented!",
    "assert!",
    "assert_eq!",
    "assert_ne!",
];
const MAY_PANIC: [(&str, &str); 3] = [
    ("cpu/product.rs", r#"_ => unreachable!("not one of `shapes`"),"#),
    ("cpu/shared.rs", r#"assert!(at <= self.len && len <= self.len - at, "{at} + {len} of {}", self.len);"#),
    ("kernels/params.rs", r#"_ => unreachable!("parameters of one kernel on another"),"#),
];

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

fn sources() -> BTreeMap<String, String> {
    let sources = files("src", &["rs"]);
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

/// The room of a file of `src`; none for `lib.rs`.
fn room(file: &str) -> Option<&str> {
    let first = file.split('/').next().unwrap_or(file);
    let room = first.strip_suffix(".rs").unwrap_or(first);
    (room != "lib").then_some(room)
}

/// How deep the module of a file lies: 1 for `dims.rs` and `model/mod.rs`, 2 for `model/cell.rs`.
fn depth(file: &str) -> usize {
    file.split('/').filter(|part| *part != "mod.rs").count()
}

/// The first word of a path, or of every path in a group `{a::b, c}`.
fn heads(text: &str) -> Vec<String> {
    let word = |text: &str| text.trim_start().chars().take_while(|&c| is_word(c)).collect::<String>();
    let Some(group) = text.strip_prefix('{') else { return vec![word(text)] };
    let mut heads = vec![word(group)];
    let mut depth = 1;
    for (at, c) in group.char_indices() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if depth == 0 {
            break;
        }
        if c == ',' && depth == 1 {
            heads.push(word(&group[at + 1..]));
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

/// What a file names at the root of the crate, by `crate::` or by `super::` as often as it takes.
fn names_at_the_root(file: &str, code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let starts = |at: usize| code[..at].chars().next_back().is_none_or(|c| !is_word(c) && c != ':');
    for (at, path) in code.match_indices("crate::") {
        if starts(at) {
            names.extend(heads(&code[at + path.len()..]));
        }
    }
    for (at, _) in code.match_indices("super::") {
        if !starts(at) {
            continue;
        }
        let mut rest = &code[at..];
        let mut levels = 0;
        while let Some(inner) = rest.strip_prefix("super::") {
            (rest, levels) = (inner, levels + 1);
        }
        assert!(levels <= depth(file), "{file} climbs out of the crate");
        if levels == depth(file) {
            names.extend(heads(rest));
        }
    }
    names
}

/// `crate::Error` and `crate::Result` are read as what they re-export.
fn floor(room: &str) -> Option<u32> {
    let room = if ["Error", "Result"].contains(&room) { "error" } else { room };
    FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

#[test]
fn every_room_has_a_floor() {
    let rooms: BTreeSet<String> = sources().keys().filter_map(|file| room(file)).map(str::to_owned).collect();
    let known: BTreeSet<String> = FLOORS.iter().map(|(room, _)| (*room).to_owned()).collect();
    assert_eq!(rooms, known, "the rooms of src, then those with a floor");
    let lib = &sources()["lib.rs"];
    for room in known {
        assert!(lib.contains(&format!("mod {room};\n")), "lib.rs does not have {room}");
    }
}

#[test]
fn imports_go_downward_only() {
    let mut seen = 0;
    for (file, text) in sources() {
        let Some(own) = room(&file) else { continue };
        for name in names_at_the_root(&file, &without_tests(&code(&text))) {
            seen += 1;
            let other = floor(&name);
            assert!(other.is_some(), "{file} names crate::{name}: name the room, not the re-export");
            assert!(name == own || other < floor(own), "{file} names {name}, which is not below {own}");
        }
    }
    assert!(seen > 50, "only {seen} imports found");
}

/// The reference judges the fast paths, so it shares none of their parts.
#[test]
fn the_reference_knows_neither_packing_nor_kernels() {
    for (file, text) in sources() {
        if room(&file) != Some("reference") {
            continue;
        }
        let code = without_tests(&code(&text));
        let names = names_at_the_root(&file, &code);
        // dtype: the tolerance knows what a storage type rounds to; the cells do not.
        let allowed = ["dims", "dtype", "error", "io", "model"];
        assert!(names.iter().all(|name| allowed.contains(&name.as_str())), "{file} names {names:?}");
        for word in code.split(|c| !is_word(c)) {
            assert!(!["pack", "constants", "Constant"].contains(&word), "{file} uses {word}");
        }
    }
}

#[test]
fn outside_crates_stay_in_their_rooms() {
    let mut used: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (file, text) in sources() {
        let code = without_tests(&code(&text));
        for (name, rooms) in OUTSIDE {
            let path = format!("{name}::");
            let named = code
                .match_indices(&path)
                .any(|(at, _)| code[..at].chars().next_back().is_none_or(|c| !is_word(c) && c != ':'));
            if named {
                assert!(rooms.iter().any(|room| file.starts_with(room)), "{file} names {name}");
                let here = rooms.iter().filter(|room| file.starts_with(**room));
                used.extend(here.map(|room| (name, *room)));
            }
        }
    }
    for (name, rooms) in OUTSIDE {
        for room in rooms {
            assert!(
                used.contains(&(name, *room)),
                "{room} does not name {name} any more: take it off the list"
            );
        }
    }
}

/// `engine/device.rs` hands the caller's wgpu objects on and adapters back; it records and creates nothing.
#[test]
fn the_engine_passes_wgpu_types_through() {
    let code = without_tests(&code(&sources()["engine/device.rs"]));
    let names: BTreeSet<String> =
        code.match_indices("wgpu::").flat_map(|(at, path)| heads(&code[at + path.len()..])).collect();
    let allowed: BTreeSet<String> = ["Device", "Queue", "Adapter"].map(str::to_owned).into();
    assert!(names.is_subset(&allowed), "engine/device.rs names {names:?}");
}

/// Files with unsafe code: features that wgpu has not settled, pipelines from disk, and of the CPU path vectors, threads and
/// what these share.
const UNSAFE: [&str; 9] = [
    "gpu/adapter.rs",
    "gpu/saved.rs",
    "cpu/gates.rs",
    "cpu/product.rs",
    "cpu/run.rs",
    "cpu/shared.rs",
    "cpu/simd/",
    "cpu/team.rs",
    "cpu/walk.rs",
];

/// What `Device::created` counts is created in one file; unsafe code stands where it is listed, and nowhere else.
#[test]
fn objects_are_created_in_one_place() {
    let counted = ["create_shader_module", "create_compute_pipeline", "create_bind_group", "create_buffer"];
    for (file, text) in sources() {
        let code = without_tests(&code(&text));
        let words: BTreeSet<&str> = code.split(|c| !is_word(c)).collect();
        for name in counted {
            assert_eq!(words.contains(name), file == "gpu/create.rs", "{file}: {name}");
        }
        let is_listed = UNSAFE.iter().any(|room| file.starts_with(room));
        assert!(is_listed || !words.contains("unsafe"), "{file}: unsafe");
    }
}

#[test]
fn no_file_is_too_long() {
    for folder in ["src", "shaders", "cli/src", "xtask/src"] {
        let files = files(folder, &["rs", "wgsl"]);
        assert!(!files.is_empty(), "{folder} is empty");
        for (file, text) in files {
            let lines = text.lines().count();
            assert!(lines <= LONGEST, "{folder}/{file} has {lines} lines, more than {LONGEST}");
        }
    }
}

#[test]
fn no_library_path_panics() {
    let mut used: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (file, text) in sources() {
        let code = without_tests(&code(&text));
        for (number, (code, line)) in code.lines().zip(text.lines()).enumerate() {
            for what in PANICS {
                let found = code.match_indices(what).any(|(at, _)| {
                    // debug_assert! is no assert!, and unwrap_or is no unwrap().
                    code[..at].chars().next_back().is_none_or(|c| !is_word(c))
                });
                if !found {
                    continue;
                }
                let allowed = MAY_PANIC.iter().find(|(at, text)| *at == file && line.trim() == *text);
                assert!(allowed.is_some(), "{file}:{}: {}", number + 1, line.trim());
                used.extend(allowed);
            }
        }
    }
    for place in MAY_PANIC {
        assert!(used.contains(&place), "{place:?} is gone: take it off the list");
    }
}

/// The reading above, on text that is easy to misread.
#[test]
fn the_readers_of_this_file_can_be_trusted() {
    let text = "use crate::{gpu::{a, b}, /* crate::no */ dims};\nlet s = \"crate::io \\\" //\"; // crate::cpu\nlet c = '\"'; super::super::plan::x;\nlet r = r#\"crate::program \" \"#; fn f<'a>(x: &'a str) {}\n#[cfg(test)]\nmod tests { use crate::engine::{A}; }\nuse crate::error::E;";
    let code = without_tests(&code(text));
    assert_eq!(code.lines().count(), text.lines().count());
    let names = names_at_the_root("model/cell.rs", &code);
    assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), ["dims", "error", "gpu", "plan"]);
    assert_eq!(names_at_the_root("dims.rs", "use super::{gpu, io::x};").len(), 2);
    assert!(names_at_the_root("model/cell.rs", "use super::gpu; mycrate::io; a::crate::b").is_empty());
    assert_eq!([depth("dims.rs"), depth("model/mod.rs"), depth("model/cell.rs")], [1, 1, 2]);
    assert_eq!([room("dims.rs"), room("model/cell.rs"), room("lib.rs")], [Some("dims"), Some("model"), None]);
}
