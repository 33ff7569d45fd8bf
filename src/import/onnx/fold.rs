//! Constants behind a name: initialisers, and what a few operators make of them before they reach a recurrent node.
//!
//! ```text
//! Constant, ConstantOfShape, Shape, Identity, Cast, Slice, Concat, Unsqueeze, Squeeze, Transpose, Reshape, Expand
//! ```
//!
//! in the forms of opset 7 and later (parameters as attributes or as inputs). A value that needs anything else is
//! no constant, and the reason says at which node. Depth is bounded, and so is work: by the size of the file and
//! of the data beside it, so that a small file cannot ask for large arrays.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use super::graph::{Origin, Scopes, is_of_onnx, name_of};
use super::ops;
use super::tensor::{self, Data, Value};
use crate::error::Error;
use crate::proto::{AttributeProto, EXTERNAL, NodeProto, TensorProto, dtype};

/// The longest chain of operators behind a name.
const DEEPEST: usize = 128;
/// Elements that may be made beyond those the file pays for: a bias or a state of zeros is made of nothing.
const FREE_ELEMENTS: usize = 1 << 24;
/// Elements that may be made per byte of data.
const ELEMENTS_PER_BYTE: usize = 8;
/// What one read or operator costs beside its elements and the length of its name.
const NODE_COST: usize = 64;

/// Why a name has no constant value.
pub(super) enum Stop {
    /// It is computed at run time, or by what is not folded.
    NotConstant(String),
    /// The file is at fault.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

type Fold<T> = Result<T, Stop>;

/// The constants of one model.
pub(super) struct Folder<'a> {
    scopes: &'a Scopes<'a>,
    folder: Option<&'a Path>,
    left: usize,
    /// Constants that were read, with the paths of their scopes.
    pub(super) used: BTreeSet<String>,
    /// Outputs of nodes of the graph itself that were folded, by name.
    pub(super) folded: HashSet<&'a str>,
}

impl<'a> Folder<'a> {
    /// `size`: the bytes of the file.
    pub(super) fn new(scopes: &'a Scopes<'a>, folder: Option<&'a Path>, size: usize) -> Self {
        let left = FREE_ELEMENTS.saturating_add(size.saturating_mul(ELEMENTS_PER_BYTE));
        Self { scopes, folder, left, used: BTreeSet::new(), folded: HashSet::new() }
    }

    /// The constant that `name` stands for, seen from `scope`.
    pub(super) fn value(&mut self, scope: usize, name: &str) -> Fold<Value> {
        self.value_at(scope, name, 0)
    }

    fn value_at(&mut self, scope: usize, name: &str, depth: usize) -> Fold<Value> {
        let Some((home, origin)) = self.scopes.find(scope, name) else {
            let reason = "used by a node, made by none".into();
            return Err(Error::Format { name: format!("value \"{name}\""), reason }.into());
        };
        match origin {
            Origin::Input => Err(Stop::NotConstant(format!("\"{name}\" is an input of the graph"))),
            Origin::Sparse => Err(Stop::NotConstant(format!("\"{name}\" is a sparse tensor"))),
            Origin::Tensor(tensor) => {
                let qualified = self.scopes.qualified(home, name);
                let value = self.read(name, tensor, self.used.contains(&qualified))?;
                self.used.insert(qualified);
                Ok(value)
            }
            Origin::Node(node, place) => {
                if depth >= DEEPEST {
                    let reason = format!("more than {DEEPEST} operators behind it");
                    return Err(Error::Format { name: format!("value \"{name}\""), reason }.into());
                }
                let value = self.node(home, node, place, depth)?;
                if home == 0 {
                    self.folded.extend(node.output.get(place).map(String::as_str));
                }
                if node.op_type == "Constant" {
                    self.used.insert(self.scopes.qualified(home, name));
                }
                Ok(value)
            }
        }
    }

    fn read(&mut self, name: &str, tensor: &TensorProto, again: bool) -> Fold<Value> {
        let elements = crate::dims::product(name, &tensor::shape(name, &tensor.dims)?)?;
        if tensor.data_location == EXTERNAL && !again {
            // Paid for by the data beside the file, whose size is checked before they are read.
            let value = tensor::read(name, tensor, self.folder)?;
            self.left = self.left.saturating_add(elements.saturating_mul(2 * ELEMENTS_PER_BYTE));
            return Ok(value);
        }
        self.spend(name, elements)?;
        Ok(tensor::read(name, tensor, self.folder)?)
    }

    fn spend(&mut self, name: &str, elements: usize) -> Fold<()> {
        match self.left.checked_sub(elements.saturating_add(NODE_COST + name.len())) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                let left = self.left;
                let reason =
                    format!("would make {elements} elements, where the file's size allows {left} more");
                Err(Error::Format { name: name.into(), reason }.into())
            }
        }
    }

    fn node(&mut self, scope: usize, node: &'a NodeProto, place: usize, depth: usize) -> Fold<Value> {
        let mut at = Operator { folder: self, scope, node, depth: depth + 1 };
        if place != 0 || !is_of_onnx(node) {
            return Err(at.not_constant());
        }
        match node.op_type.as_str() {
            "Constant" => at.constant(),
            "ConstantOfShape" => at.constant_of_shape(),
            "Identity" => at.known(&[], 1).and_then(|()| at.input(0)),
            "Shape" => at.shape(),
            "Cast" => at.cast(),
            "Slice" => at.slice(),
            "Concat" => at.concat(),
            "Transpose" => at.transpose(),
            "Expand" => at.expand(),
            "Reshape" | "Unsqueeze" | "Squeeze" => at.reshaped(),
            _ => Err(at.not_constant()),
        }
    }
}

