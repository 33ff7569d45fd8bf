// What is checked before an argument reaches a module, and the errors that say what is wrong.

/** An error of this package. */
export class WgruError extends Error {
  constructor(message, kind, cause) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "WgruError";
    this.kind = kind;
  }
}

export const wrong = (message) => new WgruError(message, "wrong-use");

/** An error of the module, as one of the package. */
export function raised(error) {
  if (error instanceof WgruError) return error;
  if (typeof error?.kind === "string") return new WgruError(error.message, error.kind);
  if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) {
    return new WgruError(
      `the module ended: ${error.message}; load it anew (the console may say why)`, "internal", error,
    );
  }
  return error;
}

/** The value of `call`, its errors those of the package. */
export function guard(call) {
  try {
    return call();
  } catch (error) {
    throw raised(error);
  }
}

export const guarded = (promise) => promise.catch((error) => { throw raised(error); });

/** A whole number from `least` on. */
export function whole(value, name, least = 1) {
  if (!Number.isSafeInteger(value) || value < least || value >= 2 ** 32) {
    throw wrong(`${name}: ${String(value)} is no whole number of at least ${least}`);
  }
  return value;
}

/** One of some words, as its place among them. */
export function choice(value, words, name) {
  const place = value === undefined ? 0 : words.indexOf(value);
  if (place < 0) throw wrong(`${name}: ${String(value)} is none of ${words.map((word) => `"${word}"`).join(", ")}`);
  return place;
}

/** An array of `Type`, whose memory is there. */
export function array(value, Type, name, length) {
  if (!(value instanceof Type)) {
    throw wrong(`${name} is ${value?.constructor?.name ?? typeof value}, expected a ${Type.name}`);
  }
  if (value.buffer.detached ?? (value.length === 0 && value.buffer.byteLength === 0 && length > 0)) {
    throw wrong(`${name}: its buffer is detached, since it was transferred; make a copy before you transfer it`);
  }
  if (length !== undefined && value.length !== length) {
    throw wrong(`${name} has ${value.length} numbers, expected ${length}`);
  }
  return value;
}

/** The options of a call, which has no others than `known`. */
export function only(options, known) {
  for (const name of Object.keys(options ?? {})) {
    if (!known.includes(name)) throw wrong(`${name} is no option of this call, which has ${known.join(", ")}`);
  }
  return options ?? {};
}

/** Whole numbers, from an array of any kind. */
export function counts(value, name, length) {
  const all = value instanceof Uint32Array ? value : Uint32Array.from(value, (count) => whole(count, name, 0));
  return array(all, Uint32Array, name, length);
}

export function bytes(value, name) {
  let of;
  if (value instanceof ArrayBuffer) {
    if (value.detached) throw wrong(`${name}: the buffer is detached, since it was transferred`);
    of = new Uint8Array(value);
  } else if (ArrayBuffer.isView(value)) {
    of = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }
  if (of?.[0] === 60) {
    throw new WgruError(`${name} begins with "<", as an HTML page does: check the address, and the response's ok, before you read it`, "bad-file");
  }
  if (of) return of;
  throw wrong(`${name} is ${value?.constructor?.name ?? typeof value}, expected an ArrayBuffer or a Uint8Array`);
}

// A module addresses 4 GiB; its own state and the arrays of a run share them.
export const MOST_BYTES = 2 ** 32 - 2 ** 26;
export const LAYOUTS = ["batch-major", "time-major", "direction-major"];
export const PADDINGS = ["zero", "last"];

export const OPTIONS = {
  pytorch: ["name", "prefix", "cell", "reset", "update", "readout", "readoutAt", "readoutActivation"],
  onnx: ["name", "nodes", "module"],
  keras: ["name", "layers", "config", "kerasVersion", "readout", "readoutAt", "module"],
  engine: ["weights", "activations", "memory", "strategy"],
  run: ["batch", "steps", "lengths", "h0", "c0", "resets", "layout", "outputLayout", "padding", "checkFinite"],
  output: ["y", "hN", "cN", "out"],
  prepare: ["batch", "steps", "onProgress"],
  shape: ["batch", "steps"],
  pool: ["capacity", "fixed", "frames", "queue", "nonFinite", "snapshot"],
};
