//! The arrays and attributes of an HDF5 file by their paths.
//!
//! The container is read by the `hdf5-reader` crate, from memory and without following links into other files.
//! It checks offsets against the file's length and guards against cycles. The importer's limits bound the memory that
//! the file can make it allocate and the number of objects that are visited.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};

use hdf5_reader::group::Group;
use hdf5_reader::messages::datatype::Datatype;
use hdf5_reader::{Attribute, Dataset, Hdf5File, OpenOptions};

use crate::dims::check_finite;
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::import::Limits;
use crate::import::tensors::Tensor;

/// The deepest nesting of groups: models inside models.
const DEEPEST: usize = 64;
/// The longest header of one object: enough for a list of 60,000 names.
const HEADER: usize = 16 << 20;
/// Groups allowed for each array: `lstm`, `lstm/cell`, `lstm/cell/vars` and `lstm/vars` have three arrays.
const GROUPS: u64 = 4;

/// An open file.
pub(super) struct Store {
    source: String,
    file: Hdf5File,
    limits: Limits,
    /// Bytes of the file.
    len: u64,
    /// Bytes decompressed before, and those of arrays that were read.
    unfolded: u64,
    read: Cell<u64>,
    /// The path of every array, sorted.
    arrays: Vec<String>,
    /// By path: looking up one array in the file may cost time linear in the size of its group.
    datasets: HashMap<String, Dataset>,
    groups: HashMap<String, Group>,
}

impl Store {
    /// `unfolded` bytes were counted before: those of the archive that contains the file.
    ///
    /// # Errors
    /// [`Error::Format`] for a file that is truncated or too deep, [`Error::TooLarge`] for one beyond a limit.
    pub(super) fn parse(source: &str, bytes: Vec<u8>, limits: Limits, unfolded: u64) -> Result<Self> {
        let len = bytes.len() as u64;
        let most = len.saturating_add(limits.decompressed.saturating_sub(unfolded));
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let options = OpenOptions::default()
            .with_max_read_bytes(most)
            .with_max_chunk_bytes(most)
            .with_max_object_header_bytes(most.min(HEADER))
            .with_chunk_cache_bytes(0);
        let format =
            |error: hdf5_reader::error::Error| Error::unreadable(source, "not a readable HDF5 file", error);
        let file = Hdf5File::from_vec_with_options(bytes, options).map_err(format)?;
        let root = file.root_group().map_err(format)?;
        let mut store = Self {
            source: source.into(),
            file,
            limits,
            len,
            unfolded,
            read: Cell::new(0),
            arrays: Vec::new(),
            datasets: HashMap::new(),
            groups: HashMap::new(),
        };
        store.visit(&root, "", 0, &mut HashSet::new())?;
        store.arrays = store.datasets.keys().cloned().collect();
        store.arrays.sort();
        Ok(store)
    }

    /// `seen` holds the addresses of groups: a group under several paths would otherwise be visited by each.
    fn visit(&mut self, group: &Group, path: &str, depth: usize, seen: &mut HashSet<u64>) -> Result<()> {
        let format = |reason: String| Err(Error::format(self.source.clone(), reason));
        if depth > DEEPEST {
            return format(format!("groups are nested deeper than {DEEPEST}"));
        }
        if !seen.insert(group.address()) {
            return format(format!("the group {path} is in the file more than once"));
        }
        let (groups, arrays) = group.members().map_err(|error| self.unreadable(path, error))?;
        self.limits.check_tensors(&self.source, (self.datasets.len() + arrays.len()) as u64)?;
        self.limits.check_tensors(&self.source, (self.groups.len() + groups.len()) as u64 / GROUPS)?;
        self.datasets.extend(arrays.into_iter().map(|array| (join(path, array.name()), array)));
        for inner in groups {
            let path = join(path, inner.name());
            self.visit(&inner, &path, depth + 1, seen)?;
            self.groups.insert(path, inner);
        }
        Ok(())
    }

