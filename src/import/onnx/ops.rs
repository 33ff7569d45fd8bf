//! The array operators that stand between a file's constants and a recurrent node, on [`Value`]s: everything that
//! only moves numbers, done by one strided copy. Source: the ONNX operator specification.
//!
//! Each returns why not, as text, where its arguments do not fit; [`super::fold`] names the node and bounds sizes.

use super::tensor::{Data, MOST_DIMS, Value, float};
use crate::proto::dtype;

type Fold<T> = Result<T, String>;

/// Elements of a shape.
pub(super) fn elements(shape: &[usize]) -> Fold<usize> {
    crate::dims::product("elements", shape).map_err(|error| error.to_string())
}

/// A dimension's index from an axis that may count from the end.
fn axis(axis: i64, rank: usize) -> Fold<usize> {
    let from_start = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    from_start
        .and_then(|axis| usize::try_from(axis).ok())
        .filter(|&axis| axis < rank)
        .ok_or_else(|| format!("axis {axis} of {rank} dimensions"))
}

/// Steps of one element along each dimension.
fn strides(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![1isize; shape.len()];
    for at in (1..shape.len()).rev() {
        strides[at - 1] = strides[at].saturating_mul(shape[at] as isize);
    }
    strides
}

/// What is read of an array: from `offset`, `shape` elements in steps of `strides`.
pub(super) struct View {
    pub(super) shape: Vec<usize>,
    offset: isize,
    strides: Vec<isize>,
}

