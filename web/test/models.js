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

function recurrent(seed, gates, input, hidden, readout) {
  const scale = 1 / Math.sqrt(hidden);
  const tensors = {
    weight_ih_l0: [[gates * hidden, input], noise(seed, gates * hidden * input, scale)],
    weight_hh_l0: [[gates * hidden, hidden], noise(seed + 1, gates * hidden * hidden, scale)],
    bias_ih_l0: [[gates * hidden], noise(seed + 2, gates * hidden, scale)],
    bias_hh_l0: [[gates * hidden], noise(seed + 3, gates * hidden, scale)],
  };
  if (readout) {
    tensors[`${readout}.weight`] = [[1, hidden], noise(seed + 4, hidden, scale)];
    tensors[`${readout}.bias`] = [[1], noise(seed + 5, 1)];
  }
  return tensors;
}

export const gru = (seed, input, hidden, readout) => recurrent(seed, 3, input, hidden, readout);
export const lstm = (seed, input, hidden) => recurrent(seed, 4, input, hidden);

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
