//! WAV files of integers or floats at 16 kHz.

use std::io::Cursor;
use std::path::Path;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use wgru_dtln::RATE;

use crate::Anything;

/// The samples of each channel, full scale 1.
pub(crate) fn read(path: &Path) -> Anything<(WavSpec, Vec<Vec<f32>>)> {
    let named = |reason: String| format!("{}: {reason}", path.display());
    let file = WavReader::open(path).map_err(|error| named(format!("not a readable WAV file: {error}")))?;
    let spec = file.spec();
    if spec.sample_rate != RATE {
        let found = spec.sample_rate;
        return Err(named(format!(
            "{found} samples a second, expected {RATE}: resample it, as by `sox IN.wav -r 16k OUT.wav`"
        ))
        .into());
    }
    let (count, expected) = (usize::from(spec.channels.max(1)), file.len());
    let samples: Result<Vec<f32>, hound::Error> = match spec.sample_format {
        SampleFormat::Float => file.into_samples::<f32>().collect(),
        SampleFormat::Int => {
            let full = full_scale(spec);
            file.into_samples::<i32>().map(|sample| Ok(sample? as f32 / full)).collect()
        }
    };
    let truncated =
        |error| named(format!("truncated, or not what its header says ({expected} samples): {error}"));
    let samples = samples.map_err(truncated)?;
    if samples.is_empty() {
        return Err(named("it has no samples".into()).into());
    }
    let channel = |channel: usize| samples.iter().skip(channel).step_by(count).copied().collect();
    Ok((spec, (0..count).map(channel).collect()))
}

fn full_scale(spec: WavSpec) -> f32 {
    (1i64 << spec.bits_per_sample.saturating_sub(1)) as f32
}

/// Writes the file completely or not at all.
pub(crate) fn write(path: &Path, spec: WavSpec, channels: &[Vec<f32>]) -> Anything<()> {
    let named = |error: &dyn std::fmt::Display| format!("{}: not written: {error}", path.display());
    let bytes = encode(spec, channels).map_err(|error| named(&error))?;
    Ok(wgru::file::replace(path, &bytes).map_err(|error| named(&error))?)
}

fn encode(spec: WavSpec, channels: &[Vec<f32>]) -> Result<Vec<u8>, hound::Error> {
    let mut bytes = Cursor::new(Vec::new());
    let mut file = WavWriter::new(&mut bytes, spec)?;
    for at in 0..channels[0].len() {
        for channel in channels {
            match spec.sample_format {
                SampleFormat::Float => file.write_sample(channel[at])?,
                SampleFormat::Int => {
                    let full = full_scale(spec);
                    // The largest integer is one below full scale; f32 rounds that of 32 bits up, and `as` saturates.
                    let sample = (channel[at] * full).round().clamp(-full, full - 1.0) as i32;
                    file.write_sample(sample)?;
                }
            }
        }
    }
    file.finalize()?;
    Ok(bytes.into_inner())
}
