// The npm package in a browser: all entries, every class, what is refused, a Worker, an AudioWorklet, a lost device. Each test throws
// where it fails. What the kernels compute is tested by conventions.js.
import * as full from "../js/index.js";
import * as cpu from "../js/cpu.js";
import * as relaxed from "../js/cpu-relaxed.js";
import { safetensors, gru, lstm, noise } from "./models.js";

const tests = {};
const assert = (condition, text) => { if (!condition) throw new Error(text); };
const same = (a, b, text) => {
  assert(a.length === b.length, `${text}: ${a.length} numbers, expected ${b.length}`);
  for (let i = 0; i < a.length; i++) assert(Object.is(a[i], b[i]), `${text}: ${a[i]} at ${i}, expected ${b[i]}`);
};
const near = (a, b, most, text) => {
  assert(a.length === b.length, `${text}: ${a.length} numbers, expected ${b.length}`);
  for (let i = 0; i < a.length; i++) assert(Math.abs(a[i] - b[i]) <= most, `${text}: ${a[i]} at ${i}, expected ${b[i]}`);
};

/** The error of a call, which has to fail with this kind and these words. */
async function refused(call, kind, words) {
  try {
    await call();
  } catch (error) {
    assert([full, cpu, relaxed].some(({ WgruError }) => error instanceof WgruError), `${error} is no WgruError: ${error.stack}`);
    assert(error.kind === kind, `${error.message}: kind ${error.kind}, expected ${kind}`);
    assert(words.test(error.message), `"${error.message}" does not say ${words}`);
    return error;
  }
  throw new Error(`not refused: expected ${kind}, ${words}`);
}

const file = (seed = 1, input = 3, hidden = 20) => safetensors(gru(seed, input, hidden));
const shape = { batch: 5, steps: 9 };
const x = noise(2, shape.batch * shape.steps * 3);

tests["both entries load, and say what they are"] = async (told) => {
  await refused(() => full.Model.fromPyTorch(file()), "wrong-use", /init/);
  await Promise.all([full.init(), cpu.init()]);
  await full.init();
  const devices = await full.Device.list();
  told(devices.join("; "));
  assert(devices.includes("cpu") && devices.some((text) => /webgpu/.test(text)), "the CPU and WebGPU");
  const model = full.Model.fromPyTorch(file());
  assert(/GRU/.test(String(model)) && model.input === 3 && model.hidden === 20 && !model.hasC, String(model));
  assert(model.readoutAt === undefined && model.leftOver.length === 0, "no readout, nothing left over");
};

tests["WebGPU is the adapter, and auto does not choose a software one"] = async (told) => {
  const device = await full.Device.open("webgpu");
  told(`${device}, software ${device.isSoftware}`);
  assert(device.kind === "gpu" && !device.isLost, String(device));
  const auto = await full.Device.open();
  assert(auto.kind === (device.isSoftware ? "cpu" : "gpu"), String(auto));
};

tests["runs of both entries and of WebGPU agree with the reference"] = async () => {
  const model = full.Model.fromPyTorch(file());
  const truth = await full.Device.open("reference").then((device) => device.load(model).run(x, shape));
  const on_cpu = full.Device.cpu().load(model).runSync(x, shape);
  const small = cpu.Device.cpu().load(cpu.Model.fromPyTorch(file())).runSync(x, shape);
  const on_gpu = await (await full.Device.open("webgpu")).load(model).run(x, shape);
  same(on_cpu.y, small.y, "the same bits in both modules");
  near(on_cpu.y, truth.y, 1e-5, "CPU");
  near(on_gpu.y, truth.y, 1e-5, "WebGPU");
  near(on_gpu.hN, truth.hN, 1e-5, "WebGPU's hN");
};

tests["lengths, layouts, states and resets"] = async () => {
  const model = full.Model.fromPyTorch(safetensors(lstm(3, 3, 12)));
  const device = await full.Device.open("webgpu");
  const lengths = new Uint32Array([9, 0, 4, 7, 1]);
  const h0 = noise(4, 5 * 12), c0 = noise(5, 5 * 12);
  const options = { ...shape, lengths, h0, c0, outputLayout: "time-major", padding: "last" };
  const [a, b] = [full.Device.cpu().load(model).runSync(x, options), await device.load(model).run(x, options)];
  for (const name of ["y", "hN", "cN"]) near(a[name], b[name], 1e-5, name);
  // A session from these states, sequence 2, has the same bits.
  const engine = full.Device.cpu().load(model), session = engine.session(1);
  session.setState({ h: h0.slice(24, 36), c: c0.slice(24, 36) });
  for (let t = 0; t < 4; t++) {
    session.stepSync(x.slice((2 * 9 + t) * 3, (2 * 9 + t + 1) * 3));
    same(session.y, a.y.slice((t * 5 + 2) * 12, (t * 5 + 3) * 12), `step ${t}`);
  }
  same((await session.state()).c, a.cN.slice(24, 36), "c");
  session.reset();
  assert(session.stateSync().h.every((value) => value === 0), "reset");
};

