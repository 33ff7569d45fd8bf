//! The few operators that compute new numbers, on [`Value`]s: those between stored weights and a node (Cast,
//! DequantizeLinear, Add, Sub, Mul, Div), and those on sizes (the same, Equal, Where). Source: the ONNX operator
//! specification.

#![allow(clippy::indexing_slicing, reason = "dimensions checked against the rank")]

use super::ops::{Fold, Why, expand, gather};
use super::value::{Data, Int, Symbols, Value, float, range, round};
use crate::proto::dtype;

/// `Cast`. Numbers are rounded to the type; an integer that the type cannot represent is refused.
pub(super) fn cast(value: Value, to: i32) -> Fold<Value> {
    let refuse = || format!("Cast from {} to {}", dtype::name(value.dtype), dtype::name(to));
    let ints = range(to);
    let held = |int: i64| ints.filter(|&(low, high)| (low..=high).contains(&int)).map(|_| Int::Is(int));
    let data = match (&value.data, float(to)) {
        (Data::Floats(data), Some(_)) => Data::Floats(data.iter().map(|&v| round(to, v)).collect()),
        (Data::Floats(data), None) if ints.is_some() && to != dtype::BOOL => {
            // Towards 0; above 2^24, f32 cannot represent every integer.
            let whole = |&v: &f32| if v.abs() < 16_777_216.0 { held(v as i64) } else { None };
            Data::Ints(data.iter().map(whole).collect::<Option<_>>().ok_or_else(refuse)?)
        }
        (Data::Ints(data), Some(_)) => {
            let number = |v: &Int| v.known().map(|v| round(to, v as f32)).ok_or(Why::Open);
            Data::Floats(data.iter().map(number).collect::<Fold<_>>()?)
        }
        (Data::Ints(data), None) if to == dtype::BOOL => {
            let truth = |v: &Int| v.known().map(|v| Int::Is((v != 0).into())).ok_or(Why::Open);
            Data::Ints(data.iter().map(truth).collect::<Fold<_>>()?)
        }
        (Data::Ints(data), None) if ints.is_some() => {
            let int = |&v: &Int| match v {
                Int::Is(v) => held(v).ok_or_else(|| Why::Wrong(refuse())),
                // This size is that of an array in memory.
                Int::Size(_) if matches!(to, dtype::INT64 | dtype::INT32) => Ok(v),
                Int::Size(_) => Err(Why::Open),
            };
            Data::Ints(data.iter().map(int).collect::<Fold<_>>()?)
        }
        _ => return Err(refuse().into()),
    };
    Ok(Value { dtype: to, data, ..value })
}

/// `Add`, `Sub`, `Mul`, `Div` or `Equal` of two arrays, each repeated to the other's shape.
pub(super) fn pairwise(op: &'static str, a: &Value, b: &Value, symbols: &mut Symbols) -> Fold<Value> {
    if a.dtype != b.dtype || a.dtype == dtype::DOUBLE {
        return Err(format!("{op} of {} and {}", dtype::name(a.dtype), dtype::name(b.dtype)).into());
    }
    if a.uniform || b.uniform {
        return Err(Why::Open);
    }
    let a = expand(a, &b.sizes(), symbols)?.copy(a)?;
    let b = expand(b, &a.sizes(), symbols)?.copy(b)?;
    let data = match (&a.data, &b.data) {
        (Data::Floats(left), Data::Floats(right)) => {
            let number = |(&l, &r): (&f32, &f32)| match op {
                "Add" => Some(l + r),
                "Sub" => Some(l - r),
                "Mul" => Some(l * r),
                "Div" => Some(l / r),
                _ => None,
            };
            let numbers = left.iter().zip(right).map(|pair| number(pair).map(|v| round(a.dtype, v)));
            Data::Floats(numbers.collect::<Option<_>>().ok_or_else(|| format!("{op} of floats"))?)
        }
        (Data::Ints(left), Data::Ints(right)) => {
            let ints = left.iter().zip(right).map(|(&l, &r)| integer(op, l, r, symbols));
            Data::Ints(ints.collect::<Fold<_>>()?)
        }
        _ => return Err(Why::Open),
    };
    let held = |v: &Int| match (v.known(), range(a.dtype)) {
        (Some(v), Some((low, high))) => (low..=high).contains(&v),
        _ => true,
    };
    if matches!(&data, Data::Ints(data) if !data.iter().all(held)) {
        return Err(format!("{op} beyond the range of {}", dtype::name(a.dtype)).into());
    }
    let dtype = if op == "Equal" { dtype::BOOL } else { a.dtype };
    Ok(Value { dtype, data, ..a })
}

