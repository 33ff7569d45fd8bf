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

#![allow(clippy::indexing_slicing, reason = "every part has at least a kernel")]

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::container::{File, Layout};
use super::flat;
use super::graph::{Graph, Node};
use super::spec::{Recurrent, Spec};
use crate::dims::product;
use crate::error::{Error, Result};
use crate::import::tensors::Tensor;
use crate::model::{Cell, Direction, GateOrder, Layer, Weights};

/// The role of an array in its layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Kernel,
    Recurrent,
    Bias,
}

impl Part {
    fn words(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Recurrent => "recurrent kernel",
            Self::Bias => "bias",
        }
    }
}

/// One direction's arrays, or a dense layer's: the part, the gate if each has an array of its own, the path.
type Arrays = Vec<(Part, Option<char>, String)>;

/// Where a file stores the arrays of some layers.
pub(super) struct Finder<'f, 'a> {
    file: &'f File,
    graph: &'f Graph<'a>,
    /// For nested models in `.h5`: the names in their lists, by the layers' indices.
    flat: HashMap<usize, Vec<String>>,
}

impl<'f, 'a> Finder<'f, 'a> {
    /// The finder for the layers at the indices `places`.
    ///
    /// # Errors
    /// [`Error::Format`] for a list of a nested model that does not show which layers its weights belong to.
    pub(super) fn new(file: &'f File, graph: &'f Graph<'a>, places: &[usize]) -> Result<Self> {
        let mut finder = Self { file, graph, flat: HashMap::new() };
        let Layout::Named(base) = &file.layout else { return Ok(finder) };
        let mut ranges = HashMap::new();
        for place in places {
            let Some(model) = graph.node(*place).outermost else { continue };
            let (names, ranges) = match ranges.entry(model) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => {
                    let group = below(base, &graph.node(model).name);
                    let names = file.store.attributes(&group)?.list("weight_names");
                    let ranges = flat::ranges(graph, model, &names)?;
                    unknown.insert((names, ranges))
                }
            };
            let range = ranges.get(place).cloned().unwrap_or_default();
            finder.flat.insert(*place, names.get(range).unwrap_or_default().to_vec());
        }
        Ok(finder)
    }

    fn node(&self, place: usize) -> &'f Node<'a> {
        self.graph.node(place)
    }

    /// The arrays of a layer, one set per direction.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::Unsupported`] for an array of the layer that is no known part.
    fn arrays(&self, place: usize, directions: usize) -> Result<Vec<Arrays>> {
        let node = self.node(place);
        match &self.file.layout {
            Layout::Named(base) => self.named(base, place, directions),
            Layout::Numbered => {
                let recurrent = node.is_recurrent();
                let folders = match (recurrent, directions) {
                    (false, _) if node.class == "TimeDistributed" => vec!["layer/vars"],
                    (false, _) => vec!["vars"],
                    (true, 1) => vec!["cell/vars"],
                    (true, _) => vec!["forward_layer/cell/vars", "backward_layer/cell/vars"],
                };
                folders.into_iter().map(|folder| numbered(self.file, node, folder, recurrent)).collect()
            }
        }
    }

    /// Arrays by their names, in the group of the layer, or of the outermost nested model that contains it.
    fn named(&self, base: &str, place: usize, directions: usize) -> Result<Vec<Arrays>> {
        let (file, node) = (self.file, self.node(place));
        let group = below(base, &self.node(node.outermost.unwrap_or(place)).name);
        let names = match self.flat.get(&place) {
            Some(names) => names.clone(),
            None => file.store.attributes(&group)?.list("weight_names"),
        };
        if names.is_empty() || names.len() % directions != 0 {
            let name = format!("weights of {} (weight_names of {group}: {})", node.label(), names.len());
            return Err(file.store.missing(name));
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

    /// I and G·H of a layer, read from the first of its kernels; for lists of a file's contents.
    pub(super) fn kernel_shape(&self, place: usize, directions: usize) -> Option<Vec<usize>> {
        let arrays = self.arrays(place, directions).ok()?;
        let (_, _, path) = arrays.first()?.iter().find(|(part, ..)| *part == Part::Kernel)?;
        self.file.store.shape(path).ok()
    }
}

/// Arrays by their position in the list of a layer's weights.
fn numbered(file: &File, node: &Node<'_>, folder: &str, recurrent: bool) -> Result<Arrays> {
    let folder = format!("{}/{folder}", node.numbered);
    // Later versions of Keras 3 write the layer's name beside the weights.
    let told = file.store.attributes(&format!("{}/vars", node.numbered))?.text("name");
    match (told, node.own_name) {
        (Some(told), Some(own)) if file.whole && told != own => {
            let reason =
                format!("holds the weights of \"{told}\", the configuration has \"{}\" there", node.name);
            return Err(Error::format(node.numbered.clone(), reason));
        }
        _ => {}
    }
    let parts = match recurrent {
        true => &[Part::Kernel, Part::Recurrent, Part::Bias][..],
        false => &[Part::Kernel, Part::Bias],
    };
    let prefix = format!("{folder}/");
    let mut found = Arrays::new();
    for path in file.store.arrays_below(&prefix) {
        let place = path[prefix.len()..].parse::<usize>().ok();
        let part = place.and_then(|place| parts.get(place)).ok_or_else(|| unknown(path, node))?;
        found.push((*part, None, path.clone()));
    }
    if found.is_empty() {
        return Err(file.store.missing(format!("{prefix}0 ({})", node.label())));
    }
    Ok(found)
}

fn below(base: &str, name: &str) -> String {
    if base.is_empty() { name.into() } else { format!("{base}/{name}") }
}

fn unknown(path: &str, node: &Node<'_>) -> Error {
    Error::Unsupported { what: format!("array {path} of {}", node.label()) }
}

/// The part and gate of a name such as `gru_1/kernel:0` or `gru_1_W_z`.
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

/// One recurrent layer that runs in `direction`.
///
/// # Errors
/// [`Error::MissingTensor`], [`Error::Shape`], [`Error::NotFinite`], [`Error::Format`] with the array's path;
/// [`Error::Unsupported`] for an array that is not known.
pub(super) fn layer(
    finder: &Finder<'_, '_>,
    place: usize,
    recurrent: &Recurrent,
    direction: Direction,
    used: &mut Vec<String>,
) -> Result<Layer> {
    let sets = finder.arrays(place, direction.count())?;
    let first = recurrent.first();
    let mut input = None;
    let mut weights = Vec::new();
    for (spec, arrays) in recurrent.directions.iter().zip(&sets) {
        let reader = Reader { file: finder.file, spec, label: &recurrent.label, arrays };
        weights.push(reader.weights(&mut input)?);
        used.extend(arrays.iter().map(|(_, _, path)| path.clone()));
    }
    let activations = recurrent.directions.iter().map(|spec| spec.activations).collect();
    let layer = Layer::new(first.cell, direction, input.unwrap_or(0), first.units, weights)?;
    layer.with_activations(activations)?.with_merge(recurrent.merge)
}

/// The kernel `[I, O]` and the bias `[O]` of a dense layer, the kernel transposed.
///
/// # Errors
/// As [`layer`].
pub(super) fn dense(
    finder: &Finder<'_, '_>,
    place: usize,
    [input, outputs]: [usize; 2],
    biased: bool,
    used: &mut Vec<String>,
) -> Result<(Vec<f32>, Option<Vec<f32>>)> {
    let arrays = finder.arrays(place, 1)?.pop().unwrap_or_default();
    let (file, node) = (finder.file, finder.node(place));
    let of = |part: Part, shape: &[usize]| -> Result<Tensor> {
        let path = arrays.iter().find(|(other, ..)| *other == part).map(|(_, _, path)| path);
        let path = path.ok_or_else(|| missing(file, part, &node.label()))?;
        file.store.read(path, shape)
    };
    let kernel = of(Part::Kernel, &[input, outputs])?;
    let bias = if biased { Some(of(Part::Bias, &[outputs])?.data) } else { None };
    used.extend(arrays.into_iter().map(|(_, _, path)| path));
    Ok((transpose(&kernel.data, outputs), bias))
}

fn missing(file: &File, part: Part, label: &str) -> Error {
    file.store.missing(format!("{} of {label}", part.words()))
}

/// One direction's arrays with their configuration.
struct Reader<'a> {
    file: &'a File,
    spec: &'a Spec,
    label: &'a str,
    arrays: &'a Arrays,
}

