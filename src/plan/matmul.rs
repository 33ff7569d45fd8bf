//! The kernels that multiply many rows by a matrix, for the projection of a layer and for a readout, and the kernels
//! of a readout's activation and that merges a layer's two directions into one.

use super::strategy::{size, width};
use super::{Caps, Request, cost};
use crate::dims::{Dims, product};
use crate::dtype::Precision;
use crate::error::Result;
use crate::kernels::activate_rows::MOST_THREADS;
use crate::kernels::{
    ActivateRows, Definition, MatmulMatrices, MatmulRows, MatmulTiled, MergeDirections, Projection, Rows,
    matmul, matrices,
};
use crate::model::{Layer, Merge, Model, Readout, ReadoutActivation, ReadoutSteps};

/// Rows from which the tiled matmul's 64-row tile is half full, and sharing its loads pays.
const TILED_FROM_ROWS: usize = 32;

/// Products of a matmul, rows · K · N, from which passes are deep on every device: some 3 ms on two cores.
const SHALLOW_BELOW: u64 = 1 << 22;

/// K of a matmul over y of a layer: its directions one after the other, all but the last padded; or the single merged
/// one.
pub(crate) fn output_columns(layer: &Layer, precision: Precision) -> usize {
    let state = layer.state_size();
    (layer.output_dirs() - 1) * precision.activations.padded(state) + state
}

/// The kernel of `readout`.
///
/// # Errors
/// [`crate::Error::TooLarge`] for more rows than a dispatch has.
pub(super) fn readout_kernel(
    model: &Model,
    readout: &Readout,
    dims: Dims,
    request: Request,
    caps: &Caps,
) -> Result<Projection> {
    let k = output_columns(&model.layers()[model.layers().len() - 1], request.precision);
    let sizes = matmul::Sizes { k: size("D·P", k)?, n: size("O", readout.outputs())? };
    let rows = readout_rows(readout, dims)?;
    let tile = if dims.batch == 1 { Rows::One } else { Rows::Four };
    let kernel = matmul_kernel(sizes, rows, tile, request, caps);
    let most = u64::from(kernel.most_rows(caps.max_workgroups));
    caps.check("rows of the readout, B·T", rows as u64, most, "rows")?;
    Ok(kernel)
}

/// The kernel of the activation of `readout`; `None` for a linear one.
///
/// # Errors
/// As [`readout_kernel`].
pub(super) fn activation_kernel(readout: &Readout, dims: Dims, caps: &Caps) -> Result<Option<ActivateRows>> {
    let (activation, columns) = (readout.activation(), size("O", readout.outputs())?);
    if activation == ReadoutActivation::Linear {
        return Ok(None);
    }
    let kernel = ActivateRows { activation, columns, width: width(MOST_THREADS, caps).min(MOST_THREADS) };
    let rows = readout_rows(readout, dims)?;
    let most = u64::from(kernel.most_rows(caps.max_workgroups));
    caps.check("rows of the readout, B·T", rows as u64, most, "rows")?;
    Ok(Some(kernel))
}

/// Rows of the readout's output.
fn readout_rows(readout: &Readout, dims: Dims) -> Result<usize> {
    let steps = match readout.steps() {
        ReadoutSteps::Every => dims.steps,
        ReadoutSteps::Last => 1,
    };
    product("rows of the readout, B·T", &[dims.batch, steps])
}

