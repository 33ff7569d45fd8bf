//! Putting the text of a kernel together.

use std::borrow::Cow;

use super::matrices::Matrices;
use super::{Kernel, Rows, matrices, unrolled};
use crate::dtype::{Precision, Storage};

macro_rules! file {
    ($name:literal) => {
        include_str!(concat!("../../shaders/", $name))
    };
}

impl Rows {
    fn source(self) -> &'static str {
        match self {
            Self::One => file!("shared/rows1.wgsl"),
            Self::Four => file!("shared/rows4.wgsl"),
        }
    }

    fn letters(self) -> &'static str {
        match self {
            Self::One => file!("shared/letters1.wgsl"),
            Self::Four => file!("shared/letters4.wgsl"),
        }
    }
}

impl Kernel {
    fn precision(self) -> Precision {
        match self {
            Self::TakeProjected { activations, .. } | Self::Merge { activations, .. } => {
                Precision { activations, ..Precision::default() }
            }
            Self::Streams { .. } | Self::OrderRows { .. } => Precision::default(),
            Self::MatmulMatrices { .. } | Self::StepMatrices { .. } => matrices::PRECISION,
            Self::MatmulTiled { precision, .. }
            | Self::MatmulRows { precision, .. }
            | Self::Step { precision, .. }
            | Self::Resident { precision, .. }
            | Self::Grouped { precision, .. } => precision,
        }
    }

    /// Those that its products are of.
    fn matrices(self) -> Option<Matrices> {
        match self {
            Self::MatmulMatrices { matrices, .. } => Some(matrices),
            Self::StepMatrices { shape, .. } => Some(shape.matrices),
            _ => None,
        }
    }

    /// The WGSL text.
    pub fn source(self) -> String {
        let mut files: Vec<Cow<'static, str>> = self.frame().into_iter().map(Cow::Borrowed).collect();
        files.extend(self.storage().into_iter().map(Cow::Borrowed));
        files.extend(self.shader().parts.iter().copied().map(Cow::Borrowed));
        match self {
            Self::Step { cell, shape, .. } => {
                files.push(Cow::Owned(unrolled::step_product(cell.products(), shape)));
            }
            Self::StepMatrices { cell, shape, .. } => {
                files.push(Cow::Owned(shape.product(cell.products())));
            }
            Self::Resident { cell, hidden, shape, .. } | Self::Grouped { cell, hidden, shape, .. } => {
                files.push(Cow::Owned(unrolled::text(cell.products(), hidden, shape)));
            }
            Self::MatmulTiled { .. }
            | Self::MatmulRows { .. }
            | Self::MatmulMatrices { .. }
            | Self::TakeProjected { .. }
            | Self::Merge { .. }
            | Self::Streams { .. }
            | Self::OrderRows { .. } => {}
        }
        files.concat()
    }