tests["runInto writes what is given"] = async () => {
  const model = full.Model.fromPyTorch(file());
  for (const device of [full.Device.cpu(), await full.Device.open("webgpu")]) {
    const engine = device.load(model);
    const expected = await engine.run(x, shape);
    const y = new Float32Array(expected.y.length).fill(NaN);
    await engine.runInto(x, shape, { y });
    same(y, expected.y, `${device}`);
    await refused(() => engine.runInto(x, shape, { y: new Float32Array(7) }), "wrong-use", /7 numbers, expected 900/);
    await refused(() => engine.runInto(x, shape, { cN: new Float32Array(7) }), "wrong-use", /none/);
  }
};

tests["prepare says its progress, and explain names the kernels"] = async (told) => {
  const model = full.Model.fromPyTorch(safetensors(gru(6, 64, 64)));
  const engine = (await full.Device.open("webgpu")).load(model);
  const seen = [];
  const begun = performance.now();
  await engine.prepare({ batch: 1, steps: 100, onProgress: (done, all) => seen.push([done, all, performance.now() - begun]) });
  told(`prepared in ${(performance.now() - begun).toFixed(0)} ms (kernels until ${seen.map(([, , time]) => time.toFixed(0))}): ${engine.explain({ batch: 1, steps: 100 })}`);
  const all = seen.at(-1)[1];
  assert(all > 1 && seen.length === all + 1 && seen.every(([done], i) => done === i), JSON.stringify(seen));
  assert(engine.memory({ batch: 1, steps: 100 }) > 64 * 192 * 4, "memory");
  const begin = performance.now();
  await engine.run(noise(1, 6400), { batch: 1, steps: 100 });
  told(`first run in ${(performance.now() - begin).toFixed(0)} ms`);
};

tests["sessions on WebGPU have the bits of sequences"] = async () => {
  const model = full.Model.fromPyTorch(file());
  const engine = (await full.Device.open("webgpu")).load(model);
  const { y } = await engine.run(x, shape);
  const session = engine.session(5);
  for (let t = 0; t < 9; t++) {
    const now = new Float32Array(15);
    for (let b = 0; b < 5; b++) now.set(x.slice((b * 9 + t) * 3, (b * 9 + t + 1) * 3), b * 3);
    const step = await session.step(now);
    for (let b = 0; b < 5; b++) same(step.y.slice(b * 20, b * 20 + 20), y.slice((b * 9 + t) * 20, (b * 9 + t + 1) * 20), `${t}`);
  }
  const first = session.step(new Float32Array(15));
  await refused(() => session.step(new Float32Array(15)), "wrong-use", /in flight/);
  await refused(() => session.free(), "wrong-use", /in flight/);
  await first;
  // A call that cannot wait is refused before it begins.
  const before = await session.state();
  const pool = engine.pool();
  const waits = /browser.*without `Sync`/;
  await refused(() => session.stepSync(new Float32Array(15)), "unsupported", waits);
  await refused(() => session.stateSync(), "unsupported", waits);
  await refused(() => engine.runSync(x, shape), "unsupported", waits);
  await refused(() => pool.tickSync(), "unsupported", waits);
  same((await session.state()).h, before.h, "the states after a refused step");
};

