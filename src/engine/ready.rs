//! What runs of a shape need: said, or made ready, before there is a batch.
//!
//! A batch that does not fit the device at once is run in pieces, so what is said and made ready is what the pieces need.

use std::fmt;

use super::gpu::GpuEngine;
use super::memory::Memory;
use super::pieces::Piece;
use super::run::{Backend, Engine};
use crate::dims::Dims;
use crate::error::{Result, count as counted};
use crate::io::{Form, OutputShape};
use crate::plan::{Candidate, Plan};
use crate::sync::{Wait, lock};

/// The pieces that a batch is run in where it does not fit a GPU, or [`Options::memory`](crate::Options::memory), at once.
/// Results have the bits of a run at once. Its words say it in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pieces {
    /// How many there are, where every sequence has all steps.
    pub count: usize,
    /// Rows of a piece, at the most.
    pub rows: usize,
    /// Steps of a piece, at the most.
    pub steps: usize,
    /// Whether rows are cut by steps: then each piece is of one direction of one layer of one row.
    pub by_steps: bool,
}

impl Pieces {
    /// None where `all` is one piece, of everything.
    fn of(all: &[Piece<'_>]) -> Option<Self> {
        let most = |of: fn(Dims) -> usize| all.iter().map(|piece| of(piece.form.dims)).max().unwrap_or(0);
        let (rows, steps) = (most(|dims| dims.batch), most(|dims| dims.steps));
        let count = all.iter().map(|piece| piece.count).sum();
        let by_steps = all.iter().any(|piece| piece.part.is_some());
        (count > 1 || by_steps).then_some(Self { count, rows, steps, by_steps })
    }
}

impl fmt::Display for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, rows, steps, by_steps } = self;
        write!(f, "in {} of ", counted(*count, "piece"))?;
        match by_steps {
            true => {
                write!(f, "up to {}, each of one direction of a layer and one row", counted(*steps, "step"))
            }
            false => write!(f, "up to {}", counted(*rows, "row")),
        }
    }
}

