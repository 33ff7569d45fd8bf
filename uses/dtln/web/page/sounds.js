// Sound as files and as numbers.

export const RATE = 16000;

/** Any file that the browser plays, as channels at 16 kHz. */
export async function decode(bytes, name) {
  if (bytes.byteLength === 0) throw new Error(`${name} is empty`);
  let buffer;
  try {
    // An offline context resamples to its own rate.
    buffer = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes);
  } catch {
    throw new Error(`${name} is not sound that this browser can read; try a WAV file`);
  }
  if (buffer.length === 0) throw new Error(`${name} has no samples`);
  const channels = Math.min(buffer.numberOfChannels, 2);
  return Array.from({ length: channels }, (_, channel) => buffer.getChannelData(channel));
}

/** A WAV file of 16 bits. */
export function wav(channels) {
  const count = channels[0].length, bytes = 2 * count * channels.length;
  const view = new DataView(new ArrayBuffer(44 + bytes));
  const text = (at, word) => [...word].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + bytes, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, channels.length, true);
  view.setUint32(24, RATE, true);
  view.setUint32(28, 2 * channels.length * RATE, true);
  view.setUint16(32, 2 * channels.length, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, bytes, true);
  for (let i = 0, at = 44; i < count; i++) {
    for (const samples of channels) {
      view.setInt16(at, Math.round(Math.max(-1, Math.min(1, samples[i])) * 32767), true);
      at += 2;
    }
  }
  return new Blob([view], { type: "audio/wav" });
}

/** A synthetic voice of harmonics and formants, with pauses, in noise 5 dB below it. */
export function example(seconds = 8) {
  let state = 12345;
  const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  const count = seconds * RATE, voice = new Float32Array(count), noise = new Float32Array(count);
  const bell = (x, centre, width) => Math.exp(-(((x - centre) / width) ** 2) / 2);
  let phase = 0;
  for (let i = 0; i < count; i++) {
    const t = i / RATE, wave = (hertz) => Math.sin(2 * Math.PI * hertz * t);
    const pitch = 120 + 30 * wave(0.7) + 8 * wave(5);
    phase += (2 * Math.PI * pitch) / RATE;
    const first = 500 + 250 * wave(1.3), second = 1500 + 600 * wave(0.9);
    let sum = 0;
    for (let harmonic = 1; harmonic * pitch < 6000; harmonic++) {
      const hertz = harmonic * pitch;
      const gain = bell(hertz, first, 90) + bell(hertz, second, 140) + bell(hertz, 2600, 200) + 0.02;
      sum += (gain / Math.sqrt(harmonic)) * Math.sin(harmonic * phase);
    }
    voice[i] = sum * Math.max(0, wave(3.1) + 0.4 * wave(0.4));
    noise[i] = random() + random() + random() + random() - 2;
  }
  const power = (samples) => samples.reduce((all, x) => all + x * x, 0) / count;
  const loudest = voice.reduce((all, x) => Math.max(all, Math.abs(x)), 0);
  const level = 0.5 / loudest, scale = level * Math.sqrt(power(voice) / power(noise)) * 10 ** (-5 / 20);
  return voice.map((x, i) => x * level + noise[i] * scale);
}

/** The level of samples in decibels of full scale, −100 at least. */
export function decibels(samples) {
  let sum = 0;
  for (const x of samples) sum += x * x;
  return 10 * Math.log10(sum / Math.max(samples.length, 1) + 1e-10);
}
