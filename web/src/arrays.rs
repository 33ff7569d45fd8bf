//! Arrays that cross the border.

use js_sys::{Float32Array, Object, Reflect, Uint32Array};
use wasm_bindgen::prelude::*;
use wgru::Error;

use crate::error::{Result, fail, wrong};

/// `count` zeros.
pub fn zeros<T: Clone + Default>(count: usize, name: &str) -> Result<Vec<T>> {
    let mut zeros = room(count, name)?;
    zeros.resize(count, T::default());
    Ok(zeros)
}

/// A copy of an array of JavaScript. Where there is no room for it, an error, and not the end of the module.
pub fn copied(array: &Float32Array, name: &str) -> Result<Vec<f32>> {
    let mut copy = zeros(array.length() as usize, name)?;
    array.copy_to(&mut copy);
    Ok(copy)
}

/// A copy of an array of whole numbers.
pub fn copied_u32(array: &Uint32Array, name: &str) -> Result<Vec<u32>> {
    let mut copy = zeros(array.length() as usize, name)?;
    array.copy_to(&mut copy);
    Ok(copy)
}

fn room<T>(count: usize, name: &str) -> Result<Vec<T>> {
    let mut empty = Vec::new();
    let bytes = count.saturating_mul(size_of::<T>());
    empty.try_reserve_exact(count).map_err(|_| fail(Error::Memory { name: name.into(), bytes }))?;
    Ok(empty)
}

/// Numbers into an array of JavaScript of the same length.
pub fn write(numbers: &[f32], array: &Float32Array, name: &str) -> Result<()> {
    if array.length() as usize != numbers.len() {
        return Err(wrong(&format!("{name} has {} numbers, expected {}", array.length(), numbers.len())));
    }
    array.copy_from(numbers);
    Ok(())
}

/// A new object of arrays; those that are not there are left out.
pub fn object(arrays: &[(&str, Option<&[f32]>)]) -> Result<Object> {
    let object = Object::new();
    for (name, numbers) in arrays {
        if let Some(numbers) = numbers {
            Reflect::set(&object, &(*name).into(), &JsValue::from(Float32Array::from(*numbers)))?;
        }
    }
    Ok(object)
}