impl View {
    /// The view's elements as an array of their own.
    pub(super) fn copy(&self, value: &Value) -> Fold<Value> {
        let data = match &value.data {
            Data::Floats(data) => Data::Floats(self.walk(data)?),
            Data::Ints(data) => Data::Ints(self.walk(data)?),
        };
        Ok(Value { dtype: value.dtype, shape: self.shape.clone(), data })
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

/// `Transpose`; without `perm` the dimensions are turned round.
pub(super) fn transpose(shape: &[usize], perm: Option<&[i64]>) -> Fold<View> {
    let order = match perm {
        Some(perm) => perm.iter().map(|&at| axis(at, shape.len())).collect::<Fold<Vec<_>>>()?,
        None => (0..shape.len()).rev().collect(),
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..shape.len()) {
        return Err(format!("perm {order:?} of {} dimensions", shape.len()));
    }
    let from = strides(shape);
    let (shape, strides) = order.iter().map(|&at| (shape[at], from[at])).unzip();
    Ok(View { shape, offset: 0, strides })
}

/// `Slice`: bounds are cut to the array; `ends` are exclusive.
pub(super) fn slice(
    shape: &[usize],
    starts: &[i64],
    ends: &[i64],
    axes: Option<&[i64]>,
    steps: Option<&[i64]>,
) -> Fold<View> {
    let all: Vec<i64> = (0..starts.len() as i64).collect();
    let axes = axes.unwrap_or(&all);
    let ones = vec![1; starts.len()];
    let steps = steps.unwrap_or(&ones);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err("starts, ends, axes and steps of different lengths".into());
    }
    let mut view = View { shape: shape.to_vec(), offset: 0, strides: strides(shape) };
    let mut seen = Vec::new();
    for (((&start, &end), &along), &step) in starts.iter().zip(ends).zip(axes).zip(steps) {
        let along = axis(along, shape.len())?;
        if seen.contains(&along) {
            return Err(format!("axis {along} named twice"));
        }
        seen.push(along);
        let size = shape[along] as i64;
        let cut = |at: i64, low: i64, high: i64| {
            let from_start = if at < 0 { at.saturating_add(size) } else { at };
            from_start.clamp(low, high)
        };
        let (start, count) = match step {
            0 => return Err("a step of 0".into()),
            1.. => {
                let (start, end) = (cut(start, 0, size), cut(end, 0, size));
                (start, (end - start).max(0).unsigned_abs().div_ceil(step.unsigned_abs()))
            }
            _ if size == 0 => (0, 0),
            _ => {
                // Downwards the first element is reached by an end before it, which is -1 here.
                let (start, end) = (cut(start, 0, size - 1), cut(end, -1, size - 1));
                (start, (start - end).max(0).unsigned_abs().div_ceil(step.unsigned_abs()))
            }
        };
        let count = usize::try_from(count).map_err(|_| "a slice too long")?;
        view.offset = view.offset.wrapping_add((start as isize).wrapping_mul(view.strides[along]));
        view.strides[along] = view.strides[along].wrapping_mul(step as isize);
        view.shape[along] = count;
    }
    Ok(view)
}

/// `Expand`: dimensions of 1 and missing ones are repeated.
pub(super) fn expand(shape: &[usize], to: &[usize]) -> Fold<View> {
    let rank = shape.len().max(to.len());
    let pad = |dims: &[usize]| -> Vec<usize> {
        std::iter::repeat_n(1, rank - dims.len()).chain(dims.iter().copied()).collect()
    };
    let (from, to) = (pad(shape), pad(to));
    let mut view = View { shape: Vec::new(), offset: 0, strides: strides(&from) };
    for (at, (&have, &want)) in from.iter().zip(&to).enumerate() {
        let size = match (have, want) {
            (1, want) => want,
            (have, 1) => have,
            (have, want) if have == want => have,
            _ => return Err(format!("{shape:?} does not expand to {to:?}")),
        };
        if have == 1 {
            view.strides[at] = 0;
        }
        view.shape.push(size);
    }
    Ok(view)
}

/// The shape that `Concat` gives.
pub(super) fn concat_shape(parts: &[Value], along: i64) -> Fold<(Vec<usize>, usize)> {
    let first = parts.first().ok_or("nothing to join")?;
    let along = axis(along, first.shape.len())?;
    let mut shape = first.shape.clone();
    for part in &parts[1..] {
        let fits = part.shape.len() == shape.len()
            && part.dtype == first.dtype
            && (0..shape.len()).all(|at| at == along || part.shape[at] == shape[at]);
        if !fits {
            return Err(format!("joins {:?} and {:?} along axis {along}", first.shape, part.shape));
        }
        shape[along] = shape[along].checked_add(part.shape[along]).ok_or("a dimension overflows")?;
    }
    elements(&shape)?;
    Ok((shape, along))
}

/// `Concat`, to the shape and axis of [`concat_shape`].
pub(super) fn concat(parts: &[Value], shape: Vec<usize>, along: usize) -> Fold<Value> {
    fn join<T: Copy>(parts: &[(&[T], usize)], outer: usize) -> Vec<T> {
        let mut out = Vec::with_capacity(parts.iter().map(|(data, _)| data.len()).sum());
        for row in 0..outer {
            for (data, run) in parts {
                out.extend_from_slice(&data[row * run..(row + 1) * run]);
            }
        }
        out
    }
    // A part is `outer` runs of its own dimensions from the axis on.
    let outer = if elements(&shape)? == 0 { 0 } else { elements(&shape[..along])? };
    let mut floats = Vec::new();
    let mut ints = Vec::new();
    for part in parts {
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
    let dtype = parts.first().map_or(dtype::FLOAT, |part| part.dtype);
    Ok(Value { dtype, shape, data })
}

/// The shape that `Reshape` gives: 0 copies a dimension unless `zero_is_zero`, one -1 takes what is left.
pub(super) fn reshape(shape: &[usize], to: &[i64], zero_is_zero: bool) -> Fold<Vec<usize>> {
    let wrong = || format!("{shape:?} does not reshape to {to:?}");
    if to.len() > MOST_DIMS {
        return Err(format!("a shape of {} dimensions", to.len()));
    }
    let mut free = None;
    let mut out = Vec::with_capacity(to.len());
    for (at, &size) in to.iter().enumerate() {
        out.push(match size {
            0 if !zero_is_zero => *shape.get(at).ok_or_else(wrong)?,
            -1 if free.is_none() => {
                free = Some(at);
                1
            }
            _ => usize::try_from(size).map_err(|_| wrong())?,
        });
    }
    let (have, known) = (elements(shape)?, elements(&out)?);
    if let Some(at) = free {
        if known == 0 || have % known != 0 {
            return Err(wrong());
        }
        out[at] = have / known;
    } else if have != known {
        return Err(wrong());
    }
    Ok(out)
}

/// The shape that `Unsqueeze` gives: dimensions of 1 at `axes` of the result.
pub(super) fn unsqueeze(shape: &[usize], axes: &[i64]) -> Fold<Vec<usize>> {
    let rank = shape.len() + axes.len();
    if rank > MOST_DIMS {
        return Err(format!("{rank} dimensions"));
    }
    let mut new = vec![false; rank];
    for &at in axes {
        let at = axis(at, rank)?;
        if std::mem::replace(&mut new[at], true) {
            return Err(format!("axis {at} named twice"));
        }
    }
    let mut old = shape.iter().copied();
    Ok(new.into_iter().map(|new| if new { 1 } else { old.next().unwrap_or(1) }).collect())
}

/// The shape that `Squeeze` gives: without the dimensions of 1 at `axes`, or without all of them.
pub(super) fn squeeze(shape: &[usize], axes: Option<&[i64]>) -> Fold<Vec<usize>> {
    let mut gone: Vec<bool> = shape.iter().map(|&size| axes.is_none() && size == 1).collect();
    for &at in axes.unwrap_or_default() {
        let at = axis(at, shape.len())?;
        if shape[at] != 1 {
            return Err(format!("squeezes axis {at} of {shape:?}"));
        }
        gone[at] = true;
    }
    Ok(shape.iter().zip(gone).filter(|(_, gone)| !gone).map(|(&size, _)| size).collect())
}

/// `Cast` between types whose values this crate carries without another rounding.
pub(super) fn cast(value: Value, to: i32) -> Fold<Value> {
    let from = value.dtype;
    let refuse = || Err(format!("Cast from {} to {}", dtype::name(from), dtype::name(to)));
    let data = match value.data {
        Data::Floats(data) => match to {
            // Floats are carried as f32: the way to f32 and f64 is free, the way to 16 bits would round.
            dtype::FLOAT | dtype::DOUBLE => Data::Floats(data),
            _ if to == from => Data::Floats(data),
            _ => return refuse(),
        },
        Data::Ints(data) => match to {
            dtype::INT64 => Data::Ints(data),
            dtype::INT32 if data.iter().all(|&v| i32::try_from(v).is_ok()) => Data::Ints(data),
            dtype::FLOAT => Data::Floats(data.iter().map(|&v| v as f32).collect()),
            _ => return refuse(),
        },
    };
    debug_assert!(float(to).is_some() == matches!(data, Data::Floats(_)));
    Ok(Value { dtype: to, shape: value.shape, data })
}
