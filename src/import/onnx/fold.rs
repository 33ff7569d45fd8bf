//! The value of a name: initialisers, and the results of a few operators between them and a recurrent node.
//! [`super::operators`] has the operators.
//!
//! A value that needs any other operator is unknown, and the reason names the node. Depth is bounded, and so is work:
//! by the size of the file and of its external data, so a small file cannot demand large arrays.

mod operators;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

pub(super) use self::operators::Operator;
use super::graph::{Origin, Scopes};
use super::tensor;
use super::value::{Int, Symbols, Value};
use crate::error::Error;
use crate::proto::{EXTERNAL, NodeProto, TensorProto};

/// The longest chain of operators behind a name.
pub(super) const DEEPEST: usize = 128;
/// Elements that may be computed beyond those that the file size allows: a bias or a state of zeros needs no data.
const FREE_ELEMENTS: usize = 1 << 24;
/// Elements that may be computed per byte of data.
const ELEMENTS_PER_BYTE: usize = 8;
/// The cost of one read or operator, in addition to its elements and the length of its name.
const NODE_COST: usize = 64;

/// Why the value of a name is not known before the run.
pub(super) enum Stop {
    /// It is computed at run time, or by an operator that is not folded.
    NotConstant(String),
    /// The file is invalid.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

pub(super) type Fold<T> = Result<T, Stop>;

/// The values of one model that are known before the run.
pub(super) struct Folder<'a> {
    pub(super) scopes: &'a Scopes<'a>,
    folder: Option<&'a Path>,
    left: usize,
    /// Constants that were read, with the paths of their scopes.
    pub(super) used: BTreeSet<String>,
    /// Outputs of nodes of the outermost graph that were folded to constants, by name.
    pub(super) folded: HashSet<&'a str>,
    pub(super) symbols: Symbols,
    /// The sizes of run-time arrays, by scope and name; see [`super::sizes`].
    pub(super) sizes: HashMap<(usize, &'a str), Option<Vec<Int>>>,
}

impl<'a> Folder<'a> {
    /// `size`: the bytes of the file.
    pub(super) fn new(scopes: &'a Scopes<'a>, folder: Option<&'a Path>, size: usize) -> Self {
        let left = FREE_ELEMENTS.saturating_add(size.saturating_mul(ELEMENTS_PER_BYTE));
        Self {
            scopes,
            folder,
            left,
            used: BTreeSet::new(),
            folded: HashSet::new(),
            symbols: Symbols::default(),
            sizes: HashMap::new(),
        }
    }

    /// The value of `name`, seen from `scope`.
    pub(super) fn value(&mut self, scope: usize, name: &str) -> Fold<Value> {
        self.value_at(scope, name, 0)
    }

    /// The constant value of `name`: every size and number is known.
    pub(super) fn constant(&mut self, scope: usize, name: &str) -> Fold<Value> {
        let value = self.value(scope, name)?;
        if value.is_closed() {
            return Ok(value);
        }
        Err(Stop::NotConstant(format!("\"{name}\" depends on sizes known only at run time")))
    }

    pub(super) fn value_at(&mut self, scope: usize, name: &str, depth: usize) -> Fold<Value> {
        let Some((home, origin)) = self.scopes.find(scope, name) else {
            let reason = "used by a node, but nothing defines it";
            return Err(Error::format(format!("value \"{name}\""), reason).into());
        };
        match origin {
            Origin::Input(_) => Err(Stop::NotConstant(format!("\"{name}\" is an input of the graph"))),
            Origin::Sparse => Err(Stop::NotConstant(format!("\"{name}\" is a sparse tensor"))),
            Origin::Tensor(tensor) => {
                let qualified = self.scopes.qualified(home, name);
                let value = self.read(name, tensor, self.used.contains(&qualified))?;
                self.used.insert(qualified);
                Ok(value)
            }
            Origin::Node(node, place) => {
                if depth >= DEEPEST {
                    let reason = format!("more than {DEEPEST} operators are behind \"{name}\"");
                    return Err(Stop::NotConstant(reason));
                }
                // Each use is charged, even if an operator computes nothing: a value with many uses is visited once
                // for each.
                self.spend(name, 0)?;
                let value = self.node(home, node, place, depth)?;
                if home == 0 && value.is_closed() {
                    self.folded.extend(node.output.get(place).map(String::as_str));
                }
                if node.op_type == "Constant" {
                    self.used.insert(self.scopes.qualified(home, name));
                }
                Ok(value)
            }
        }
    }

    pub(super) fn read(&mut self, name: &str, tensor: &TensorProto, again: bool) -> Fold<Value> {
        let elements = crate::dims::product(name, &tensor::shape(name, &tensor.dims)?)?;
        if tensor.data_location == EXTERNAL && !again {
            // The external data are charged for, whose size is checked before they are read.
            let value = tensor::read(name, tensor, self.folder)?;
            self.left = self.left.saturating_add(elements.saturating_mul(2 * ELEMENTS_PER_BYTE));
            return Ok(value);
        }
        self.spend(name, elements)?;
        Ok(tensor::read(name, tensor, self.folder)?)
    }

    pub(super) fn spend(&mut self, name: &str, elements: usize) -> Fold<()> {
        match self.left.checked_sub(elements.saturating_add(NODE_COST + name.len())) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                let left = self.left;
                let reason =
                    format!("would compute {elements} elements, but the file's size allows {left} more");
                Err(Error::format(name, reason).into())
            }
        }
    }

    fn node(&mut self, scope: usize, node: &'a NodeProto, place: usize, depth: usize) -> Fold<Value> {
        Operator { folder: self, scope, node, place, depth: depth + 1 }.value()
    }
}