/// One operator being folded.
struct Operator<'f, 'a> {
    folder: &'f mut Folder<'a>,
    scope: usize,
    node: &'a NodeProto,
    depth: usize,
}

impl Operator<'_, '_> {
    fn name(&self) -> String {
        format!("{} node \"{}\"", self.node.op_type, name_of(self.node))
    }

    fn not_constant(&self) -> Stop {
        Stop::NotConstant(format!("{} is not folded", self.name()))
    }

    fn wrong(&self, reason: impl Into<String>) -> Stop {
        Error::Format { name: self.name(), reason: reason.into() }.into()
    }

    /// Refuses an attribute that is not among `names` and inputs beyond `inputs`.
    fn known(&self, names: &[&str], inputs: usize) -> Fold<()> {
        let node = self.node;
        let strange = |a: &&AttributeProto| !names.contains(&a.name.as_str()) || !a.ref_attr_name.is_empty();
        if let Some(attribute) = node.attribute.iter().find(strange) {
            let reason = format!("{} has an attribute {}", self.name(), attribute.name);
            return Err(Stop::NotConstant(reason));
        }
        // With known names alone, more attributes than names means one twice; fewer are few enough to compare.
        let twice = |at: usize| node.attribute[..at].iter().any(|a| a.name == node.attribute[at].name);
        if node.attribute.len() > names.len() || (0..node.attribute.len()).any(twice) {
            return Err(self.wrong("an attribute is given twice"));
        }
        if node.input.len() > inputs {
            return Err(self.wrong(format!("{} inputs, at most {inputs} are known", node.input.len())));
        }
        Ok(())
    }

    fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.node.attribute.iter().find(|attribute| attribute.name == name)
    }

    fn int(&self, name: &str) -> Fold<Option<i64>> {
        let typed = |a: &AttributeProto| a.int().ok_or_else(|| self.wrong(format!("{name} is no integer")));
        self.attribute(name).map(typed).transpose()
    }

    fn has_input(&self, place: usize) -> bool {
        self.node.input.get(place).is_some_and(|name| !name.is_empty())
    }

    fn input(&mut self, place: usize) -> Fold<Value> {
        if !self.has_input(place) {
            return Err(self.wrong(format!("input {place} is missing")));
        }
        let node = self.node;
        self.folder.value_at(self.scope, &node.input[place], self.depth)
    }

    /// A list of integers: the attribute `name`, or the input at `place`, or none.
    fn ints(&mut self, name: &str, place: usize) -> Fold<Option<Vec<i64>>> {
        if let Some(attribute) = self.attribute(name) {
            let ints = attribute.ints().ok_or_else(|| self.wrong(format!("{name} are no integers")))?;
            return Ok(Some(ints.to_vec()));
        }
        if !self.has_input(place) {
            return Ok(None);
        }
        match self.input(place)? {
            Value { shape, data: Data::Ints(data), .. } if shape.len() <= 1 => Ok(Some(data)),
            other => Err(self.wrong(format!("{name} must be a list of integers, got {:?}", other.shape))),
        }
    }

    fn needed(&mut self, name: &str, place: usize) -> Fold<Vec<i64>> {
        let ints = self.ints(name, place)?;
        ints.ok_or_else(|| self.wrong(format!("{name} is missing")))
    }

    fn sizes(&self, dims: &[i64]) -> Fold<Vec<usize>> {
        Ok(tensor::shape(&self.name(), dims)?)
    }

    fn fits<T>(&self, result: Result<T, String>) -> Fold<T> {
        result.map_err(|reason| self.wrong(reason))
    }

    fn spend(&mut self, shape: &[usize]) -> Fold<()> {
        let elements = self.fits(ops::elements(shape))?;
        let name = self.name();
        self.folder.spend(&name, elements)
    }

    fn view(&mut self, value: &Value, view: Result<ops::View, String>) -> Fold<Value> {
        let view = self.fits(view)?;
        self.spend(&view.shape)?;
        self.fits(view.copy(value))
    }

    fn constant(&mut self) -> Fold<Value> {
        let names = ["value", "value_float", "value_floats", "value_int", "value_ints"];
        self.known(&names, 0)?;
        let [attribute] = &self.node.attribute[..] else {
            return Err(self.wrong(format!("{} attributes, needs one", self.node.attribute.len())));
        };
        let name = name_of(self.node);
        let floats = |shape, data| Value { dtype: dtype::FLOAT, shape, data: Data::Floats(data) };
        let ints = |shape, data| Value { dtype: dtype::INT64, shape, data: Data::Ints(data) };
        let value = match attribute.name.as_str() {
            "value" => match attribute.tensor() {
                Some(tensor) => return self.folder.read(name, tensor, true),
                None => None,
            },
            "value_float" => attribute.float().map(|v| floats(vec![], vec![v])),
            "value_floats" => attribute.floats().map(|v| floats(vec![v.len()], v.to_vec())),
            "value_int" => attribute.int().map(|v| ints(vec![], vec![v])),
            _ => attribute.ints().map(|v| ints(vec![v.len()], v.to_vec())),
        };
        let value = value.ok_or_else(|| self.wrong(format!("{} has another type", attribute.name)))?;
        self.spend(&value.shape)?;
        Ok(value)
    }

    fn constant_of_shape(&mut self) -> Fold<Value> {
        self.known(&["value"], 1)?;
        let fill = match self.attribute("value") {
            Some(attribute) => {
                let tensor = attribute.tensor().ok_or_else(|| self.wrong("value is no tensor"))?;
                tensor::read(&self.name(), tensor, None)?
            }
            None => Value { dtype: dtype::FLOAT, shape: vec![1], data: Data::Floats(vec![0.0]) },
        };
        if fill.data.len() != 1 {
            return Err(self.wrong(format!("value has {} elements, needs one", fill.data.len())));
        }
        let dims = self.needed("shape", 0)?;
        let to = self.sizes(&dims)?;
        let one = Value { shape: vec![], ..fill };
        self.view(&one, ops::expand(&[], &to))
    }

    fn shape(&mut self) -> Fold<Value> {
        self.known(&["start", "end"], 1)?;
        let shape: Vec<i64> = self.input(0)?.shape.iter().map(|&size| size as i64).collect();
        let start = self.int("start")?.unwrap_or(0);
        let end = self.int("end")?.unwrap_or(i64::MAX);
        let value = Value { dtype: dtype::INT64, shape: vec![shape.len()], data: Data::Ints(shape) };
        let view = ops::slice(&value.shape, &[start], &[end], None, None);
        self.view(&value, view)
    }

    fn cast(&mut self) -> Fold<Value> {
        // `saturate` and `round_mode` act on 8-bit floats, which are not read.
        self.known(&["to", "saturate", "round_mode"], 1)?;
        let to = self.int("to")?.and_then(|to| i32::try_from(to).ok());
        let to = to.ok_or_else(|| self.wrong("to is missing"))?;
        let value = self.input(0)?;
        self.spend(&value.shape)?;
        ops::cast(value, to).map_err(|reason| Stop::NotConstant(format!("{}: {reason}", self.name())))
    }

    fn slice(&mut self) -> Fold<Value> {
        self.known(&["starts", "ends", "axes"], 5)?;
        let (starts, ends) = (self.needed("starts", 1)?, self.needed("ends", 2)?);
        let (axes, steps) = (self.ints("axes", 3)?, self.ints("steps", 4)?);
        let value = self.input(0)?;
        let view = ops::slice(&value.shape, &starts, &ends, axes.as_deref(), steps.as_deref());
        self.view(&value, view)
    }

    fn transpose(&mut self) -> Fold<Value> {
        self.known(&["perm"], 1)?;
        let perm = self.ints("perm", usize::MAX)?;
        let value = self.input(0)?;
        let view = ops::transpose(&value.shape, perm.as_deref());
        self.view(&value, view)
    }

    fn expand(&mut self) -> Fold<Value> {
        self.known(&[], 2)?;
        let to = self.needed("shape", 1)?;
        let to = self.sizes(&to)?;
        let value = self.input(0)?;
        let view = ops::expand(&value.shape, &to);
        self.view(&value, view)
    }

    fn concat(&mut self) -> Fold<Value> {
        self.known(&["axis"], usize::MAX)?;
        let axis = self.int("axis")?.ok_or_else(|| self.wrong("axis is missing"))?;
        let parts = (0..self.node.input.len()).map(|at| self.input(at)).collect::<Fold<Vec<_>>>()?;
        let (shape, axis) = self.fits(ops::concat_shape(&parts, axis))?;
        self.spend(&shape)?;
        self.fits(ops::concat(&parts, shape, axis))
    }

    /// Operators that keep every number in its place.
    fn reshaped(&mut self) -> Fold<Value> {
        let name = match self.node.op_type.as_str() {
            "Reshape" => "shape",
            _ => "axes",
        };
        self.known(if name == "shape" { &["allowzero"] } else { &["axes"] }, 2)?;
        let given = self.ints(name, 1)?;
        let zero_is_zero = self.int("allowzero")?.unwrap_or(0) != 0;
        let value = self.input(0)?;
        let shape = match (self.node.op_type.as_str(), given) {
            ("Squeeze", axes) => ops::squeeze(&value.shape, axes.as_deref()),
            ("Reshape", Some(to)) => ops::reshape(&value.shape, &to, zero_is_zero),
            (_, Some(axes)) => ops::unsqueeze(&value.shape, &axes),
            (_, None) => Err(format!("{name} is missing")),
        };
        let shape = self.fits(shape)?;
        self.spend(&shape)?;
        Ok(Value { shape, ..value })
    }
}
