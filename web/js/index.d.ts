/**
 * Recurrent networks (GRU, LSTM, RNN) in the browser: on GPUs by WebGPU, and on the CPU.
 *
 * Arrays are `Float32Array`s in row-major order. Letters of shapes: B sequences of T steps, I features of x, L layers of D directions,
 * H units, P outputs of a layer and direction (H, or less of an LSTM with a projection), O outputs of the readout.
 *
 * Methods whose names end in `Sync` compute on the CPU path at once; on a GPU they throw, since a page may not wait for one.
 */

/** What can be done about an error. */
export type ErrorKind =
  /** The arguments do not fit the model, each other, or an earlier call. */
  | "wrong-use"
  /** The file is damaged, contradicts itself, or does not match the options. */
  | "bad-file"
  /** Valid, but this version, module or device does not support it. */
  | "unsupported"
  /** More than the device or the module's 4 GiB allow. Use less at once. */
  | "limit"
  /** No device matches the selector. */
  | "no-device"
  /** The device was destroyed or taken away: open one again, and load the model again. */
  | "lost-device"
  /** The browser's driver refused something. */
  | "driver"
  | "io"
  /** A fault of this package. Please report it. */
  | "internal";

/** Whether this browser has relaxed SIMD, which `wgru/cpu/relaxed` needs. */
export function hasRelaxedSimd(): boolean;

/** Every error that this package throws; `message` names the argument, the numbers and what to try. */
export class WgruError extends Error {
  readonly kind: ErrorKind;
}

/** Loads the module. Everything else needs it; later calls do nothing. @param source its file, if it is not beside the script. */
export function init(source?: string | URL | Request | Response | BufferSource | WebAssembly.Module): Promise<void>;

/** Loads the module from one that is compiled: in an AudioWorklet, which cannot fetch. */
export function initSync(module: WebAssembly.Module | BufferSource): void;

/** The bytes of a file. */
export type Bytes = ArrayBuffer | ArrayBufferView;

export interface ReadoutOptions {
  /** The name of a Linear or Dense after the last layer. */
  readout?: string;
  /** The steps that it is applied to; the last by default. */
  readoutAt?: "last" | "every";
}

/** What is applied to the readout's outputs of each step; softmax and its logarithm over the outputs. */
export type ReadoutActivation = "linear" | "relu" | "sigmoid" | "tanh" | "softmax" | "log_softmax";

export interface PyTorchOptions extends ReadoutOptions {
  /** What errors call the file. */
  name?: string;
  /** The prefix of `weight_ih_l0`, if there are several stacks: `encoder.gru.` */
  prefix?: string;
  /** The readout's activation, which the weights do not show; the file's metadata, else linear by default. */
  readoutActivation?: ReadoutActivation;
  /** The cell, where the number of rows does not say it. */
  cell?: "gru" | "lstm" | "rnn" | "rnn-relu";
  /** GRU: whether the reset gate acts on the product (the default, as in PyTorch) or on h before it. */
  reset?: "after" | "before";
  /** GRU: whether the update gate keeps the old state (the default) or takes the new one. */
  update?: "keeps" | "takes";
}

export interface ImporterOptions {
  /** What errors call the file. */
  name?: string;
  /** The file of the module that reads it, if it is not beside the scripts: pkg/onnx/ or pkg/keras/wgru_web_bg.wasm. */
  module?: string | URL | Request | Response | BufferSource | WebAssembly.Module;
}

export interface OnnxOptions extends ImporterOptions {
  /** The recurrent nodes of a stack, from the input on; all of the graph by default. */
  nodes?: string[];
}

export interface KerasOptions extends ReadoutOptions, ImporterOptions {
  /** The recurrent layers of a stack, from the input on; the only one by default. */
  layers?: string[];
  /** The model's configuration as `model.to_json()` gives it, for a file of weights alone. */
  config?: string;
  /** The major version of Keras, if the file does not state it. */
  kerasVersion?: number;
}

declare class Handle {
  /** Frees the memory that the module has for it. Calls after that throw. */
  free(): void;
  [Symbol.dispose](): void;
}