fn integer(op: &'static str, a: Int, b: Int, symbols: &mut Symbols) -> Fold<Int> {
    let (x, y) = match (a, b) {
        (Int::Is(x), Int::Is(y)) => (x, y),
        _ => return symbolic(op, a, b, symbols),
    };
    let result = match op {
        "Add" => x.checked_add(y),
        "Sub" => x.checked_sub(y),
        "Mul" => x.checked_mul(y),
        "Div" => x.checked_div(y),
        _ => Some((x == y).into()),
    };
    result.map(Int::Is).ok_or_else(|| format!("{op} of {x} and {y}").into())
}

/// The results that are certain for sizes known only at run time.
fn symbolic(op: &'static str, a: Int, b: Int, symbols: &mut Symbols) -> Fold<Int> {
    match (op, a, b) {
        ("Add" | "Sub", size, Int::Is(0)) | ("Add", Int::Is(0), size) => Ok(size),
        ("Mul" | "Div", size, Int::Is(1)) | ("Mul", Int::Is(1), size) => Ok(size),
        ("Equal", Int::Size(_), Int::Is(value)) | ("Equal", Int::Is(value), Int::Size(_)) if value < 0 => {
            Ok(Int::Is(0))
        }
        ("Equal", a, b) if a == b => Ok(Int::Is(1)),
        ("Add" | "Mul", a, b) if [a, b].iter().all(|v| v.known().is_none_or(|v| v >= 0)) => {
            Ok(Int::Size(symbols.of(op, a, b)))
        }
        ("Div", a, b @ Int::Is(1..)) => Ok(Int::Size(symbols.of(op, a, b))),
        _ => Err(Why::Open),
    }
}

/// `Where`: elements of `a` where `condition` is true, else of `b`.
pub(super) fn choose(condition: &Value, a: &Value, b: &Value, symbols: &mut Symbols) -> Fold<Value> {
    if condition.dtype != dtype::BOOL {
        return Err(format!("a condition of {}, needs bool", dtype::name(condition.dtype)).into());
    }
    if a.dtype != b.dtype {
        return Err(format!("chooses between {} and {}", dtype::name(a.dtype), dtype::name(b.dtype)).into());
    }
    if [condition, a, b].iter().any(|value| value.uniform) {
        return Err(Why::Open);
    }
    let mut all = [condition.clone(), a.clone(), b.clone()];
    // Each to the sizes of all: after two rounds every operand has met the others.
    for _ in 0..2 {
        for at in 0..all.len() {
            let to = all[(at + 1) % all.len()].sizes();
            all[at] = expand(&all[at], &to, symbols)?.copy(&all[at])?;
        }
    }
    let [condition, a, b] = all;
    let Data::Ints(conditions) = &condition.data else { return Err(Why::Open) };
    let truths =
        conditions.iter().map(|v| v.known().map(|v| v != 0).ok_or(Why::Open)).collect::<Fold<Vec<_>>>()?;
    fn pick<T: Copy>(truths: &[bool], a: &[T], b: &[T]) -> Vec<T> {
        truths.iter().zip(a.iter().zip(b)).map(|(&truth, (&a, &b))| if truth { a } else { b }).collect()
    }
    let data = match (&a.data, &b.data) {
        (Data::Floats(a), Data::Floats(b)) => Data::Floats(pick(&truths, a, b)),
        (Data::Ints(a), Data::Ints(b)) => Data::Ints(pick(&truths, a, b)),
        _ => return Err(Why::Open),
    };
    Ok(Value { data, ..a })
}

