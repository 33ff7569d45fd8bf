// The classes of the package, over a module of WebAssembly: `bind` makes them for the full module and for the one of the CPU path.
// Files of ONNX and Keras are read by modules of their own, which hand the model over as bytes.
// Documentation for users is in index.d.ts.

import {
  array, bytes, choice, counts, guard, guarded, LAYOUTS, MOST_BYTES, only, OPTIONS, PADDINGS, raised, WgruError, whole, wrong,
} from "./checks.js";
import { IMPORTERS } from "./importers.js";

// A function that returns a vector: browsers without vectors refuse it.
const VECTORS = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
);

// A function with a relaxed multiply-add.
const RELAXED = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 19, 1, 17, 0,
  65, 0, 253, 15, 65, 0, 253, 15, 65, 0, 253, 15, 253, 133, 2, 11,
);

/** Whether this browser has relaxed SIMD, which `wgru/cpu/relaxed` needs. */
export const hasRelaxedSimd = () => WebAssembly.validate(RELAXED);

function needVectors(relaxed) {
  if (!WebAssembly.validate(VECTORS)) {
    throw new WgruError("this browser has no vectors of WebAssembly (SIMD128), which the package needs: use a newer one", "unsupported");
  }
  if (relaxed && !hasRelaxedSimd()) {
    throw new WgruError("this browser has no relaxed SIMD, which wgru/cpu/relaxed needs: import wgru/cpu", "unsupported");
  }
}

/**
 * The classes for `module`, what wasm-bindgen made, whose file is at `url()`: an AudioWorklet has no URL, and needs none. `relaxed`: it
 * has relaxed SIMD.
 */