tests["pools have the bits of sequences, and go on from a snapshot"] = async () => {
  const model = full.Model.fromPyTorch(file());
  for (const device of [full.Device.cpu(), await full.Device.open("webgpu")]) {
    const engine = device.load(model);
    const { y } = await engine.run(x, shape);
    let pool = engine.pool({ capacity: 4, frames: 2 });
    const streams = [0, 1, 2].map(() => pool.open());
    const got = streams.map(() => []);
    const tick = async () => {
      for (const { stream, y } of await pool.tick()) got[streams.indexOf(stream)].push(...y);
    };
    streams.forEach((stream, b) => pool.push(stream, x.slice(b * 27, b * 27 + 12)));
    await tick();
    assert(pool.pending(streams[0]) === 2 && pool.ready === 3, "two frames are left");
    await tick();
    const saved = await pool.snapshot();
    pool.free();
    pool = engine.pool({ snapshot: saved, frames: 2 });
    assert(pool.streams.length === 3, "streams of the snapshot");
    streams.forEach((stream, b) => pool.push(stream, x.slice(b * 27 + 12, b * 27 + 27)));
    while (pool.ready > 0) await tick();
    got.forEach((all, b) => same(Float32Array.from(all), y.slice(b * 180, b * 180 + 180), `${device}, stream ${b}`));
    await refused(() => pool.push(99, new Float32Array(3)), "wrong-use", /99/);
    pool.close(streams[0]);
    await refused(() => pool.push(streams[0], new Float32Array(3)), "wrong-use", /not open/);
  }
};

tests["wrong input is refused by name"] = async () => {
  const model = full.Model.fromPyTorch(file());
  const engine = full.Device.cpu().load(model);
  await refused(() => full.Model.fromPyTorch(file().slice(0, 100)), "bad-file", /the file/);
  await refused(() => full.Model.fromPyTorch("model.safetensors"), "wrong-use", /String/);
  await refused(() => full.Model.fromPyTorch(file(), { read_out: "head" }), "wrong-use", /read_out is no option.*readoutAt/);
  await refused(() => full.Model.fromPyTorch(new TextEncoder().encode("<!doctype html>")), "bad-file", /HTML page/);
  await refused(() => engine.prepare({ ...shape, onprogress() {} }), "wrong-use", /onprogress is no option.*onProgress/);
  await refused(() => engine.runInto(x, shape, { Y: x }), "wrong-use", /Y is no option/);
  await refused(() => engine.run(x, { ...shape, length: 3 }), "wrong-use", /length is no option.*lengths/);
  assert(/3 features in, 20 out/.test(String(engine)), String(engine));
  await refused(() => full.Model.fromOnnx(new Uint8Array(10), { name: "m.onnx" }), "bad-file", /m\.onnx/);
  await refused(() => engine.runSync(x.slice(1), shape), "wrong-use", /134 numbers, expected 135/);
  await refused(() => engine.runSync(Array.from(x), shape), "wrong-use", /Array, expected a Float32Array/);
  await refused(() => engine.runSync(x, { batch: 0, steps: 9 }), "wrong-use", /batch/);
  await refused(() => engine.runSync(x, { ...shape, lengths: [1, 2, 3, 4, 10] }), "wrong-use", /length/);
  await refused(() => engine.runSync(x, { ...shape, lengths: [1, 2, 3, 4, -1] }), "wrong-use", /lengths/);
  await refused(() => engine.runSync(x, { ...shape, padding: "repeat" }), "wrong-use", /padding.*"zero", "last"/);
  await refused(() => engine.runSync(x, { ...shape, h0: new Float32Array(3) }), "wrong-use", /h0/);
  const bad = x.slice();
  bad[17] = NaN;
  await refused(() => engine.runSync(bad, shape), "wrong-use", /NaN/);
  assert(Number.isNaN(engine.runSync(bad, { ...shape, checkFinite: false }).y[7 * 20]), "NaN passes where it may");
  const session = engine.session();
  await refused(() => session.stepSync(new Float32Array([1, 2])), "wrong-use", /2 numbers, expected 3/);
  await refused(() => session.stepSync(new Float32Array([1, Infinity, 2])), "wrong-use", /Infinity/);
  const moved = x.slice();
  structuredClone(moved, { transfer: [moved.buffer] });
  await refused(() => engine.runSync(moved, shape), "wrong-use", /detached/);
  await refused(() => engine.runSync(x, { batch: 65536, steps: 65536 }), "limit", /bytes/);
  await refused(() => full.Device.open("cuda"), "no-device", /cuda/);
  await refused(() => cpu.Device.open("webgpu"), "no-device", /CPU path alone/);
  await refused(() => full.Device.cpu().load(model, { weights: "int8" }), "wrong-use", /int8/);
  engine.free();
  engine.free();
  await refused(() => engine.runSync(x, shape), "wrong-use", /Engine was freed/);
};

