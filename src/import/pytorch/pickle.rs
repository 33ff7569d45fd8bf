//! Recognises files that `torch.save` and `torch.jit.save` write: a zip archive with a `data.pkl` in it, or, in the
//! first versions, a bare pickle. A pickle is a program, so none is read; the error contains the line of Python that
//! writes the tensors of such a file as safetensors.
//!
//! Weights alone are loaded with `weights_only=True`, which runs no code. A whole module and TorchScript need the
//! file's own code, and the message says that the line runs it.

use crate::error::{Error, listed};

/// The file extensions used with `torch.save`.
const ENDINGS: [&str; 4] = [".pt", ".pth", ".bin", ".ckpt"];
/// The length of a file's beginning and of its end that is searched; the end is where an archive lists its parts.
const LOOKED_AT: usize = 1 << 20;
/// The longest path, in bytes, that is written into a command line.
const LONGEST: usize = 110;

/// The error for a file that cannot be read as safetensors: how to convert it if it is a pickle, else `error`.
pub(super) fn instead_of(error: Error, source: &str, bytes: &[u8]) -> Error {
    let named = ENDINGS.iter().any(|ending| source.to_ascii_lowercase().ends_with(ending));
    if !named && !is_archive(bytes) && !is_pickle(bytes) {
        return error;
    }
    told(Content::of(bytes), source)
}

fn told(content: Content, source: &str) -> Error {
    Error::Unsupported { what: format!("{}: {}", listed(&[source]), advice(content, source)) }
}

fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") && has(bytes.get(..512).unwrap_or(bytes), b"data.pkl")
}

/// A pickle begins with its protocol; a safetensors file with the length of its header, whose upper bytes are 0.
fn is_pickle(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 2..=5, rest @ ..] if rest.iter().take(6).any(|&byte| byte != 0))
}

fn has(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

/// The kind of object that was saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// Tensors by name, or a checkpoint that has them under a key.
    Weights,
    /// An `nn.Module` itself.
    Module,
    /// An archive of TorchScript.
    TorchScript,
}

impl Content {
    /// Determined from the names that the pickle refers to: TorchScript's classes are under `__torch__`, and every
    /// module contains a class of PyTorch's own. Tensors have neither.
    fn of(bytes: &[u8]) -> Self {
        let last = bytes.len().saturating_sub(LOOKED_AT);
        let parts = [bytes.get(..LOOKED_AT).unwrap_or(bytes), bytes.get(last..).unwrap_or(bytes)];
        let any = |word: &[u8]| parts.iter().any(|part| has(part, word));
        match () {
            () if any(b"__torch__") || any(b"constants.pkl") => Self::TorchScript,
            () if any(b"torch.nn.modules") => Self::Module,
            () => Self::Weights,
        }
    }
}

/// What the file is and the lines for a shell, each on a line of its own.
fn advice(content: Content, source: &str) -> String {
    let (from, to) = paths(source);
    let line = |code: &str| {
        format!(
            "python -c \"import torch, safetensors.torch as s; {code}; s.save_file({{str(k): \
             v.detach().contiguous().clone() for k, v in d.items() if torch.is_tensor(v)}}, '{to}')\""
        )
    };
    let load = |only| format!("d = torch.load('{from}', map_location='cpu', weights_only={only})");
    // For a checkpoint, the part with recurrent weights: the whole, or the value of a key.
    let places = "[d.get('state_dict'), d.get('model'), d, *d.values()]";
    let find = |places: &str| {
        format!(
            "d = next((c for c in {places} if hasattr(c, 'keys') and any('weight_ih' in str(k) for k in c)), d)"
        )
    };
    let weights = line(&format!("{}; {}", load("True"), find(places)));
    let state = "f = lambda c: c.state_dict() if hasattr(c, 'state_dict') else c; d = f(d)";
    let module = line(&format!("{}; {state}; {}", load("False"), find(&format!("map(f, {places})"))));
    let script = line(&format!("d = torch.jit.load('{from}', map_location='cpu').state_dict()"));
    let trust = "which runs the code in the file, so only for one that you trust";
    match content {
        Content::Weights => format!(
            "PyTorch's own format is a pickle, and none is read; this line writes its tensors to {to}:\n{weights}\n\
             Where that says that weights only cannot be loaded, the file holds more than tensors; then this one, \
             {trust}:\n{module}"
        ),
        Content::Module => format!(
            "a whole module, pickled, and no pickle is read; where its classes can be imported, this line writes its \
             state_dict() to {to}, {trust} (weights_only=False):\n{module}"
        ),
        Content::TorchScript => format!(
            "an archive of TorchScript, which is not read; this line writes its weights to {to} by torch.jit.load, \
             {trust}:\n{script}"
        ),
    }
}

