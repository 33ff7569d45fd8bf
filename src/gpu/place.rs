//! The position of a caller's array: a part of a buffer, checked against the array that it is bound to.

use super::context::Context;
use crate::error::{BufferFault, Error, Result};

/// A buffer, and the offset of an array in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The buffer.
    pub buffer: wgpu::Buffer,
    /// In bytes.
    pub offset: u64,
}

impl Place {
    /// Whether the buffer, which has the usage `STORAGE`, is of the device. wgpu tells only by refusing to bind it.
    pub(super) fn is_of(&self, context: &Context) -> bool {
        let ty = wgpu::BufferBindingType::Storage { read_only: true };
        let entry = wgpu::BindGroupLayoutEntry {
            binding: 0,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
            count: None,
        };
        let label = Some("wgru.whose");
        let bind = || {
            let layout = wgpu::BindGroupLayoutDescriptor { label, entries: &[entry] };
            let entry = wgpu::BindGroupEntry { binding: 0, resource: self.buffer.as_entire_binding() };
            let layout = &context.create.bind_group_layout(&layout);
            context.create.bind_group(&wgpu::BindGroupDescriptor { label, layout, entries: &[entry] })
        };
        context.checked("the owner of a buffer", bind).is_ok()
    }
}

/// A caller's array with its position.
#[derive(Debug)]
pub struct Placed<'a> {
    /// The caller's name for it.
    pub name: &'a str,
    /// Its position.
    pub place: Place,
    /// Its size in bytes.
    pub bytes: u64,
    /// Whether the run writes it.
    pub written: bool,
}

impl Placed<'_> {
    /// # Errors
    /// [`Error::Buffer`] where the buffer cannot be bound at this offset.
    fn check(&self, alignment: u64) -> Result<()> {
        let Self { place: Place { buffer, offset }, bytes, .. } = self;
        let fault = if !buffer.usage().contains(wgpu::BufferUsages::STORAGE) {
            BufferFault::Usage { missing: "STORAGE" }
        } else if !offset.is_multiple_of(alignment) {
            BufferFault::Alignment { offset: *offset, alignment }
        } else if offset.checked_add(*bytes).is_none_or(|end| end > buffer.size()) {
            BufferFault::TooSmall { needed: *bytes, has: buffer.size(), offset: *offset }
        } else {
            return Ok(());
        };
        Err(self.error(fault))
    }

    fn error(&self, fault: BufferFault) -> Error {
        Error::Buffer { name: self.name.into(), fault }
    }

    fn overlaps(&self, other: &Self) -> bool {
        let [a, b] = [self, other].map(|placed| (placed.place.offset, placed.bytes));
        self.place.buffer == other.place.buffer && a.0 < b.0 + b.1 && b.0 < a.0 + a.1
    }
}

/// Checks the arrays of one run against the device and each other. `alignment`: the device's, of offsets. `in_place`: pairs of
/// which the second may be exactly the first, which is read completely before. `at_once`: pairs of which one dispatch reads the
/// first and writes the second.
///
/// # Errors
/// [`Error::Buffer`].
pub fn check_places(
    all: &[Placed<'_>],
    alignment: u32,
    in_place: &[[&str; 2]],
    at_once: &[[&str; 2]],
) -> Result<()> {
    // Words have four bytes, whatever the device's alignment.
    all.iter().try_for_each(|placed| placed.check(u64::from(alignment).max(4)))?;
    for (index, placed) in all.iter().enumerate() {
        for other in &all[..index] {
            let is = |pairs: &[[&str; 2]]| pairs.contains(&[other.name, placed.name]);
            let same = other.place.offset == placed.place.offset && other.bytes == placed.bytes;
            let name = || other.name.to_owned();
            if other.overlaps(placed) && (placed.written || other.written) && !(same && is(in_place)) {
                let offsets = [placed.place.offset, other.place.offset];
                let bytes = [placed.bytes, other.bytes];
                return Err(placed.error(BufferFault::Overlap { other: name(), offsets, bytes }));
            }
            if other.place.buffer == placed.place.buffer && is(at_once) {
                return Err(placed.error(BufferFault::Shared { other: name() }));
            }
        }
    }
    Ok(())
}
