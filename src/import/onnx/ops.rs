//! The array operators between a file's constants and a recurrent node, on [`Value`]s: all operators that only move
//! elements, as one strided copy each. Source: the ONNX operator specification.
//!
//! Each returns the reason if its arguments do not fit; [`super::fold`] names the node and bounds sizes.

#![allow(
    clippy::indexing_slicing,
    reason = "dimensions checked against the rank, and elements within a product of sizes that was checked"
)]

use super::value::{Data, Int, Symbol, Symbols, Value};
use crate::import::onnx::tensor::MOST_DIMS;
use crate::proto::dtype;

/// Why an operator has no known value.
pub(super) enum Why {
    /// Its arguments do not fit.
    Wrong(String),
    /// It depends on values known only at run time.
    Open,
}

impl From<String> for Why {
    fn from(reason: String) -> Self {
        Self::Wrong(reason)
    }
}

impl From<&str> for Why {
    fn from(reason: &str) -> Self {
        Self::Wrong(reason.into())
    }
}

pub(super) type Fold<T> = Result<T, Why>;

/// Elements of a shape.
pub(super) fn elements(shape: &[usize]) -> Fold<usize> {
    crate::dims::product("elements", shape).map_err(|error| error.to_string().into())
}

/// A dimension's index from an axis that may count from the end.
pub(super) fn axis(axis: i64, rank: usize) -> Fold<usize> {
    let from_start = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    let axis_of = from_start.and_then(|axis| usize::try_from(axis).ok()).filter(|&axis| axis < rank);
    axis_of.ok_or_else(|| format!("axis {axis} of {rank} dimensions").into())
}

/// Steps of one element along each dimension.
fn strides(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![1isize; shape.len()];
    for at in (1..shape.len()).rev() {
        strides[at - 1] = strides[at].saturating_mul(shape[at] as isize);
    }
    strides
}

/// A view of an array: from `offset`, `shape` elements in steps of `strides`.
pub(super) struct View {
    pub(super) shape: Vec<usize>,
    open: Vec<Option<Symbol>>,
    offset: isize,
    strides: Vec<isize>,
}

impl View {
    fn of(value: &Value) -> Self {
        let strides = strides(&value.shape);
        Self { shape: value.shape.clone(), open: value.open.clone(), offset: 0, strides }
    }

    /// The view's elements as an array of their own.
    pub(super) fn copy(&self, value: &Value) -> Fold<Value> {
        let data = match &value.data {
            Data::Floats(data) => Data::Floats(self.walk(data)?),
            Data::Ints(data) => Data::Ints(self.walk(data)?),
        };
        Ok(Value { open: self.open.clone(), ..Value::new(value.dtype, self.shape.clone(), data) })
    }

    fn walk<T: Copy>(&self, data: &[T]) -> Fold<Vec<T>> {
        let len = elements(&self.shape)?;
        let mut out = Vec::with_capacity(len);
        let mut at = vec![0usize; self.shape.len()];
        let mut index = self.offset;
        while out.len() < len {
            let element = usize::try_from(index).ok().and_then(|index| data.get(index));
            out.push(*element.ok_or("reads outside its array")?);
            for dim in (0..at.len()).rev() {
                at[dim] += 1;
                index = index.wrapping_add(self.strides[dim]);
                if at[dim] < self.shape[dim] {
                    break;
                }
                index = index.wrapping_sub(self.strides[dim].wrapping_mul(at[dim] as isize));
                at[dim] = 0;
            }
        }
        Ok(out)
    }
}

/// The order of dimensions after `Transpose`; without `perm` they are reversed.
pub(super) fn order(rank: usize, perm: Option<&[i64]>) -> Fold<Vec<usize>> {
    let order = match perm {
        Some(perm) => perm.iter().map(|&at| axis(at, rank)).collect::<Fold<Vec<_>>>()?,
        None => (0..rank).rev().collect(),
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..rank) {
        return Err(format!("perm {order:?} of {rank} dimensions").into());
    }
    Ok(order)
}

