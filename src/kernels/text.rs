//! Kernels in words: a name, and what tells one variant from another.

use std::fmt;

use super::{Kernel, Rows, grouped, matrices, resident};

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name())?;
        match self {
            Self::MatmulTiled { .. } => Ok(()),
            Self::MatmulRows { rows, width, .. }
            | Self::TakeProjected { rows, width, .. }
            | Self::Streams { rows, width, .. } => {
                write!(f, " ({} row{} × {width} threads)", rows.count(), plural(rows.count()))
            }
            Self::Merge { merge, width, .. } => write!(f, " ({merge}, {width} threads)"),
            Self::OrderRows { width } => write!(f, " ({width} threads)"),
            Self::MatmulMatrices { matrices: of, .. } => write!(f, " ({0} × {0})", of.side),
            Self::StepMatrices { shape, .. } => {
                let side = shape.matrices.side;
                let rows = in_tiles(shape.tiles(), matrices::ROWS);
                write!(f, " ({rows} × {} units, matrices of {side} × {side})", shape.units())
            }
            Self::Step { rows, shape, .. } => {
                let units =
                    if shape.units == 1 { String::new() } else { format!(" of {} units", shape.units) };
                write!(f, " ({} × {} threads{units})", in_tiles(shape.tiles, *rows), shape.width)
            }
            Self::Resident { rows, shape, .. } | Self::Grouped { rows, shape, .. } => {
                let held = match shape.keep {
                    resident::Keep::Held => "",
                    resident::Keep::Packed => ", weights packed",
                    resident::Keep::Streamed => ", weights streamed",
                };
                write!(f, " ({} × {} units", in_tiles(shape.tiles, *rows), shape.units)?;
                if shape.split > 1 {
                    write!(f, " × {} threads", shape.split)?;
                }
                if let Self::Grouped { hidden, .. } = self {
                    write!(f, " × {} workgroups", grouped::groups(*hidden, *shape))?;
                }
                write!(f, "{held}")?;
                if shape.rest > 0 {
                    write!(f, ", {} of {} blocks held", shape.held(), shape.parts)?;
                }
                f.write_str(")")
            }
        }
    }
}

/// Rows, and tiles of them where there are several.
fn in_tiles(tiles: u32, rows: Rows) -> String {
    let rows = format!("{} row{}", rows.count(), plural(rows.count()));
    if tiles == 1 { rows } else { format!("{tiles} × {rows}") }
}

fn plural(count: u32) -> &'static str {
    if count == 1 { "" } else { "s" }
}
