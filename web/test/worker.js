import { init, Device, Model } from "../js/index.js";

onmessage = async ({ data: { file, x, shape } }) => {
  try {
    await init();
    const model = Model.fromPyTorch(file);
    const cpu = Device.cpu().load(model).runSync(x, shape).y;
    const gpu = (await (await Device.open("webgpu")).load(model).run(x, shape)).y;
    postMessage({ cpu, gpu });
  } catch (error) {
    postMessage({ error: `${error.name}: ${error.message}` });
  }
};
