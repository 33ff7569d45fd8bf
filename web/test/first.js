// The first answer of a page: the package and the model of CO2 are fetched, compiled, prepared, and forecast 109 windows. ARGUMENT: the
// device. The numbers are compared with those that PyTorch gave; the time is told. So are the times to prepare small layers, one kernel
// after the other.
import { gru, lstm, safetensors } from "./models.js";

const fetched = async (path) => (await fetch(new URL(path, import.meta.url))).arrayBuffer();

export default async function (told, selector) {
  const start = performance.now();
  const { init, Device, Model } = await import("../js/index.js");
  await init();
  const [file, table] = await Promise.all([fetched("../../models/co2_gru.safetensors"), fetched("../../data/co2_mauna_loa.csv")]);
  const header = new TextDecoder().decode(new Uint8Array(file, 8, Number(new DataView(file).getBigUint64(0, true))));
  const task = JSON.parse(header).__metadata__;
  const [window, horizon, scale] = ["window", "horizon", "scale"].map((name) => Number(task[`wgru.${name}`]));
  const rows = new TextDecoder().decode(table).trim().split("\n").slice(1).map((row) => row.split(",").map(Number));
  const c = rows.map((row) => row[2]);
  const held_out = (e) => e + horizon < c.length && rows[e + 1][0] >= Number(task["wgru.held_out_from"].slice(0, 4));
  const ends = rows.map((_, e) => e).filter((e) => e + 1 >= window && e + 1 < c.length && held_out(e));
  const x = Float32Array.from(ends.flatMap((e) => c.slice(e + 1 - window, e + 1).map((value) => (value - c[e]) / scale)));

  const shape = { batch: ends.length, steps: window };
  const model = Model.fromPyTorch(file, { readout: task["wgru.readout"], readoutAt: task["wgru.readout_at"] });
  const engine = (await Device.open(selector)).load(model);
  await engine.prepare(shape);
  const prepared = performance.now();
  const { out } = await engine.run(x, shape);
  const end = performance.now();
  told(`${selector}: ${Math.round(end - start)} ms, of which preparing ends at ${Math.round(prepared - start)} and the run takes ${Math.round(end - prepared)}`);

  for (const [name, make] of Object.entries({ gru, lstm })) {
    const device = await Device.open(selector);
    const small = device.load(Model.fromPyTorch(safetensors(make(1, 64, 64))));
    const parts = [];
    let last = performance.now();
    const onProgress = () => {
      const now = performance.now();
      parts.push(Math.round(now - last));
      last = now;
    };
    await small.prepare({ batch: 1, steps: 100, onProgress });
    onProgress();
    told(`${selector}: ${name} (1, 100, 64, 64) is prepared in ${parts.reduce((sum, part) => sum + part, 0)} ms (${parts.join(" + ")})`);
  }

  const failures = [];
  const { windows, forecasts } = await (await fetch(new URL("../../models/co2_gru_expected.json", import.meta.url))).json();
  if (ends.length !== windows) failures.push(`${ends.length} windows, expected ${windows}`);
  for (const { e, ppm } of forecasts) {
    const at = ends.indexOf(e);
    ppm.forEach((expected, h) => {
      const got = c[e] + scale * out[at * horizon + h];
      if (!(Math.abs(got - expected) < 1e-3)) failures.push(`window to row ${e}, month ${h + 1}: ${got} ppm, expected ${expected}`);
    });
  }
  return failures;
}
