//! The definition of a kernel, and its use with the parameters of a dispatch.

use std::fmt;

use bytemuck::Pod;

use super::{Binding, Kernel, Resources, Work};

/// A kernel with every size that its pipeline is specialised for, as its file defines it.
pub trait Definition: fmt::Debug {
    /// The shader's name.
    fn name(&self) -> &'static str;

    /// What tells it from other variants, in words, after a space; empty where there is one variant.
    fn variant(&self) -> String;

    /// The files of its text, in order.
    fn parts(&self) -> Vec<&'static str>;

    /// The text written out for its sizes, after the files.
    fn written(&self) -> String {
        String::new()
    }

    /// The WGSL text.
    fn source(&self) -> String {
        self.parts().concat() + &self.written()
    }

    /// The pipeline constants.
    fn constants(&self) -> Vec<(&'static str, f64)>;

    /// The bindings of group 0, in order.
    fn bindings(&self) -> Vec<Binding>;

    /// Threads of one workgroup.
    fn threads(&self) -> u32;

    /// Bytes of workgroup memory.
    fn workgroup_bytes(&self) -> u32 {
        0
    }

    /// Workgroups of a dispatch over `rows` rows and D = `dirs` (of streams, D for each array). Rows are rows of x
    /// for a matmul, words of y for a merge, places for an order, else batch rows.
    fn grid(&self, rows: u32, dirs: u32) -> [u32; 3];

    /// The largest number of rows whose grid stays within `limit` workgroups a dimension.
    fn most_rows(&self, limit: u32) -> u32;

    /// Loop iterations of one thread, over all its loops, where they follow from the kernel's sizes alone; `None` for
    /// kernels of many steps or rows. A loop that a driver may unroll is counted in full.
    fn iterations_of_sizes(&self) -> Option<u64>;

    /// The work of a workgroup, once and in each step.
    fn work(&self) -> (Work, Work);

    /// What it needs of a core. The default is that of a kernel that moves numbers.
    fn resources(&self) -> Resources {
        Resources::of(4, 0)
    }

    /// Whether its matrix is that of a projection of h.
    fn is_of_projection(&self) -> bool {
        false
    }

    /// The same for a slice of its matrix, of so many columns of each gate. Itself, for a kernel that has every unit
    /// or no matrix.
    fn of_columns(self, count: u32) -> Self
    where
        Self: Sized,
    {
        _ = count;
        self
    }

    /// In words: its name, and the variant.
    fn text(&self) -> String {
        self.name().to_owned() + &self.variant()
    }

    /// How many storage buffers it binds.
    fn storage_buffers(&self) -> u64 {
        self.bindings().iter().filter(|binding| binding.access.is_storage()).count() as u64
    }
}

/// A kernel whose dispatches have parameters of type `P`.
pub trait Takes<P>: Definition {
    /// The kernel that a dispatch with `params` runs.
    fn kernel(&self, params: &P) -> Kernel;

    /// The words that each storage binding must have, in binding order, for D = `dirs`.
    fn extents(&self, params: &P, dirs: u32) -> Vec<u64>;

    /// Floating-point operations of one direction, without activations.
    fn flops(&self, params: &P) -> u64;

    /// Loop iterations of one thread, over all its loops.
    fn iterations(&self, params: &P) -> u64 {
        _ = params;
        self.iterations_of_sizes().unwrap_or(0)
    }
}

/// Parameters of a dispatch.
pub trait Parameters {
    /// The bytes of each uniform buffer, in the order of [`super::Access::Params`] among the bindings.
    fn uniforms(&self) -> Vec<Vec<u8>>;
}

impl<P: Pod> Parameters for P {
    fn uniforms(&self) -> Vec<Vec<u8>> {
        vec![bytemuck::bytes_of(self).to_vec()]
    }
}
