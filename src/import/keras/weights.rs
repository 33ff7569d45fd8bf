//! The weights of a layer, from Keras' layout to the crate's.
//!
//! ```text
//! kernel [I, G·H]   recurrent_kernel [H, G·H]      gates z r h (GRU), i f c o (LSTM), one (RNN)
//! bias   [G·H]      [2, 3·H] for a GRU with reset after: the bias on x, then the one on h
//! W_z U_z b_z W_r …                                one array a gate, Keras 1
//! W U b                                            Keras 1 with consume_less="gpu", and its SimpleRNN
//! CuDNNGRU, CuDNNLSTM of Keras 2                   bias [2·G·H]; per gate the kernel's memory is [H, I],
//!                                                  the recurrent kernel's [H, H], row-major
//! ```
//!
//! Both matrices are transposed on the way. Source: `keras/layers/recurrent.py` of Keras 1 and 2,
//! `_convert_rnn_weights` of Keras 2's `keras/engine/saving.py`, `keras/src/layers/rnn/` of Keras 3.

use super::container::{File, Layout};
use super::graph::Node;
use super::spec::{Recurrent, Spec};
use crate::dims::product;
use crate::error::{Error, Result};
use crate::import::Tensor;
use crate::model::{Cell, Direction, GateOrder, Layer, Weights};

/// What an array is to its layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Kernel,
    Recurrent,
    Bias,
}

/// One direction's arrays, or a dense layer's: the part, the gate where each has an array of its own, the path.
type Arrays = Vec<(Part, Option<char>, String)>;

/// The arrays of a layer, one set per direction.
///
/// # Errors
/// [`Error::MissingTensor`], [`Error::Unsupported`] for an array of the layer that no part is known for.
fn arrays(file: &File, node: &Node<'_>, directions: usize) -> Result<Vec<Arrays>> {
    match &file.layout {
        Layout::Named(base) => named(file, base, node, directions),
        Layout::Numbered => {
            let recurrent = node.is_recurrent();
            let folders = match (recurrent, directions) {
                (false, _) => vec!["vars"],
                (true, 1) => vec!["cell/vars"],
                (true, _) => vec!["forward_layer/cell/vars", "backward_layer/cell/vars"],
            };
            folders.into_iter().map(|folder| numbered(file, node, folder, recurrent)).collect()
        }
    }
}

/// Arrays by their place in the list of a layer's weights.
fn numbered(file: &File, node: &Node<'_>, folder: &str, recurrent: bool) -> Result<Arrays> {
    let folder = format!("{}/{folder}", node.numbered);
    // Later versions of Keras 3 write the layer's name beside the weights.
    let own = node.name.rsplit('/').next();
    let told = file.store.text(&format!("{}/vars", node.numbered), "name")?;
    if file.whole && told.is_some() && told.as_deref() != own {
        let reason = format!("holds the weights of {told:?}, the configuration has \"{}\" there", node.name);
        return Err(Error::Format { name: node.numbered.clone(), reason });
    }
    let parts = match recurrent {
        true => &[Part::Kernel, Part::Recurrent, Part::Bias][..],
        false => &[Part::Kernel, Part::Bias],
    };
    let prefix = format!("{folder}/");
    let mut found = Arrays::new();
    for path in file.store.arrays().iter().filter(|path| path.starts_with(&prefix)) {
        let place = path[prefix.len()..].parse::<usize>().ok();
        let part = place.and_then(|place| parts.get(place)).ok_or_else(|| unknown(path, node))?;
        found.push((*part, None, path.clone()));
    }
    if found.is_empty() {
        return Err(Error::MissingTensor {
            name: format!("{prefix}0 (layer \"{}\")", node.name),
            source: file.store.source().into(),
            found: file.store.arrays().to_vec(),
        });
    }
    Ok(found)
}

/// Arrays by their names, in the group of the layer, or of the outermost model that holds it.
fn named(file: &File, base: &str, node: &Node<'_>, directions: usize) -> Result<Vec<Arrays>> {
    let (outer, inner) = match node.name.split_once('/') {
        Some((outer, _)) if !file.store.has_group(&below(base, &node.name)) => {
            (outer, node.name.rsplit('/').next())
        }
        _ => (node.name.as_str(), None),
    };
    let group = below(base, outer);
    let mut names = file.store.list(&group, "weight_names")?;
    if let Some(inner) = inner {
        names.retain(|name| name.split('/').any(|part| part == inner));
    }
    if names.is_empty() || names.len() % directions != 0 {
        return Err(Error::MissingTensor {
            name: format!("weights of layer \"{}\" (weight_names of {group}: {})", node.name, names.len()),
            source: file.store.source().into(),
            found: file.store.arrays().to_vec(),
        });
    }
    let mut all = Vec::new();
    // The arrays of the forward direction come first.
    for names in names.chunks_exact(names.len() / directions) {
        let of = |name: &String| {
            let (part, gate) = part_of(name).ok_or_else(|| unknown(name, node))?;
            Ok((part, gate, format!("{group}/{name}")))
        };
        all.push(names.iter().map(of).collect::<Result<_>>()?);
    }
    Ok(all)
}

