// The demo page: a live voice in an AudioWorklet, recordings in a Worker, and both sides to listen to.
import { RATE, decibels, decode, example, wav } from "./sounds.js";

const at = (id) => document.getElementById(id);
/** The longest live recording that is kept, in seconds. */
const LONGEST = 120;

function say(text) {
  at("status").textContent = text;
}

/** Shows an error in words; hides it if there is none. */
function tell(error) {
  at("error").hidden = !error;
  at("error").textContent = error ? (error.message ?? String(error)) : "";
  if (error) say("");
}

/** Runs `work` with the buttons disabled, and shows its error. */
async function busy(text, work) {
  const controls = [...document.querySelectorAll("#sound button, #sound input")];
  tell();
  say(text);
  controls.forEach((control) => { control.disabled = true; });
  try {
    return await work();
  } catch (error) {
    tell(error);
  } finally {
    controls.forEach((control) => { control.disabled = false; });
  }
}

async function bytes(path, advice) {
  const response = await fetch(path).catch(() => undefined);
  if (!response?.ok) throw new Error(`${path} could not be loaded (${response?.status ?? "no connection"}): ${advice}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** The two models and the worklet's module, loaded once. */
let parts;
function load() {
  const models = ["models/model_1.onnx", "models/model_2.onnx"];
  const fetched = models.map((path) => bytes(path, "fetch the models by `python uses/dtln/fetch.py`, and build the page again"));
  const compiled = bytes("cpu/wgru_dtln_web_bg.wasm", "build the page by `cargo xtask demo`").then((code) => WebAssembly.compile(code));
  parts ??= Promise.all([Promise.all(fetched), compiled]).catch((error) => {
    parts = undefined;
    throw error;
  });
  return parts;
}

// Recordings.

let worker;
async function denoise(channels, device) {
  const [models] = await load();
  worker ??= new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  return new Promise((resolve, reject) => {
    const drop = (message) => {
      worker.terminate();
      worker = undefined;
      reject(new Error(message));
    };
    worker.onerror = (event) => drop(`the computation ended: ${event.message ?? "the browser says no more"}; try it again`);
    worker.onmessage = ({ data }) => (data.error ? drop(data.error) : resolve(data));
    worker.postMessage({ models, device, channels });
  });
}

const device = () => document.querySelector("input[name=device]:checked").value;

/** Computes a recording and shows both sides. */
let recording;
async function compute(channels, name) {
  recording = { channels, name };
  const length = channels[0].length / RATE;
  const chosen = device();
  say(`Computing ${length.toFixed(1)} s on ${chosen === "cpu" ? "the CPU" : "WebGPU"} …`);
  const { clean, seconds, loaded, text } = await denoise(channels, chosen);
  const sound = length * channels.length;
  const rate = `${sound.toFixed(1)} s of sound in ${seconds.toFixed(3)} s: real-time factor ${(seconds / sound).toFixed(4)}, ${Math.round(sound / seconds)} times as fast as it plays`;
  show(channels, clean, `${text}: ${rate}.${loaded > 0 ? ` Loaded in ${(loaded / 1000).toFixed(2)} s before.` : ""}`);
  say(`${name} is ready to hear.`);
}

// Both sides.

let player;
let sides;

function show(before, after, speed) {
  stop();
  sides = { before, after };
  at("result").hidden = false;
  at("speed").textContent = speed;
  draw(at("before"), before[0]);
  draw(at("after"), after[0]);
  if (at("save").href) URL.revokeObjectURL(at("save").href);
  at("save").href = URL.createObjectURL(wav(after));
}

function draw(canvas, samples) {
  const context = canvas.getContext("2d"), { width, height } = canvas;
  context.clearRect(0, 0, width, height);
  context.fillStyle = "#0a9b80";
  for (let x = 0; x < width; x++) {
    const from = Math.floor((x * samples.length) / width), to = Math.max(from + 1, Math.floor(((x + 1) * samples.length) / width));
    let low = 0, high = 0;
    for (let i = from; i < to; i++) {
      low = Math.min(low, samples[i]);
      high = Math.max(high, samples[i]);
    }
    const top = (1 - Math.min(high, 1)) * height / 2, bottom = (1 - Math.max(low, -1)) * height / 2;
    context.fillRect(x, top, 1, Math.max(bottom - top, 1));
  }
}

function stop() {
  player?.context.close();
  player = undefined;
  at("play").textContent = "Play";
  level("play", -70);
}

/** Plays both sides at once, one of them audible, so that they can be switched. */
async function play() {
  const context = new AudioContext();
  player = { context, gains: {} };
  const mix = context.createGain(), meter = context.createAnalyser();
  mix.connect(meter).connect(context.destination);
  const start = context.currentTime + 0.05;
  for (const side of ["before", "after"]) {
    const channels = sides[side], source = context.createBufferSource(), gain = context.createGain();
    source.buffer = new AudioBuffer({ numberOfChannels: channels.length, length: channels[0].length, sampleRate: RATE });
    channels.forEach((samples, channel) => source.buffer.copyToChannel(samples, channel));
    source.connect(gain).connect(mix);
    source.start(start);
    player.gains[side] = gain;
    source.onended = () => { if (player?.context === context) stop(); };
  }
  choose();
  at("play").textContent = "Stop";
  await context.resume();
  const samples = new Float32Array(meter.fftSize);
  const look = () => {
    if (player?.context !== context) return;
    meter.getFloatTimeDomainData(samples);
    level("play", decibels(samples));
    requestAnimationFrame(look);
  };
  look();
}

function choose() {
  const side = document.querySelector("input[name=side]:checked").value;
  if (!player) return;
  for (const [name, gain] of Object.entries(player.gains)) {
    gain.gain.setTargetAtTime(name === side ? 1 : 0, player.context.currentTime, 0.01);
  }
}

function level(name, decibels) {
  at(`level-${name}`).value = decibels;
  at(`db-${name}`).textContent = decibels <= -70 ? "silence" : `${decibels.toFixed(1)} dB`;
}

// A live voice.

let live;

/** The node of a voice in a context; its messages go to `heard`. */
export async function voice(context, keep, heard) {
  if (!context.audioWorklet) throw new Error("this page has no AudioWorklet: it needs https, or localhost");
  const [models, module] = await load();
  await context.audioWorklet.addModule(new URL("./worklet.js", import.meta.url));
  const node = new AudioWorkletNode(context, "dtln", {
    numberOfInputs: 1, numberOfOutputs: 1, outputChannelCount: [1], channelCount: 1, channelCountMode: "explicit",
    processorOptions: { module, models, keep },
  });
  node.onprocessorerror = () => heard({ error: "the audio thread ended; the console may say why" });
  node.port.onmessage = ({ data }) => heard(data);
  return node;
}

/** A context at 16 kHz with the microphone in it where the browser grants that, else at the browser's own rate. */
async function listen(stream) {
  for (const options of [{ sampleRate: RATE, latencyHint: "interactive" }, { latencyHint: "interactive" }]) {
    let context;
    try {
      context = new AudioContext(options);
      return [context, context.createMediaStreamSource(stream)];
    } catch (error) {
      await context?.close();
      if (options.sampleRate === undefined) throw error;
    }
  }
}

async function start() {
  if (!navigator.mediaDevices?.getUserMedia) throw new Error("this page may not use a microphone: it needs https, or localhost");
  const wanted = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio: wanted }).catch((error) => {
    const words = {
      NotAllowedError: "the microphone was not allowed: allow it in the browser's settings of this page",
      NotFoundError: "no microphone was found: connect one, or open a file",
      NotReadableError: "another program has the microphone",
    };
    throw new Error(words[error.name] ?? `the microphone did not open: ${error.message}`);
  });
  const [context, source] = await listen(stream);
  try {
    const now = { context, stream, given: [], got: [], seconds: 0, recent: [] };
    const node = await voice(context, true, (data) => hear(now, data));
    const gain = context.createGain();
    gain.gain.value = at("hear").checked ? 1 : 0;
    source.connect(node).connect(gain).connect(context.destination);
    await context.resume();
    Object.assign(now, { node, gain });
    node.port.postMessage({ suppress: at("suppress").checked });
    live = now;
    at("live").hidden = false;
    say("Speak. Stop to hear before and after.");
  } catch (error) {
    stream.getTracks().forEach((track) => track.stop());
    await context.close();
    throw error;
  }
}

/** A message of the worklet: its device, an error, or some samples in and out. */
function hear(now, { error, text, given, got, busy, delay }) {
  if (error) return tell(new Error(error));
  if (text) now.text = text;
  if (!given) return;
  const rate = now.context.sampleRate;
  level("in", decibels(given));
  level("out", decibels(got));
  now.recent.push([busy, given.length / rate]);
  if (now.recent.length > 60) now.recent.shift();
  const [spent, sound] = now.recent.reduce(([a, b], [c, d]) => [a + c, b + d], [0, 0]);
  const samples = rate === RATE ? "not resampled" : "resampled to 16 kHz and back";
  at("figures").textContent =
    `${now.text ?? "CPU"}: real-time factor ${(spent / sound).toFixed(3)}, delay ${((1000 * delay) / rate).toFixed(0)} ms, ${rate} Hz, ${samples}`;
  now.delay = delay;
  if (now.seconds < LONGEST) {
    now.seconds += given.length / rate;
    now.given.push(given);
    now.got.push(got);
  }
}

/** Ends the live voice; what was heard becomes both sides. */
async function finish() {
  const now = live;
  live = undefined;
  at("live").hidden = true;
  if (!now) return;
  now.node.port.postMessage({ stop: true });
  now.stream.getTracks().forEach((track) => track.stop());
  await now.context.close();
  const rate = now.context.sampleRate, delay = Math.round(now.delay ?? 0);
  const join = (parts) => {
    const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
    parts.reduce((place, part) => (all.set(part, place), place + part.length), 0);
    return all;
  };
  const [given, got] = [join(now.given), join(now.got).subarray(delay)];
  if (got.length === 0) return say("Nothing was heard: the microphone gave no sound.");
  const narrow = async (samples) => {
    if (rate === RATE) return samples.slice();
    const offline = new OfflineAudioContext(1, Math.ceil((samples.length * RATE) / rate), RATE);
    const source = offline.createBufferSource();
    source.buffer = new AudioBuffer({ length: samples.length, sampleRate: rate });
    source.buffer.copyToChannel(samples, 0);
    source.connect(offline.destination);
    source.start();
    return (await offline.startRendering()).getChannelData(0);
  };
  recording = undefined;
  const sound = await Promise.all([narrow(given.subarray(0, got.length)), narrow(got)]);
  show([sound[0]], [sound[1]], at("figures").textContent);
  say("Your voice is ready to hear.");
}

// The page.

function open(file) {
  return busy(`Reading ${file.name} …`, async () => compute(await decode(await file.arrayBuffer(), file.name), file.name));
}

at("microphone").onclick = () => busy("Waiting for the microphone …", async () => {
  await finish();
  await start();
});
at("open").onclick = () => at("file").click();
at("file").onchange = () => {
  const [file] = at("file").files;
  at("file").value = "";
  if (file) open(file);
};
at("example").onclick = () => busy("Making a voice in noise …", () => compute([example()], "The example"));
at("stop").onclick = () => finish().catch(tell);
at("suppress").onchange = () => live?.node.port.postMessage({ suppress: at("suppress").checked });
at("hear").onchange = () => { if (live) live.gain.gain.value = at("hear").checked ? 1 : 0; };
at("play").onclick = () => (player ? stop() : play().catch(tell));
document.querySelectorAll("input[name=side]").forEach((input) => { input.onchange = choose; });
document.querySelectorAll("input[name=device]").forEach((input) => {
  input.onchange = () => { if (recording) busy("", () => compute(recording.channels, recording.name)); };
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  at("sound").classList.add("over");
});
document.addEventListener("dragleave", () => at("sound").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  at("sound").classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file) open(file);
});

/** What is shown, for tests. */
export const shown = () => sides;

load().then(() => say("Ready: speak, open a file or take the example."), tell);
