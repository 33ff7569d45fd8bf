//! Streams that advance together.

#![allow(clippy::await_holding_refcell_ref, reason = "a second call is refused, not waited for")]

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::Object;
use wasm_bindgen::prelude::*;
use wgru::{Device, Engine, State, StepInput, StepOutput};

use crate::arrays::{object, zeros};
use crate::device::at_once;
use crate::error::{Result, fail};

/// A session, and the arrays of its steps: JavaScript writes x and reads y there, so that a step creates nothing.
struct Inner {
    device: Device,
    session: wgru::Session,
    x: Vec<f32>,
    resets: Vec<u32>,
    output: StepOutput,
}

/// Streams that advance together.
#[wasm_bindgen]
pub struct Session {
    inner: Rc<RefCell<Inner>>,
}

/// The message where two calls meet; the package's JavaScript does not let that happen.
fn busy() -> JsValue {
    crate::error::wrong("a step of this session is in flight: wait for it before the next call")
}

impl Session {
    pub(crate) fn new(engine: &Engine, streams: usize) -> Result<Self> {
        let session = engine.session(streams).map_err(fail)?;
        let output = session.output().map_err(fail)?;
        let x = zeros(streams.saturating_mul(engine.model().input()), "x of a session")?;
        let resets = zeros(streams, "resets of a session")?;
        let inner = Inner { device: engine.device().clone(), session, x, resets, output };
        Ok(Self { inner: Rc::new(RefCell::new(inner)) })
    }

    fn with<T>(&self, of: impl FnOnce(&mut Inner) -> Result<T>) -> Result<T> {
        of(&mut *self.inner.try_borrow_mut().map_err(|_| busy())?)
    }
}

#[wasm_bindgen]
impl Session {
    /// Where x, resets, y and out are in the module's memory: the address of each, and its length.
    pub fn places(&self) -> Result<Vec<u32>> {
        self.with(|inner| {
            let out = inner.output.out.as_deref().unwrap_or_default();
            let of = |numbers: &[f32]| [numbers.as_ptr() as u32, numbers.len() as u32];
            let resets = [inner.resets.as_ptr() as u32, inner.resets.len() as u32];
            Ok([of(&inner.x), resets, of(&inner.output.y), of(out)].concat())
        })
    }

    /// A step with the x that is there.
    #[cfg(feature = "gpu")]
    pub fn step(&self, resets: bool) -> js_sys::Promise {
        let inner = self.inner.clone();
        wasm_bindgen_futures::future_to_promise(async move {
            let mut inner = inner.try_borrow_mut().map_err(|_| busy())?;
            let Inner { session, x, resets: all, output, .. } = &mut *inner;
            let input = StepInput::new(x);
            let input = if resets { input.resets(all) } else { input };
            session.step_into_async(input, output).await.map_err(fail)?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// A step on the CPU path. Nothing is allocated.
    pub fn step_sync(&self, resets: bool) -> Result<()> {
        self.with(|Inner { device, session, x, resets: all, output }| {
            let input = StepInput::new(x);
            let input = if resets { input.resets(all) } else { input };
            at_once(device, session.step_into_async(input, output))
        })
    }

    /// All states to zero.
    pub fn reset(&self) -> Result<()> {
        self.with(|inner| {
            inner.session.reset();
            Ok(())
        })
    }

    /// The states h `[L·D, B, P]` and c, of an LSTM.
    #[cfg(feature = "gpu")]
    pub fn state(&self) -> js_sys::Promise {
        let inner = self.inner.clone();
        wasm_bindgen_futures::future_to_promise(async move {
            let state = {
                let mut inner = inner.try_borrow_mut().map_err(|_| busy())?;
                inner.session.state_async().await.map_err(fail)?
            };
            given(&state).map(JsValue::from)
        })
    }

    /// The states, on the CPU path.
    pub fn state_sync(&self) -> Result<Object> {
        self.with(|Inner { device, session, .. }| given(&at_once(device, session.state_async())?))
    }

    /// Sets the states.
    pub fn set_state(&self, h: Vec<f32>, c: Option<Vec<f32>>) -> Result<()> {
        self.with(|inner| inner.session.set_state(&State { h, c }).map_err(fail))
    }
}

/// h and c of a state as new arrays.
pub fn given(state: &State) -> Result<Object> {
    object(&[("h", Some(&state.h)), ("c", state.c.as_deref())])
}
