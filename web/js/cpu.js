// wgru/cpu: the CPU path alone, also in an AudioWorklet.
import "./text.js";
import * as module from "../pkg/cpu/wgru_web.js";
import { bind } from "./api.js";

export { hasRelaxedSimd } from "./api.js";

export const { init, initSync, Model, Device, Engine, Session, Pool, WgruError } =
  bind(module, () => new URL("../pkg/cpu/wgru_web_bg.wasm", import.meta.url));
