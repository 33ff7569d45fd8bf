// Models with random weights, as files of PyTorch's names, and noise: the same for a seed everywhere.

/** Numbers in [-1, 1), from a seed (mulberry32). */
export function noise(seed, count, scale = 1) {
  let state = seed * 0x9e3779b9;
  return Float32Array.from({ length: count }, () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return scale * (((t ^ (t >>> 14)) >>> 0) / 2147483648 - 1);
  });
}

/** A stack of layers: `projection` is P of an LSTM, `readout` the name of a dense layer, with one output unless `outputs` says more. */
export function stack(seed, { gates, input, hidden, layers = 1, directions = 1, projection, readout, outputs = 1 }) {
  const scale = 1 / Math.sqrt(hidden), state = projection ?? hidden, tensors = {};
  const add = (name, shape, of = scale) => {
    tensors[name] = [shape, noise(seed++, shape.reduce((a, b) => a * b), of)];
  };
  for (let layer = 0; layer < layers; layer++) {
    for (const end of ["", "_reverse"].slice(0, directions)) {
      add(`weight_ih_l${layer}${end}`, [gates * hidden, layer === 0 ? input : directions * state]);
      add(`weight_hh_l${layer}${end}`, [gates * hidden, state]);
      add(`bias_ih_l${layer}${end}`, [gates * hidden]);
      add(`bias_hh_l${layer}${end}`, [gates * hidden]);
      if (projection) add(`weight_hr_l${layer}${end}`, [projection, hidden]);
    }
  }
  if (readout) {
    add(`${readout}.weight`, [outputs, directions * state]);
    add(`${readout}.bias`, [outputs], 1);
  }
  return tensors;
}

export const gru = (seed, input, hidden, readout) => stack(seed, { gates: 3, input, hidden, readout });
export const lstm = (seed, input, hidden) => stack(seed, { gates: 4, input, hidden });

/** The bytes of a safetensors file. */
export function safetensors(tensors) {
  const header = {};
  let end = 0;
  for (const [name, [shape, data]] of Object.entries(tensors)) {
    header[name] = { dtype: "F32", shape, data_offsets: [end, end + data.byteLength] };
    end += data.byteLength;
  }
  let text = JSON.stringify(header);
  text += " ".repeat((8 - (text.length % 8)) % 8);
  const file = new Uint8Array(8 + text.length + end);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
  file.set(new TextEncoder().encode(text), 8);
  for (const [name, [, data]] of Object.entries(tensors)) {
    file.set(new Uint8Array(data.buffer), 8 + text.length + header[name].data_offsets[0]);
  }
  return file;
}
