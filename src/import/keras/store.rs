//! The arrays and attributes of an HDF5 file by their paths.
//!
//! The container is read by the `hdf5-reader` crate, from memory and without following links into other files.
//! It checks offsets against the file's length and guards against cycles; what the file may make it allocate is
//! bounded here, and so is the number of objects that are visited.

use hdf5_reader::group::Group;
use hdf5_reader::messages::datatype::Datatype;
use hdf5_reader::{Hdf5File, OpenOptions};

use crate::dims::check_finite;
use crate::dtype::Dtype;
use crate::error::{Error, Result};
use crate::import::Tensor;

/// The most groups and arrays of a file. A large model has thousands.
const MOST_OBJECTS: usize = 1 << 16;
/// The deepest nesting of groups: models inside models.
const DEEPEST: usize = 32;
/// What a file may hold more than its bytes, compressed. Weights compress by less than two.
const EXPANSION: usize = 16;
const SPARE: usize = 1 << 20;

/// An open file.
pub(super) struct Store {
    source: String,
    file: Hdf5File,
    /// The path of every array, sorted.
    arrays: Vec<String>,
    groups: Vec<String>,
}

/// The most that a file of `len` bytes may unfold to.
pub(super) fn budget(len: usize) -> usize {
    len.saturating_mul(EXPANSION).saturating_add(SPARE)
}

impl Store {
    /// # Errors
    /// [`Error::Format`] for a file that is not whole or too deep.
    pub(super) fn parse(source: &str, bytes: Vec<u8>) -> Result<Self> {
        let budget = budget(bytes.len());
        let options = OpenOptions::default()
            .with_max_read_bytes(budget)
            .with_max_chunk_bytes(budget)
            .with_max_object_header_bytes(budget.min(SPARE))
            .with_chunk_cache_bytes(0);
        let format = |error: hdf5_reader::error::Error| Error::Format {
            name: source.into(),
            reason: format!("not a readable HDF5 file: {error}"),
        };
        let file = Hdf5File::from_vec_with_options(bytes, options).map_err(format)?;
        let root = file.root_group().map_err(format)?;
        let mut store = Self { source: source.into(), file, arrays: Vec::new(), groups: Vec::new() };
        store.visit(&root, "", 0)?;
        store.arrays.sort();
        store.groups.sort();
        Ok(store)
    }

    fn visit(&mut self, group: &Group, path: &str, depth: usize) -> Result<()> {
        let too_much = |what: &str| Error::Format { name: self.source.clone(), reason: what.into() };
        if depth > DEEPEST {
            return Err(too_much(&format!("groups are nested deeper than {DEEPEST}")));
        }
        let (groups, arrays) = group.members().map_err(|error| self.unreadable(path, &error))?;
        if self.arrays.len() + self.groups.len() + groups.len() + arrays.len() > MOST_OBJECTS {
            return Err(too_much(&format!("more than {MOST_OBJECTS} groups and arrays")));
        }
        self.arrays.extend(arrays.iter().map(|array| join(path, array.name())));
        for inner in groups {
            let path = join(path, inner.name());
            self.groups.push(path.clone());
            self.visit(&inner, &path, depth + 1)?;
        }
        Ok(())
    }