/** A stack of recurrent layers with its weights, and maybe a readout. */
export class Model extends Handle {
  private constructor();
  /** From a safetensors file with PyTorch's names. */
  static fromPyTorch(data: Bytes, options?: PyTorchOptions): Model;
  /** From an ONNX file, whose recurrent nodes are taken. The module that reads it is loaded first: not in an AudioWorklet. */
  static fromOnnx(data: Bytes, options?: OnnxOptions): Promise<Model>;
  /** From a Keras file (.keras, .h5, .weights.h5). The module that reads it is loaded first: not in an AudioWorklet. */
  static fromKeras(data: Bytes, options?: KerasOptions): Promise<Model>;
  /** From {@link Model.toBytes}, of the same version of the package. */
  static fromBytes(data: Bytes): Model;
  /** The model, for a Worker or an AudioWorklet: an ONNX file that a page has read, for example. */
  toBytes(): Uint8Array;
  /** I */
  readonly input: number;
  /** Features of y: D·P of the last layer. */
  readonly output: number;
  /** H of the first layer. */
  readonly hidden: number;
  /** O, 0 without a readout. */
  readonly readoutOutputs: number;
  readonly readoutAt: "last" | "every" | undefined;
  /** undefined without a readout. */
  readonly readoutActivation: ReadoutActivation | undefined;
  /** L·D */
  readonly numStates: number;
  /** P */
  readonly stateSize: number;
  /** Whether its states have a c: those of an LSTM. */
  readonly hasC: boolean;
  /** What was decided where the file does not say. */
  readonly decisions: string[];
  /** Tensors of the file that the model does not use. */
  readonly leftOver: string[];
  /** Initial states that the file takes from elsewhere: `h0` and `c0` of each run, which are 0 if they are left out. */
  readonly initialStates: string[];
  toString(): string;
}

export interface LoadOptions {
  /** How weights are stored; `f32` by default. */
  weights?: "f32" | "f16" | "bf16";
  /** How y is stored between layers; `f32` by default. */
  activations?: "f32" | "f16" | "bf16";
  /** The bytes that all runs together may take on a GPU; larger batches run in pieces. */
  memory?: number;
  /** Of a GPU's kernels the kind, for comparisons; the planner's choice by default. */
  strategy?: "step" | "persistent" | "streamed";
}

/** What computes. */
export class Device extends Handle {
  private constructor();
  /**
   * Opens a device: `webgpu`; `cpu`; or `auto`, WebGPU where it is there and no software, else the CPU.
   * @throws WgruError of kind `no-device` where there is none.
   */
  static open(selector?: "auto" | "webgpu" | "cpu" | (string & {})): Promise<Device>;
  /** The CPU path, at once. */
  static cpu(): Device;
  /** All devices, in words. */
  static list(): Promise<string[]>;
  readonly kind: "cpu" | "gpu" | "reference";
  /** Of a GPU, whether its driver is software, as SwiftShader is. */
  readonly isSoftware: boolean;
  readonly isLost: boolean;
  load(model: Model, options?: LoadOptions): Engine;
  toString(): string;
}

export interface Shape {
  /** B */
  batch: number;
  /** T */
  steps: number;
}

export interface RunOptions extends Shape {
  /** The real steps of each sequence, `[B]`; T by default. Padding is not computed. */
  lengths?: Uint32Array | number[];
  /** Initial states h `[L·D, B, P]` and c `[L·D, B, H]`; 0 by default. */
  h0?: Float32Array;
  c0?: Float32Array;
  /** `[B, T]`, not 0 where the states are zero before that step. */
  resets?: Uint32Array | number[];
  /** The order of x: `[B, T, I]` or `[T, B, I]`. */
  layout?: "batch-major" | "time-major";
  /** The order of y, and of a readout at every step; direction-major is `[T, D, B, P]`. */
  outputLayout?: "batch-major" | "time-major" | "direction-major";
  /** y past the end of a sequence: 0, or the last output. */
  padding?: "zero" | "last";
  /** Whether x with NaN or infinity is refused; true by default. */
  checkFinite?: boolean;
}

export interface Output {
  /** `[B, T, D·P]` */
  y: Float32Array;
  /** `[L·D, B, P]` */
  hN: Float32Array;
  /** `[L·D, B, H]`, of an LSTM. */
  cN?: Float32Array;
  /** The readout: `[B, O]`, or `[B, T, O]` where it is at every step. */
  out?: Float32Array;
}