/// `Transpose`.
pub(super) fn transpose(value: &Value, perm: Option<&[i64]>) -> Fold<View> {
    let order = order(value.shape.len(), perm)?;
    let from = View::of(value);
    let shape = order.iter().map(|&at| from.shape[at]).collect();
    let open = order.iter().map(|&at| from.open[at]).collect();
    Ok(View { shape, open, offset: 0, strides: order.iter().map(|&at| from.strides[at]).collect() })
}

/// The bounds of a `Slice`, clamped to the array; `ends` are exclusive.
pub(super) struct Cut<'a> {
    pub(super) starts: &'a [i64],
    pub(super) ends: &'a [i64],
    pub(super) axes: Option<&'a [i64]>,
    pub(super) steps: Option<&'a [i64]>,
}

/// `Slice`. A part of an open dimension is open.
pub(super) fn slice(value: &Value, cut: &Cut<'_>, symbols: &mut Symbols) -> Fold<View> {
    let Cut { starts, ends, axes, steps } = *cut;
    let all: Vec<i64> = (0..starts.len() as i64).collect();
    let axes = axes.unwrap_or(&all);
    let ones = vec![1; starts.len()];
    let steps = steps.unwrap_or(&ones);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err("starts, ends, axes and steps of different lengths".into());
    }
    let mut view = View::of(value);
    let mut seen = vec![false; value.shape.len()];
    for (((&start, &end), &along), &step) in starts.iter().zip(ends).zip(axes).zip(steps) {
        let along = axis(along, seen.len())?;
        if std::mem::replace(&mut seen[along], true) {
            return Err(format!("axis {along} named twice").into());
        }
        if step == 0 {
            return Err("a step of 0".into());
        }
        if view.open[along].is_some() {
            if (start, step) != (0, 1) || end < i64::from(i32::MAX) {
                view.open[along] = Some(symbols.fresh());
            }
            continue;
        }
        let (start, count) = bounds(start, end, step, value.shape[along] as i64);
        let count = usize::try_from(count).map_err(|_| "a slice too long")?;
        view.offset = view.offset.wrapping_add((start as isize).wrapping_mul(view.strides[along]));
        view.strides[along] = view.strides[along].wrapping_mul(step as isize);
        view.shape[along] = count;
    }
    Ok(view)
}

/// The first element and the number of elements of a slice of `size` elements; `step` is not 0.
fn bounds(start: i64, end: i64, step: i64, size: i64) -> (i64, u64) {
    let cut = |at: i64, low: i64, high: i64| {
        let from_start = if at < 0 { at.saturating_add(size) } else { at };
        from_start.clamp(low, high)
    };
    if step > 0 {
        let (start, end) = (cut(start, 0, size), cut(end, 0, size));
        (start, (end - start).max(0).unsigned_abs().div_ceil(step.unsigned_abs()))
    } else if size == 0 {
        (0, 0)
    } else {
        // For a negative step, an end of -1 includes the first element.
        let (start, end) = (cut(start, 0, size - 1), cut(end, -1, size - 1));
        (start, (start - end).max(0).unsigned_abs().div_ceil(step.unsigned_abs()))
    }
}

/// `Expand`: dimensions of 1 and missing ones are repeated. If the target size is known only at run time, a dimension
/// of 1 is repeated that often; any other must already have that size, or the run fails.
pub(super) fn expand(value: &Value, to: &[Int], symbols: &mut Symbols) -> Fold<View> {
    let rank = value.shape.len().max(to.len());
    let mut from = View::of(value);
    let missing = rank - from.shape.len();
    from.shape.splice(..0, std::iter::repeat_n(1, missing));
    from.open.splice(..0, std::iter::repeat_n(None, missing));
    from.strides.splice(..0, std::iter::repeat_n(0, missing));
    let first = rank - to.len();
    for at in first..rank {
        let (have, open, want) = (from.shape[at], from.open[at], to[at - first]);
        let wrong = || Why::Wrong(format!("{:?} does not expand to {}", value.shape, list(to)));
        (from.shape[at], from.open[at]) = match (open, want) {
            (_, Int::Is(1)) => (have, open),
            (Some(_), Int::Is(want)) => (usize::try_from(want).map_err(|_| wrong())?, None),
            (Some(open), Int::Size(want)) if open == want => (1, Some(open)),
            (Some(open), want) => (1, Some(symbols.of("Expand", Int::Size(open), want))),
            (None, Int::Size(want)) if have == 1 => (1, Some(want)),
            (None, Int::Size(_)) => (have, None),
            (None, Int::Is(want)) => match usize::try_from(want).map_err(|_| wrong())? {
                want if have == 1 || have == want => (want, None),
                _ => return Err(wrong()),
            },
        };
        if have == 1 {
            from.strides[at] = 0;
        }
    }
    Ok(from)
}

