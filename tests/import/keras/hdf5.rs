//! A writer of small HDF5 files for tests: groups, texts as attributes, arrays of any type.
//!
//! Superblock 0, object headers of version 1, links and attributes inside them, contiguous arrays: this subset needs
//! no checksum or index (HDF5 file format specification, version 3).

use std::collections::BTreeMap;

const UNDEFINED: u64 = u64::MAX;
const SUPERBLOCK: u64 = 96;

/// A group: attributes, groups and arrays by name.
#[derive(Default)]
pub struct Group {
    texts: BTreeMap<String, Text>,
    groups: BTreeMap<String, Group>,
    arrays: BTreeMap<String, Array>,
    /// Whether each group inside has a second name.
    twice: bool,
}

struct Array {
    shape: Vec<u64>,
    /// The datatype message.
    kind: Vec<u8>,
    bytes: Vec<u8>,
    texts: BTreeMap<String, Text>,
}

enum Text {
    One(String),
    List(Vec<String>),
}

impl Group {
    /// The group at `path`, created if missing.
    pub fn at(&mut self, path: &str) -> &mut Self {
        path.split('/')
            .filter(|part| !part.is_empty())
            .fold(self, |at, part| at.groups.entry(part.into()).or_default())
    }

    /// Nested groups, each with a second name in its parent.
    pub fn doubled(&mut self, path: &str) {
        let mut at = self;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            at.twice = true;
            at = at.groups.entry(part.into()).or_default();
        }
    }

    pub fn text(&mut self, name: &str, text: &str) -> &mut Self {
        self.texts.insert(name.into(), Text::One(text.into()));
        self
    }

    /// Texts, in several attributes if one is too small for them, as Keras does it.
    pub fn list(&mut self, name: &str, texts: &[String]) -> &mut Self {
        let width = texts.iter().map(String::len).max().unwrap_or(0).max(1);
        let most = 60_000 / width;
        if texts.len() <= most {
            self.texts.insert(name.into(), Text::List(texts.to_vec()));
        }
        for (index, part) in texts.chunks(most).enumerate().filter(|_| texts.len() > most) {
            self.texts.insert(format!("{name}{index}"), Text::List(part.to_vec()));
        }
        self
    }

    /// An array of f32, of which only the last part of `path` is its own name.
    pub fn array(&mut self, path: &str, shape: &[usize], data: &[f32]) -> &mut Self {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "{path}");
        let bytes = data.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.typed(path, shape, &float(32, 8), bytes)
    }

    /// An array of another type, `kind` being its datatype message.
    pub fn typed(&mut self, path: &str, shape: &[usize], kind: &[u8], bytes: Vec<u8>) -> &mut Self {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let shape = shape.iter().map(|size| *size as u64).collect();
        let array = Array { shape, kind: kind.to_vec(), bytes, texts: BTreeMap::new() };
        self.at(folder).arrays.insert(name.into(), array);
        self
    }

    /// A text at the array `path`.
    pub fn told(&mut self, path: &str, name: &str, text: &str) -> &mut Self {
        let (folder, array) = path.rsplit_once('/').unwrap_or(("", path));
        let array = self.at(folder).arrays.get_mut(array).expect("an array");
        array.texts.insert(name.into(), Text::One(text.into()));
        self
    }

    /// The whole file, with this group as the root.
    pub fn file(&self) -> Vec<u8> {
        let mut file = vec![0; SUPERBLOCK as usize];
        let root = self.write(&mut file);
        let end = file.len() as u64;
        let mut head = b"\x89HDF\r\n\x1a\n".to_vec();
        // Versions, sizes of offsets and lengths, the node sizes of old-style groups.
        head.extend([0, 0, 0, 0, 0, 8, 8, 0, 4, 0, 16, 0, 0, 0, 0, 0]);
        for number in [0, UNDEFINED, end, UNDEFINED, 0, root, 0, 0, 0] {
            head.extend(number.to_le_bytes());
        }
        file[..head.len()].copy_from_slice(&head);
        file
    }

    /// Appends the group with all its contents; returns the address of its header.
    fn write(&self, file: &mut Vec<u8>) -> u64 {
        let mut messages = vec![(2, [vec![0, 0], UNDEFINED.to_le_bytes().repeat(2)].concat())];
        messages.extend(self.texts.iter().map(|(name, text)| (12, attribute(name, text))));
        for (name, group) in &self.groups {
            let at = group.write(file);
            messages.push((6, link(name, at)));
            if self.twice {
                messages.push((6, link(&format!("{name}_again"), at)));
            }
        }
        for (name, array) in &self.arrays {
            let at = file.len() as u64;
            file.extend(&array.bytes);
            let len = array.bytes.len() as u64;
            let layout = [vec![3, 1], at.to_le_bytes().to_vec(), len.to_le_bytes().to_vec()].concat();
            let mut parts = vec![(1, space(&array.shape)), (3, array.kind.clone()), (8, layout)];
            parts.extend(array.texts.iter().map(|(name, text)| (12, attribute(name, text))));
            let header = header(file, &parts);
            messages.push((6, link(name, header)));
        }
        header(file, &messages)
    }
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