impl Reader<'_> {
    /// `input` is I, set by the first kernel that is read.
    fn weights(&self, input: &mut Option<usize>) -> Result<Weights> {
        let Spec { cell, units, bias, .. } = *self.spec;
        let kernels = self.part(Part::Kernel)?;
        let rows = match input {
            Some(rows) => *rows,
            None => self.file.store.shape(kernels[0])?.first().copied().unwrap_or(0),
        };
        *input = Some(rows);
        let w_ih = self.matrix(&kernels, rows)?;
        let w_hh = self.matrix(&self.part(Part::Recurrent)?, units)?;
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

    /// The paths of one part: a joint array, or one for each gate in Keras' order.
    fn part(&self, part: Part) -> Result<Vec<&str>> {
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
            Ok(path.as_str())
        };
        if own.len() > wanted {
            let reason = format!("has {} arrays as its {}, expected {wanted}", own.len(), part.words());
            return Err(Error::format(self.label, reason));
        }
        match joint {
            true => Ok(vec![find(None)?]),
            false => gates.iter().map(|gate| find(Some(*gate))).collect(),
        }
    }

    /// `[rows, G·H]`, or G of `[rows, H]`, to `[G·H, rows]`.
    fn matrix(&self, paths: &[&str], rows: usize) -> Result<Vec<f32>> {
        let Spec { cell, units, cudnn, .. } = *self.spec;
        let columns = product("G·H", &[cell.gates(), units])? / paths.len();
        let mut all = Vec::new();
        for path in paths {
            let data = self.file.store.read(path, &[rows, columns])?.data;
            let by_rows = transpose(&data, columns);
            if !cudnn {
                all.extend(by_rows);
                continue;
            }
            for gate in by_rows.chunks(product("I·H", &[rows, units])?.max(1)) {
                // [H, rows] of the gate, back to [rows, H]: the file's memory order.
                all.extend(transpose(gate, rows));
            }
        }
        Ok(all)
    }

    /// `b_ih` and, if the cell has two, `b_hh`.
    fn biases(&self) -> Result<[Option<Vec<f32>>; 2]> {
        let Spec { cell, units, cudnn, .. } = *self.spec;
        let rows = product("G·H", &[cell.gates(), units])?;
        let paths = self.part(Part::Bias)?;
        let two = cudnn || cell == Cell::GRU;
        let shape = match (cudnn, two) {
            (true, _) => vec![product("2·G·H", &[2, rows])?],
            (false, true) => vec![2, rows],
            (false, false) => vec![rows / paths.len()],
        };
        let mut all = Vec::new();
        for path in paths {
            all.extend(self.file.store.read(path, &shape)?.data);
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
