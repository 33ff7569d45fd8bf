//! What `torch.save` writes, told from a broken safetensors file: a zip archive with a `data.pkl` in it, or, in
//! files of the first versions, a bare pickle. A pickle is a program, so none is read.

use crate::error::Error;

/// The endings that `torch.save` is called with.
const ENDINGS: [&str; 4] = [".pt", ".pth", ".bin", ".ckpt"];

/// The error for a file that cannot be read as safetensors: how to convert it where it is a pickle, else `error`.
pub(super) fn instead_of(error: Error, source: &str, bytes: &[u8]) -> Error {
    let named = ENDINGS.iter().any(|ending| source.to_ascii_lowercase().ends_with(ending));
    if !named && !is_archive(bytes) && !is_pickle(bytes) {
        return error;
    }
    let what = format!("{source}: PyTorch's own format is a pickle, and none is read; convert it: ");
    Error::Unsupported { what: what + &conversion(source) }
}

fn is_archive(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(512)];
    start.starts_with(b"PK\x03\x04") && start.windows(8).any(|name| name == b"data.pkl")
}

/// A pickle begins with its protocol; a safetensors file with the length of its header, whose upper bytes are 0.
fn is_pickle(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 2..=5, rest @ ..] if rest.iter().take(6).any(|&byte| byte != 0))
}

/// One line for a shell. `clone` parts tensors that share memory, which safetensors refuses.
fn conversion(source: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._- ".contains(c);
    let (from, to) = match source.rsplit_once('.') {
        Some((stem, _)) if source.chars().all(plain) => (source, format!("{stem}.safetensors")),
        // Of a name that a shell or Python would read otherwise, a stand-in.
        _ => ("IN.pt", "OUT.safetensors".into()),
    };
    format!(
        "python -c \"import torch, safetensors.torch as s; s.save_file({{k: v.contiguous().clone() for k, v in \
         torch.load('{from}', map_location='cpu', weights_only=True).items()}}, '{to}')\""
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_told(source: &str, bytes: &[u8]) -> bool {
        let own = Error::Format { name: source.into(), reason: "not safetensors".into() };
        instead_of(own.clone(), source, bytes) != own
    }

    #[test]
    fn pickles_are_told_by_their_bytes_or_their_name() {
        assert!(is_told("m", b"PK\x03\x04\0\0\x08\x08 archive/data.pklFB"));
        assert!(is_told("m", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."));
        assert!(is_told("m.PTH", b""));
        assert!(!is_told("m.keras", b"PK\x03\x04\x14\0\0\0\0\0 metadata.json"));
        // A safetensors file that is cut off, with a header of 640 bytes.
        assert!(!is_told("m.safetensors", b"\x80\x02\0\0\0\0\0\0{\"weight"));
        assert!(!is_told("m.safetensors", b"\x80\x02\0"));
    }

    #[test]
    fn the_conversion_names_the_file_where_a_shell_takes_its_name() {
        let line = conversion("runs/best model.pt");
        assert!(
            line.contains("torch.load('runs/best model.pt', map_location='cpu', weights_only=True)"),
            "{line}"
        );
        assert!(line.ends_with("'runs/best model.safetensors')\""), "{line}");
        for odd in ["it's.pt", "$(x).pt", "a\"b.pt", "C:\\m.pt", "pt"] {
            assert!(conversion(odd).contains("torch.load('IN.pt'"), "{odd}");
            assert!(conversion(odd).ends_with("'OUT.safetensors')\""), "{odd}");
        }
    }
}
