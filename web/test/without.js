// A browser without WebGPU: auto is the CPU, and asking for a GPU is refused by name.
import { init, Device, Model } from "../js/index.js";
import { safetensors, gru, noise } from "./models.js";

export default async function (told) {
  await init();
  const failures = [];
  const device = await Device.open();
  told(`auto: ${device}`);
  if (device.kind !== "cpu") failures.push(`auto is ${device}`);
  const model = Model.fromPyTorch(safetensors(gru(1, 3, 20)));
  const { y } = await device.load(model).run(noise(2, 27), { batch: 1, steps: 9 });
  if (!y.every(Number.isFinite)) failures.push("y is not finite");
  try {
    failures.push(`webgpu opened ${await Device.open("webgpu")}`);
  } catch (error) {
    if (error.kind !== "no-device") failures.push(`${error.kind}: ${error.message}`);
    told(`webgpu: ${error.message}`);
  }
  return failures;
}
