// The modules that read files of other frameworks, loaded when the first such file is read.

/** The name of each framework; `load` gives a module's functions, and its file. */
export const IMPORTERS = {
  onnx: {
    name: "ONNX",
    load: async () => [await import("../pkg/onnx/wgru_web.js"), new URL("../pkg/onnx/wgru_web_bg.wasm", import.meta.url)],
  },
  keras: {
    name: "Keras",
    load: async () => [await import("../pkg/keras/wgru_web.js"), new URL("../pkg/keras/wgru_web_bg.wasm", import.meta.url)],
  },
};
