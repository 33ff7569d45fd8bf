// wgru/cpu/relaxed: the CPU path with relaxed SIMD, also in an AudioWorklet.
import "./text.js";
import * as module from "../pkg/cpu-relaxed/wgru_web.js";
import { bind } from "./api.js";

export { hasRelaxedSimd } from "./api.js";

export const { init, initSync, Model, Device, Engine, Session, Pool, WgruError } =
  bind(module, () => new URL("../pkg/cpu-relaxed/wgru_web_bg.wasm", import.meta.url), true);
