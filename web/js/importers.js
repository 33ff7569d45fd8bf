// The modules that read files of other frameworks, loaded when the first such file is read.

/** A module's functions, and its file. */
export const IMPORTERS = {
  onnx: async () => [await import("../pkg/onnx/wgru_web.js"), new URL("../pkg/onnx/wgru_web_bg.wasm", import.meta.url)],
  keras: async () => [await import("../pkg/keras/wgru_web.js"), new URL("../pkg/keras/wgru_web_bg.wasm", import.meta.url)],
};
