//! A pool on a GPU in a crate built without them: there is none.

use std::ops::Range;
use std::time::Duration;

use super::batches::Group;
use super::table::Rows;
use crate::engine::run::{Backend, Engine};
use crate::error::{Error, Result};
use crate::sync::Wait;

#[derive(Debug)]
pub(super) enum Ticket {}

#[derive(Debug)]
pub(super) enum GpuPool {}

impl GpuPool {
    pub(super) async fn new(engine: &Engine, _: usize, _: usize) -> Result<Self> {
        match &engine.0.backend {
            Backend::Gpu(gpu) => match **gpu {},
            Backend::Cpu(_) | Backend::Reference => Err(Error::Mismatch {
                name: "a pool on a GPU".into(),
                reason: "its engine is on none".into(),
            }),
        }
    }

    pub(super) fn most_rows(&self, _: usize) -> usize {
        match *self {}
    }

    pub(super) async fn grow(&mut self, _: &Engine, _: usize) -> Result<()> {
        match *self {}
    }

    pub(super) fn frames(&self) -> usize {
        match *self {}
    }

    pub(super) fn bears(&self, _: &[Group]) -> usize {
        match *self {}
    }

    pub(super) fn expected(&self, _: &Engine, _: usize, _: usize) -> Result<Duration> {
        match *self {}
    }

    pub(super) async fn write_all(&mut self, _: &[f32]) -> Result<()> {
        match *self {}
    }

    pub(super) fn write(&mut self, _: usize, _: &[f32]) {
        match *self {}
    }

    pub(super) async fn read(
        &mut self,
        _: &[Range<usize>],
        _: Wait,
        _: impl FnMut(Range<usize>, &[f32]),
    ) -> Result<()> {
        match *self {}
    }

    pub(super) fn is_broken(&self) -> bool {
        match *self {}
    }

    pub(super) fn bytes(&self) -> u64 {
        match *self {}
    }

    pub(super) async fn prepare(&mut self, _: &Engine, _: usize, _: usize) -> Result<()> {
        match *self {}
    }

    pub(super) async fn begin(&mut self, _: &Engine, _: &[Group], _: Rows<'_>, _: &[f32]) -> Result<Ticket> {
        match *self {}
    }

    pub(super) async fn finish(
        &mut self,
        _: &mut Option<Ticket>,
        _: &[[usize; 2]],
        _: [&mut [f32]; 2],
        _: Wait,
    ) -> Result<()> {
        match *self {}
    }
}
