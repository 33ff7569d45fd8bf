//! How a weight is stored: as it is, or as the tensors that PyTorch computes it from in eval mode.
//!
//! ```text
//! weight_norm      W = g · v / |v|             {w}_g, {w}_v, or parametrizations.{w}.original0, original1
//!                                              |v| over the dimensions in which g has size 1
//! spectral_norm    W = W' / (u · W' v)         {w}_orig, {w}_u, {w}_v, or parametrizations.{w}.original, 0._u, 0._v
//! pruning          W = W' ⊙ mask               {w}_orig, {w}_mask
//! ```
//!
//! Sums and products are in f64, then rounded once. Source: the documentation and code of `torch.nn.utils`
//! (`weight_norm`, `spectral_norm`, `prune`, `parametrizations`).

#![allow(
    clippy::indexing_slicing,
    reason = "indices of the names that `form` found, and elements of tensors whose shapes were checked"
)]

use std::collections::BTreeMap;

use crate::dims::check_finite;
use crate::error::{Error, Result, listed};
use crate::import::Report;
use crate::import::tensors::{Tensor, Tensors};

/// The module under which `torch.nn.utils.parametrize` stores the tensors that it computes weights from.
pub(super) const PARAMETRIZATIONS: &str = "parametrizations.";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Plain,
    WeightNorm,
    SpectralNorm,
    Pruned,
}

/// Each kind with its tensors' names, where `@` is the weight's name; the first has the weight's shape.
const FORMS: [(Kind, &[&str]); 6] = [
    (Kind::Plain, &["@"]),
    (Kind::WeightNorm, &["@_v", "@_g"]),
    (Kind::SpectralNorm, &["@_orig", "@_u", "@_v"]),
    (Kind::Pruned, &["@_orig", "@_mask"]),
    (Kind::WeightNorm, &["parametrizations.@.original1", "parametrizations.@.original0"]),
    (
        Kind::SpectralNorm,
        &["parametrizations.@.original", "parametrizations.@.0._u", "parametrizations.@.0._v"],
    ),
];

/// The prefix and the weight's own name for a tensor that a weight is computed from; for any other tensor, nothing
/// and its whole name.
pub(super) fn origin(name: &str) -> (&str, &str) {
    if let Some(at) = name.find(PARAMETRIZATIONS).filter(|at| *at == 0 || name[..*at].ends_with('.')) {
        let rest = &name[at + PARAMETRIZATIONS.len()..];
        return (&name[..at], rest.split('.').next().unwrap_or(rest));
    }
    let weight = ["_g", "_orig"].iter().find_map(|end| name.strip_suffix(end));
    ("", weight.unwrap_or(name))
}

/// The stack's weights, however they are stored.
pub(super) struct Stored<'a> {
    tensors: &'a Tensors<'a>,
    prefix: &'a str,
    /// The weights that were computed, by their kind.
    computed: BTreeMap<Kind, Vec<String>>,
}

impl<'a> Stored<'a> {
    /// The tensors whose names begin with `prefix`.
    pub(super) fn new(tensors: &'a Tensors<'a>, prefix: &'a str) -> Self {
        Self { tensors, prefix, computed: BTreeMap::new() }
    }

    /// The first form whose tensors all exist.
    fn form(&self, leaf: &str) -> Option<(Kind, Vec<String>)> {
        FORMS.iter().find_map(|(kind, parts)| {
            let name = |part: &&str| format!("{}{}", self.prefix, part.replace('@', leaf));
            let there = |part| Some(name(part)).filter(|name| self.tensors.has(name));
            Some((*kind, parts.iter().map(there).collect::<Option<_>>()?))
        })
    }

    pub(super) fn has(&self, leaf: &str) -> bool {
        self.form(leaf).is_some()
    }

