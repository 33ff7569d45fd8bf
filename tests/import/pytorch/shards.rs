//! Models in several files: the index and the folder are read, and contradictory files are refused.

use std::path::PathBuf;

use wgru::Error;
use wgru::import::Limits;
use wgru::import::PyTorch;

use super::file::File;

/// A folder that is removed when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("wgru-shards-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder can be made");
        Self(path)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).expect("a file can be written");
        path
    }

    fn index(&self, map: &[(&str, &str)]) -> PathBuf {
        let entries: Vec<String> =
            map.iter().map(|(tensor, file)| format!("\"{tensor}\": \"{file}\"")).collect();
        let text =
            format!("{{\"metadata\": {{\"total_size\": 1}}, \"weight_map\": {{{}}}}}", entries.join(", "));
        self.put("model.safetensors.index.json", text.as_bytes())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const SHARDS: [&str; 2] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];

/// A stack of two layers whose tensors alternate between two files, and the index.
fn sharded(name: &str) -> (Folder, PathBuf) {
    let folder = Folder::new(name);
    let whole = File::stack(3, 2);
    let mut map = Vec::new();
    for (place, shard) in SHARDS.iter().enumerate() {
        let tensors = whole.tensors.iter().skip(place).step_by(2).cloned().collect();
        let mut part = File { tensors, ..File::default() };
        part.metadata.insert("format".into(), "pt".into());
        folder.put(shard, &part.bytes());
        map.extend(part.tensors.iter().map(|(tensor, _)| (tensor.clone(), *shard)));
    }
    let map: Vec<(&str, &str)> = map.iter().map(|(tensor, shard)| (tensor.as_str(), *shard)).collect();
    let index = folder.index(&map);
    (folder, index)
}

#[test]
fn an_index_and_its_folder_are_read() {
    let (folder, index) = sharded("read");
    let whole = File::stack(3, 2).read().expect("in one file");
    for path in [&index, &folder.0] {
        let imported = PyTorch::new().read(path).expect("in two files");
        assert_eq!(imported.model, whole.model);
        assert_eq!((imported.report.used, imported.report.left_over.len()), (whole.report.used.clone(), 0));
        assert_eq!(imported.report.metadata.get("format").map(String::as_str), Some("pt"));
    }
    // A folder of one file needs no index.
    let single = Folder::new("single");
    single.put("config.json", b"{}");
    single.put("model.safetensors", &File::stack(3, 2).bytes());
    assert_eq!(PyTorch::new().read(&single.0).expect("the only file").model, whole.model);
    single.put("other.safetensors", &File::stack(3, 1).bytes());
    let error = PyTorch::new().read(&single.0).expect_err("two files");
    assert!(matches!(&error, Error::Ambiguous { found, .. } if found.len() == 2), "{error}");
    let empty = Folder::new("empty");
    let error = PyTorch::new().read(&empty.0).expect_err("nothing in it");
    assert!(matches!(&error, Error::Io { .. }) && error.to_string().contains("it has nothing"), "{error}");
    empty.put("readme.md", b"");
    let error = PyTorch::new().read(&empty.0).expect_err("no tensors in it");
    assert!(error.to_string().contains("it has readme.md"), "{error}");
}

#[test]
fn shards_that_do_not_fit_the_index_are_refused() {
    let (folder, index) = sharded("refused");
    let refused = |what: &str| PyTorch::new().read(&index).expect_err(what);

    std::fs::remove_file(folder.0.join(SHARDS[1])).expect("it is there");
    let error = refused("a file is missing");
    assert!(matches!(&error, Error::Io { path, .. } if path.ends_with(SHARDS[1])), "{error}");

    folder.put(SHARDS[1], b"\x02\0\0\0\0\0\0\0{}");
    let error = refused("a file without its tensors");
    assert!(matches!(&error, Error::MissingTensor { source, .. } if source.ends_with(SHARDS[1])), "{error}");

    let first = std::fs::read(folder.0.join(SHARDS[0])).expect("it is there");
    folder.put(SHARDS[1], &first[..first.len() - 1]);
    let error = refused("a file cut off");
    assert!(matches!(&error, Error::Format { name, .. } if name.ends_with(SHARDS[1])), "{error}");

    folder.put(SHARDS[1], b"PK\x03\x04 archive/data.pkl");
    let error = refused("a pickle");
    assert!(error.to_string().contains("python -c"), "{error}");

    // The same tensor in both, whatever the index says.
    folder.put(SHARDS[1], &first);
    folder.index(&[("weight_ih_l0", SHARDS[0]), ("bias_ih_l0", SHARDS[1])]);
    let error = refused("one tensor twice");
    assert!(SHARDS.iter().all(|shard| error.to_string().contains(shard)), "{error}");
}

#[test]
fn an_index_that_cannot_be_read_is_refused() {
    let (folder, index) = sharded("index");
    std::fs::write(folder.0.join("../outside.safetensors"), File::stack(3, 1).bytes())
        .expect("it can be written");
    for file in
        ["../outside.safetensors", "/etc/passwd", "a/b.safetensors", "..", ".", "", "a\\\\b", "C:\\\\x"]
    {
        folder.index(&[("weight_ih_l0", file)]);
        let error = PyTorch::new().read(&index).expect_err("outside the folder");
        assert!(
            matches!(&error, Error::Format { name, .. } if name == &index.display().to_string()),
            "{error}"
        );
    }
    std::fs::remove_file(folder.0.join("../outside.safetensors")).expect("it is there");
    for text in ["", "{", "[]", "null", "{}", r#"{"weight_map": 1}"#, r#"{"weight_map": {"a": 1}}"#] {
        std::fs::write(&index, text).expect("it can be written");
        let error = PyTorch::new().read(&index).expect_err(text);
        assert!(
            matches!(&error, Error::Format { name, .. } if name == &index.display().to_string()),
            "{error}"
        );
    }
    // It is empty: no stack.
    std::fs::write(&index, r#"{"weight_map": {}}"#).expect("it can be written");
    assert!(matches!(PyTorch::new().read(&index), Err(Error::Ambiguous { .. })));
}

#[test]
fn limits_hold_for_all_files_together() {
    let (_folder, index) = sharded("limits");
    let with = |limits| PyTorch::new().limits(limits).read(&index);
    with(Limits::default().tensors(8)).expect("eight tensors");
    let error = with(Limits::default().tensors(7)).expect_err("eight tensors");
    assert!(matches!(&error, Error::TooLarge { needed: 8, limit: 7, .. }), "{error}");
    // The index is a header too.
    let error = with(Limits::default().header(100)).expect_err("a longer index");
    assert!(matches!(&error, Error::TooLarge { unit: "bytes of header", .. }), "{error}");
}