/// `DequantizeLinear` of `x`: one scale, one for each index along `axis`, or one for each `block` of them.
pub(super) fn dequantize_linear(
    x: &Value,
    [scale, zero]: [Option<&Value>; 2],
    along: i64,
    block: usize,
) -> Fold<Value> {
    let scale = scale.ok_or("x_scale is missing")?;
    let spread = |what: &str, value: &Value| -> Fold<Value> {
        let rank = x.shape.len();
        if value.data.len() == 1 && value.shape.len() <= 1 {
            return Ok(Value { shape: vec![1; rank], open: vec![None; rank], ..value.clone() });
        }
        let along = super::ops::axis(along, rank)?;
        if block == 0 {
            let fits = value.shape == [x.shape[along]];
            let shape = (0..rank).map(|at| if at == along { x.shape[along] } else { 1 }).collect();
            let wrong = || format!("{what} {:?} along axis {along} of {:?}", value.shape, x.shape);
            return if fits {
                Ok(Value { shape, open: vec![None; rank], ..value.clone() })
            } else {
                Err(wrong().into())
            };
        }
        let mut blocks = x.shape.clone();
        blocks[along] = blocks[along].div_ceil(block);
        if value.shape != blocks {
            return Err(format!("{what} {:?} of blocks of {block} of {:?}", value.shape, x.shape).into());
        }
        let places = (0..x.shape[along]).map(|at| Int::Is((at / block) as i64)).collect();
        gather(value, &Value::list(places), x.shape.clone(), along)
    };
    let zero = zero.map(|zero| spread("zero points", zero)).transpose()?;
    dequantize(x, &spread("scales", scale)?, zero.as_ref())
}

/// `(x − zero) · scale` in f32, with scales and zero points that repeat to x's shape.
pub(super) fn dequantize(x: &Value, scale: &Value, zero: Option<&Value>) -> Fold<Value> {
    if [Some(x), Some(scale), zero].into_iter().flatten().any(|value| !value.is_closed()) {
        return Err(Why::Open);
    }
    let refuse = || format!("dequantises {} by {}", dtype::name(x.dtype), dtype::name(scale.dtype));
    if scale.dtype == dtype::DOUBLE {
        return Err(refuse().into());
    }
    let spread = |what: &str, value: &Value| -> Fold<Data> {
        let spread = expand(value, &x.sizes(), &mut Symbols::default())?.copy(value)?;
        if spread.shape != x.shape {
            return Err(format!("{what} {:?} of {:?}", value.shape, x.shape).into());
        }
        Ok(spread.data)
    };
    let scales = spread("scales", scale)?;
    let zeros = match zero {
        Some(zero) if zero.dtype != x.dtype => {
            let [zero, x] = [zero, x].map(|value| dtype::name(value.dtype));
            return Err(format!("zero points of {zero} beside {x}").into());
        }
        zero => zero.map(|zero| spread("zero points", zero)).transpose()?,
    };
    let (Data::Ints(ints), Data::Floats(scales)) = (&x.data, &scales) else { return Err(refuse().into()) };
    let number = |at: usize| -> Option<f32> {
        let zero = match &zeros {
            Some(Data::Ints(zeros)) => zeros.get(at)?.known()?,
            _ => 0,
        };
        let off = ints.get(at)?.known()?.checked_sub(zero)?;
        Some(round(scale.dtype, off as f32 * scales.get(at)?))
    };
    let numbers = (0..ints.len()).map(number).collect::<Option<Vec<_>>>().ok_or(Why::Open)?;
    Ok(Value::new(scale.dtype, x.shape.clone(), Data::Floats(numbers)))
}
