//! The operators that are folded, each in its forms of opset 7 and later (parameters as attributes or as inputs):
//!
//! ```text
//! constants   Constant, ConstantOfShape, Shape
//! moving      Identity, Slice, Split, Gather, Concat, Transpose, Expand, Tile, Reshape, Unsqueeze, Squeeze
//! numbers     Cast, DequantizeLinear, Add, Sub, Mul, Div, Equal, Where
//! ```

#![allow(
    clippy::indexing_slicing,
    reason = "indices of inputs and attributes that the operator has, and dimensions checked against the rank"
)]

use super::{Fold, Folder, Stop};
use crate::error::Error;
use crate::import::onnx::arithmetic;
use crate::import::onnx::names::{is_of_onnx, label_of, name_of};
use crate::import::onnx::ops::{self, Why};
use crate::import::onnx::reshape;
use crate::import::onnx::tensor;
use crate::import::onnx::value::{Data, Int, Value};
use crate::proto::{AttributeProto, NodeProto, dtype};

/// One operator being folded, at its output `place`.
pub(in crate::import::onnx) struct Operator<'f, 'a> {
    pub(in crate::import::onnx) folder: &'f mut Folder<'a>,
    pub(in crate::import::onnx) scope: usize,
    pub(in crate::import::onnx) node: &'a NodeProto,
    pub(in crate::import::onnx) place: usize,
    pub(in crate::import::onnx) depth: usize,
}

