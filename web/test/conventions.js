// Every convention that PyTorch's importer has, on the CPU path and with each kind of kernel on WebGPU: within the tolerance of the f64 reference, and
// with the same bits from every kind. With the argument `all` more sizes, 16-bit weights, and numbers drawn from the clock.
import { init, Device, Model, WgruError } from "../js/index.js";
import { noise, safetensors, stack } from "./models.js";

const CASES = [
  ["GRU", { gates: 3 }, {}],
  ["GRU, reset before", { gates: 3 }, { reset: "before" }],
  ["GRU, update takes", { gates: 3 }, { update: "takes" }],
  ["GRU, reset before, update takes, both directions", { gates: 3, directions: 2 }, { reset: "before", update: "takes" }],
  ["LSTM", { gates: 4 }, {}],
  ["LSTM with a projection, both directions", { gates: 4, projection: 9, directions: 2 }, {}],
  ["RNN", { gates: 1 }, { cell: "rnn" }],
  ["RNN of ReLU, both directions", { gates: 1, directions: 2 }, { cell: "rnn-relu" }],
  ["GRU, two layers, both directions, a readout", { gates: 3, layers: 2, directions: 2, readout: "head" }, { readout: "head", readoutAt: "every" }],
  ["LSTM, two layers", { gates: 4, layers: 2 }, {}],
  ["GRU, a readout with softmax", { gates: 3, readout: "head", outputs: 5 }, { readout: "head", readoutAt: "every", readoutActivation: "softmax" }],
  ["GRU, a readout with tanh", { gates: 3, readout: "head", outputs: 70 }, { readout: "head", readoutActivation: "tanh" }],
];
// Nodes of tests/goldens/onnxruntime.onnx: other activations, clips, peepholes, coupled gates.
const NODES = [
  "gru_clip", "gru_clip_reset_after", "gru_hard_sigmoid", "gru_elu_reverse", "gru_before_wide", "gru_activations_both_ways", "lstm_clip",
  "lstm_activations_both_ways", "lstm_input_forget", "lstm_peepholes", "lstm_softplus_relu", "rnn_clip",
];
const STRATEGIES = ["step", "persistent", "streamed"];
const EPSILON = { f32: 2 ** -23, f16: 2 ** -10, bf16: 2 ** -7 };
const ARRAYS = ["y", "hN", "cN", "out"];

/** The first difference between outputs beyond `most`, or between their bits where `most` is undefined. */
function difference(a, b, most) {
  for (const name of ARRAYS) {
    if (a[name]?.length !== b[name]?.length) return `${name} has ${a[name]?.length} numbers, expected ${b[name]?.length}`;
    for (let i = 0; i < (a[name]?.length ?? 0); i++) {
      const equal = most === undefined ? Object.is(a[name][i], b[name][i]) : Math.abs(a[name][i] - b[name][i]) <= most;
      if (!equal) return `${name} has ${a[name][i]} at ${i}, expected ${b[name][i]}`;
    }
  }
}

export default async function (told, argument) {
  await init();
  const [all, seed] = argument === "all" ? [true, Date.now() % 1e6] : [false, 25];
  const failures = [], runs = { cpu: 0 }, refused = new Set();
  const reference = await Device.open("reference"), gpu = await Device.open("webgpu"), cpu = Device.cpu();
  const file = await (await fetch(new URL("../../tests/goldens/onnxruntime.onnx", import.meta.url))).arrayBuffer();
  for (const size of all ? [5, 20, 64, 130] : [20]) {
    for (const weights of all ? ["f32", "f16", "bf16"] : ["f32"]) {
      const of_pytorch = CASES.map(([name, of, options]) => [
        name, async () => Model.fromPyTorch(safetensors(stack(seed + size, { input: 3 + (size % 3), hidden: size, ...of })), options),
      ]);
      const of_onnx = NODES.map((name) => [name, () => Model.fromOnnx(file, { nodes: [name] })]);
      for (const [name, read] of size === 20 ? [...of_pytorch, ...of_onnx] : of_pytorch) {
        const model = await read();
        const { input, hidden } = model, batch = 5, steps = 9;
        const x = noise(seed + 1000, batch * steps * input);
        const h0 = noise(seed + 2000, model.numStates * batch * model.stateSize);
        const c0 = model.hasC ? noise(seed + 3000, model.numStates * batch * hidden) : undefined;
        const ragged = { batch, steps, lengths: new Uint32Array([9, 0, 4, 7, 1]), h0, c0, padding: "last", outputLayout: "time-major" };
        const restarted = { batch, steps, resets: Uint32Array.from({ length: batch * steps }, (_, i) => Number(i % 7 === 3)) };
        // A reset ends a sequence for layers that walk forward; others refuse it.
        const forward = /[0-9] forward layer/.test(String(model));
        for (const [how, run] of Object.entries(forward ? { ragged, restarted } : { ragged })) {
          const what = (where) => `${name}, H ${hidden}, ${weights}, ${how}, ${where}, seed ${seed}`;
          const truth = await reference.load(model).run(x, run);
          const largest = ARRAYS.reduce((most, name) => (truth[name] ?? []).reduce((a, b) => Math.max(a, Math.abs(b)), most), 1);
          const most = largest * (4 * EPSILON[weights] + 4 * Math.sqrt(input + hidden) * EPSILON.f32);
          const check = (output, where) => {
            const wrong = difference(output, truth, most);
            if (wrong) failures.push(`${what(where)}: ${wrong}`);
          };
          check(cpu.load(model, { weights }).runSync(x, run), "CPU");
          runs.cpu += 1;
          let first;
          for (const strategy of STRATEGIES) {
            let output;
            try {
              output = await gpu.load(model, { weights, strategy }).run(x, run);
            } catch (error) {
              if (!(error instanceof WgruError) || !["unsupported", "limit"].includes(error.kind)) failures.push(`${what(strategy)}: ${error.kind} ${error.message}`);
              else refused.add(`${strategy}: ${error.message}`);
              continue;
            }
            runs[strategy] = (runs[strategy] ?? 0) + 1;
            check(output, strategy);
            first ??= { strategy, output };
            const wrong = difference(output, first.output);
            if (wrong) failures.push(`${what(strategy)}: other bits than ${first.strategy}: ${wrong}`);
          }
        }
        model.free();
      }
    }
  }
  told(`${Object.entries(runs).map(([kind, count]) => `${kind} ${count}`).join(", ")} runs, seed ${seed}`);
  for (const reason of refused) told(`refused: ${reason}`);
  for (const strategy of STRATEGIES) {
    if (!(runs[strategy] >= CASES.length)) failures.push(`${strategy}: ${runs[strategy] ?? 0} runs, expected ${CASES.length} and more`);
  }
  return failures.slice(0, 20);
}
