//! The command `dtln` on a small network: formats, options, and refusals by name.

#[allow(dead_code)]
mod network;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use network::{KERAS, Network, sound};
use wgru::Device;
use wgru_dtln::Dtln;

/// A folder with the models, which is removed when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("wgru-dtln-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        let [one, two] = Network::new(1).files(KERAS);
        std::fs::write(path.join("model_1.onnx"), one).unwrap();
        std::fs::write(path.join("model_2.onnx"), two).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_dtln"))
            .args(arguments)
            .args(["--models", &self.path("")])
            .output()
            .unwrap()
    }

    /// The error of a run on one file.
    #[track_caller]
    fn refused(&self, file: &str, options: &[&str]) -> String {
        let (from, to) = (self.path(file), self.path("out.wav"));
        let output = self.run(&[&[from.as_str(), to.as_str()], options].concat());
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && text.contains("dtln: ") && !text.contains("panicked"), "{text}");
        assert!(!Path::new(&to).exists(), "a refused file has an output");
        text
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn spec(channels: u16, sample_rate: u32, bits_per_sample: u16, sample_format: SampleFormat) -> WavSpec {
    WavSpec { channels, sample_rate, bits_per_sample, sample_format }
}

fn write(path: &str, spec: WavSpec, samples: &[f32]) {
    let mut file = WavWriter::create(path, spec).unwrap();
    for sample in samples {
        match spec.sample_format {
            SampleFormat::Float => file.write_sample(*sample).unwrap(),
            SampleFormat::Int => {
                let full = (1i64 << (spec.bits_per_sample - 1)) as f32;
                file.write_sample((sample * full).round() as i32).unwrap();
            }
        }
    }
    file.finalize().unwrap();
}

#[test]
fn every_format_and_channel_comes_out_as_it_went_in() {
    let folder = Folder::new("formats");
    let [one, two] = Network::new(1).files(KERAS);
    let dtln = Dtln::from_onnx(&one, &two, &Device::cpu()).unwrap();
    let channels = [sound(3000, 1), sound(3000, 2)];
    let expected = channels.clone().map(|samples| dtln.denoise(&samples).unwrap());
    for (bits, format, step) in [
        (32, SampleFormat::Float, 0.0),
        (8, SampleFormat::Int, 1.0 / 128.0),
        (16, SampleFormat::Int, 1.0 / 32768.0),
        (24, SampleFormat::Int, 1e-6),
        (32, SampleFormat::Int, 1e-6),
    ] {
        for count in [1, 2] {
            let (from, to) = (folder.path("in.wav"), folder.path("out.wav"));
            let mixed: Vec<f32> =
                (0..3000).flat_map(|at| channels[..count].iter().map(move |all| all[at])).collect();
            write(&from, spec(count as u16, 16_000, bits, format), &mixed);
            // Callers have one channel.
            let callers = (count == 1).then_some(&["--streams", "7", "--threads", "2"][..]);
            for options in [&[][..], &["--stream"], &["--device", "cpu:2"]].into_iter().chain(callers) {
                let output = folder.run(&[&[from.as_str(), &to], options].concat());
                let text = String::from_utf8(output.stdout).unwrap();
                assert!(
                    output.status.success() && text.contains("real-time factor"),
                    "{text} {:?}",
                    output.stderr
                );
                let file = WavReader::open(&to).unwrap();
                assert_eq!(file.spec(), spec(count as u16, 16_000, bits, format));
                let got: Vec<f32> = match format {
                    SampleFormat::Float => file.into_samples().map(Result::unwrap).collect(),
                    SampleFormat::Int => {
                        let full = (1i64 << (bits - 1)) as f32;
                        file.into_samples::<i32>().map(|sample| sample.unwrap() as f32 / full).collect()
                    }
                };
                assert_eq!(got.len(), mixed.len());
                for (channel, expected) in expected[..count].iter().enumerate() {
                    let got = got.iter().skip(channel).step_by(count);
                    // Rounding of the input goes through the network.
                    let off = got.zip(expected).fold(0.0f32, |all, (g, e)| all.max((g - e).abs()));
                    assert!(off <= 4.0 * step, "{bits} bits, channel {channel}: off by {off}");
                }
            }
        }
    }
}