    fn unreadable(&self, path: &str, error: hdf5_reader::error::Error) -> Error {
        let name = if path.is_empty() { self.source.clone() } else { path.into() };
        Error::unreadable(name, "not readable", error)
    }

    /// The path of every array, sorted.
    pub(super) fn arrays(&self) -> &[String] {
        &self.arrays
    }

    /// The arrays whose paths begin with `prefix`.
    pub(super) fn arrays_below(&self, prefix: &str) -> &[String] {
        let from = self.arrays.partition_point(|path| path.as_str() < prefix);
        let arrays = self.arrays.get(from..).unwrap_or_default();
        let count = arrays.iter().take_while(|path| path.starts_with(prefix)).count();
        arrays.get(..count).unwrap_or_default()
    }

    pub(super) fn has_group(&self, path: &str) -> bool {
        path.is_empty() || self.groups.contains_key(path)
    }

    /// The attributes of a group, the root having the empty path; empty if there is no such group.
    ///
    /// # Errors
    /// [`Error::Format`] for a group that cannot be read.
    pub(super) fn attributes(&self, path: &str) -> Result<Attributes> {
        let attributes = match (path, self.groups.get(path)) {
            ("", _) => self.file.root_group().and_then(|root| root.attributes()),
            (_, Some(group)) => group.attributes(),
            (_, None) => return Ok(Attributes(HashMap::new())),
        };
        let attributes = attributes.map_err(|error| self.unreadable(path, error))?;
        Ok(Attributes(attributes.into_iter().map(|attribute| (attribute.name.clone(), attribute)).collect()))
    }

    /// # Errors
    /// [`Error::MissingTensor`], [`Error::Format`].
    pub(super) fn shape(&self, path: &str) -> Result<Vec<usize>> {
        let array = self.array(path)?;
        let size = |&size: &u64| {
            usize::try_from(size).map_err(|_| {
                Error::format(path, format!("{size} elements are more than this machine addresses"))
            })
        };
        array.shape().iter().map(size).collect()
    }

    fn array(&self, path: &str) -> Result<&Dataset> {
        self.datasets.get(path).ok_or_else(|| self.missing(path.into()))
    }

    /// The error for a missing item, with a list of those found.
    pub(super) fn missing(&self, name: String) -> Error {
        Error::MissingTensor { name, source: self.source.clone(), found: self.arrays.clone() }
    }

    /// An array whose shape is known before it is read.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::Shape`], [`Error::Format`] for an array that is not of floats,
    /// [`Error::NotFinite`], [`Error::TooLarge`] for one that decompresses to more than the limit.
    pub(super) fn read(&self, path: &str, expected: &[usize]) -> Result<Tensor> {
        let unreadable = |error| self.unreadable(path, error);
        let array = self.array(path)?;
        let shape = self.shape(path)?;
        if shape != expected {
            return Err(Error::Shape { name: path.into(), expected: expected.to_vec(), got: shape });
        }
        let raw = array.raw_datatype().map_err(unreadable)?;
        let dtype = float_of(array, &raw).ok_or_else(|| {
            Error::format(
                path,
                format!("stored as {}, expected IEEE floats of 16, 32 or 64 bits", words(array.dtype())),
            )
        })?;
        let bytes = array.raw_byte_len().map_err(unreadable)?;
        self.read.set(self.read.get().saturating_add(bytes as u64));
        // An array larger than the file was compressed, or consists of a fill value.
        let unfolded = self.unfolded.saturating_add(self.read.get().saturating_sub(self.len));
        self.limits.check_decompressed(&self.source, unfolded)?;
        let bytes = array.read_native_bytes().map_err(unreadable)?;
        let data = dtype.decode(&to_little_endian(bytes, dtype));
        check_finite(path, &shape, &data)?;
        Ok(Tensor { name: path.into(), shape, data })
    }
}

/// The attributes of a group by their names.
pub(super) struct Attributes(HashMap<String, Attribute>);