/// The kernel of a product of `rows` rows, which the recurrence reads by tiles of `tile`.
pub(super) fn matmul_kernel(
    sizes: matmul::Sizes,
    rows: usize,
    tile: Rows,
    request: Request,
    caps: &Caps,
) -> Projection {
    let precision = request.precision;
    let narrow = u32::try_from(rows).unwrap_or(u32::MAX);
    let pipelined = false;
    let of = |matrices, stack| MatmulMatrices { sizes, matrices, stack, in_octets: false, pipelined };
    let matrices = request.matrices(caps).into_iter();
    let matrices = matrices.flat_map(|matrices| matrices::STACKS.map(|stack| of(matrices, stack)));
    let matrices = matrices.filter(MatmulMatrices::fits);
    // A workgroup of the matrix kernel may have fewer rows, and then one grid covers fewer rows.
    let matrices = matrices.filter(|kernel| narrow <= kernel.most_rows(caps.max_workgroups));
    let tiled = MatmulTiled { sizes, precision, depth: depth(sizes, rows, caps), pipelined }.into();
    let tiled = [tiled].into_iter().chain(matrices.map(Projection::from));
    let tiled = tiled.filter(|kernel| caps.supports(&**kernel));
    let tiled = tiled.min_by_key(|kernel| cost::dispatch(&**kernel, narrow, 1, 1, &caps.speed));
    let width = width(sizes.n, caps);
    let by_rows = || MatmulRows { sizes, precision, rows: tile, width, pipelined }.into();
    tiled.filter(|_| rows >= TILED_FROM_ROWS).unwrap_or_else(by_rows)
}

/// [`MatmulTiled::depth`]. Where K fits a shallow pass, a deep one would only add products of zeros.
///
/// Of other small products the passes are shallow on software drivers. A browser has workgroup memory zeroed, and SwiftShader
/// compiles a store for each number of it: 0.5 s of the 0.7 s that a kernel with deep passes takes. Shallow ones take half, and run
/// up to 20 % longer, small ones up to 5 % (benches/pages/gpu-drivers.md).
fn depth(sizes: matmul::Sizes, rows: usize, caps: &Caps) -> u32 {
    let work = (rows as u64).saturating_mul(u64::from(sizes.k) * u64::from(sizes.n));
    let is_small = caps.is_software() && work < SHALLOW_BELOW;
    if sizes.k <= MatmulTiled::SHALLOW || is_small { MatmulTiled::SHALLOW } else { MatmulTiled::DEEP }
}

/// The kernel that merges the directions of `layer`, and the words of its output; `None` where they stay separate.
///
/// # Errors
/// [`crate::Error::TooLarge`] and [`crate::Error::Overflow`] for more words than a dispatch has.
pub(super) fn merge_kernel(
    layer: &Layer,
    dims: Dims,
    precision: Precision,
    caps: &Caps,
) -> Result<Option<(MergeDirections, u32)>> {
    let (merge, activations) = (layer.merge(), precision.activations);
    if merge == Merge::Concat {
        return Ok(None);
    }
    let numbers = product("y, B·T·P", &[dims.batch, dims.steps, activations.padded(layer.state_size())])?;
    let words = size("words of y", activations.words(numbers))?;
    let kernel = MergeDirections { merge, activations, width: width(words, caps) };
    let most = u64::from(kernel.most_rows(caps.max_workgroups));
    caps.check("y, B·T·P", u64::from(words), most, "words")?;
    Ok(Some((kernel, words)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_products_on_software_drivers_alone_have_shallow_passes() {
        let gpu = Caps::webgpu_minimum();
        let software = Caps { max_iterations: Some(Caps::SOFTWARE_ITERATIONS), ..gpu.clone() };
        let of = |k, n, rows, caps| depth(matmul::Sizes { k, n }, rows, caps);
        assert_eq!(of(64, 192, 100, &software), MatmulTiled::SHALLOW);
        assert_eq!(of(64, 192, 100, &gpu), MatmulTiled::DEEP);
        assert_eq!(of(9, 192, 100, &gpu), MatmulTiled::DEEP);
        assert_eq!(of(8, 192, 100, &gpu), MatmulTiled::SHALLOW);
        assert_eq!(of(1, 4096, 1 << 20, &software), MatmulTiled::SHALLOW);
        assert_eq!(of(256, 768, 1600, &software), MatmulTiled::DEEP);
        assert_eq!(of(u32::MAX, u32::MAX, usize::MAX, &software), MatmulTiled::DEEP);
    }
}