/// The samples of a run on floats.
fn cleaned(folder: &Folder, samples: &[f32], options: &[&str]) -> (Vec<f32>, String) {
    let (from, to) = (folder.path("in.wav"), folder.path("out.wav"));
    write(&from, spec(1, 16_000, 32, SampleFormat::Float), samples);
    let output = folder.run(&[&[from.as_str(), &to], options].concat());
    assert!(output.status.success(), "{:?}", output.stderr);
    let got = WavReader::open(&to).unwrap().into_samples().map(Result::unwrap).collect();
    (got, String::from_utf8(output.stdout).unwrap())
}

#[test]
fn callers_are_counted_and_the_first_has_the_bits_of_a_stream() {
    let folder = Folder::new("callers");
    // Not a whole number of hops.
    let samples = sound(20 * 128 + 5, 3);
    let (expected, _) = cleaned(&folder, &samples, &["--stream"]);
    for (callers, threads, expected_threads) in [("1", "1", 1), ("30", "2", 2), ("3", "8", 3)] {
        let (got, text) = cleaned(&folder, &samples, &["--streams", callers, "--threads", threads]);
        assert_eq!(got, expected, "{callers} callers");
        // 21 hops, and 3 until the last sample has come out.
        let head = format!("{callers} callers, {expected_threads} threads, 24 ticks of 8 ms");
        let ticks = format!(" of {} ticks, ", 24 * expected_threads);
        for part in
            [head.as_str(), "real-time factor ", "median ", "99.9 % ", "worst ", "missed deadlines: ", &ticks]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}

#[test]
fn silent_and_clipped_sound_is_computed() {
    let folder = Folder::new("levels");
    let clipped: Vec<f32> = sound(2000, 4).iter().map(|sample| (sample * 20.0).clamp(-1.0, 1.0)).collect();
    for samples in [vec![0.0; 2000], clipped] {
        let (whole, _) = cleaned(&folder, &samples, &[]);
        assert!(whole.len() == 2000 && whole.iter().all(|sample| sample.is_finite()));
        assert_eq!(
            cleaned(&folder, &samples, &["--streams", "2", "--threads", "1"]).0,
            cleaned(&folder, &samples, &["--stream"]).0
        );
    }
    // Integers do not wrap at full scale.
    let (from, to) = (folder.path("in.wav"), folder.path("out.wav"));
    let whole = spec(1, 16_000, 16, SampleFormat::Int);
    let mut file = WavWriter::create(&from, whole).unwrap();
    (0..2000).for_each(|at| file.write_sample(if at / 40 % 2 == 0 { i16::MIN } else { i16::MAX }).unwrap());
    file.finalize().unwrap();
    assert!(folder.run(&[&from, &to]).status.success());
    let [one, two] = Network::new(1).files(KERAS);
    let dtln = Dtln::from_onnx(&one, &two, &Device::cpu()).unwrap();
    let samples: Vec<f32> =
        WavReader::open(&from).unwrap().samples::<i16>().map(|x| f32::from(x.unwrap()) / 32768.0).collect();
    let got = WavReader::open(&to).unwrap().into_samples::<i16>();
    for (got, expected) in got.zip(dtln.denoise(&samples).unwrap()) {
        assert!((f32::from(got.unwrap()) / 32768.0 - expected.clamp(-1.0, 1.0)).abs() < 1e-4, "{expected}");
    }
}

#[test]
fn a_run_that_fails_leaves_the_output_as_it_was() {
    let folder = Folder::new("kept");
    let (from, to) = (folder.path("in.wav"), folder.path("out.wav"));
    std::fs::write(&to, b"of before").unwrap();
    write(&from, spec(1, 16_000, 32, SampleFormat::Float), &[0.1, 0.2, f32::INFINITY]);
    for options in [&[][..], &["--stream"], &["--streams", "2"]] {
        assert!(!folder.run(&[&[from.as_str(), &to], options].concat()).status.success());
    }
    assert_eq!(std::fs::read(&to).unwrap(), b"of before");
    write(&from, spec(1, 16_000, 32, SampleFormat::Float), &[0.1; 500]);
    let text = folder.run(&[&from, &folder.path("no/such/out.wav")]).stderr;
    assert!(String::from_utf8(text).unwrap().contains("out.wav: not written: "));
    assert!(folder.run(&[&from, &to]).status.success());
    assert_eq!(WavReader::open(&to).unwrap().len(), 500);
    let mut names: Vec<_> =
        std::fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["in.wav", "model_1.onnx", "model_2.onnx", "out.wav"], "nothing is left beside it");
}