impl Attributes {
    /// Texts; empty if there are none of this name, or if they have another type, as an empty list has.
    pub(super) fn texts(&self, name: &str) -> Option<Vec<String>> {
        self.0.get(name).and_then(|attribute| attribute.read_strings().ok())
    }

    /// A list of texts; empty if there is none. Keras splits a list that is too long for one attribute into `name0`,
    /// `name1`, ….
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let parts = || (0..).map_while(|index| self.texts(&format!("{name}{index}")));
        self.texts(name).unwrap_or_else(|| parts().flatten().collect())
    }

    /// One text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.texts(name)?.into_iter().next()
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.into() } else { format!("{path}/{name}") }
}

/// The float type of an array. Keras writes bfloat16 as two opaque bytes, and names the type in an attribute.
fn float_of(array: &Dataset, raw: &[u8]) -> Option<Dtype> {
    match array.dtype() {
        Datatype::FloatingPoint { .. } => ieee(raw),
        Datatype::Opaque { size: 2, .. } => {
            let told = array.attribute("dtype").ok()?.read_strings().ok()?;
            (told == ["bfloat16"]).then_some(Dtype::Bf16)
        }
        _ => None,
    }
}

/// The float of a datatype message, in either byte order (HDF5 file format specification, IV.A.2.d, class 1). `None`
/// if its bits are not those of IEEE 754: a VAX float has the same width, and would be read as other numbers.
fn ieee(raw: &[u8]) -> Option<Dtype> {
    let message = raw.first_chunk::<20>()?;
    let kinds = [(Dtype::F16, 16, 5), (Dtype::Bf16, 16, 8), (Dtype::F32, 32, 8), (Dtype::F64, 64, 11)];
    let found = kinds.into_iter().find(|&(_, width, exponent)| {
        let mantissa = width - 1 - exponent;
        let [low, high] = ((1u16 << (exponent - 1)) - 1).to_le_bytes();
        // The size in bytes; the first bit and the number of bits of the whole, of the exponent and of the mantissa;
        // the bias.
        let bits = [width / 8, 0, 0, 0, 0, 0, width, 0, mantissa, exponent, 0, mantissa, low, high, 0, 0];
        // The implied 1 before the mantissa and no VAX order; the sign is the last bit.
        message[1] & 0xf0 == 0x20 && message[2] == width - 1 && message[4..] == bits
    });
    found.map(|(dtype, ..)| dtype)
}

/// A datatype in words.
fn words(datatype: &Datatype) -> String {
    match datatype {
        Datatype::FixedPoint { size, signed, .. } => {
            format!(
                "{} of {} bits",
                if *signed { "integers" } else { "unsigned integers" },
                8 * u32::from(*size)
            )
        }
        Datatype::FloatingPoint { size, .. } => {
            format!("floats of {} bits that are not IEEE 754", 8 * u32::from(*size))
        }
        Datatype::String { .. } | Datatype::VarLen { .. } => "texts or lists".into(),
        Datatype::Opaque { size: 2, .. } => {
            "2 bytes without a meaning (bfloat16 in .h5, which Keras does not read either: save as .keras)"
                .into()
        }
        Datatype::Opaque { size, .. } => format!("{size} bytes without a meaning"),
        Datatype::Enum { .. } => "an enumeration or booleans".into(),
        Datatype::Compound { .. } | Datatype::Array { .. } => "records".into(),
        Datatype::Reference { .. } => "references".into(),
        Datatype::Bitfield { .. } => "bits".into(),
    }
}

/// Numbers in the machine's byte order, in the order that [`Dtype::decode`] reads.
fn to_little_endian(mut bytes: Vec<u8>, dtype: Dtype) -> Vec<u8> {
    if cfg!(target_endian = "big") {
        let width = match dtype {
            Dtype::F16 | Dtype::Bf16 => 2,
            Dtype::F32 => 4,
            Dtype::F64 => 8,
        };
        bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    }
    bytes
}