impl Engine {
    /// The pieces of a run of `form`, which is known to have sizes.
    fn pieces_on<'a>(&'a self, gpu: &GpuEngine, form: Form) -> Result<Vec<Piece<'a>>> {
        gpu.planner().pieces(self.model(), form)
    }

    /// The pieces that a run of `form`, or of dims alone, is cut into; `None` where it is run at once, as on the CPU path and
    /// the reference always.
    ///
    /// # Errors
    /// [`crate::Error::TooLarge`] where not even one step of one row fits.
    pub fn pieces(&self, form: impl Into<Form>) -> Result<Option<Pieces>> {
        match &self.0.backend {
            Backend::Gpu(gpu) => Ok(Pieces::of(&self.pieces_on(gpu, form.into())?)),
            Backend::Cpu(_) | Backend::Reference => Ok(None),
        }
    }

    /// Something of the first piece of a run of `form`.
    fn of_first<T>(
        &self,
        gpu: &GpuEngine,
        form: Form,
        of: impl FnOnce(&Piece<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        self.pieces_on(gpu, form)?.first().map(of).transpose()
    }

    /// Every way to compute each layer on a run of `form`, or of dims alone, with its predicted time or what forbids it; of
    /// a run in pieces on its first piece, as [`Engine::plan`] says; of the CPU path and the reference nothing.
    ///
    /// # Errors
    /// What the planner refuses for this shape.
    pub fn alternatives(&self, form: impl Into<Form>) -> Result<Vec<Vec<Candidate>>> {
        match &self.0.backend {
            Backend::Gpu(gpu) => {
                let of = |piece: &Piece<'_>| gpu.planner().alternatives(&piece.model, piece.form);
                Ok(self.of_first(gpu, form.into(), of)?.unwrap_or_default())
            }
            Backend::Cpu(_) | Backend::Reference => Ok(Vec::new()),
        }
    }

    /// The plan of a run of `form`, or of dims alone; `None` of the CPU path and the reference. Of a run in pieces
    /// ([`Engine::pieces`]) it is the plan of the first piece, which is as large as any: [`Plan::form`] says its size. Where rows
    /// are cut by steps, that piece is of the first direction of the first layer.
    ///
    /// # Errors
    /// What the planner refuses for this shape.
    pub fn plan(&self, form: impl Into<Form>) -> Result<Option<Plan>> {
        match &self.0.backend {
            Backend::Gpu(gpu) => {
                self.of_first(gpu, form.into(), |piece| gpu.planner().plan(&piece.model, piece.form))
            }
            Backend::Cpu(_) | Backend::Reference => Ok(None),
        }
    }

    /// What a run of `form`, or of dims alone, takes on a GPU at a time: of a run in pieces what the piece takes that takes most;
    /// 0 on the CPU path and the reference.
    ///
    /// # Errors
    /// [`crate::Error::TooLarge`] where not even one step of one row fits.
    pub fn memory(&self, form: impl Into<Form>) -> Result<Memory> {
        let Backend::Gpu(gpu) = &self.0.backend else { return Ok(Memory::default()) };
        let mut most = Memory::default();
        for piece in self.pieces_on(gpu, form.into())? {
            let own = gpu.planner().memory(&piece.model, piece.form)?;
            if own.arrays + own.read_back > most.arrays + most.read_back {
                most = own;
            }
            // The parts of a row that is cut have weights of their own.
            most.weights = most.weights.max(gpu.constant_bytes() << u32::from(piece.part.is_some()));
        }
        Ok(most)
    }

    /// In words, which kernels a run of `form`, or of dims alone, uses, and into which pieces it is cut.
    ///
    /// # Errors
    /// What the planner refuses for this shape.
    pub fn explain(&self, form: impl Into<Form>) -> Result<String> {
        let form = form.into();
        OutputShape::new(self.model(), form)?;
        match &self.0.backend {
            Backend::Gpu(gpu) => self.explain_on(gpu, form),
            Backend::Cpu(engine) => Ok(engine.network.explain(form, &engine.processor)),
            Backend::Reference => Ok("f64, from the equations".into()),
        }
    }

    fn explain_on(&self, gpu: &GpuEngine, form: Form) -> Result<String> {
        let all = self.pieces_on(gpu, form)?;
        let mut text = Pieces::of(&all).map_or_else(String::new, |pieces| format!("{pieces}: "));
        // Smaller pieces, which come last, are computed much as the large ones before them.
        let mut last = None;
        for piece in all.iter().filter(|piece| last.replace(piece.part) != Some(piece.part)) {
            let plan = gpu.planner().plan(&piece.model, piece.form)?;
            match piece.part {
                None => text += &plan.to_string(),
                Some((layer, dir)) => {
                    let split = if layer + dir > 0 { "; " } else { "" };
                    text +=
                        &format!("{split}direction {dir} of layer {layer}, as a model of its own: {plan}");
                }
            }
        }
        Ok(text)
    }

    /// Makes everything that runs of `form`, or of dims alone, need, so that the first of them takes no longer than
    /// the next; of a run in pieces the kernels of all of them, and of buffers those that [`Options::memory`](crate::Options::memory)
    /// has room for.
    ///
    /// # Errors
    /// As [`Engine::run`] for a batch of this shape.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn prepare(&self, form: impl Into<Form>) -> Result<()> {
        pollster::block_on(self.prepare_waiting(form.into(), Wait::Block))
    }

    /// [`Engine::prepare`], without blocking.
    ///
    /// # Errors
    /// As [`Engine::prepare`].
    pub async fn prepare_async(&self, form: impl Into<Form>) -> Result<()> {
        self.prepare_waiting(form.into(), Wait::Yield).await
    }

    async fn prepare_waiting(&self, form: Form, wait: Wait) -> Result<()> {
        OutputShape::new(self.model(), form)?;
        match &self.0.backend {
            Backend::Gpu(gpu) if gpu.is_ready(form) => Ok(()),
            Backend::Gpu(gpu) => {
                // The first last, so that it is what is kept.
                for piece in self.pieces_on(gpu, form)?.iter().rev() {
                    self.prepare_piece(gpu, piece, wait).await?;
                }
                Ok(())
            }
            Backend::Cpu(engine) => {
                let mut scratch = lock(&engine.idle).pop().unwrap_or_default();
                let result = engine.network.prepare(form, &engine.processor, &mut scratch);
                lock(&engine.idle).push(scratch);
                result
            }
            Backend::Reference => Ok(()),
        }
    }

    async fn prepare_piece(&self, gpu: &GpuEngine, piece: &Piece<'_>, wait: Wait) -> Result<()> {
        let Some((layer, dir)) = piece.part else { return gpu.prepare(self.model(), piece.form, wait).await };
        let part = self.part(layer, dir).await?;
        match &part.0.backend {
            Backend::Gpu(gpu) => gpu.prepare(part.model(), piece.form, wait).await,
            // It is on the device that this engine is on.
            Backend::Cpu(_) | Backend::Reference => Ok(()),
        }
    }
}
