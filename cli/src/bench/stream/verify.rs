//! Compares the recorded streams with runs of their own, bit by bit, and the first frames of one stream with the f64
//! reference.

use wgru::reference::Comparison;
use wgru::{Batch, Engine, Model};

use super::population::{Frames, Kept};
use crate::failure::{Failure, Outcome};
use wgru_harness::case::Case;
use wgru_harness::verify::{Inputs, require};

/// Frames that are compared with the reference.
const FIRST: u64 = 50;

/// Verifies every recorded stream. Returns the comparison with the reference.
///
/// # Errors
/// The first frame that differs; missing outputs; the engine's error.
pub fn verify(engine: &Engine, case: &Case, kept: &[Kept], frames: &Frames) -> Outcome<Comparison> {
    let model = engine.model();
    for stream in kept {
        same(engine, stream, frames, stream.frames)?;
    }
    let longest = kept.iter().max_by_key(|stream| stream.frames);
    let Some(stream) = longest.filter(|stream| stream.frames > 0) else {
        return Err(wrong("no stream was recorded".into()));
    };
    let first = stream.frames.min(FIRST);
    let (x, output) = same(engine, stream, frames, first)?;
    let inputs = Inputs { x: &x, shape: [1, first as usize, model.input()], lengths: None };
    require(model, inputs, &output, case.options(), case.flops(1)).map_err(wrong)
}

/// Runs a stream's first `count` frames alone, and compares the pool's outputs with it.
fn same(engine: &Engine, stream: &Kept, frames: &Frames, count: u64) -> Outcome<(Vec<f32>, wgru::Output)> {
    let model = engine.model();
    let (number, width) = (stream.number, model.output());
    let came = stream.y.len() / width;
    if came as u64 != stream.frames {
        let given = stream.frames;
        return Err(wrong(format!("stream {number} was given {given} frames, outputs of {came} came")));
    }
    let x = sequence(model, number, frames, count)?;
    let output = engine.run(&Batch::new(&x, [1, count as usize, model.input()])?)?;
    let bits = |y: &[f32]| y.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let rows = || output.y.chunks_exact(width).zip(stream.y.chunks_exact(width));
    match rows().position(|(run, tick)| bits(run) != bits(tick)) {
        None => Ok((x, output)),
        Some(frame) => Err(wrong(format!(
            "stream {number}: frame {frame} of {count} differs in its bits from a run of the stream alone"
        ))),
    }
}

/// The frames pushed to a stream, `[count, I]`.
fn sequence(model: &Model, number: u64, frames: &Frames, count: u64) -> Outcome<Vec<f32>> {
    let mut x = Vec::new();
    let numbers = wgru::dims::product("x of a stream", &[count as usize, model.input()])?;
    let memory = |_| wgru::Error::Memory { name: "x of a stream".into(), bytes: numbers * 4 };
    x.try_reserve_exact(numbers).map_err(memory)?;
    (0..count).for_each(|frame| x.extend_from_slice(frames.frame(number, frame)));
    Ok(x)
}

fn wrong(reason: String) -> Failure {
    Failure::Verification(reason)
}

#[cfg(test)]
mod tests {
    use super::super::load::{Terms, pool, run};
    use super::super::schedule::Schedule;
    use super::*;
    use wgru::Device;

    #[test]
    fn a_fault_is_seen() {
        let case: Case = "lstm-b1-t1-i3-h4".parse().unwrap();
        let model = case.model(&mut fastrand::Rng::with_seed(1)).unwrap();
        let engine = Device::cpu().load_with(&model, case.options()).unwrap();
        let terms = Terms { streams: 6, schedule: Schedule { rate: 1000.0, turns: 60 }, trial: false };
        let load = run(&mut pool(&engine, terms).unwrap(), terms).unwrap();
        let (mut kept, frames) = load.kept;
        let good = verify(&engine, &case, &kept, &frames).unwrap();
        assert!(good.passes() && good.tolerance > 0.0);
        let mut failure = |at: usize, change: fn(&mut Vec<f32>), words: &str| {
            let before = kept[at].y.clone();
            change(&mut kept[at].y);
            let Err(Failure::Verification(text)) = verify(&engine, &case, &kept, &frames) else {
                panic!("{words}")
            };
            assert!(text.contains(words), "{text}");
            kept[at].y = before;
        };
        failure(0, |y| y[4 * 7 + 1] = f32::from_bits(y[4 * 7 + 1].to_bits() ^ 1), "frame 7 of ");
        failure(1, |y| y.truncate(y.len() - 4), "outputs of ");
    }
}