tests["models go through bytes, and files of other frameworks through their modules"] = async (told) => {
  const model = full.Model.fromPyTorch(safetensors(lstm(3, 3, 12)));
  const again = cpu.Model.fromBytes(model.toBytes());
  same(cpu.Device.cpu().load(again).runSync(x, shape).y, full.Device.cpu().load(model).runSync(x, shape).y, "the same model");
  assert(String(again) === String(model), String(again));
  const bytes = model.toBytes();
  for (let length = 0; length < bytes.length; length += 97) {
    await refused(() => full.Model.fromBytes(bytes.slice(0, length)), "bad-file", /end within|begin/);
  }
  for (const [path, read] of [
    ["../../tests/goldens/keras/foreign.keras", (Model, data) => Model.fromKeras(data)],
    ["../../tests/goldens/onnxruntime.onnx", (Model, data) => Model.fromOnnx(data, { nodes: ["lstm_peepholes"] })],
  ]) {
    const data = await (await fetch(new URL(path, import.meta.url))).arrayBuffer();
    for (const { Model, Device } of [full, cpu]) {
      const imported = await read(Model, data);
      told(`${path.split("/").pop()}: ${imported}`);
      const { y } = Device.cpu().load(imported).runSync(noise(7, 4 * imported.input), { batch: 1, steps: 4 });
      assert(y.every(Number.isFinite) && y.some((value) => value !== 0), "numbers");
    }
  }
  await refused(() => cpu.Model.fromOnnx(new Uint8Array(10), { name: "m.onnx" }), "bad-file", /m\.onnx/);
};

tests["a browser without vectors is told so"] = async () => {
  const { validate } = WebAssembly;
  const late = await import("../js/cpu.js?without-vectors");
  WebAssembly.validate = () => false;
  try {
    await refused(() => late.init(), "unsupported", /SIMD128/);
  } finally {
    WebAssembly.validate = validate;
  }
};

tests["relaxed SIMD agrees with the reference, and is refused where there is none"] = async () => {
  const { validate } = WebAssembly;
  WebAssembly.validate = (bytes) => bytes.length < 40 && validate(bytes);
  try {
    assert(!cpu.hasRelaxedSimd(), "relaxed SIMD without");
    await refused(() => relaxed.init(), "unsupported", /wgru\/cpu/);
  } finally {
    WebAssembly.validate = validate;
  }
  assert(cpu.hasRelaxedSimd() && full.hasRelaxedSimd(), "Chromium has relaxed SIMD");
  await relaxed.init();
  const device = relaxed.Device.cpu();
  for (const make of [gru, lstm]) {
    const weights = safetensors(make(3, 3, 20));
    const truth = (await full.Device.open("reference")).load(full.Model.fromPyTorch(weights)).runSync(x, shape);
    near(device.load(relaxed.Model.fromPyTorch(weights)).runSync(x, shape).y, truth.y, 1e-6, make.name);
  }
};

tests["two runs at once, and what is freed meanwhile"] = async () => {
  const model = full.Model.fromPyTorch(file());
  for (const device of [full.Device.cpu(), await full.Device.open("webgpu")]) {
    const engine = device.load(model);
    const other = noise(8, x.length);
    const alone = [await engine.run(x, shape), await engine.run(other, shape)];
    const both = [engine.run(x, shape), engine.run(other, shape)];
    engine.free();
    const together = await Promise.all(both);
    together.forEach((output, i) => same(output.y, alone[i].y, `run ${i}`));
    await refused(() => engine.run(x, shape), "wrong-use", /freed/);
    await refused(() => engine.session(), "wrong-use", /freed/);
  }
};

tests["sizes beyond the module's memory are refused by name"] = async () => {
  const engine = cpu.Device.cpu().load(cpu.Model.fromPyTorch(file()));
  for (const streams of [2 ** 27, 2 ** 30, 2 ** 32 - 1]) {
    await refused(() => engine.session(streams), "limit", /./);
    await refused(() => engine.pool({ capacity: streams, fixed: true }), "limit", /./);
  }
  await refused(() => engine.runSync(x, { batch: 2 ** 16, steps: 2 ** 15 }), "limit", /bytes/);
  assert(engine.runSync(x, shape).y.every(Number.isFinite), "the module goes on");
};