export interface SessionState {
  /** `[L·D, B, P]` */
  h: Float32Array;
  /** `[L·D, B, H]`, of an LSTM. */
  c?: Float32Array;
}

export interface PoolOptions {
  /** Streams that there is room for; 16 by default. */
  capacity?: number;
  /** Whether there is never room for more; a pool grows by default. */
  fixed?: boolean;
  /** Frames of a stream that a tick takes, at most. */
  frames?: number;
  /** Frames of a stream that may wait. */
  queue?: number;
  /** What happens to frames that are not finite: they are refused, or their stream is taken out alone. */
  nonFinite?: "refuse" | "isolate";
  /** The bytes of {@link Pool.snapshot}: the streams go on from there. */
  snapshot?: Bytes;
}

/** A model on a device. */
export class Engine extends Handle {
  private constructor();
  /** Runs a batch. @param x `[B, T, I]` */
  run(x: Float32Array, options: RunOptions): Promise<Output>;
  /** Runs a batch into arrays of the caller; those that are left out are not written. */
  runInto(x: Float32Array, options: RunOptions, output: Partial<Output>): Promise<void>;
  runSync(x: Float32Array, options: RunOptions): Output;
  runIntoSync(x: Float32Array, options: RunOptions, output: Partial<Output>): void;
  /** Compiles what runs of this shape need, one kernel after the other; the page stays responsive. */
  prepare(shape: Shape & { onProgress?: (done: number, all: number) => void }): Promise<void>;
  /** In words, the kernels of a run. */
  explain(shape: Shape): string;
  /** The bytes that a run takes on a GPU. */
  memory(shape: Shape): number;
  /** How much of the runs in flight is done, from 0 to 1. */
  readonly progress: number;
  /** Streams that advance together, with their states on the device. */
  session(streams?: number): Session;
  /** Streams that come and go. */
  pool(options?: PoolOptions): Pool;
}

/** Streams that advance together. One call at a time. */
export class Session extends Handle {
  private constructor();
  readonly streams: number;
  /** The input of the next step, `[streams, I]`: a view of the module's memory, valid until the next call. Write to it to copy nothing. */
  readonly x: Float32Array;
  /** The output of the last step, `[streams, P]`: a view, valid until the next call. */
  readonly y: Float32Array;
  /** The readout of the last step, `[streams, O]`: a view, valid until the next call. */
  readonly out: Float32Array | undefined;
  /** One step of every stream. @param x `[streams, I]`; what is in {@link Session.x} if it is left out. */
  step(x?: Float32Array, options?: { resets?: Uint32Array | number[] }): Promise<{ y: Float32Array; out?: Float32Array }>;
  /** One step on the CPU path; the result is in {@link Session.y} and {@link Session.out}. Nothing is allocated. */
  stepSync(x?: Float32Array, resets?: Uint32Array): void;
  /** All states to zero. */
  reset(): void;
  state(): Promise<SessionState>;
  stateSync(): SessionState;
  setState(state: SessionState): void;
}

/** What a tick gave of a stream. */
export interface Frames {
  stream: number;
  frames: number;
  /** `[frames, P]` */
  y: Float32Array;
  /** `[frames, O]` */
  out?: Float32Array;
}

/** Streams that come and go. One call at a time. */
export class Pool extends Handle {
  private constructor();
  /** Opens a stream, and gives its number. */
  open(state?: SessionState): number;
  /** Closes a stream, and gives how many of its frames were never computed. */
  close(stream: number): number;
  /** Queues frames of a stream, `[n, I]`. */
  push(stream: number, frames: Float32Array): void;
  /** Frames of a stream that wait. */
  pending(stream: number): number;
  /** Zero states for a stream; gives how many of its frames were dropped. */
  reset(stream: number): number;
  readonly streams: number[];
  /** Streams that have a frame waiting. */
  readonly ready: number;
  /** Compiles what ticks of so many streams and frames need. */
  prepare(sizes: { streams: number; frames: number }): void;
  /** Computes waiting frames of every stream. */
  tick(): Promise<Frames[]>;
  tickSync(): Frames[];
  state(stream: number): Promise<SessionState>;
  setState(stream: number, state: SessionState): number;
  /** All streams as bytes, for {@link PoolOptions.snapshot}. */
  snapshot(): Promise<Uint8Array>;
}