/// The file and the target of the conversion; placeholders if a shell or Python would misread a name.
fn paths(source: &str) -> (&str, String) {
    let plain = |c: char| c.is_alphanumeric() || "/._- ".contains(c);
    match source.rsplit_once('.') {
        Some((stem, _)) if source.len() <= LONGEST && source.chars().all(plain) => {
            (source, format!("{stem}.safetensors"))
        }
        _ => ("IN.pt", "OUT.safetensors".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_told(source: &str, bytes: &[u8]) -> bool {
        let own = Error::format(source, "not safetensors");
        matches!(instead_of(own, source, bytes), Error::Unsupported { .. })
    }

    #[test]
    fn pickles_are_told_by_their_bytes_or_their_name() {
        assert!(is_told("m", b"PK\x03\x04\0\0\x08\x08 archive/data.pklFB"));
        assert!(is_told("m", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."));
        assert!(is_told("m.PTH", b""));
        assert!(!is_told("m.keras", b"PK\x03\x04\x14\0\0\0\0\0 metadata.json"));
        // A truncated safetensors file, with a header of 640 bytes.
        assert!(!is_told("m.safetensors", b"\x80\x02\0\0\0\0\0\0{\"weight"));
        assert!(!is_told("m.safetensors", b"\x80\x02\0"));
    }

    #[test]
    fn the_content_is_told_by_what_the_pickle_asks_for() {
        let far = [&[7; 3 * LOOKED_AT][..], b"m/constants.pkl"].concat();
        for (bytes, content) in [
            (
                &b"data.pkl\x80\x02ccollections\nOrderedDict\nctorch._utils\n_rebuild_tensor_v2\n"[..],
                Content::Weights,
            ),
            (b"data.pkl\x80\x02c__main__\nNet\nctorch.nn.modules.rnn\nLSTM\n", Content::Module),
            (b"data.pkl\x80\x02c__torch__\nNet\n", Content::TorchScript),
            (&far, Content::TorchScript),
            (b"", Content::Weights),
        ] {
            assert_eq!(Content::of(bytes), content);
        }
    }

    #[test]
    fn the_lines_name_the_file_where_a_shell_takes_its_name() {
        for content in [Content::Weights, Content::Module, Content::TorchScript] {
            let text = advice(content, "runs/best model.pt");
            let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("python -c \"")).collect();
            assert_eq!(lines.len(), if content == Content::Weights { 2 } else { 1 }, "{text}");
            for line in lines {
                assert!(line.contains("load('runs/best model.pt', map_location='cpu'"), "{line}");
                assert!(line.ends_with("'runs/best model.safetensors')\""), "{line}");
                // It contains nothing that a shell expands, and one pair of double quotes.
                assert!(!line.contains(['$', '`', '!', '\\']) && line.matches('"').count() == 2, "{line}");
            }
            let long = format!("{}.pt", "x".repeat(300));
            for odd in ["it's.pt", "$(x).pt", "a\"b.pt", "C:\\m.pt", "pt", &long] {
                let text = advice(content, odd);
                assert!(text.contains("load('IN.pt'") && text.ends_with("'OUT.safetensors')\""), "{text}");
                assert!(!text.contains(odd) || odd == "pt", "{text}");
            }
            // The longest path that is written out: the message is not cut, except for the path before the colon.
            let longest = format!("{}.pt", "x".repeat(LONGEST - 3));
            let text = told(content, &longest).to_string();
            assert!(text.len() <= 2048 && text.ends_with(&advice(content, &longest)), "{text}");
            let endless = format!("{}.pt", "x".repeat(4000));
            let text = told(content, &endless).to_string();
            assert!(text.len() <= 2048 && text.ends_with(&advice(content, &endless)), "{text}");
        }
    }

    #[test]
    fn only_the_lines_that_run_the_files_code_say_so() {
        let text = advice(Content::Weights, "m.pt");
        let (first, second) = text.split_once("\nWhere").expect("two parts");
        assert!(first.contains("weights_only=True") && !first.contains("runs the code"), "{first}");
        assert!(second.contains("weights_only=False") && second.contains("runs the code"), "{second}");
        for (content, words) in
            [(Content::Module, "weights_only=False"), (Content::TorchScript, "torch.jit.load")]
        {
            let text = advice(content, "m.pt");
            assert!(text.contains(words) && text.contains("runs the code"), "{text}");
            assert!(!text.contains("weights_only=True"), "{text}");
        }
    }
}
