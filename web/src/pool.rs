//! Streams that come and go.

#![allow(clippy::await_holding_refcell_ref, reason = "a second call is refused, not waited for")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use js_sys::{Array, Float32Array, Object, Reflect};
use wasm_bindgen::prelude::*;
use wgru::{Device, State, StreamId, TickOutput};

use crate::device::at_once;
use crate::error::{Result, fail, wrong};
use crate::session::given;

struct Inner {
    pool: wgru::Pool,
    output: TickOutput,
    /// The ids of open streams by their numbers, which JavaScript has.
    ids: HashMap<u64, StreamId>,
}

/// Streams that come and go.
#[wasm_bindgen]
pub struct Pool {
    inner: Rc<RefCell<Inner>>,
}

fn busy() -> JsValue {
    wrong("a tick of this pool is in flight: wait for it before the next call")
}

impl Inner {
    fn device(&self) -> Device {
        self.pool.engine().device().clone()
    }

    fn id(&self, number: f64) -> Result<StreamId> {
        let id = self.ids.get(&(number as u64)).filter(|id| id.number() as f64 == number);
        id.copied().ok_or_else(|| wrong(&format!("stream {number} is not open in this pool")))
    }

    /// What a tick gave: for each stream its number, frames, y and out.
    fn frames(&self) -> Result<Array> {
        let all = Array::new();
        for frames in self.output.iter() {
            let of = Object::new();
            let set = |name: &str, value: JsValue| Reflect::set(&of, &name.into(), &value);
            set("stream", (frames.stream.number() as f64).into())?;
            set("frames", frames.frames.into())?;
            set("y", Float32Array::from(frames.y).into())?;
            if let Some(out) = frames.out {
                set("out", Float32Array::from(out).into())?;
            }
            all.push(&of);
        }
        Ok(all)
    }
}

impl Pool {
    pub(crate) fn new(pool: wgru::Pool) -> Self {
        let ids = pool.streams().map(|id| (id.number(), id)).collect();
        Self { inner: Rc::new(RefCell::new(Inner { pool, output: TickOutput::default(), ids })) }
    }

    fn with<T>(&self, of: impl FnOnce(&mut Inner) -> Result<T>) -> Result<T> {
        of(&mut *self.inner.try_borrow_mut().map_err(|_| busy())?)
    }
}

#[wasm_bindgen]
impl Pool {
    /// Opens a stream with zero states, or with those given, and returns its number.
    pub fn open(&self, h: Option<Vec<f32>>, c: Option<Vec<f32>>) -> Result<f64> {
        self.with(|inner| {
            let id = match h {
                None => inner.pool.open(),
                Some(h) => inner.pool.open_with(&State { h, c }),
            };
            let id = id.map_err(fail)?;
            inner.ids.insert(id.number(), id);
            Ok(id.number() as f64)
        })
    }

    /// Closes a stream, and returns how many of its frames were never computed.
    pub fn close(&self, stream: f64) -> Result<usize> {
        self.with(|inner| {
            let dropped = inner.pool.close(inner.id(stream)?).map_err(fail)?;
            inner.ids.remove(&(stream as u64));
            Ok(dropped)
        })
    }

    /// Queues frames of a stream, `[n, I]`.
    pub fn push(&self, stream: f64, frames: &[f32]) -> Result<()> {
        self.with(|inner| inner.pool.push(inner.id(stream)?, frames).map_err(fail))
    }

    /// A stream's frames that wait.
    pub fn pending(&self, stream: f64) -> Result<usize> {
        self.with(|inner| inner.pool.pending(inner.id(stream)?).map_err(fail))
    }

    /// Zero states for a stream; returns how many of its frames were dropped.
    pub fn reset(&self, stream: f64) -> Result<usize> {
        self.with(|inner| inner.pool.reset(inner.id(stream)?).map_err(fail))
    }

    /// The numbers of the open streams.
    pub fn streams(&self) -> Result<Vec<f64>> {
        self.with(|inner| Ok(inner.pool.streams().map(|id| id.number() as f64).collect()))
    }

    /// Streams that have a frame waiting.
    pub fn ready(&self) -> Result<usize> {
        self.with(|inner| Ok(inner.pool.ready()))
    }

    /// Compiles what ticks of so many streams and frames need.
    pub fn prepare(&self, streams: usize, frames: usize) -> Result<()> {
        self.with(|inner| inner.pool.prepare(streams, frames).map_err(fail))
    }

    /// A tick: of each stream with waiting frames its outputs.
    #[cfg(feature = "gpu")]
    pub fn tick(&self) -> js_sys::Promise {
        let inner = self.inner.clone();
        wasm_bindgen_futures::future_to_promise(async move {
            let mut inner = inner.try_borrow_mut().map_err(|_| busy())?;
            let Inner { pool, output, .. } = &mut *inner;
            pool.tick_into_async(output).await.map_err(fail)?;
            inner.frames().map(JsValue::from)
        })
    }

    /// A tick on the CPU path.
    pub fn tick_sync(&self) -> Result<Array> {
        self.with(|inner| {
            let device = inner.device();
            at_once(&device, inner.pool.tick_into_async(&mut inner.output))?;
            inner.frames()
        })
    }

    /// The states of a stream.
    #[cfg(feature = "gpu")]
    pub fn state(&self, stream: f64) -> js_sys::Promise {
        let inner = self.inner.clone();
        wasm_bindgen_futures::future_to_promise(async move {
            let mut inner = inner.try_borrow_mut().map_err(|_| busy())?;
            let id = inner.id(stream)?;
            let state = inner.pool.state_async(id).await.map_err(fail)?;
            given(&state).map(JsValue::from)
        })
    }

    /// The states of a stream, on the CPU path.
    pub fn state_sync(&self, stream: f64) -> Result<Object> {
        self.with(|inner| {
            let (device, id) = (inner.device(), inner.id(stream)?);
            given(&at_once(&device, inner.pool.state_async(id))?)
        })
    }

    /// All streams as bytes, on the CPU path.
    pub fn snapshot_sync(&self) -> Result<Vec<u8>> {
        self.with(|inner| {
            let device = inner.device();
            at_once(&device, inner.pool.snapshot_async())?.to_bytes().map_err(fail)
        })
    }

    /// Sets the states of a stream; returns how many of its frames were dropped.
    pub fn set_state(&self, stream: f64, h: Vec<f32>, c: Option<Vec<f32>>) -> Result<usize> {
        self.with(|inner| inner.pool.set_state(inner.id(stream)?, &State { h, c }).map_err(fail))
    }

    /// All streams, as bytes for `Engine::pool`.
    #[cfg(feature = "gpu")]
    pub fn snapshot(&self) -> js_sys::Promise {
        let inner = self.inner.clone();
        wasm_bindgen_futures::future_to_promise(async move {
            let snapshot = {
                let mut inner = inner.try_borrow_mut().map_err(|_| busy())?;
                inner.pool.snapshot_async().await.map_err(fail)?
            };
            let bytes = snapshot.to_bytes().map_err(fail)?;
            Ok(js_sys::Uint8Array::from(&bytes[..]).into())
        })
    }
}