/// Appends an object header of messages, each with its type.
fn header(file: &mut Vec<u8>, messages: &[(u16, Vec<u8>)]) -> u64 {
    file.resize(file.len().next_multiple_of(8), 0);
    let at = file.len() as u64;
    let mut body = Vec::new();
    for (kind, message) in messages {
        let message = padded(message.clone());
        body.extend(kind.to_le_bytes());
        body.extend(u16::try_from(message.len()).expect("a short message").to_le_bytes());
        body.extend([0; 4]);
        body.extend(message);
    }
    file.extend([1, 0]);
    file.extend(u16::try_from(messages.len()).expect("few messages").to_le_bytes());
    file.extend(1u32.to_le_bytes());
    file.extend(u32::try_from(body.len()).expect("a small header").to_le_bytes());
    file.extend([0; 4]);
    file.extend(body);
    at
}

fn link(name: &str, address: u64) -> Vec<u8> {
    let len = u8::try_from(name.len()).expect("a short name");
    [vec![1, 0, len], name.as_bytes().to_vec(), address.to_le_bytes().to_vec()].concat()
}

fn space(shape: &[u64]) -> Vec<u8> {
    let mut bytes = vec![1, shape.len() as u8, 0, 0, 0, 0, 0, 0];
    bytes.extend(shape.iter().flat_map(|size| size.to_le_bytes()));
    bytes
}

/// The datatype message of a little-endian IEEE 754 float of `width` bits, `exponent` of them the exponent's.
pub fn float(width: u8, exponent: u8) -> Vec<u8> {
    let mantissa = width - 1 - exponent;
    let bias = (1u32 << (exponent - 1)) - 1;
    let mut kind = vec![0x11, 0x20, width - 1, 0, width / 8, 0, 0, 0];
    kind.extend([0, 0, width, 0, mantissa, exponent, 0, mantissa]);
    kind.extend(bias.to_le_bytes());
    kind
}

fn attribute(name: &str, text: &Text) -> Vec<u8> {
    let (shape, texts) = match text {
        Text::One(text) => (vec![], std::slice::from_ref(text)),
        Text::List(texts) => (vec![texts.len() as u64], &texts[..]),
    };
    let width = texts.iter().map(String::len).max().unwrap_or(0).max(1);
    let width_bytes = u32::try_from(width).expect("a short text").to_le_bytes();
    let kind = [&[0x13, 1, 0, 0][..], &width_bytes].concat();
    let space = space(&shape);
    let name = [name.as_bytes(), &[0]].concat();
    let mut bytes = vec![1, 0];
    for len in [name.len(), kind.len(), space.len()] {
        bytes.extend((len as u16).to_le_bytes());
    }
    bytes.extend([padded(name), padded(kind), padded(space)].concat());
    for text in texts {
        bytes.extend(text.as_bytes());
        bytes.extend(std::iter::repeat_n(0, width - text.len()));
    }
    bytes
}
