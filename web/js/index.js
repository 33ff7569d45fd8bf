// wgru: WebGPU and the CPU.
import * as module from "../pkg/full/wgru_web.js";
import { bind } from "./api.js";

export { hasRelaxedSimd } from "./api.js";

export const { init, initSync, Model, Device, Engine, Session, Pool, WgruError } =
  bind(module, () => new URL("../pkg/full/wgru_web_bg.wasm", import.meta.url));
