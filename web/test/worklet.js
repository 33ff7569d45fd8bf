// One step of a model for each sample.
import { initSync, Device, Model } from "../js/cpu.js";

registerProcessor("wgru-test", class extends AudioWorkletProcessor {
  constructor({ processorOptions: { module, model, options } }) {
    super();
    try {
      initSync(module);
      this.session = Device.cpu().load(Model.fromPyTorch(model, options)).session();
    } catch (error) {
      this.port.postMessage(`${error.name}: ${error.message}`);
    }
  }

  process([[input]], [[output]]) {
    if (!this.session || !input) return true;
    try {
      for (let i = 0; i < output.length; i++) {
        this.session.x[0] = input[i];
        this.session.stepSync();
        output[i] = this.session.out[0];
      }
    } catch (error) {
      this.port.postMessage(`${error.name}: ${error.message}`);
      this.session = undefined;
    }
    return true;
  }
});
