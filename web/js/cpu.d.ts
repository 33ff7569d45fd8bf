/** The CPU path alone: half the size, and for AudioWorklets. `Model.fromOnnx` and `Model.fromKeras` throw. */
export * from "./index.js";