    fn unreadable(&self, path: &str, error: &hdf5_reader::error::Error) -> Error {
        let name = if path.is_empty() { self.source.clone() } else { path.into() };
        Error::Format { name, reason: format!("not readable: {error}") }
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// The path of every array, sorted.
    pub(super) fn arrays(&self) -> &[String] {
        &self.arrays
    }

    pub(super) fn has_array(&self, path: &str) -> bool {
        self.arrays.binary_search_by(|other| other.as_str().cmp(path)).is_ok()
    }

    pub(super) fn has_group(&self, path: &str) -> bool {
        path.is_empty() || self.groups.binary_search_by(|other| other.as_str().cmp(path)).is_ok()
    }

    /// An attribute of texts on a group, the root being the empty path; none where the group has none of this
    /// name, or one of another type, as an empty list is.
    ///
    /// # Errors
    /// [`Error::Format`] for a group that cannot be read.
    pub(super) fn texts(&self, path: &str, name: &str) -> Result<Option<Vec<String>>> {
        if !self.has_group(path) {
            return Ok(None);
        }
        let group = match path {
            "" => self.file.root_group(),
            path => self.file.group(path),
        };
        let attributes = group.and_then(|group| group.attributes());
        let attributes = attributes.map_err(|error| self.unreadable(path, &error))?;
        let attribute = attributes.iter().find(|attribute| attribute.name == name);
        Ok(attribute.and_then(|attribute| attribute.read_strings().ok()))
    }

    /// A list of texts, which Keras cuts into `name0`, `name1`, … where it is too long for one attribute; empty
    /// where there is none.
    ///
    /// # Errors
    /// As [`Store::texts`].
    pub(super) fn list(&self, path: &str, name: &str) -> Result<Vec<String>> {
        if let Some(all) = self.texts(path, name)? {
            return Ok(all);
        }
        let mut all = Vec::new();
        for index in 0..MOST_OBJECTS {
            let Some(part) = self.texts(path, &format!("{name}{index}"))? else { break };
            all.extend(part);
        }
        Ok(all)
    }

    /// An attribute of one text.
    ///
    /// # Errors
    /// As [`Store::texts`].
    pub(super) fn text(&self, path: &str, name: &str) -> Result<Option<String>> {
        Ok(self.texts(path, name)?.and_then(|texts| texts.into_iter().next()))
    }

    /// # Errors
    /// [`Error::MissingTensor`], [`Error::Format`].
    pub(super) fn shape(&self, path: &str) -> Result<Vec<usize>> {
        let array = self.array(path)?;
        let size = |&size: &u64| {
            usize::try_from(size).map_err(|_| Error::Format {
                name: path.into(),
                reason: format!("{size} elements are more than this machine addresses"),
            })
        };
        array.shape().iter().map(size).collect()
    }

    fn array(&self, path: &str) -> Result<hdf5_reader::Dataset> {
        if !self.has_array(path) {
            return Err(Error::MissingTensor {
                name: path.into(),
                source: self.source.clone(),
                found: self.arrays().to_vec(),
            });
        }
        self.file.dataset(path).map_err(|error| self.unreadable(path, &error))
    }

    /// # Errors
    /// [`Error::MissingTensor`], [`Error::Format`] for an array that is no floats, [`Error::NotFinite`].
    pub(super) fn read(&self, path: &str) -> Result<Tensor> {
        let unreadable = |error| self.unreadable(path, &error);
        let array = self.array(path)?;
        let raw = array.raw_datatype().map_err(unreadable)?;
        let dtype = float_of(array.dtype(), &raw).ok_or_else(|| Error::Format {
            name: path.into(),
            reason: format!("stored as {:?}, expected floats of 16, 32 or 64 bits", array.dtype()),
        })?;
        let bytes = array.read_native_bytes().map_err(unreadable)?;
        let data = dtype.decode(&to_little_endian(bytes, dtype));
        let shape = self.shape(path)?;
        check_finite(path, &shape, &data)?;
        Ok(Tensor { name: path.into(), shape, data })
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.into() } else { format!("{path}/{name}") }
}

/// Which float a datatype is. Two bytes alone do not tell f16 from bf16, so the widths of exponent and mantissa
/// decide: bytes 13 and 15 of the datatype message (HDF5 file format specification, IV.A.2.d, class 1).
fn float_of(datatype: &Datatype, raw: &[u8]) -> Option<Dtype> {
    let Datatype::FloatingPoint { .. } = datatype else { return None };
    match (raw.get(13)?, raw.get(15)?) {
        (5, 10) => Some(Dtype::F16),
        (8, 7) => Some(Dtype::Bf16),
        (8, 23) => Some(Dtype::F32),
        (11, 52) => Some(Dtype::F64),
        _ => None,
    }
}

/// Numbers in the machine's order of bytes, in the order that [`Dtype::decode`] reads.
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