fn below(base: &str, name: &str) -> String {
    if base.is_empty() { name.into() } else { format!("{base}/{name}") }
}

fn unknown(path: &str, node: &Node<'_>) -> Error {
    Error::Unsupported { what: format!("array {path} of {} layer \"{}\"", node.class, node.name) }
}

/// What `gru_1/kernel:0` or `gru_1_W_z` is.
fn part_of(name: &str) -> Option<(Part, Option<char>)> {
    let last = name.rsplit('/').next()?;
    let stem = last.split(':').next()?;
    match stem {
        "kernel" => return Some((Part::Kernel, None)),
        "recurrent_kernel" => return Some((Part::Recurrent, None)),
        "bias" => return Some((Part::Bias, None)),
        _ => {}
    }
    let mut words = stem.rsplit('_');
    let (last, before) = (words.next()?, words.next());
    let part = |word: &str| match word {
        "W" => Some(Part::Kernel),
        "U" => Some(Part::Recurrent),
        "b" => Some(Part::Bias),
        _ => None,
    };
    match part(last) {
        Some(part) => Some((part, None)),
        None => Some((part(before?)?, Some(last.chars().next().filter(|_| last.len() == 1)?))),
    }
}

/// I and G·H of a layer, read off the first of its kernels; for lists of what a file holds.
pub(super) fn kernel_shape(file: &File, node: &Node<'_>, directions: usize) -> Option<Vec<usize>> {
    let arrays = arrays(file, node, directions).ok()?;
    let (_, _, path) = arrays.first()?.iter().find(|(part, ..)| *part == Part::Kernel)?;
    file.store.shape(path).ok()
}

/// One recurrent layer.
///
/// # Errors
/// [`Error::MissingTensor`], [`Error::Shape`], [`Error::NotFinite`], [`Error::Format`] with the array's path;
/// [`Error::Unsupported`] for an array that is not known.
pub(super) fn layer(
    file: &File,
    node: &Node<'_>,
    recurrent: &Recurrent,
    used: &mut Vec<String>,
) -> Result<Layer> {
    let direction = match &recurrent.directions[..] {
        [one] if one.backwards => Direction::Reverse,
        [_] => Direction::Forward,
        _ => Direction::Bidirectional,
    };
    let sets = arrays(file, node, direction.count())?;
    let first = recurrent.first();
    let mut input = None;
    let mut weights = Vec::new();
    for (spec, arrays) in recurrent.directions.iter().zip(&sets) {
        let reader = Reader { file, spec, label: &recurrent.label, arrays };
        weights.push(reader.weights(&mut input)?);
        used.extend(arrays.iter().map(|(_, _, path)| path.clone()));
    }
    let activations = recurrent.directions.iter().map(|spec| spec.activations).collect();
    Layer::new(first.cell, direction, input.unwrap_or(0), first.units, weights)?.with_activations(activations)
}

/// The kernel `[I, O]` and the bias `[O]` of a dense layer, the kernel transposed.
///
/// # Errors
/// As [`layer`].
pub(super) fn dense(
    file: &File,
    node: &Node<'_>,
    [input, outputs]: [usize; 2],
    biased: bool,
    used: &mut Vec<String>,
) -> Result<(Vec<f32>, Option<Vec<f32>>)> {
    let arrays = arrays(file, node, 1)?.pop().unwrap_or_default();
    let of = |part: Part, shape: &[usize]| -> Result<Tensor> {
        let path = arrays.iter().find(|(other, ..)| *other == part).map(|(_, _, path)| path);
        let path = path.ok_or_else(|| missing(file, part, &format!("layer \"{}\"", node.name)))?;
        file.store.read(path)?.with_shape(shape)
    };
    let kernel = of(Part::Kernel, &[input, outputs])?;
    let bias = if biased { Some(of(Part::Bias, &[outputs])?.data) } else { None };
    used.extend(arrays.into_iter().map(|(_, _, path)| path));
    Ok((transpose(&kernel.data, outputs), bias))
}

fn missing(file: &File, part: Part, label: &str) -> Error {
    Error::MissingTensor {
        name: format!("{part:?} of {label}"),
        source: file.store.source().into(),
        found: file.store.arrays().to_vec(),
    }
}