tests["a Worker computes the same bits"] = async () => {
  const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  const answer = new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data));
    worker.onerror = (event) => reject(new Error(event.message));
  });
  worker.postMessage({ file: file(), x, shape });
  const { cpu: of_cpu, gpu } = await answer;
  worker.terminate();
  const expected = full.Device.cpu().load(full.Model.fromPyTorch(file())).runSync(x, shape).y;
  same(of_cpu, expected, "CPU");
  near(gpu, expected, 1e-5, "WebGPU");
};

tests["an AudioWorklet computes every sample, and creates nothing in a steady step"] = async (told) => {
  const model = safetensors(gru(8, 1, 24, "head"));
  const module = await WebAssembly.compileStreaming(fetch(new URL("../pkg/cpu/wgru_web_bg.wasm", import.meta.url)));
  const seconds = 2, rate = 48000;
  const context = new OfflineAudioContext(1, seconds * rate, rate);
  await context.audioWorklet.addModule(new URL("./worklet.js", import.meta.url));
  const options = { readout: "head" };
  const node = new AudioWorkletNode(context, "wgru-test", { processorOptions: { module, model, options } });
  const said = [];
  node.port.onmessage = ({ data }) => said.push(data);
  node.connect(context.destination);
  const source = context.createBufferSource();
  const sound = noise(9, seconds * rate);
  source.buffer = new AudioBuffer({ length: sound.length, sampleRate: rate });
  source.buffer.copyToChannel(sound, 0);
  source.connect(node);
  source.start();
  const begun = performance.now();
  const samples = (await context.startRendering()).getChannelData(0);
  told(`${seconds} s of audio in ${(performance.now() - begun).toFixed(0)} ms`);
  assert(said.length === 0, said.join("; "));
  // One step a sample, the same by a run over all.
  const engine = cpu.Device.cpu().load(cpu.Model.fromPyTorch(model, options));
  const session = engine.session();
  const one = new Float32Array(1);
  for (let i = 0; i < samples.length; i += 1) {
    one[0] = sound[i];
    session.stepSync(one);
    if (!Object.is(samples[i], session.out[0])) throw new Error(`sample ${i} is ${samples[i]}, expected ${session.out[0]}`);
  }
};

tests["a GPU without memory says so, and goes on when there is some"] = async (told) => {
  const engine = (await full.Device.open("webgpu")).load(full.Model.fromPyTorch(file()));
  const before = await engine.run(x, shape);
  // More than the driver gives to one buffer: the error is the driver's own.
  const { createBuffer } = GPUDevice.prototype;
  const larger = { batch: 64, steps: 50 };
  const frames = noise(9, 64 * 50 * 3);
  GPUDevice.prototype.createBuffer = function (descriptor) {
    return createBuffer.call(this, { ...descriptor, size: this.limits.maxBufferSize, mappedAtCreation: false });
  };
  try {
    const error = await refused(() => engine.run(frames, larger), "limit", /memory/i);
    told(error.message);
  } finally {
    GPUDevice.prototype.createBuffer = createBuffer;
  }
  same((await engine.run(x, shape)).y, before.y, "the shape that was there before");
  await engine.run(frames, larger);
};

tests["a device that is lost says so, and others go on"] = async () => {
  const model = full.Model.fromPyTorch(file());
  // The device that the module gets is the next one that the browser gives.
  const request = GPUAdapter.prototype.requestDevice;
  let given;
  GPUAdapter.prototype.requestDevice = async function (...args) { return (given = await request.apply(this, args)); };
  const device = await full.Device.open("webgpu");
  GPUAdapter.prototype.requestDevice = request;
  const engine = device.load(model), session = engine.session();
  await engine.run(x, shape);
  given.destroy();
  await given.lost;
  await refused(() => engine.run(x, shape), "lost-device", /lost|destroyed/);
  await refused(() => session.step(new Float32Array(3)), "lost-device", /lost|destroyed/);
  const again = (await full.Device.open("webgpu")).load(model);
  near((await again.run(x, shape)).y, full.Device.cpu().load(model).runSync(x, shape).y, 1e-5, "another device");
};

export default async function (told) {
  const failures = [];
  for (const [name, test] of Object.entries(tests)) {
    const begun = performance.now();
    try {
      await test((line) => told(`    ${line}`));
      told(`ok ${name} (${(performance.now() - begun).toFixed(0)} ms)`);
    } catch (error) {
      failures.push(`${name}: ${error.name}: ${error.message}\n${error.stack}`);
    }
  }
  told(`${Object.keys(tests).length - failures.length} passed, ${failures.length} failed`);
  return failures;
}