    /// # Errors
    /// [`Error::MissingTensor`], [`Error::Unsupported`] for a weight that is computed in an unknown way.
    pub(super) fn shape(&self, leaf: &str) -> Result<&'a [usize]> {
        match self.form(leaf) {
            Some((_, names)) => self.tensors.shape(&names[0]),
            None => Err(self.missing(leaf)),
        }
    }

    /// The error that there is no such weight, or that it exists only as tensors of another kind.
    fn missing(&self, leaf: &str) -> Error {
        let name = format!("{}{leaf}", self.prefix);
        let parametrised = format!("{}{PARAMETRIZATIONS}{leaf}.", self.prefix);
        let copy = format!("{name}_");
        let is_of = |other: &&str| {
            let copied = other.strip_prefix(&copy).is_some_and(|rest| !rest.starts_with("reverse"));
            copied || other.starts_with(&parametrised)
        };
        let parts: Vec<&str> = self.tensors.names().filter(is_of).collect();
        if parts.is_empty() {
            return self.tensors.missing(&name);
        }
        let how = match parts.iter().any(|part| part.starts_with(&parametrised)) {
            true => format!(
                "with torch.nn.utils.parametrize.remove_parametrizations(module, '{leaf}') before saving"
            ),
            false => "before saving".into(),
        };
        let what = format!(
            "{name}, which exists only as {}: neither weight_norm nor spectral_norm nor pruning; make it a plain \
             weight {how}",
            listed(&parts)
        );
        Error::Unsupported { what }
    }

    /// The weight, computed if it is not stored directly.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::Format`], [`Error::Shape`], [`Error::NotFinite`] with the tensor's name,
    /// [`Error::Unsupported`] for a weight that is computed in an unknown way.
    pub(super) fn take(&mut self, leaf: &str, shape: &[usize], report: &mut Report) -> Result<Vec<f32>> {
        let (kind, names) = self.form(leaf).ok_or_else(|| self.missing(leaf))?;
        let read = |index: usize| self.tensors.read(&names[index]);
        let first = read(0)?.with_shape(shape)?;
        let data = match kind {
            Kind::Plain => first.data,
            Kind::WeightNorm => weight_norm(&first, &read(1)?)?,
            Kind::SpectralNorm => spectral_norm(&first, &read(1)?, &read(2)?)?,
            Kind::Pruned => pruned(&first, read(1)?)?,
        };
        if kind != Kind::Plain {
            let name = format!("{}{leaf}", self.prefix);
            check_finite(&name, shape, &data)?;
            self.computed.entry(kind).or_default().push(name);
        }
        report.used.extend(names);
        Ok(data)
    }

    /// Which weights were computed, and how.
    pub(super) fn decisions(&self) -> impl Iterator<Item = String> {
        self.computed.iter().map(|(kind, names)| {
            let how = match kind {
                Kind::Plain => "stored as they are",
                Kind::WeightNorm => "weight_norm, g · v / |v|",
                Kind::SpectralNorm => "spectral_norm as in eval mode, W / (u · W v)",
                Kind::Pruned => "pruning, orig · mask",
            };
            format!("computed from {how}: {}", listed(names))
        })
    }
}

/// The rows and columns of a weight, of a bias, which is a column, or of a scalar.
fn rows_and_columns(tensor: &Tensor) -> Result<[usize; 2]> {
    match tensor.shape[..] {
        [] => Ok([1, 1]),
        [rows] => Ok([rows, 1]),
        [rows, columns] => Ok([rows, columns]),
        _ => Err(Error::format(
            tensor.name.clone(),
            format!("expected at most 2 dimensions, got {:?}", tensor.shape),
        )),
    }
}

/// `g · v / |v|`, with the norm over the dimensions in which g has size 1.
fn weight_norm(v: &Tensor, g: &Tensor) -> Result<Vec<f32>> {
    let ([rows, columns], [g_rows, g_columns]) = (rows_and_columns(v)?, rows_and_columns(g)?);
    let along_rows = g_rows == rows && g_columns == 1;
    let along_columns = g_rows == 1 && g_columns == columns;
    let has_its_dimensions = g.shape.is_empty() || g.shape.len() == v.shape.len();
    if !has_its_dimensions || !along_rows && !along_columns && (g_rows, g_columns) != (1, 1) {
        let mut expected = v.shape.clone();
        expected.iter_mut().skip(1).for_each(|size| *size = 1);
        return Err(Error::Shape { name: g.name.clone(), expected, got: g.shape.clone() });
    }
    // The index in g of an element's factor.
    let place = |at: usize| {
        let (row, column) = (at / columns, at % columns);
        (if g_rows == 1 { 0 } else { row }) * g_columns + if g_columns == 1 { 0 } else { column }
    };
    let mut squares = vec![0.0; g.data.len()];
    for (at, value) in v.data.iter().enumerate() {
        squares[place(at)] += f64::from(*value) * f64::from(*value);
    }
    let scale: Vec<f64> = g.data.iter().zip(&squares).map(|(g, sum)| f64::from(*g) / sum.sqrt()).collect();
    Ok(v.data.iter().enumerate().map(|(at, v)| (f64::from(*v) * scale[place(at)]) as f32).collect())
}

/// `W / (u · W v)`; u has a row's length if the norm is along the other dimension.
fn spectral_norm(w: &Tensor, u: &Tensor, v: &Tensor) -> Result<Vec<f32>> {
    let [rows, columns] = rows_and_columns(w)?;
    let (left, right) = match (u.data.len(), v.data.len()) {
        (a, b) if (a, b) == (rows, columns) => (u, v),
        (a, b) if (a, b) == (columns, rows) => (v, u),
        _ => return Err(Error::Shape { name: u.name.clone(), expected: vec![rows], got: u.shape.clone() }),
    };
    let mut sigma = 0.0;
    for (row, left) in w.data.chunks_exact(columns.max(1)).zip(&left.data) {
        let product: f64 = row.iter().zip(&right.data).map(|(w, v)| f64::from(*w) * f64::from(*v)).sum();
        sigma += f64::from(*left) * product;
    }
    Ok(w.data.iter().map(|w| (f64::from(*w) / sigma) as f32).collect())
}

fn pruned(w: &Tensor, mask: Tensor) -> Result<Vec<f32>> {
    let mask = mask.with_shape(&w.shape)?;
    Ok(w.data.iter().zip(&mask.data).map(|(w, mask)| w * mask).collect())
}