/// Integers for an error; `?` for values known only at run time.
fn list(ints: &[Int]) -> String {
    let texts = ints.iter().map(|int| int.known().map_or("?".into(), |int| int.to_string()));
    format!("[{}]", texts.collect::<Vec<_>>().join(", "))
}

/// `Tile`: every dimension as often as `repeats` says.
pub(super) fn tile(value: &Value, repeats: &[Int], symbols: &mut Symbols) -> Fold<(View, Vec<usize>)> {
    if repeats.len() != value.shape.len() {
        return Err(format!("{} repeats of {} dimensions", repeats.len(), value.shape.len()).into());
    }
    // A dimension of n, repeated r times, is read as [r, n].
    let from = View::of(value);
    let mut view = View { shape: Vec::new(), open: Vec::new(), offset: 0, strides: Vec::new() };
    let mut shape = Vec::new();
    for (at, &times) in repeats.iter().enumerate() {
        if let Some(below @ ..0) = times.known() {
            return Err(format!("repeats {below} times").into());
        }
        let (times, open) = match (from.open[at], times) {
            (None, Int::Is(times)) => (usize::try_from(times).map_err(|_| "a dimension overflows")?, None),
            (None, Int::Size(times)) if from.shape[at] == 1 => (1, Some(times)),
            (None, Int::Size(_)) => return Err(Why::Open),
            (Some(open), Int::Is(1)) => (1, Some(open)),
            (Some(open), times) => (1, Some(symbols.of("Mul", Int::Size(open), times))),
        };
        view.shape.extend([times, from.shape[at]]);
        view.open.extend([None, open]);
        view.strides.extend([0, from.strides[at]]);
        shape.push(times.checked_mul(from.shape[at]).ok_or("a dimension overflows")?);
    }
    Ok((view, shape))
}

/// [`tile`]'s view, copied, in its final shape.
pub(super) fn tiled(mut value: Value, shape: Vec<usize>) -> Value {
    value.open = value.open.chunks_exact(2).map(|pair| pair[1]).collect();
    value.shape = shape;
    value
}

/// The shape that `Gather` gives, and its axis. The dimensions of `indices` replace the axis.
pub(super) fn gather_shape(value: &Value, indices: &Value, along: i64) -> Fold<(Vec<usize>, usize)> {
    let along = axis(along, value.shape.len())?;
    let shape = [&value.shape[..along], &indices.shape, &value.shape[along + 1..]].concat();
    match shape.len() {
        0..=MOST_DIMS => Ok((shape, along)),
        rank => Err(format!("{rank} dimensions").into()),
    }
}

/// `Gather`, to the shape and axis of [`gather_shape`]. Along an open axis all elements are equal, so every index
/// gives the same.
pub(super) fn gather(value: &Value, indices: &Value, shape: Vec<usize>, along: usize) -> Fold<Value> {
    let size = value.shape[along];
    let Data::Ints(at) = &indices.data else { return Err("indices must be integers".into()) };
    let place = |index: &Int| match (value.open[along], index) {
        (Some(_), _) => Ok(0),
        (None, Int::Size(_)) => Err(Why::Open),
        (None, Int::Is(index)) => {
            let from_start = if *index < 0 { index.saturating_add(size as i64) } else { *index };
            let at = usize::try_from(from_start).ok().filter(|&at| at < size);
            at.ok_or_else(|| format!("index {index} of {size}").into())
        }
    };
    let places = at.iter().map(place).collect::<Fold<Vec<usize>>>()?;
    let outer = elements(&value.shape[..along])?;
    let run = elements(&value.shape[along + 1..])?;
    fn pick<T: Copy>(data: &[T], outer: usize, [size, run]: [usize; 2], places: &[usize]) -> Vec<T> {
        let rows = (0..outer).flat_map(|row| places.iter().map(move |place| (row * size + place) * run));
        rows.flat_map(|from| &data[from..from + run]).copied().collect()
    }
    let data = match &value.data {
        Data::Floats(data) => Data::Floats(pick(data, outer, [size, run], &places)),
        Data::Ints(data) => Data::Ints(pick(data, outer, [size, run], &places)),
    };
    let open = [&value.open[..along], &indices.open, &value.open[along + 1..]].concat();
    Ok(Value { open, ..Value::new(value.dtype, shape, data) })
}

