//! A voice in an audio worklet: quanta of any size up to [`MOST`], at any sampling rate.

use wasm_bindgen::prelude::*;
use wgru_dtln::{Dtln, HOP, LATENCY, PUSH_LATENCY, RATE, Resampler, Stream};

use crate::Result;

/// The most samples of a quantum.
const MOST: usize = 2048;

/// A stream of the network, with samples in and out in memory that JavaScript sees. A step allocates nothing.
#[wasm_bindgen]
pub struct Voice {
    stream: Stream,
    given: Box<[f32; MOST]>,
    got: Box<[f32; MOST]>,
    rate: u32,
    resampled: Option<Resampled>,
    /// Whether quanta were hops so far, which then wait for no others.
    hops: bool,
    begun: bool,
}

/// Resamplers to 16 kHz and back, and what came back and was not taken yet.
struct Resampled {
    to: Resampler,
    from: Resampler,
    /// A ring.
    ready: Vec<f32>,
    first: usize,
    count: usize,
}

impl Voice {
    pub(crate) fn new(dtln: &Dtln, rate: u32) -> Result<Self> {
        let resampled = if rate == RATE {
            None
        } else {
            let pair = Resampler::new(rate, RATE).zip(Resampler::new(RATE, rate));
            let Some((to, from)) = pair else {
                return Err(JsError::new(&format!(
                    "sound of {rate} samples a second cannot be resampled to {RATE}"
                )));
            };
            // As many come back as go in, and those of one sample more.
            let room = MOST + 2 * to.most() * from.most() + 2;
            Some(Resampled { to, from, ready: vec![0.0; room], first: 0, count: 0 })
        };
        let zeros = || Box::new([0.0; MOST]);
        Ok(Self {
            stream: dtln.stream()?,
            given: zeros(),
            got: zeros(),
            rate,
            resampled,
            hops: true,
            begun: false,
        })
    }
}

#[wasm_bindgen]
impl Voice {
    /// The address of the samples in, [`Voice::most`] floats.
    pub fn given(&self) -> *const f32 {
        self.given.as_ptr()
    }

    /// The address of the samples out.
    pub fn got(&self) -> *const f32 {
        self.got.as_ptr()
    }

    /// The most samples of a step.
    pub fn most(&self) -> usize {
        MOST
    }

    /// Samples from input to output, at the voice's rate; known after the first step.
    pub fn delay(&self) -> f64 {
        match &self.resampled {
            None if self.hops => LATENCY as f64,
            None => PUSH_LATENCY as f64,
            Some(both) => {
                let narrow = PUSH_LATENCY + both.from.delay();
                both.to.delay() as f64 + narrow as f64 * f64::from(self.rate) / f64::from(RATE)
            }
        }
    }

    /// `count` samples in, as many out. A failed step leaves silence.
    pub fn step(&mut self, count: usize) -> Result<()> {
        if count > MOST {
            return Err(JsError::new(&format!("a quantum of {count} samples, at most {MOST} are expected")));
        }
        let (given, got) = (&self.given[..count], &mut self.got[..count]);
        got.fill(0.0);
        if !self.begun {
            (self.begun, self.hops) = (true, count == HOP && self.resampled.is_none());
        }
        if let Some(both) = &mut self.resampled {
            return both.step(&mut self.stream, given, got);
        }
        match (given.first_chunk(), got.first_chunk_mut()) {
            (Some(given), Some(got)) if self.hops && count == HOP => self.stream.process(given, got)?,
            _ if self.hops => return Err(JsError::new("quanta were 128 samples and are no longer")),
            _ => self.stream.push(given, got)?,
        }
        Ok(())
    }
}

impl Resampled {
    fn step(&mut self, stream: &mut Stream, given: &[f32], got: &mut [f32]) -> Result<()> {
        let Self { to, from, ready, first, count } = self;
        let mut failed = None;
        for &sample in given {
            to.push(sample, |narrow| {
                let mut clean = [0.0];
                failed = stream.push(&[narrow], &mut clean).err().or(failed.take());
                from.push(clean[0], |wide| {
                    let end = (*first + *count) % ready.len();
                    ready[end] = wide;
                    *count = (*count + 1).min(ready.len());
                });
            });
        }
        for sample in got {
            *sample = ready[*first];
            let taken = (*count).min(1);
            *first = (*first + taken) % ready.len();
            *count -= taken;
        }
        failed.map_or(Ok(()), |error| Err(error.into()))
    }
}