/// One direction's arrays with what the configuration says of them.
struct Reader<'a> {
    file: &'a File,
    spec: &'a Spec,
    label: &'a str,
    arrays: &'a Arrays,
}

impl Reader<'_> {
    /// `input` is I, which the first kernel read sets.
    fn weights(&self, input: &mut Option<usize>) -> Result<Weights> {
        let Spec { cell, units, bias, .. } = *self.spec;
        let kernels = self.part(Part::Kernel)?;
        let rows = match input {
            Some(rows) => *rows,
            None => kernels[0].shape.first().copied().unwrap_or(0),
        };
        *input = Some(rows);
        let w_ih = self.matrix(kernels, rows)?;
        let w_hh = self.matrix(self.part(Part::Recurrent)?, units)?;
        let [b_ih, b_hh] = match bias {
            true => self.biases()?,
            false if self.arrays.iter().any(|(part, ..)| *part == Part::Bias) => {
                let reason = "has a bias, its configuration says use_bias = false".into();
                return Err(Error::Mismatch { name: self.label.into(), reason });
            }
            false => [None, None],
        };
        let weights = Weights { w_ih, w_hh, b_ih, b_hh, ..Weights::default() };
        match cell {
            Cell::Gru { .. } => weights.from_order(GateOrder::Zrn),
            // Keras' i f c o is the crate's own order.
            Cell::Lstm { .. } | Cell::Rnn => Ok(weights),
        }
    }

    /// The arrays of one part: a joint one, or one for each gate in Keras' order.
    fn part(&self, part: Part) -> Result<Vec<Tensor>> {
        let gates: &[char] = match self.spec.cell {
            Cell::Gru { .. } => &['z', 'r', 'h'],
            Cell::Lstm { .. } => &['i', 'f', 'c', 'o'],
            Cell::Rnn => &['h'],
        };
        let own: Vec<_> = self.arrays.iter().filter(|(other, ..)| *other == part).collect();
        let joint = own.iter().any(|(_, gate, _)| gate.is_none());
        let wanted = if joint { 1 } else { gates.len() };
        let find = |wanted: Option<char>| {
            let found = own.iter().find(|(_, gate, _)| *gate == wanted);
            let label = wanted.map_or(self.label.to_owned(), |gate| format!("gate {gate} of {}", self.label));
            let (_, _, path) = found.ok_or_else(|| missing(self.file, part, &label))?;
            self.file.store.read(path)
        };
        if own.len() > wanted {
            let reason = format!("has {} arrays as its {part:?}, expected {wanted}", own.len());
            return Err(Error::Format { name: self.label.into(), reason });
        }
        match joint {
            true => Ok(vec![find(None)?]),
            false => gates.iter().map(|gate| find(Some(*gate))).collect(),
        }
    }

    /// `[rows, G·H]`, or G of `[rows, H]`, to `[G·H, rows]`.
    fn matrix(&self, tensors: Vec<Tensor>, rows: usize) -> Result<Vec<f32>> {
        let Spec { cell, units, cudnn, .. } = *self.spec;
        let columns = product("G·H", &[cell.gates(), units])? / tensors.len();
        let mut all = Vec::new();
        for tensor in tensors {
            let data = tensor.with_shape(&[rows, columns])?.data;
            let by_rows = transpose(&data, columns);
            if !cudnn {
                all.extend(by_rows);
                continue;
            }
            for gate in by_rows.chunks(product("I·H", &[rows, units])?.max(1)) {
                // [H, rows] of the gate, back to [rows, H]: its memory as it stands in the file.
                all.extend(transpose(gate, rows));
            }
        }
        Ok(all)
    }

    /// `b_ih` and, where the cell has two, `b_hh`.
    fn biases(&self) -> Result<[Option<Vec<f32>>; 2]> {
        let Spec { cell, units, cudnn, .. } = *self.spec;
        let rows = product("G·H", &[cell.gates(), units])?;
        let tensors = self.part(Part::Bias)?;
        let two = cudnn || cell == Cell::GRU;
        let shape = match (cudnn, two) {
            (true, _) => vec![product("2·G·H", &[2, rows])?],
            (false, true) => vec![2, rows],
            (false, false) => vec![rows / tensors.len()],
        };
        let mut all = Vec::new();
        for tensor in tensors {
            all.extend(tensor.with_shape(&shape)?.data);
        }
        let b_hh = two.then(|| all.split_off(rows));
        Ok([Some(all), b_hh])
    }
}

/// `[rows, columns]` to `[columns, rows]`.
fn transpose(values: &[f32], columns: usize) -> Vec<f32> {
    let mut moved = Vec::with_capacity(values.len());
    for column in 0..columns {
        moved.extend(values.iter().skip(column).step_by(columns));
    }
    moved
}
