//! What is known of a name of the graph without running it.
//!
//! ```text
//! closed    a constant: every size and number is known
//! open      along some dimensions all elements are equal: an Expand to the size of the batch. The data has one
//!           element there, and the size, known only at run time, is a symbol
//! uniform   one number everywhere, in an unknown shape: zeros of a run-time shape
//! ```
//!
//! Integers may be symbols too, for the sizes of run-time arrays that Shape returns. Equal symbols are equal sizes.

use std::collections::HashMap;

use crate::dtype::{Dtype, Storage};
use crate::error::Error;
use crate::proto::dtype;

/// A size known only at run time; never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Symbol(pub(super) u32);

/// An integer: a number, or a size known only at run time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Int {
    Is(i64),
    Size(Symbol),
}

impl Int {
    pub(super) fn known(self) -> Option<i64> {
        match self {
            Self::Is(value) => Some(value),
            Self::Size(_) => None,
        }
    }

    /// A size of 0 or more as its number, or `None`.
    pub(super) fn size(self) -> Option<usize> {
        self.known().and_then(|size| usize::try_from(size).ok())
    }
}

/// The symbols in use.
#[derive(Default)]
pub(super) struct Symbols {
    next: u32,
    /// The results of operators on two sizes, so that the same sum has the same symbol.
    made: HashMap<(&'static str, Int, Int), Symbol>,
}

impl Symbols {
    /// A new, unknown size.
    pub(super) fn fresh(&mut self) -> Symbol {
        self.next += 1;
        Symbol(self.next)
    }

    pub(super) fn of(&mut self, op: &'static str, a: Int, b: Int) -> Symbol {
        if let Some(symbol) = self.made.get(&(op, a, b)) {
            return *symbol;
        }
        let symbol = self.fresh();
        self.made.insert((op, a, b), symbol);
        symbol
    }
}

/// The numbers of a [`Value`]: every float type as f32, every integer type as [`Int`].
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Data {
    Floats(Vec<f32>),
    Ints(Vec<Int>),
}

impl Data {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Floats(data) => data.len(),
            Self::Ints(data) => data.len(),
        }
    }

    pub(super) fn ints(data: &[i64]) -> Self {
        Self::Ints(data.iter().copied().map(Int::Is).collect())
    }

    /// Whether all elements are equal; false for no elements.
    fn is_uniform(&self) -> bool {
        match self {
            Self::Floats(data) => {
                data.first().is_some_and(|a| data.iter().all(|b| a.to_bits() == b.to_bits()))
            }
            Self::Ints(data) => data.first().is_some_and(|a| data.iter().all(|b| a == b)),
        }
    }
}

/// An array, row-major.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Value {
    /// Its type in the file, as `TensorProto.DataType`.
    pub(super) dtype: i32,
    /// The data's shape: 1 along an open dimension.
    pub(super) shape: Vec<usize>,
    /// The symbol of each dimension that is open.
    pub(super) open: Vec<Option<Symbol>>,
    pub(super) data: Data,
    /// Of unknown shape; `shape` is then empty and `data` the one number.
    pub(super) uniform: bool,
}

impl Value {
    /// A constant.
    pub(super) fn new(dtype: i32, shape: Vec<usize>, data: Data) -> Self {
        Self { dtype, open: vec![None; shape.len()], shape, data, uniform: false }
    }

    /// A list of integers.
    pub(super) fn list(data: Vec<Int>) -> Self {
        Self::new(dtype::INT64, vec![data.len()], Data::Ints(data))
    }

    /// The one number of the value at any shape; `None` if it has several.
    pub(super) fn everywhere(&self) -> Option<Self> {
        if !self.data.is_uniform() {
            return None;
        }
        let data = match &self.data {
            Data::Floats(data) => Data::Floats(vec![*data.first()?]),
            Data::Ints(data) => Data::Ints(vec![*data.first()?]),
        };
        Some(Self { uniform: true, ..Self::new(self.dtype, Vec::new(), data) })
    }

    pub(super) fn is_open(&self) -> bool {
        self.uniform || self.open.iter().any(Option::is_some)
    }

    /// Whether all sizes and numbers are known.
    pub(super) fn is_closed(&self) -> bool {
        let numbers = match &self.data {
            Data::Floats(_) => true,
            Data::Ints(data) => data.iter().all(|value| value.known().is_some()),
        };
        numbers && !self.is_open()
    }

    /// Each dimension's size.
    pub(super) fn sizes(&self) -> Vec<Int> {
        let size = |(&len, open): (&usize, &Option<Symbol>)| open.map_or(Int::Is(len as i64), Int::Size);
        self.shape.iter().zip(&self.open).map(size).collect()
    }
}

/// The storage type of a float, or `None`.
pub(super) fn float(dtype: i32) -> Option<Dtype> {
    match dtype {
        dtype::FLOAT => Some(Dtype::F32),
        dtype::FLOAT16 => Some(Dtype::F16),
        dtype::BFLOAT16 => Some(Dtype::Bf16),
        dtype::DOUBLE => Some(Dtype::F64),
        _ => None,
    }
}

/// The range of an integer type, or `None` if it is not a supported integer type.
pub(super) fn range(dtype: i32) -> Option<(i64, i64)> {
    match dtype {
        dtype::UINT4 => Some((0, 15)),
        dtype::INT4 => Some((-8, 7)),
        dtype::UINT8 => Some((0, 255)),
        dtype::INT8 => Some((-128, 127)),
        dtype::UINT16 => Some((0, 65_535)),
        dtype::INT16 => Some((-32_768, 32_767)),
        dtype::INT32 => Some((i32::MIN.into(), i32::MAX.into())),
        dtype::INT64 => Some((i64::MIN, i64::MAX)),
        dtype::BOOL => Some((0, 1)),
        _ => None,
    }
}

/// f32 rounded to the precision of a float type.
pub(super) fn round(to: i32, value: f32) -> f32 {
    match to {
        dtype::FLOAT16 => Storage::F16.round(value),
        dtype::BFLOAT16 => Storage::Bf16.round(value),
        _ => value,
    }
}

/// An error for an invalid tensor.
pub(super) fn format(name: &str, reason: impl Into<String>) -> Error {
    Error::format(name, reason)
}
