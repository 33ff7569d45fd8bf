//! Sizes and their products. Letters as everywhere: B sequences in a batch, T steps, I input features, H
//! hidden units, L layers, D directions, G gates.
//!
//! Every product of sizes goes through [`product`], so that sizes from a caller cannot overflow unnoticed.

use crate::error::{Error, Result};

/// The size of one batch: B sequences of T steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dims {
    /// B, sequences.
    pub batch: usize,
    /// T, steps of each sequence.
    pub steps: usize,
}

impl Dims {
    /// B sequences of T steps.
    ///
    /// # Errors
    /// [`Error::Zero`] where either is 0.
    pub fn new(batch: usize, steps: usize) -> Result<Self> {
        at_least_one("B (batch)", batch)?;
        at_least_one("T (steps)", steps)?;
        Ok(Self { batch, steps })
    }
}

/// Multiplies sizes.
///
/// # Errors
/// [`Error::Overflow`], naming `name` and the factors, where the product exceeds `isize::MAX`
/// elements of 8 bytes.
pub fn product(name: &str, factors: &[usize]) -> Result<usize> {
    factors
        .iter()
        .try_fold(1usize, |all, &factor| all.checked_mul(factor))
        .filter(|&all| all <= isize::MAX as usize / 8)
        .ok_or_else(|| Error::Overflow { name: name.into(), sizes: factors.to_vec() })
}

/// # Errors
/// [`Error::Zero`] where `size` is 0.
pub(crate) fn at_least_one(name: &str, size: usize) -> Result<()> {
    if size == 0 { Err(Error::Zero { name: name.into() }) } else { Ok(()) }
}

/// Checks that all numbers are finite; the slice fills `shape`.
///
/// # Errors
/// [`Error::NotFinite`] at the first NaN or infinity.
pub(crate) fn check_finite(name: &str, shape: &[usize], values: &[f32]) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => {
            let (shape, value) = (shape.to_vec(), values[index]);
            Err(Error::NotFinite { name: name.into(), index, shape, value })
        }
        None => Ok(()),
    }
}

/// Checks a slice's length against its shape.
///
/// # Errors
/// [`Error::Length`] where they differ, [`Error::Overflow`] where the shape itself overflows.
pub(crate) fn check_len(name: &str, shape: &[usize], got: usize) -> Result<()> {
    if product(name, shape)? == got {
        Ok(())
    } else {
        Err(Error::Length { name: name.into(), shape: shape.to_vec(), got })
    }
}