/// The shape that `Concat` gives, and its axis. A dimension that is open in one part has the size of the parts in
/// which it is not.
pub(super) fn concat_shape(parts: &[Value], along: i64) -> Fold<(Vec<Int>, usize)> {
    let first = parts.first().ok_or("nothing to join")?;
    let along = axis(along, first.shape.len())?;
    let mut sizes = first.sizes();
    let mut total = 0usize;
    for part in parts {
        let wrong = || format!("joins {:?} and {:?} along axis {along}", first.shape, part.shape);
        if part.dtype != first.dtype {
            return Err(format!("joins {} and {}", dtype::name(first.dtype), dtype::name(part.dtype)).into());
        }
        if part.shape.len() != sizes.len() {
            return Err(wrong().into());
        }
        for (at, (size, part)) in sizes.iter_mut().zip(part.sizes()).enumerate() {
            match (*size, part) {
                (Int::Size(_), _) | (_, Int::Size(_)) if at == along => return Err(Why::Open),
                (Int::Is(a), Int::Is(b)) if at != along && a != b => return Err(wrong().into()),
                (Int::Size(_), Int::Is(_)) => *size = part,
                _ => {}
            }
        }
        total = total.checked_add(part.shape[along]).ok_or("a dimension overflows")?;
    }
    sizes[along] = Int::Is(i64::try_from(total).map_err(|_| "a dimension overflows")?);
    Ok((sizes, along))
}

/// `Concat`, to the sizes and axis of [`concat_shape`].
pub(super) fn concat(parts: &[Value], sizes: &[Int], along: usize, symbols: &mut Symbols) -> Fold<Value> {
    fn join<T: Copy>(parts: &[(&[T], usize)], outer: usize) -> Vec<T> {
        let mut out = Vec::with_capacity(parts.iter().map(|(data, _)| data.len()).sum());
        for row in 0..outer {
            for (data, run) in parts {
                out.extend_from_slice(&data[row * run..(row + 1) * run]);
            }
        }
        out
    }
    let fitted = parts.iter().map(|part| {
        let own = Int::Is(part.shape[along] as i64);
        let to: Vec<Int> = (0..sizes.len()).map(|at| if at == along { own } else { sizes[at] }).collect();
        if part.sizes() == to { Ok(part.clone()) } else { expand(part, &to, symbols)?.copy(part) }
    });
    let parts = fitted.collect::<Fold<Vec<_>>>()?;
    let first = parts.first().ok_or("nothing to join")?;
    let (dtype, open) = (first.dtype, first.open.clone());
    let mut shape = first.shape.clone();
    shape[along] = sizes[along].size().ok_or(Why::Open)?;
    // A part consists of `outer` runs of its own dimensions from the axis on.
    let outer = if elements(&shape)? == 0 { 0 } else { elements(&shape[..along])? };
    let (mut floats, mut ints) = (Vec::new(), Vec::new());
    for part in &parts {
        let run = elements(&part.shape[along..])?;
        match &part.data {
            Data::Floats(data) => floats.push((&data[..], run)),
            Data::Ints(data) => ints.push((&data[..], run)),
        }
    }
    let data = match ints.is_empty() {
        true => Data::Floats(join(&floats, outer)),
        false => Data::Ints(join(&ints, outer)),
    };
    Ok(Value { open, ..Value::new(dtype, shape, data) })
}
