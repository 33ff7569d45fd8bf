//! The orders in which frameworks stack the gates of a weight matrix, and the way to and from the crate's own.
//!
//! ```text
//! rzn   GRU   PyTorch, cuDNN, WebNN by name; the crate's own
//! zrn   GRU   ONNX, Keras, WebNN by default
//! ifgo  LSTM  PyTorch, cuDNN, Keras, WebNN by name; the crate's own
//! iofg  LSTM  ONNX, WebNN by default
//! ```
//!
//! The names are WebNN's (W3C Web Neural Network API, `MLGruWeightLayout` and `MLLstmWeightLayout`).

use std::fmt;
use std::str::FromStr;

use super::Weights;
use crate::error::{Error, Result};

/// An order of gates, by WebNN's name for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GateOrder {
    /// A GRU's reset, update, new.
    Rzn,
    /// A GRU's update, reset, new.
    Zrn,
    /// An LSTM's input, forget, cell, output.
    Ifgo,
    /// An LSTM's input, output, forget, cell.
    Iofg,
}

impl GateOrder {
    /// Every order.
    pub const ALL: [Self; 4] = [Self::Rzn, Self::Zrn, Self::Ifgo, Self::Iofg];

    /// WebNN's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rzn => "rzn",
            Self::Zrn => "zrn",
            Self::Ifgo => "ifgo",
            Self::Iofg => "iofg",
        }
    }

    /// The place in this order of each gate of the crate's.
    fn places(self) -> &'static [usize] {
        match self {
            Self::Rzn => &[0, 1, 2],
            Self::Zrn => &[1, 0, 2],
            Self::Ifgo => &[0, 1, 2, 3],
            Self::Iofg => &[0, 2, 3, 1],
        }
    }

    /// `values`, `[G·H, …]` with the gates in this order, moved to the crate's order.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for a length that G does not divide.
    pub fn to_own(self, values: &[f32]) -> Result<Vec<f32>> {
        let block = self.block(values)?;
        Ok(self.places().iter().flat_map(|place| &values[place * block..][..block]).copied().collect())
    }

    /// `values`, `[G·H, …]` with the gates in the crate's order, moved to this one.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for a length that G does not divide.
    pub fn from_own(self, values: &[f32]) -> Result<Vec<f32>> {
        let block = self.block(values)?;
        let mut moved = vec![0.0; values.len()];
        for (own, &place) in self.places().iter().enumerate() {
            moved[place * block..][..block].copy_from_slice(&values[own * block..][..block]);
        }
        Ok(moved)
    }

    fn block(self, values: &[f32]) -> Result<usize> {
        let gates = self.places().len();
        if values.len().is_multiple_of(gates) {
            return Ok(values.len() / gates);
        }
        let reason = format!("{} elements are not {gates} blocks", values.len());
        Err(Error::Mismatch { name: format!("weights in the order {self}"), reason })
    }
}

impl fmt::Display for GateOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for GateOrder {
    type Err = Error;

    /// # Errors
    /// [`Error::Unsupported`] for a name that is none of WebNN's.
    fn from_str(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|order| order.name() == name);
        known.ok_or_else(|| Error::Unsupported {
            what: format!("gate order \"{name}\"; rzn, zrn, ifgo, iofg are"),
        })
    }
}

impl Weights {
    /// These weights, whose `w_ih`, `w_hh` and biases are stacked in `order`, in the crate's. Peepholes and
    /// projection have no such order and stay.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for a length that G does not divide.
    pub fn from_order(self, order: GateOrder) -> Result<Self> {
        self.each(|values| order.to_own(values))
    }

    /// These weights in `order`.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for a length that G does not divide.
    pub fn into_order(self, order: GateOrder) -> Result<Self> {
        self.each(|values| order.from_own(values))
    }

    fn each(self, convert: impl Fn(&[f32]) -> Result<Vec<f32>>) -> Result<Self> {
        let optional = |values: Option<Vec<f32>>| values.map(|values| convert(&values)).transpose();
        Ok(Self {
            w_ih: convert(&self.w_ih)?,
            w_hh: convert(&self.w_hh)?,
            b_ih: optional(self.b_ih)?,
            b_hh: optional(self.b_hh)?,
            peepholes: self.peepholes,
            w_hr: self.w_hr,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_by_name() {
        for (name, expected) in [
            ("rzn", vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
            ("zrn", vec![2.0, 3.0, 0.0, 1.0, 4.0, 5.0]),
            ("ifgo", vec![0.0, 1.0, 2.0, 3.0]),
            ("iofg", vec![0.0, 2.0, 3.0, 1.0]),
        ] {
            let order: GateOrder = name.parse().unwrap();
            let values: Vec<f32> = (0..expected.len()).map(|v| v as f32).collect();
            assert_eq!(order.to_own(&values).unwrap(), expected, "{name}");
            assert_eq!(order.from_own(&expected).unwrap(), values, "{name}");
            assert!(order.to_own(&values[1..]).is_err());
        }
        assert!("ifog".parse::<GateOrder>().unwrap_err().to_string().contains("ifog"));
    }
}
