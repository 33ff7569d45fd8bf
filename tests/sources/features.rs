//! The lists of the library's features: each is complete, since no compiler compares them.

use std::fs;
use std::path::Path;

fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines of a manifest's section.
fn section<'a>(manifest: &'a str, name: &str) -> Vec<&'a str> {
    let heading = format!("[{name}]");
    let lines = manifest.lines().skip_while(|line| line.trim() != heading).skip(1);
    lines.take_while(|line| !line.starts_with('[')).filter(|line| !line.starts_with('#')).collect()
}

/// The line of a section that begins with `key`.
fn line<'a>(manifest: &'a str, name: &str, key: &str) -> &'a str {
    let lines = section(manifest, name);
    lines
        .into_iter()
        .find(|line| line.starts_with(&format!("{key} = ")))
        .unwrap_or_else(|| panic!("[{name}] has no {key}"))
}

#[test]
fn every_list_of_features_has_them_all() {
    let manifest = text("Cargo.toml");
    let names = section(&manifest, "features").into_iter().filter_map(|line| Some(line.split_once(" = ")?.0));
    let of_users: Vec<&str> =
        names.filter(|name| !["default", "unstable", "testing"].contains(name)).collect();
    assert!(["gpu", "onnx", "keras"].iter().all(|name| of_users.contains(name)), "{of_users:?}");
    let default = line(&manifest, "features", "default");
    let documented = format!("{default} {}", line(&manifest, "package.metadata.docs.rs", "features"));
    let readers = |name: &&&str| **name != "gpu";
    for name in &of_users {
        let quoted = format!("\"{name}\"");
        assert!(
            documented.contains(&quoted),
            "docs.rs does not have {name}: name it in [package.metadata.docs.rs]"
        );
        assert!(
            text("src/lib.rs").contains(&format!("//! | `{name}` |")),
            "the table of features in src/lib.rs has no {name}"
        );
        let sound = text("tests/sound/build.rs");
        assert!(sound.contains(&quoted), "tests/sound/build.rs has no {name}");
        let surface = text("xtask/src/surface.rs");
        let kept =
            surface.lines().find(|line| line.starts_with("const FEATURES")).expect("a list of features");
        assert!(
            kept.split(['"', ',']).any(|word| word == *name),
            "FEATURES of xtask/src/surface.rs has no {name}"
        );
    }
    let fuzz = text("fuzz/Cargo.toml");
    for name in of_users.iter().filter(readers) {
        let quoted = format!("\"{name}\"");
        assert!(
            line(&manifest, "dev-dependencies", "wgru").contains(&quoted),
            "the suites run without {name}: name it in [dev-dependencies]"
        );
        assert!(line(&fuzz, "dependencies", "wgru").contains(&quoted), "fuzz/Cargo.toml has no {name}");
    }
}
