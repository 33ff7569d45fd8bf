//! The operators that keep the order of all elements: Reshape, Squeeze, Unsqueeze. They work on sizes alone, so they
//! apply to constants and run-time arrays alike.

#![allow(clippy::indexing_slicing, reason = "dimensions checked against the rank")]

use super::ops::{Fold, Why, axis, elements};
use super::tensor::MOST_DIMS;
use super::value::{Int, Value};

/// `Reshape`: 0 copies a dimension unless `zero_is_zero`, one -1 takes the remaining size.
pub(super) fn reshape(value: Value, to: &[Int], zero_is_zero: bool) -> Fold<Value> {
    let known: Option<Vec<i64>> = to.iter().map(|size| size.known()).collect();
    if let (false, Some(to)) = (value.is_open(), known) {
        let shape = closed(&value.shape, &to, zero_is_zero)?;
        return Ok(Value { open: vec![None; shape.len()], shape, ..value });
    }
    let groups = regroup(&value.sizes(), to, zero_is_zero).ok_or(Why::Open)?;
    let (mut shape, mut open) = (Vec::new(), Vec::new());
    for group in groups {
        let of = group.iter().find_map(|&dim| value.open[dim]);
        if of.is_some() && group.len() > 1 {
            return Err(Why::Open);
        }
        let sizes: Vec<usize> = group.iter().map(|&dim| value.shape[dim]).collect();
        shape.push(elements(&sizes)?);
        open.push(of);
    }
    Ok(Value { shape, open, ..value })
}

fn closed(shape: &[usize], to: &[i64], zero_is_zero: bool) -> Fold<Vec<usize>> {
    let wrong = || Why::Wrong(format!("{shape:?} does not reshape to {to:?}"));
    if to.len() > MOST_DIMS {
        return Err(format!("a shape of {} dimensions", to.len()).into());
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

/// For each dimension that `Reshape` creates, the dimensions of `sizes` that it is made of, in their order; those of
/// 1 are left out. `None` if that is not certain, or a dimension is split.
pub(super) fn regroup(sizes: &[Int], to: &[Int], zero_is_zero: bool) -> Option<Vec<Vec<usize>>> {
    if to.len() > MOST_DIMS {
        return None;
    }
    let copied = |(at, &size): (usize, &Int)| match size {
        Int::Is(0) if !zero_is_zero => sizes.get(at).copied(),
        size => Some(size),
    };
    let to = to.iter().enumerate().map(copied).collect::<Option<Vec<Int>>>()?;
    let mut left: Vec<usize> = (0..sizes.len()).filter(|&dim| sizes[dim] != Int::Is(1)).collect();
    let free = to.iter().position(|&size| size == Int::Is(-1)).unwrap_or(to.len());
    let mut before = Vec::new();
    for &size in &to[..free] {
        let count = made_of(sizes, left.iter(), size)?;
        before.push(left.drain(..count).collect());
    }
    let mut after = Vec::new();
    for &size in to.get(free + 1..).unwrap_or_default().iter().rev() {
        let count = made_of(sizes, left.iter().rev(), size)?;
        after.push(left.split_off(left.len() - count));
    }
    match (free < to.len(), left.is_empty()) {
        (true, _) => before.push(left),
        (false, true) => {}
        (false, false) => return None,
    }
    before.extend(after.into_iter().rev());
    Some(before)
}

/// How many of the next dimensions make up `size`.
fn made_of<'a>(sizes: &[Int], next: impl Iterator<Item = &'a usize>, size: Int) -> Option<usize> {
    let mut product = 1i64;
    if size == Int::Is(1) {
        return Some(0);
    }
    for (count, &dim) in next.enumerate() {
        match (sizes[dim], size) {
            (have, size) if have == size && count == 0 => return Some(1),
            (Int::Is(have), Int::Is(size)) => {
                product = product.checked_mul(have)?;
                if product == size {
                    return Some(count + 1);
                }
            }
            _ => return None,
        }
    }
    None
}

/// The dimensions of the result that `Unsqueeze` inserts.
///
/// # Errors
/// An axis outside or named twice.
pub(super) fn new_dims(rank: usize, axes: &[i64]) -> Fold<Vec<bool>> {
    let rank = rank + axes.len();
    if rank > MOST_DIMS {
        return Err(format!("{rank} dimensions").into());
    }
    let mut new = vec![false; rank];
    for &at in axes {
        let at = axis(at, rank)?;
        if std::mem::replace(&mut new[at], true) {
            return Err(format!("axis {at} named twice").into());
        }
    }
    Ok(new)
}

/// `Unsqueeze`: dimensions of 1 at `axes` of the result.
pub(super) fn unsqueeze(value: Value, axes: &[i64]) -> Fold<Value> {
    let new = new_dims(value.shape.len(), axes)?;
    let mut old = value.shape.iter().copied().zip(value.open.iter().copied());
    let (shape, open) =
        new.into_iter().map(|new| if new { None } else { old.next() }.unwrap_or((1, None))).unzip();
    Ok(Value { shape, open, ..value })
}

/// The dimensions that `Squeeze` removes: those at `axes`, or all of 1.
///
/// # Errors
/// A dimension of another size; [`Why::Open`] if only the run determines whether one is 1.
pub(super) fn gone_dims(sizes: &[Int], axes: Option<&[i64]>) -> Fold<Vec<bool>> {
    let Some(axes) = axes else {
        let gone = |&size: &Int| size.known().map(|size| size == 1).ok_or(Why::Open);
        return sizes.iter().map(gone).collect();
    };
    let mut gone = vec![false; sizes.len()];
    for &at in axes {
        let at = axis(at, sizes.len())?;
        if sizes[at].known().is_some_and(|size| size != 1) {
            return Err(format!("squeezes axis {at}, which is not 1").into());
        }
        gone[at] = true;
    }
    Ok(gone)
}

/// `Squeeze`.
pub(super) fn squeeze(value: Value, axes: Option<&[i64]>) -> Fold<Value> {
    let gone = gone_dims(&value.sizes(), axes)?;
    let dims = value.shape.iter().copied().zip(value.open.iter().copied()).zip(gone);
    let (shape, open) = dims.filter(|(_, gone)| !gone).map(|(dim, _)| dim).unzip();
    Ok(Value { shape, open, ..value })
}