#[test]
fn files_that_cannot_be_computed_are_refused_by_name() {
    let folder = Folder::new("refused");
    let float = |rate| spec(1, rate, 32, SampleFormat::Float);
    assert!(folder.refused("none.wav", &[]).contains("none.wav"));
    write(&folder.path("rate.wav"), float(44_100), &[0.0; 100]);
    let text = folder.refused("rate.wav", &[]);
    assert!(text.contains("rate.wav: 44100 samples a second, expected 16000"), "{text}");
    write(&folder.path("empty.wav"), float(16_000), &[]);
    assert!(folder.refused("empty.wav", &[]).contains("empty.wav: it has no samples"));
    write(&folder.path("nan.wav"), float(16_000), &[0.0, f32::NAN]);
    assert!(folder.refused("nan.wav", &[]).contains("nan.wav, channel 1: sample 1 is NaN"));
    assert!(folder.refused("nan.wav", &["--stream"]).contains("channel 1: sample 1 is NaN"));
    write(&folder.path("whole.wav"), float(16_000), &[0.5; 400]);
    let whole = std::fs::read(folder.path("whole.wav")).unwrap();
    for cut in [0, 3, 20, 50, whole.len() - 2, whole.len() - 400] {
        std::fs::write(folder.path("cut.wav"), &whole[..cut]).unwrap();
        let text = folder.refused("cut.wav", &[]);
        assert!(text.contains("cut.wav: "), "{text}");
    }
    let text = folder.refused("whole.wav", &["--device", "no such"]);
    assert!(text.contains("no such"), "{text}");
    assert!(folder.refused("whole.wav", &["--cpu", "--gpu"]).contains("two devices"));
    assert!(folder.refused("whole.wav", &["--fast"]).contains("unknown option --fast"));
    write(&folder.path("two.wav"), spec(2, 16_000, 16, SampleFormat::Int), &[0.5; 400]);
    let text = folder.refused("two.wav", &["--streams", "4"]);
    assert!(text.contains("two.wav: 2 channels, --streams plays one: mix them"), "{text}");
    for number in ["0", "-3", "many", "1000001"] {
        let text = folder.refused("whole.wav", &["--streams", number]);
        assert!(text.contains("expected a number from 1 to 1000000"), "{text}");
    }
    assert!(folder.refused("whole.wav", &["--streams", "4", "--stream"]).contains("name one"));
    assert!(folder.refused("whole.wav", &["--threads", "2"]).contains("--threads is of --streams"));
    // Models of another kind and in the wrong order.
    std::fs::rename(folder.path("model_2.onnx"), folder.path("two.onnx")).unwrap();
    std::fs::copy(folder.path("model_1.onnx"), folder.path("model_2.onnx")).unwrap();
    let text = folder.refused("whole.wav", &[]);
    assert!(text.contains("core 2 of DTLN: the decoder at the first output: expected Conv"), "{text}");
    std::fs::write(folder.path("model_2.onnx"), b"no model").unwrap();
    assert!(folder.refused("whole.wav", &[]).contains("core 2 of DTLN: not a readable ONNX file"));
    std::fs::remove_file(folder.path("model_1.onnx")).unwrap();
    assert!(folder.refused("whole.wav", &[]).contains("model_1.onnx"));
}