impl<'a> Operator<'_, 'a> {
    pub(in crate::import::onnx) fn value(&mut self) -> Fold<Value> {
        let op = self.node.op_type.as_str();
        if !is_of_onnx(self.node) || (self.place != 0 && op != "Split") {
            return Err(self.not_constant());
        }
        match op {
            "Constant" => self.constant(),
            "ConstantOfShape" => self.constant_of_shape(),
            "Identity" => self.known(&[], 1).and_then(|()| self.input(0)),
            "Shape" => self.shape(),
            "Cast" => self.cast(),
            "Slice" => self.slice(),
            "Split" => self.split(),
            "Gather" => self.gather(),
            "Concat" => self.concat(),
            "Transpose" => self.transpose(),
            "Expand" => self.expand(),
            "Tile" => self.tile(),
            "Reshape" | "Unsqueeze" | "Squeeze" => self.reshaped(),
            "DequantizeLinear" => self.dequantize(),
            "Add" => self.pairwise("Add"),
            "Sub" => self.pairwise("Sub"),
            "Mul" => self.pairwise("Mul"),
            "Div" => self.pairwise("Div"),
            "Equal" => self.pairwise("Equal"),
            "Where" => self.choose(),
            _ => Err(self.not_constant()),
        }
    }

    fn name(&self) -> String {
        label_of(self.node)
    }

    fn not_constant(&self) -> Stop {
        Stop::NotConstant(format!("{} is not folded", self.name()))
    }

    fn wrong(&self, reason: impl Into<String>) -> Stop {
        Error::format(self.name(), reason).into()
    }

    fn open(&self) -> Stop {
        Stop::NotConstant(format!("{} depends on values known only at run time", self.name()))
    }

    /// Refuses an attribute that is not among `names` and inputs beyond `inputs`.
    pub(in crate::import::onnx) fn known(&self, names: &[&str], inputs: usize) -> Fold<()> {
        let node = self.node;
        let strange = |a: &&AttributeProto| !names.contains(&a.name.as_str()) || !a.ref_attr_name.is_empty();
        if let Some(attribute) = node.attribute.iter().find(strange) {
            let reason = format!("{} has an attribute {}", self.name(), attribute.name);
            return Err(Stop::NotConstant(reason));
        }
        // With known names alone, more attributes than names means a duplicate; fewer are few enough to compare.
        let twice = |at: usize| node.attribute[..at].iter().any(|a| a.name == node.attribute[at].name);
        if node.attribute.len() > names.len() || (0..node.attribute.len()).any(twice) {
            return Err(self.wrong("an attribute is given twice"));
        }
        if node.input.len() > inputs {
            return Err(self.wrong(format!("{} inputs, at most {inputs} are known", node.input.len())));
        }
        Ok(())
    }

    fn attribute(&self, name: &str) -> Option<&'a AttributeProto> {
        self.node.attribute.iter().find(|attribute| attribute.name == name)
    }

    pub(in crate::import::onnx) fn int(&self, name: &str) -> Fold<Option<i64>> {
        let typed =
            |a: &AttributeProto| a.int().ok_or_else(|| self.wrong(format!("{name} is not an integer")));
        self.attribute(name).map(typed).transpose()
    }

    fn has_input(&self, place: usize) -> bool {
        self.node.input.get(place).is_some_and(|name| !name.is_empty())
    }

    pub(in crate::import::onnx) fn input(&mut self, place: usize) -> Fold<Value> {
        if !self.has_input(place) {
            return Err(self.wrong(format!("input {place} is missing")));
        }
        let node = self.node;
        self.folder.value_at(self.scope, &node.input[place], self.depth)
    }

    fn optional(&mut self, place: usize) -> Fold<Option<Value>> {
        if self.has_input(place) { self.input(place).map(Some) } else { Ok(None) }
    }

    /// A list of sizes or indices: the attribute `name`, or the input at `place`, or none.
    pub(in crate::import::onnx) fn sizes(&mut self, name: &str, place: usize) -> Fold<Option<Vec<Int>>> {
        if let Some(attribute) = self.attribute(name) {
            let ints = attribute.ints().ok_or_else(|| self.wrong(format!("{name} are not integers")))?;
            return Ok(Some(ints.iter().copied().map(Int::Is).collect()));
        }
        if !self.has_input(place) {
            return Ok(None);
        }
        match self.input(place)? {
            value if value.is_open() => Err(self.open()),
            Value { shape, data: Data::Ints(data), .. } if shape.len() <= 1 => Ok(Some(data)),
            other => Err(self.wrong(format!("{name} must be a list of integers, got {:?}", other.shape))),
        }
    }

    /// [`Operator::sizes`] if all are numbers.
    pub(in crate::import::onnx) fn ints(&mut self, name: &str, place: usize) -> Fold<Option<Vec<i64>>> {
        let Some(sizes) = self.sizes(name, place)? else { return Ok(None) };
        let numbers: Option<Vec<i64>> = sizes.into_iter().map(Int::known).collect();
        numbers.map(Some).ok_or_else(|| self.open())
    }

    fn needed<T>(&self, name: &str, list: Option<Vec<T>>) -> Fold<Vec<T>> {
        list.ok_or_else(|| self.wrong(format!("{name} is missing")))
    }

    fn fits<T>(&self, result: ops::Fold<T>) -> Fold<T> {
        result.map_err(|why| match why {
            Why::Wrong(reason) => self.wrong(reason),
            Why::Open => self.open(),
        })
    }

    fn spend(&mut self, shape: &[usize]) -> Fold<()> {
        let elements = self.fits(ops::elements(shape))?;
        let name = self.name();
        self.folder.spend(&name, elements)
    }

    fn view(&mut self, value: &Value, view: ops::Fold<ops::View>) -> Fold<Value> {
        let view = self.fits(view)?;
        self.spend(&view.shape)?;
        self.fits(view.copy(value))
    }

    /// An operator that only moves the elements of its first input. If it depends on the run, an array of one
    /// repeated number keeps that number everywhere.
    fn moved(&mut self, how: impl FnOnce(&mut Self, &Value) -> Fold<Value>) -> Fold<Value> {
        let value = self.input(0)?;
        if value.uniform {
            return Ok(value);
        }
        match how(self, &value) {
            Err(Stop::NotConstant(why)) => value.everywhere().ok_or(Stop::NotConstant(why)),
            result => result,
        }
    }

    fn constant(&mut self) -> Fold<Value> {
        let names = ["value", "value_float", "value_floats", "value_int", "value_ints"];
        self.known(&names, 0)?;
        let [attribute] = &self.node.attribute[..] else {
            return Err(self.wrong(format!("{} attributes, needs one", self.node.attribute.len())));
        };
        let name = name_of(self.node);
        let floats = |shape, data| Value::new(dtype::FLOAT, shape, Data::Floats(data));
        let ints = |shape, data: &[i64]| Value::new(dtype::INT64, shape, Data::ints(data));
        let value = match attribute.name.as_str() {
            "value" => match attribute.tensor() {
                Some(tensor) => return self.folder.read(name, tensor, true),
                None => None,
            },
            "value_float" => attribute.float().map(|v| floats(vec![], vec![v])),
            "value_floats" => attribute.floats().map(|v| floats(vec![v.len()], v.to_vec())),
            "value_int" => attribute.int().map(|v| ints(vec![], &[v])),
            _ => attribute.ints().map(|v| ints(vec![v.len()], v)),
        };
        let value = value.ok_or_else(|| self.wrong(format!("{} has another type", attribute.name)))?;
        self.spend(&value.shape)?;
        Ok(value)
    }

    fn constant_of_shape(&mut self) -> Fold<Value> {
        self.known(&["value"], 1)?;
        let fill = match self.attribute("value") {
            Some(attribute) => {
                let tensor = attribute.tensor().ok_or_else(|| self.wrong("value is not a tensor"))?;
                tensor::read(&self.name(), tensor, None)?
            }
            None => Value::new(dtype::FLOAT, vec![1], Data::Floats(vec![0.0])),
        };
        if fill.data.len() != 1 {
            return Err(self.wrong(format!("value has {} elements, needs one", fill.data.len())));
        }
        let one = Value::new(fill.dtype, Vec::new(), fill.data);
        let to = match self.sizes("shape", 0) {
            Err(Stop::NotConstant(why)) => return one.everywhere().ok_or(Stop::NotConstant(why)),
            to => to?,
        };
        let to = self.needed("shape", to)?;
        self.check_shape(&to)?;
        let view = ops::expand(&one, &to, &mut self.folder.symbols);
        self.view(&one, view)
    }

    fn shape(&mut self) -> Fold<Value> {
        self.known(&["start", "end"], 1)?;
        let sizes = match self.input(0) {
            Ok(value) if !value.uniform => value.sizes(),
            Ok(_) => return Err(self.open()),
            Err(Stop::NotConstant(_)) => {
                let node = self.node;
                let sizes = self.folder.sizes_of(self.scope, &node.input[0], self.depth);
                sizes.ok_or_else(|| self.open())?
            }
            Err(failed) => return Err(failed),
        };
        let start = self.int("start")?.unwrap_or(0);
        let end = self.int("end")?.unwrap_or(i64::MAX);
        let value = Value::list(sizes);
        let cut = ops::Cut { starts: &[start], ends: &[end], axes: None, steps: None };
        let view = ops::slice(&value, &cut, &mut self.folder.symbols);
        self.view(&value, view)
    }

    fn cast(&mut self) -> Fold<Value> {
        // `saturate` and `round_mode` act on 8-bit floats, which are not read.
        self.known(&["to", "saturate", "round_mode"], 1)?;
        let to = self.int("to")?.and_then(|to| i32::try_from(to).ok());
        let to = to.ok_or_else(|| self.wrong("to is missing"))?;
        let value = self.input(0)?;
        self.spend(&value.shape)?;
        let cast = arithmetic::cast(value, to);
        self.folds(cast)
    }

    /// A result whose numbers may be outside what folding supports, which is not an error in the file.
    fn folds(&self, result: ops::Fold<Value>) -> Fold<Value> {
        result.map_err(|why| match why {
            Why::Wrong(reason) => Stop::NotConstant(format!("{}: {reason}", self.name())),
            Why::Open => self.open(),
        })
    }

    fn slice(&mut self) -> Fold<Value> {
        self.known(&["starts", "ends", "axes"], 5)?;
        self.moved(|at, value| {
            let (starts, ends) = (at.ints("starts", 1)?, at.ints("ends", 2)?);
            let (starts, ends) = (at.needed("starts", starts)?, at.needed("ends", ends)?);
            let (axes, steps) = (at.ints("axes", 3)?, at.ints("steps", 4)?);
            let cut =
                ops::Cut { starts: &starts, ends: &ends, axes: axes.as_deref(), steps: steps.as_deref() };
            let view = ops::slice(value, &cut, &mut at.folder.symbols);
            at.view(value, view)
        })
    }

    fn split(&mut self) -> Fold<Value> {
        self.known(&["axis", "split", "num_outputs"], 2)?;
        let along = self.int("axis")?.unwrap_or(0);
        self.moved(|at, value| {
            let index = at.fits(ops::axis(along, value.shape.len()))?;
            if value.open[index].is_some() {
                return Err(at.open());
            }
            let (parts, size) = (at.node.output.len(), value.shape[index]);
            at.spend(&[parts])?;
            let sizes = match at.ints("split", 1)? {
                Some(sizes) => {
                    at.fits(sizes.iter().map(|&size| whole(size)).collect::<ops::Fold<Vec<_>>>())?
                }
                // If they are not equal, the last is smaller.
                None => {
                    let part = size.div_ceil(parts);
                    (0..parts).map(|place| part.min(size.saturating_sub(place * part))).collect()
                }
            };
            let total = sizes.iter().try_fold(0usize, |sum, &size| sum.checked_add(size));
            if sizes.len() != parts || total != Some(size) {
                let reason =
                    format!("splits {size} along axis {along} into {} for {parts} outputs", sizes.len());
                return Err(at.wrong(reason));
            }
            let from: usize = sizes[..at.place].iter().sum();
            let (start, end) = (from as i64, (from + sizes[at.place]) as i64);
            let cut = ops::Cut { starts: &[start], ends: &[end], axes: Some(&[along]), steps: None };
            let view = ops::slice(value, &cut, &mut at.folder.symbols);
            at.view(value, view)
        })
    }

    fn gather(&mut self) -> Fold<Value> {
        self.known(&["axis"], 2)?;
        let along = self.int("axis")?.unwrap_or(0);
        self.moved(|at, value| {
            let indices = at.input(1)?;
            if indices.uniform {
                return Err(at.open());
            }
            let (shape, along) = at.fits(ops::gather_shape(value, &indices, along))?;
            at.spend(&shape)?;
            at.fits(ops::gather(value, &indices, shape, along))
        })
    }

    fn transpose(&mut self) -> Fold<Value> {
        self.known(&["perm"], 1)?;
        self.moved(|at, value| {
            let perm = at.ints("perm", usize::MAX)?;
            let view = ops::transpose(value, perm.as_deref());
            at.view(value, view)
        })
    }

    fn expand(&mut self) -> Fold<Value> {
        self.known(&[], 2)?;
        self.moved(|at, value| {
            let to = at.sizes("shape", 1)?;
            let to = at.needed("shape", to)?;
            at.check_shape(&to)?;
            let view = ops::expand(value, &to, &mut at.folder.symbols);
            at.view(value, view)
        })
    }

    /// Checks a shape, some sizes of which may be known only at run time, against the limits of a tensor.
    fn check_shape(&self, to: &[Int]) -> Fold<()> {
        let known: Vec<i64> = to.iter().map(|size| size.known().unwrap_or(1)).collect();
        tensor::shape(&self.name(), &known)?;
        Ok(())
    }

    fn tile(&mut self) -> Fold<Value> {
        self.known(&[], 2)?;
        self.moved(|at, value| {
            let repeats = at.sizes("repeats", 1)?;
            let repeats = at.needed("repeats", repeats)?;
            let tiled = ops::tile(value, &repeats, &mut at.folder.symbols);
            let (view, shape) = at.fits(tiled)?;
            let copied = at.view(value, Ok(view))?;
            Ok(ops::tiled(copied, shape))
        })
    }

    fn concat(&mut self) -> Fold<Value> {
        self.known(&["axis"], usize::MAX)?;
        let axis = self.int("axis")?.ok_or_else(|| self.wrong("axis is missing"))?;
        let parts = (0..self.node.input.len()).map(|at| self.input(at)).collect::<Fold<Vec<_>>>()?;
        if let Some(first) = parts.iter().find(|part| part.uniform) {
            let same = parts.iter().all(|part| part.everywhere().as_ref() == Some(first));
            return if same { Ok(first.clone()) } else { Err(self.open()) };
        }
        let (sizes, axis) = self.fits(ops::concat_shape(&parts, axis))?;
        let shape: Vec<usize> = sizes.iter().map(|size| size.size().unwrap_or(1)).collect();
        self.spend(&shape)?;
        let joined = ops::concat(&parts, &sizes, axis, &mut self.folder.symbols);
        self.fits(joined)
    }

    /// Operators that keep the order of all elements.
    fn reshaped(&mut self) -> Fold<Value> {
        let op = self.node.op_type.as_str();
        let name = if op == "Reshape" { "shape" } else { "axes" };
        self.known(if op == "Reshape" { &["allowzero"] } else { &["axes"] }, 2)?;
        self.moved(|at, value| {
            let given = at.sizes(name, 1)?;
            let zero_is_zero = at.int("allowzero")?.unwrap_or(0) != 0;
            let numbers = |given: Vec<Int>| -> ops::Fold<Vec<i64>> {
                given.into_iter().map(|v| v.known().ok_or(Why::Open)).collect()
            };
            let shaped = match (op, given) {
                ("Reshape", Some(to)) => reshape::reshape(value.clone(), &to, zero_is_zero),
                ("Squeeze", None) => reshape::squeeze(value.clone(), None),
                (_, None) => return Err(at.wrong(format!("{name} is missing"))),
                (op, Some(axes)) => numbers(axes).and_then(|axes| match op {
                    "Squeeze" => reshape::squeeze(value.clone(), Some(&axes)),
                    _ => reshape::unsqueeze(value.clone(), &axes),
                }),
            };
            let shaped = at.fits(shaped)?;
            at.spend(&shaped.shape)?;
            Ok(shaped)
        })
    }

    fn dequantize(&mut self) -> Fold<Value> {
        self.known(&["axis", "block_size", "output_dtype", "saturate"], 3)?;
        let along = self.int("axis")?.unwrap_or(1);
        let block = self.fits(whole(self.int("block_size")?.unwrap_or(0)))?;
        let (x, scale, zero) = (self.input(0)?, self.input(1)?, self.optional(2)?);
        // 0: the type of the scale.
        let to = self.int("output_dtype")?.unwrap_or(0);
        if to != 0 && to != i64::from(scale.dtype) {
            return Err(Stop::NotConstant(format!("{} has an output_dtype of its own", self.name())));
        }
        self.spend(&x.shape)?;
        let result = arithmetic::dequantize_linear(&x, [Some(&scale), zero.as_ref()], along, block);
        self.folds(result)
    }

    /// Charges for arrays that are repeated to each other's shape.
    fn spend_joint(&mut self, values: &[&Value]) -> Fold<()> {
        let rank = values.iter().map(|value| value.shape.len()).max().unwrap_or(0);
        let size = |at: usize| {
            let of = |value: &&Value| (at + value.shape.len()).checked_sub(rank).map(|at| value.shape[at]);
            values.iter().filter_map(of).max().unwrap_or(1)
        };
        let shape: Vec<usize> = (0..rank).map(size).collect();
        self.spend(&shape)
    }

    fn pairwise(&mut self, op: &'static str) -> Fold<Value> {
        self.known(&[], 2)?;
        let (a, b) = (self.input(0)?, self.input(1)?);
        self.spend_joint(&[&a, &b])?;
        let result = arithmetic::pairwise(op, &a, &b, &mut self.folder.symbols);
        self.folds(result)
    }

    fn choose(&mut self) -> Fold<Value> {
        self.known(&[], 3)?;
        let (condition, a, b) = (self.input(0)?, self.input(1)?, self.input(2)?);
        self.spend_joint(&[&condition, &a, &b])?;
        let result = arithmetic::choose(&condition, &a, &b, &mut self.folder.symbols);
        self.folds(result)
    }
}

fn whole(size: i64) -> ops::Fold<usize> {
    usize::try_from(size).map_err(|_| format!("a size of {size}").into())
}
