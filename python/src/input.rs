//! The arrays of a batch, borrowed from the caller.

use numpy::{PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use wgru::{Batch, Bindings, Dims, Layout, Padding, RunShape};

use crate::arrays::{Span, expect, flags, floats, shaped, slice, span, whole};
use crate::error::{fail, wrong};
use crate::model::sizes;
use crate::options;

type Floats<'py> = PyReadonlyArrayDyn<'py, f32>;

/// How the arrays of a run are laid out.
pub struct Order {
    x: Layout,
    y: Layout,
    padding: Padding,
}

impl Order {
    pub fn new(layout: &str, output_layout: Option<&str>, padding: &str) -> PyResult<Self> {
        let x = options::layout(layout)?;
        let y = output_layout.map_or(Ok(x), options::output_layout)?;
        Ok(Self { x, y, padding: options::padding(padding)? })
    }
}

/// The arrays of a batch, with the shapes that the model needs.
pub struct Input<'py> {
    x: Floats<'py>,
    sizes: [usize; 3],
    order: Order,
    lengths: Option<Vec<u32>>,
    resets: Option<Vec<u32>>,
    h0: Option<Floats<'py>>,
    c0: Option<Floats<'py>>,
}

impl<'py> Input<'py> {
    /// `states`: h0 and c0.
    pub fn new(
        model: &wgru::Model,
        x: &Bound<'py, PyAny>,
        order: Order,
        lengths: Option<&Bound<'py, PyAny>>,
        resets: Option<&Bound<'py, PyAny>>,
        [h0, c0]: [Option<&Bound<'py, PyAny>>; 2],
    ) -> PyResult<Self> {
        let x = floats(x, "x")?;
        let time_major = order.x != Layout::BatchMajor;
        let axes = if time_major { "[T, B, I]" } else { "[B, T, I]" };
        let sizes: [usize; 3] = x
            .shape()
            .try_into()
            .map_err(|_| wrong(format!("x {axes}: expected three axes, got the shape {:?}", x.shape())))?;
        let [batch, steps] = if time_major { [sizes[1], sizes[0]] } else { [sizes[0], sizes[1]] };
        expect("x", axes, &[sizes[0], sizes[1], model.input()], &sizes)?;
        let lengths = lengths.map(|lengths| whole(lengths, "lengths")).transpose()?;
        if let Some(lengths) = &lengths {
            expect("lengths", "[B]", &[batch], &[lengths.len()])?;
        }
        let flags_of = |resets| {
            let axes = if time_major { "[T, B]" } else { "[B, T]" };
            flags(resets, "resets", axes, &sizes[..2])
        };
        let (h, c) = self::sizes(model, batch);
        let h0 = h0.map(|h0| shaped(h0, "h0", "[L·D, B, P]", &h)).transpose()?;
        let c0 = match (c0, c) {
            (Some(_), None) => return Err(wrong(format!("c0: {} has no cell state", model.cell()))),
            (Some(c0), Some(c)) => Some(shaped(c0, "c0", "[L·D, B, H]", &c)?),
            (None, _) => None,
        };
        let resets = resets.map(flags_of).transpose()?;
        Dims::new(batch, steps).map_err(fail)?;
        Ok(Self { x, sizes, order, lengths, resets, h0, c0 })
    }

    /// Its batch.
    pub fn batch(&self) -> PyResult<Batch<'_>> {
        let x = slice(&self.x, "x")?;
        let batch = match self.order.x {
            Layout::BatchMajor => Batch::new(x, self.sizes),
            _ => Batch::time_major(x, self.sizes),
        };
        let mut batch = batch.map_err(fail)?.output_layout(self.order.y).padding(self.order.padding);
        if let Some(lengths) = &self.lengths {
            batch = batch.lengths(lengths);
        }
        if let Some(resets) = &self.resets {
            batch = batch.resets(resets);
        }
        if let Some(h0) = &self.h0 {
            batch = batch.h0(slice(h0, "h0")?);
        }
        if let Some(c0) = &self.c0 {
            batch = batch.c0(slice(c0, "c0")?);
        }
        Ok(batch)
    }

    /// The memory of what a run reads where it lies.
    pub fn spans(&self) -> Vec<Span> {
        let all = [("x", Some(&self.x)), ("h0", self.h0.as_ref()), ("c0", self.c0.as_ref())];
        all.into_iter().filter_map(|(name, array)| Some(span(name, array?))).collect()
    }

    /// The same arrays for a run into those of the caller.
    pub fn bindings(&self) -> PyResult<(RunShape, Bindings<'_>)> {
        let run_shape = self.batch()?.run_shape();
        let mut bindings = Bindings::new(slice(&self.x, "x")?);
        if let Some(lengths) = &self.lengths {
            bindings = bindings.lengths(lengths);
        }
        if let Some(resets) = &self.resets {
            bindings = bindings.resets(resets);
        }
        if let Some(h0) = &self.h0 {
            bindings = bindings.h0(slice(h0, "h0")?);
        }
        if let Some(c0) = &self.c0 {
            bindings = bindings.c0(slice(c0, "c0")?);
        }
        Ok((run_shape, bindings))
    }
}
