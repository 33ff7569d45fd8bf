// Measures, case by case, apart from the page's thread: the CPU path computes where it is called.
import init, { Devices } from "./pkg/wgru_web_bench.js";

onmessage = async ({ data: { devices, adapter, cases, quick } }) => {
  try {
    await init();
    const opened = await Devices.open(devices, adapter);
    for (const [index, name] of cases.entries()) {
      const progress = (text, share) => postMessage(["progress", `${index + 1} of ${cases.length}: ${text}`, index + share]);
      try {
        for (const [word, text] of await opened.measure(name, quick, progress)) postMessage([word, text]);
      } catch (error) {
        // Once the module has ended, nothing more of it can be called.
        if (error instanceof WebAssembly.RuntimeError) throw error;
        postMessage(["error", String(error?.message ?? error)]);
      }
    }
    postMessage(["done"]);
  } catch (error) {
    postMessage(["fatal", String(error?.message ?? error)]);
  }
};
