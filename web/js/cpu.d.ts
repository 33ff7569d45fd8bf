/** The CPU path alone: half the size, and for AudioWorklets. */
export * from "./index.js";
