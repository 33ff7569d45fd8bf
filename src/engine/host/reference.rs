//! The f64 reference.

use std::time::Duration;

use super::{Given, Path};
use crate::dtype::Storage;
use crate::error::{Error, Result};
use crate::io::{Batch, OutputMut, RunShape, State};
use crate::model::Model;
use crate::progress::Progress;
use crate::reference;

/// A model, computed from its equations.
#[derive(Debug)]
pub(in crate::engine) struct Reference(pub(in crate::engine) Model);

impl Path for Reference {
    type Number = f64;
    type Scratch = ();

    fn narrow(number: f64) -> f32 {
        number as f32
    }

    /// It is what rounding is compared with, so it does not round.
    fn activations(&self) -> Storage {
        Storage::F32
    }

    fn advance(
        &self,
        Given { x, run_shape, lengths, resets, interrupt }: Given<'_>,
        (): &mut (),
        [h, c]: [&mut [f64]; 2],
        [to_y, to_out]: [&mut [f32]; 2],
        _: &Progress,
    ) -> Result<()> {
        let mut states = State { h: h.to_vec(), c: (!c.is_empty()).then(|| c.to_vec()) };
        let given = (lengths, resets, interrupt);
        let (y, out) = reference::advance(&self.0, x, run_shape, given, &mut states)?;
        h.copy_from_slice(&states.h);
        c.copy_from_slice(states.c.as_deref().unwrap_or_default());
        narrow(&y, to_y);
        narrow(out.as_deref().unwrap_or_default(), to_out);
        Ok(())
    }

    fn run(&self, batch: &Batch<'_>, (): &mut (), output: &mut OutputMut<'_>, _: &Progress) -> Result<()> {
        let truth = reference::run(&self.0, batch)?;
        narrow(&truth.y, output.y);
        narrow(&truth.h_n, output.h_n);
        for (from, to) in [(&truth.c_n, &mut output.c_n), (&truth.out, &mut output.out)] {
            if let (Some(from), Some(to)) = (from, to) {
                narrow(from, to);
            }
        }
        Ok(())
    }

    fn prepare(&self, _: RunShape, (): &mut ()) -> Result<()> {
        Ok(())
    }

    fn expected(&self, _: RunShape) -> Result<Duration> {
        Err(Error::Unsupported { what: "a prediction for the reference".into() })
    }

    fn explain(&self, _: RunShape) -> String {
        "f64, from the equations".into()
    }
}

fn narrow(from: &[f64], to: &mut [f32]) {
    to.iter_mut().zip(from).for_each(|(to, &from)| *to = from as f32);
}