    /// The files around its own.
    fn frame(self) -> Vec<&'static str> {
        let peepholes = |cell: Option<bool>| match cell {
            Some(true) => file!("shared/peepholes.wgsl"),
            Some(false) => file!("shared/no_peepholes.wgsl"),
            None => "",
        };
        let functions =
            [file!("shared/projected.wgsl"), file!("shared/activation.wgsl"), file!("shared/functions.wgsl")];
        if let Self::Streams { rows, .. } = self {
            return vec![rows.source()];
        }
        if let Self::Merge { .. } | Self::OrderRows { .. } = self {
            return Vec::new();
        }
        // What turns extensions on stands before everything else.
        let matrices = self.matrices().map(|matrices| [matrices.source(), file!("shared/known.wgsl")]);
        let mut files = Vec::from_iter(matrices.into_iter().flatten());
        files.push(file!("shared/dealt.wgsl"));
        match self {
            Self::Merge { .. } | Self::Streams { .. } | Self::OrderRows { .. } => {}
            Self::MatmulTiled { .. } | Self::MatmulMatrices { .. } => {}
            Self::MatmulRows { rows, .. } | Self::TakeProjected { rows, .. } => files.push(rows.source()),
            Self::Step { cell, .. } | Self::StepMatrices { cell, .. } => {
                let (rows, product, frames) = match self {
                    Self::Step { rows, .. } => {
                        (rows, file!("shared/product.wgsl"), [file!("step.wgsl"), file!("step_half.wgsl")])
                    }
                    _ => {
                        let frames = [file!("step_matrices.wgsl"), file!("step_half_matrices.wgsl")];
                        (matrices::ROWS, file!("shared/product_matrices.wgsl"), frames)
                    }
                };
                files.extend([rows.source(), file!("shared/recurrence.wgsl"), file!("shared/index.wgsl")]);
                files.extend([file!("shared/not_finite.wgsl"), product, peepholes(cell.peepholes())]);
                if cell.has_functions() {
                    files.extend(functions);
                }
                if cell.is_of_h() {
                    files.push(file!("shared/of_h.wgsl"));
                }
                if cell.peepholes().is_some() {
                    files.push(file!("shared/c_in_place.wgsl"));
                }
                files.push(frames[usize::from(cell.is_half())]);
            }
            Self::Resident { cell, rows, .. } => {
                files.extend([rows.source(), file!("shared/recurrence.wgsl"), peepholes(cell.peepholes())]);
                files.push(file!("shared/not_finite.wgsl"));
                files.extend(functions);
                files.push(file!("resident.wgsl"));
                files.push(file!("shared/chunk.wgsl"));
                if cell.peepholes().is_some() {
                    files.push(file!("shared/c_in_place.wgsl"));
                }
            }
            Self::Grouped { cell, rows, .. } => {
                files.extend([rows.source(), file!("shared/recurrence.wgsl"), peepholes(cell.peepholes())]);
                files.push(file!("shared/not_finite.wgsl"));
                files.extend(functions);
                files.extend([rows.letters(), file!("shared/mail.wgsl"), file!("grouped.wgsl")]);
                files.push(file!("shared/chunk.wgsl"));
                if cell.peepholes().is_some() {
                    files.push(file!("shared/c_passed_on.wgsl"));
                }
            }
        }
        files
    }

    /// The files that say how arrays lie.
    fn storage(self) -> Vec<&'static str> {
        if let Self::Streams { .. } | Self::OrderRows { .. } = self {
            return Vec::new();
        }
        let Precision { weights, activations } = self.precision();
        if let Self::Merge { .. } = self {
            let packed = |half| vec![half, file!("shared/merge_packed.wgsl")];
            return match activations {
                Storage::F32 => vec![file!("shared/merge_f32.wgsl")],
                Storage::F16 => packed(file!("shared/half_f16_nearest.wgsl")),
                Storage::Bf16 => packed(file!("shared/half_bf16.wgsl")),
            };
        }
        let mut files = Vec::new();
        files.push(match self.precision().half() {
            Some(Storage::Bf16) => file!("shared/half_bf16.wgsl"),
            Some(_) => file!("shared/half_f16.wgsl"),
            None => "",
        });
        files.push(match (self, weights.is_half()) {
            (Self::TakeProjected { .. }, _) => "",
            (Self::MatmulMatrices { .. } | Self::StepMatrices { .. }, _) => file!("shared/weights_f16.wgsl"),
            (_, false) => file!("shared/weights_f32.wgsl"),
            (_, true) => file!("shared/weights_packed.wgsl"),
        });
        let stores = match self {
            Self::MatmulTiled { .. } | Self::MatmulRows { .. } | Self::TakeProjected { .. } => {
                files.push(match activations.is_half() {
                    false => file!("shared/x_f32.wgsl"),
                    true => file!("shared/x_packed.wgsl"),
                });
                false
            }
            Self::MatmulMatrices { .. } => {
                files.push(file!("shared/x_f16.wgsl"));
                false
            }
            Self::Step { cell, .. } | Self::StepMatrices { cell, .. } => !cell.is_half(),
            Self::Resident { .. } | Self::Grouped { .. } => true,
            Self::Merge { .. } | Self::Streams { .. } | Self::OrderRows { .. } => false,
        };
        if stores {
            files.push(file!("shared/store.wgsl"));
            files.push(match activations.is_half() {
                false => file!("shared/store_f32.wgsl"),
                true => file!("shared/store_packed.wgsl"),
            });
        }
        files
    }
}