export function bind(module, url, relaxed = false) {
  let exports;

  const ready = () => {
    if (!exports) throw wrong("call `await init()` first, or `initSync(module)`");
    return module;
  };

  async function init(source) {
    if (exports) return;
    needVectors(relaxed);
    exports = await guarded(module.default({ module_or_path: source ?? url() }));
  }

  function initSync(source) {
    if (exports) return;
    needVectors(relaxed);
    exports = guard(() => module.initSync({ module: source }));
  }

  /** An object of the module, until it is freed. */
  class Handle {
    #inner;

    constructor(inner) {
      this.#inner = inner;
    }

    static of(handle, Type, name) {
      if (!(handle instanceof Type)) throw wrong(`${name} is no ${Type.name}`);
      return handle.#live();
    }

    #live() {
      if (!this.#inner) throw wrong(`this ${this.constructor.name} was freed`);
      return this.#inner;
    }

    /** @internal */
    get inner() {
      return this.#live();
    }

    free() {
      this.#inner?.free();
      this.#inner = undefined;
    }

    [Symbol.dispose ?? Symbol.for("dispose")]() {
      this.free();
    }
  }

  class Model extends Handle {
    static fromPyTorch(data, options) {
      const { name = "the file", prefix, cell, reset, update, readout, readoutAt, readoutActivation } = only(options, OPTIONS.pytorch);
      const file = bytes(data, name);
      return guard(() => new Model(
        ready().Model.pytorch(name, file, prefix, cell, reset, update, readout, readoutAt, readoutActivation),
      ));
    }

    /** The model that another module of the package reads from a file. @internal */
    static async #imported(kind, source, read) {
      ready();
      let importer;
      try {
        const [module, file] = await IMPORTERS[kind].load();
        await module.default({ module_or_path: source ?? file });
        importer = module.Model;
      } catch (error) {
        throw new WgruError(
          `the module that reads ${IMPORTERS[kind].name} files could not be loaded (${error.message}): see that pkg/${kind} is served, ` +
          "or give a worklet what `toBytes()` of a page's model gives", "unsupported", error,
        );
      }
      const file = guard(() => read(importer));
      try {
        return Model.fromBytes(guard(() => file.to_bytes()));
      } finally {
        file.free();
      }
    }

    static async fromOnnx(data, options) {
      const { name = "the file", nodes, module } = only(options, OPTIONS.onnx);
      const file = bytes(data, name);
      return Model.#imported("onnx", module, (importer) => importer.onnx(name, file, nodes?.join(",")));
    }

    static async fromKeras(data, options) {
      const { name = "the file", layers, config, kerasVersion, readout, readoutAt, module } = only(options, OPTIONS.keras);
      const file = bytes(data, name);
      return Model.#imported("keras", module, (importer) => (
        importer.keras(name, file, layers, config, kerasVersion, readout, readoutAt)
      ));
    }

    static fromBytes(data) {
      const file = bytes(data, "the bytes of a model");
      return guard(() => new Model(ready().Model.from_bytes(file)));
    }

    toBytes() {
      const inner = this.inner;
      return guard(() => inner.to_bytes());
    }

    get input() { return this.inner.input; }
    get output() { return this.inner.output; }
    get hidden() { return this.inner.hidden; }
    get readoutOutputs() { return this.inner.outputs; }
    get readoutAt() { return this.inner.outputs === 0 ? undefined : this.inner.at_every_step ? "every" : "last"; }
    get readoutActivation() { return this.inner.activation; }
    get numStates() { return this.inner.num_states; }
    get stateSize() { return this.inner.state_size; }
    get hasC() { return this.inner.has_c; }
    get decisions() { return this.inner.decisions(); }
    get leftOver() { return this.inner.left_over(); }
    get initialStates() { return this.inner.initial_states(); }
    toString() { return this.inner.text(); }
  }

  class Device extends Handle {
    static async open(selector = "auto") {
      if (!ready().Device.open) {
        if (!["auto", "cpu"].includes(selector)) {
          throw new WgruError(`no device matches ${selector}: this module has the CPU path alone`, "no-device");
        }
        return Device.cpu();
      }
      return new Device(await guarded(ready().Device.open(String(selector))));
    }

    static cpu() {
      return new Device(guard(() => ready().Device.cpu()));
    }

    static async list() {
      return ready().Device.list ? guarded(module.Device.list()) : [Device.cpu().toString()];
    }

    get kind() { return this.inner.kind; }
    get isSoftware() { return this.inner.is_software; }
    get isLost() { return this.inner.is_lost; }
    toString() { return this.inner.text(); }

    load(model, options) {
      const { weights, activations, memory, strategy } = only(options, OPTIONS.engine);
      const device = this.inner;
      const of = Handle.of(model, Model, "the model");
      const engine = guard(() => device.load(of, weights, activations, memory, strategy));
      const { input, output, readoutOutputs, readoutAt, numStates, stateSize, hasC } = model;
      return new Engine(engine, { input, output, readoutOutputs, readoutAt, numStates, stateSize, hasC }, this.kind);
    }
  }

  /** The arrays of a batch, checked, as the module takes them. */
  function batch(sizes, x, options) {
    const { batch, steps, lengths, h0, c0, resets, layout, outputLayout, padding } = only(options, OPTIONS.run);
    const b = whole(batch, "batch"), t = whole(steps, "steps");
    const of = sizes, count = b * t;
    const places = [choice(layout, LAYOUTS.slice(0, 2), "layout"), choice(outputLayout, LAYOUTS, "outputLayout")];
    const repeats = choice(padding, PADDINGS, "padding") === 1;
    const most = 4 * count * (of.input + 2 * of.output + of.readoutOutputs);
    if (most > MOST_BYTES) {
      throw new WgruError(
        `a batch of ${b} sequences of ${t} steps takes ${most} bytes, a module of WebAssembly has ${MOST_BYTES}: run fewer sequences at once`,
        "limit",
      );
    }
    array(x, Float32Array, "x", count * of.input);
    const input = guard(() => new module.Input(x, b, t, of.input, ...places, repeats));
    try {
      if (lengths !== undefined) guard(() => input.lengths(counts(lengths, "lengths", b)));
      if (resets !== undefined) guard(() => input.resets(counts(resets, "resets", count)));
      if (h0 !== undefined) guard(() => input.h0(array(h0, Float32Array, "h0")));
      if (c0 !== undefined) guard(() => input.c0(array(c0, Float32Array, "c0")));
    } catch (error) {
      input.free();
      throw error;
    }
    return input;
  }

  /** The caller's arrays for an output, as the module takes them. */
  function target(options) {
    const { y, hN, cN, out } = only(options, OPTIONS.output);
    for (const [name, value] of Object.entries({ y, hN, cN, out })) {
      if (value !== undefined) array(value, Float32Array, `output.${name}`);
    }
    return new module.Target(y, hN, cN, out);
  }

  class Engine extends Handle {
    #sizes;
    #kind;

    constructor(inner, sizes, kind) {
      super(inner);
      this.#sizes = sizes;
      this.#kind = kind;
    }

    get progress() { return this.inner.progress; }
    toString() { return `an engine on ${this.#kind === "gpu" ? "a GPU" : this.#kind}: ${this.#sizes.input} features in, ${this.#sizes.output} out`; }

    async run(x, options) {
      const engine = this.inner;
      if (!engine.run) return this.runSync(x, options);
      return guarded(engine.run(batch(this.#sizes, x, options), options?.checkFinite ?? true));
    }

    async runInto(x, options, output) {
      const engine = this.inner;
      if (!engine.run_into) return this.runIntoSync(x, options, output);
      const to = target(output);
      return guarded(engine.run_into(batch(this.#sizes, x, options), options?.checkFinite ?? true, to));
    }

    runSync(x, options) {
      const engine = this.inner;
      const input = batch(this.#sizes, x, options);
      try {
        return guard(() => engine.run_sync(input, options?.checkFinite ?? true));
      } finally {
        input.free();
      }
    }

    runIntoSync(x, options, output) {
      const engine = this.inner;
      const to = target(output);
      const input = batch(this.#sizes, x, options);
      try {
        guard(() => engine.run_into_sync(input, options?.checkFinite ?? true, to));
      } finally {
        input.free();
        to.free();
      }
    }

    async prepare(options) {
      const { batch, steps, onProgress } = only(options, OPTIONS.prepare);
      const engine = this.inner;
      if (!engine.prepare) return;
      await guarded(engine.prepare(whole(batch, "batch"), whole(steps, "steps"), onProgress));
    }

    explain(options) {
      const { batch, steps } = only(options, OPTIONS.shape);
      const engine = this.inner;
      return guard(() => engine.explain(whole(batch, "batch"), whole(steps, "steps")));
    }

    memory(options) {
      const { batch, steps } = only(options, OPTIONS.shape);
      const engine = this.inner;
      return guard(() => engine.memory(whole(batch, "batch"), whole(steps, "steps")));
    }

    session(streams = 1) {
      const engine = this.inner;
      whole(streams, "streams");
      return new Session(guard(() => engine.session(streams)), () => exports.memory, streams, this.#kind);
    }

    pool(options) {
      const { capacity = 16, fixed = false, frames = 0, queue = 0, nonFinite, snapshot } = only(options, OPTIONS.pool);
      const engine = this.inner;
      whole(capacity, "capacity");
      const isolate = choice(nonFinite, ["refuse", "isolate"], "nonFinite") === 1;
      const saved = snapshot === undefined ? undefined : bytes(snapshot, "the snapshot");
      return new Pool(guard(() => engine.pool(
        capacity, Boolean(fixed), whole(frames, "frames", 0), whole(queue, "queue", 0), isolate, saved,
      )));
    }
  }

  const ABSENT = "the model has no readout";

  /** One call at a time: while one is in flight, the next is refused. */
  class Taking extends Handle {
    #busy = false;

    /** @internal */
    get idle() {
      const inner = this.inner;
      if (this.#busy) throw wrong(`a call of this ${this.constructor.name} is in flight: await it before the next`);
      return inner;
    }

    /** @internal */
    async taking(call) {
      const inner = this.idle;
      this.#busy = true;
      try {
        return await call(inner);
      } catch (error) {
        throw raised(error);
      } finally {
        this.#busy = false;
      }
    }

    free() {
      if (this.#busy) throw wrong(`a call of this ${this.constructor.name} is in flight: await it before you free it`);
      super.free();
    }
  }

  class Session extends Taking {
    #memory;
    #places;
    #views;

    constructor(inner, memory, streams) {
      super(inner);
      this.streams = streams;
      this.#memory = memory;
      this.#places = inner.places();
    }

    /** Views of x, resets, y and out, made anew where the module's memory has grown since. */
    #arrays() {
      void this.inner;
      if (!this.#views || this.#views[0].buffer !== this.#memory().buffer) {
        const buffer = this.#memory().buffer;
        const [x, nx, resets, nr, y, ny, out, no] = this.#places;
        this.#views = [
          new Float32Array(buffer, x, nx), new Uint32Array(buffer, resets, nr), new Float32Array(buffer, y, ny),
          no === 0 ? undefined : new Float32Array(buffer, out, no),
        ];
      }
      return this.#views;
    }

    get x() { return this.#arrays()[0]; }
    get resets() { return this.#arrays()[1]; }
    get y() { return this.#arrays()[2]; }
    get out() { return this.#arrays()[3]; }

    #given(x, resets) {
      const all = this.#arrays();
      if (x !== undefined && x !== all[0]) all[0].set(array(x, Float32Array, "x", all[0].length));
      if (resets !== undefined) all[1].set(counts(resets, "resets", all[1].length));
      // By index: an iterator would be an object of each step.
      for (let i = 0; i < all[0].length; i++) {
        if (!Number.isFinite(all[0][i])) {
          throw wrong(`x [streams, features] has ${all[0][i]} at ${i}: the states of its stream would never be finite again`);
        }
      }
      return resets !== undefined;
    }

    async step(x, { resets } = {}) {
      void this.idle;
      const has = this.#given(x, resets);
      await this.taking((inner) => (inner.step ? inner.step(has) : inner.step_sync(has)));
      const [, , y, out] = this.#arrays();
      return { y: y.slice(), ...(out && { out: out.slice() }) };
    }

    stepSync(x, resets) {
      const inner = this.idle;
      const has = this.#given(x, resets);
      try {
        inner.step_sync(has);
      } catch (error) {
        throw raised(error);
      }
    }

    reset() {
      const inner = this.idle;
      guard(() => inner.reset());
    }

    state() {
      return this.taking((inner) => (inner.state ? inner.state() : inner.state_sync()));
    }

    stateSync() {
      const inner = this.idle;
      return guard(() => inner.state_sync());
    }

    setState({ h, c } = {}) {
      const inner = this.idle;
      array(h, Float32Array, "h");
      if (c !== undefined) array(c, Float32Array, "c");
      guard(() => inner.set_state(h, c));
    }
  }

  class Pool extends Taking {
    open({ h, c } = {}) {
      const inner = this.idle;
      if (h !== undefined) array(h, Float32Array, "h");
      if (c !== undefined) array(c, Float32Array, "c");
      return guard(() => inner.open(h, c));
    }

    close(stream) { const inner = this.idle; return guard(() => inner.close(stream)); }

    push(stream, frames) {
      const inner = this.idle;
      array(frames, Float32Array, "frames");
      guard(() => inner.push(stream, frames));
    }

    pending(stream) { const inner = this.idle; return guard(() => inner.pending(stream)); }
    reset(stream) { const inner = this.idle; return guard(() => inner.reset(stream)); }
    get streams() { const inner = this.idle; return guard(() => Array.from(inner.streams())); }
    get ready() { const inner = this.idle; return guard(() => inner.ready()); }

    prepare({ streams, frames } = {}) {
      const inner = this.idle;
      guard(() => inner.prepare(whole(streams, "streams"), whole(frames, "frames")));
    }

    async tick() { return this.taking((inner) => (inner.tick ? inner.tick() : inner.tick_sync())); }
    tickSync() { const inner = this.idle; return guard(() => inner.tick_sync()); }
    async state(stream) { return this.taking((inner) => (inner.state ? inner.state(stream) : inner.state_sync(stream))); }

    setState(stream, { h, c } = {}) {
      const inner = this.idle;
      array(h, Float32Array, "h");
      if (c !== undefined) array(c, Float32Array, "c");
      return guard(() => inner.set_state(stream, h, c));
    }

    async snapshot() { return this.taking((inner) => (inner.snapshot ? inner.snapshot() : inner.snapshot_sync())); }
  }

  return { init, initSync, Model, Device, Engine, Session, Pool, WgruError };
}
