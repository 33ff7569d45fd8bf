// A voice on the audio thread: DTLN on the CPU path.
import "./text.js";
import { initSync, Network } from "./cpu/wgru_dtln_web.js";

/** Samples between two messages to the page. */
const REPORT = 2048;

registerProcessor("dtln", class extends AudioWorkletProcessor {
  constructor({ processorOptions: { module, models, keep } }) {
    super();
    this.suppress = true;
    this.keep = keep;
    this.port.onmessage = ({ data }) => {
      if ("suppress" in data) this.suppress = data.suppress;
      if (data.stop) this.stopped = true;
    };
    try {
      this.memory = initSync({ module }).memory;
      const network = Network.cpu(...models);
      this.voice = network.voice(sampleRate);
      this.most = this.voice.most();
      this.port.postMessage({ text: network.text(), rate: sampleRate });
    } catch (error) {
      this.fail(error);
    }
    this.begin();
  }

  begin() {
    this.given = new Float32Array(REPORT);
    this.got = new Float32Array(REPORT);
    this.count = this.busy = 0;
  }

  fail(error) {
    if (this.failed !== error.message) this.port.postMessage({ error: error.message });
    this.failed = error.message;
  }

  /** The samples in and out, in the module's memory, which moves when it grows. */
  look() {
    if (this.inside?.buffer === this.memory.buffer) return;
    this.inside = new Float32Array(this.memory.buffer, this.voice.given(), this.most);
    this.outside = new Float32Array(this.memory.buffer, this.voice.got(), this.most);
  }

  process([[input]], [[output]]) {
    if (this.stopped) return false;
    if (!this.voice || !output) return true;
    const count = output.length, begun = Date.now();
    try {
      this.look();
      if (input) this.inside.set(input);
      else this.inside.fill(0, 0, count);
      this.voice.step(count);
      this.look();
      for (let i = 0; i < count; i++) output[i] = this.outside[i];
    } catch (error) {
      // A step that failed leaves silence; a module that ended has no next.
      if (error instanceof WebAssembly.RuntimeError) this.voice = undefined;
      this.fail(error);
    }
    // The clock of an audio thread counts whole milliseconds; their sum over many quanta is right on average.
    this.busy += Date.now() - begun;
    if (this.keep) this.report(input, output);
    if (!this.suppress && input) output.set(input);
    return true;
  }

  report(input, output) {
    if (this.count + output.length > REPORT) {
      const given = this.given.subarray(0, this.count), got = this.got.subarray(0, this.count);
      this.port.postMessage(
        { given, got, busy: this.busy / 1000, delay: this.voice?.delay() ?? 0 }, [given.buffer, got.buffer],
      );
      this.begin();
    }
    if (input) this.given.set(input, this.count);
    this.got.set(output, this.count);
    this.count += output.length;
  }
});
