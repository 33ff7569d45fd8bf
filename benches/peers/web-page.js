// What web.mjs runs in its page: one case on both engines and both backends, in turns.
import * as full from "/web/js/index.js";
import * as relaxed from "/web/js/cpu-relaxed.js";
import { noise } from "/web/test/models.js";

/** Of each backend, the package's entry and its device, and onnxruntime-web's provider and bundle. */
const BACKENDS = {
  webassembly: [full, "cpu", "wasm", "ort.wasm.bundle.min.mjs"],
  "webassembly, relaxed SIMD": [relaxed, "cpu", "wasm", "ort.wasm.bundle.min.mjs"],
  webgpu: [full, "webgpu", "webgpu", "ort.webgpu.bundle.min.mjs"],
};
const FOLDER = "/target/peers/node_modules/onnxruntime-web/dist/";

/** The least time that a round measures, in milliseconds: the browser's clock has steps of 0.1. */
const ROUND = 60;

const fetched = async (path) => new Uint8Array(await (await fetch(path)).arrayBuffer());
const middle = (all) => { const sorted = [...all].sort((a, b) => a - b); return sorted[sorted.length >> 1]; };
const digits = (value) => Number(value.toPrecision(4));

/** The largest difference from the reference. */
const error = (y, expected) => y.reduce((most, value, at) => {
  const off = Math.abs(value - expected[at]);
  return off <= most ? most : Number.isNaN(off) ? Infinity : off;
}, 0);

/** Milliseconds of a run, the mean of as many as a round has time for. */
async function timed(run) {
  const start = performance.now();
  let runs = 0;
  do {
    await run();
    runs += 1;
  } while (performance.now() - start < ROUND);
  return (performance.now() - start) / runs;
}

/** Rows of the table. */
export async function measure({ name, file, batch, steps, input, hidden }, rounds, backends) {
  await full.init();
  await relaxed.init();
  const x = noise(99, batch * steps * input);
  const shape = { batch, steps };
  const weights = await fetched(`${file}.safetensors`);
  const expected = (await full.Device.open("reference")).load(full.Model.fromPyTorch(weights)).runSync(x, shape).y;
  // ONNX has steps before the batch, in x and in y.
  const swap = (data, [outer, inner, width]) => {
    const swapped = new Float32Array(data.length);
    for (let i = 0; i < outer; i++) for (let j = 0; j < inner; j++) {
      swapped.set(data.subarray((i * inner + j) * width, (i * inner + j + 1) * width), (j * outer + i) * width);
    }
    return swapped;
  };
  const onnx = await fetched(`${file}.onnx`);
  const swapped = swap(x, [batch, steps, input]);
  const rows = [];
  for (const backend of backends) {
    const [{ Device, Model }, selector, provider, bundle] = BACKENDS[backend];
    const ort = await import(FOLDER + bundle);
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmPaths = FOLDER;
    ort.env.logLevel = "error";
    const feed = new ort.Tensor("float32", swapped, [steps, batch, input]);
    const engine = (await Device.open(selector)).load(Model.fromPyTorch(weights));
    const y = new Float32Array(expected.length);
    const ours = selector === "cpu"
      ? () => engine.runIntoSync(x, shape, { y })
      : () => engine.runInto(x, shape, { y });
    const session = await ort.InferenceSession.create(onnx, { executionProviders: [provider] });
    const names = { x: session.inputNames[0], y: session.outputNames[0] };
    let theirs;
    const peer = async () => {
      const outputs = await session.run({ [names.x]: feed });
      theirs = await outputs[names.y].getData();
    };
    await ours();
    await peer();
    const errors = [error(y, expected), error(swap(theirs, [steps, batch, hidden]), expected)];
    if (!(Math.max(...errors) < 1e-4)) throw new Error(`${name} on ${backend}: errors ${errors}`);
    const times = [[], []];
    for (let round = 0; round < rounds; round++) {
      // Who begins changes by rounds.
      for (const which of round % 2 ? [1, 0] : [0, 1]) times[which].push(await timed([ours, peer][which]));
    }
    const ratios = times[0].map((own, at) => times[1][at] / own);
    rows.push([
      name, `"${backend}"`, ...[middle(times[0]), Math.min(...times[0]), middle(times[1]), Math.min(...times[1])].map(digits),
      ...[middle(ratios), Math.min(...ratios), Math.max(...ratios)].map(digits), ...errors.map((value) => value.toExponential(1)),
    ]);
    await session.release();
  }
  return rows;
}
