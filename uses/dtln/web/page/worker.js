// Recordings, on the CPU path or on WebGPU.
import init, { Network } from "./full/wgru_dtln_web.js";

const networks = new Map();

async function open(models, device) {
  try {
    return await Network.open(...models, device);
  } catch (error) {
    if (device !== "webgpu") throw error;
    throw new Error(`WebGPU did not open (${error.message}): choose CPU, or a browser that has WebGPU`);
  }
}

onmessage = async ({ data: { models, device, channels } }) => {
  try {
    await init();
    const loading = performance.now();
    const is_first = !networks.has(device);
    if (is_first) networks.set(device, await open(models, device));
    const network = networks.get(device);
    // Kernels are compiled at first use: not a part of the speed.
    if (is_first && device !== "cpu") await network.denoise(channels[0].slice(0, 16000 * 9));
    const loaded = performance.now() - loading;
    const begun = performance.now();
    const clean = [];
    for (const samples of channels) clean.push(await network.denoise(samples));
    const seconds = (performance.now() - begun) / 1000;
    postMessage({ clean, seconds, loaded: is_first ? loaded : 0, text: network.text() }, clean.map(({ buffer }) => buffer));
  } catch (error) {
    postMessage({ error: error.message });
  }
};
