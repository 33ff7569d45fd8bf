// Tests of the page in Chromium: node run.mjs FOLDER. FOLDER is a built page, with models. Environment: CHROMIUM, PLAYWRIGHT as in
// web/test/chromium.mjs. Screenshots go to FOLDER.
import { access } from "node:fs/promises";
import { join } from "node:path";
import { open } from "../../../../web/test/chromium.mjs";

const folder = process.argv[2];
/** A microphone that beeps, allowed without a question. */
const FLAGS = [
  "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--autoplay-policy=no-user-gesture-required",
];
const [WEBGPU, NONE] = ["swiftshader", "none"];
const PHONE = { width: 390, height: 844 };

const assert = (condition, text) => { if (!condition) throw new Error(text); };
let failed = 0;

async function test(name, adapter, run, { viewport, hides } = {}) {
  const { browser, origin, close } = await open({ folder, hides, adapter, more: FLAGS });
  try {
    const tab = await browser.newPage({ viewport: viewport ?? { width: 1000, height: 900 } });
    tab.setDefaultTimeout(120000);
    const said = [];
    tab.on("pageerror", (error) => said.push(String(error)));
    await tab.goto(`${origin}/`);
    const told = await run(tab);
    assert(said.length === 0, `the page raised ${said.join("; ")}`);
    console.log(`    ok ${name}${told ? `: ${told}` : ""}`);
  } catch (error) {
    failed++;
    console.error(`    FAILED ${name}: ${error.message.slice(0, 1500)}`);
  } finally {
    await close();
  }
}

const text = (tab, id) => tab.locator(`#${id}`).textContent();
const ready = (tab) => tab.waitForFunction(() => /^Ready/.test(document.getElementById("status").textContent));
const heard = (tab, words) => tab.waitForFunction(
  (words) => document.getElementById("status").textContent.includes(words) || !document.getElementById("error").hidden, words,
);
async function without_error(tab) {
  assert(await tab.locator("#error").isHidden(), `an error is shown: ${await text(tab, "error")}`);
}
async function error_says(tab, words) {
  await tab.locator("#error:not([hidden])").waitFor();
  const found = await text(tab, "error");
  assert(words.test(found), `the error "${found}" does not say ${words}`);
  return found;
}

/** In the page: renders samples through the worklet at a rate; its output, and what it said. */
const render = async (tab, from, rate) => tab.evaluate(async ([from, rate]) => {
  const { voice } = await import("./app.js");
  const { example } = await import("./sounds.js");
  // A WAV file of floats; the samples follow the chunk's name and length.
  window.floats = async (path) => {
    const bytes = await (await fetch(path)).arrayBuffer();
    const data = new TextDecoder("latin1").decode(bytes.slice(0, 200)).indexOf("data");
    return new Float32Array(bytes.slice(data + 8));
  };
  const samples = from ? await window.floats(from) : example(4);
  const context = new OfflineAudioContext(1, Math.floor((samples.length * rate) / 16000 / 128) * 128, rate);
  const said = [];
  const node = await voice(context, false, (data) => said.push(data));
  const source = context.createBufferSource();
  source.buffer = new AudioBuffer({ length: samples.length, sampleRate: 16000 });
  source.buffer.copyToChannel(samples, 0);
  source.connect(node).connect(context.destination);
  source.start();
  const begun = performance.now();
  const out = (await context.startRendering()).getChannelData(0);
  const errors = said.filter(({ error }) => error).map(({ error }) => error);
  window.rendered = { samples, out, rate };
  return { errors, milliseconds: performance.now() - begun, seconds: out.length / rate };
}, [from, rate]);

const has = async (name) => access(join(folder, name)).then(() => true, () => false);
const recorded = await has("native.wav");

await test("an offline context gives the native samples and ONNX Runtime's, sample by sample", WEBGPU, async (tab) => {
  await ready(tab);
  if (!recorded) return "left out: without models/noisy.wav (compare.py expect)";
  const { errors, milliseconds, seconds } = await render(tab, "models/noisy.wav", 16000);
  assert(errors.length === 0, errors.join("; "));
  const off = await tab.evaluate(async () => {
    const compare = (expected, delay) => {
      let most = 0, loudest = 0;
      for (let i = 0; i + delay < window.rendered.out.length; i++) {
        most = Math.max(most, Math.abs(window.rendered.out[i + delay] - expected[i]));
        loudest = Math.max(loudest, Math.abs(expected[i]));
      }
      if (expected.length < 16000 * 5) throw new Error(`${expected.length} samples to compare with`);
      return { most, loudest };
    };
    return { native: compare(await window.floats("native.wav"), 384), onnx: compare(await window.floats("models/expected.wav"), 0) };
  });
  for (const [name, { most, loudest }] of Object.entries(off)) {
    assert(loudest > 0.1 && most <= 1e-4, `${name}: off by ${most}, loudest ${loudest}`);
  }
  return `off by ${off.native.most.toExponential(1)} and ${off.onnx.most.toExponential(1)}; real-time factor ${(milliseconds / 1000 / seconds).toFixed(4)}`;
});

await test("at 44.1 and 48 kHz it is the same voice, resampled", NONE, async (tab) => {
  await ready(tab);
  await render(tab, "", 16000);
  await tab.evaluate(() => { window.narrow = window.rendered.out; });
  const all = [];
  for (const rate of [48000, 44100]) {
    const { errors } = await render(tab, "", rate);
    assert(errors.length === 0, errors.join("; "));
    // Correlated at the best shift with the samples at 16 kHz, which the browser resamples.
    const best = await tab.evaluate(async () => {
      const { out, rate } = window.rendered;
      const context = new OfflineAudioContext(1, out.length, rate);
      const source = context.createBufferSource();
      source.buffer = new AudioBuffer({ length: window.narrow.length, sampleRate: 16000 });
      source.buffer.copyToChannel(window.narrow, 0);
      source.connect(context.destination);
      source.start();
      const expected = (await context.startRendering()).getChannelData(0);
      let best = { found: 0 };
      for (let shift = 0; shift < 0.03 * rate; shift++) {
        let [both, one, two] = [0, 0, 0];
        for (let i = rate; i + shift < out.length; i += 7) {
          both += expected[i] * out[i + shift];
          one += expected[i] ** 2;
          two += out[i + shift] ** 2;
        }
        const found = both / Math.sqrt(one * two);
        if (found > best.found) best = { found, shift: (1000 * shift) / rate };
      }
      return best;
    });
    assert(best.found > 0.99, `${rate}: correlated by ${best.found}`);
    all.push(`${rate} Hz: ${best.found.toFixed(4)}, ${best.shift.toFixed(1)} ms later`);
  }
  return all.join("; ");
});

await test("the example on the CPU and on WebGPU gives the same samples", WEBGPU, async (tab) => {
  await ready(tab);
  await tab.click("#example");
  await heard(tab, "ready to hear");
  await without_error(tab);
  const cpu = await text(tab, "speed");
  await tab.evaluate(async () => { window.cpu = (await import("./app.js")).shown(); });
  await tab.screenshot({ path: join(folder, "page.png"), fullPage: true });
  await tab.click("input[value=webgpu]");
  await tab.waitForFunction(() => /WebGPU:/.test(document.getElementById("speed").textContent) || !document.getElementById("error").hidden);
  await without_error(tab);
  const [off, less] = await tab.evaluate(async () => {
    const { after, before } = (await import("./app.js")).shown();
    const power = (samples) => samples.reduce((all, x) => all + x * x, 0);
    const off = after[0].reduce((most, x, i) => Math.max(most, Math.abs(x - window.cpu.after[0][i])), 0);
    return [off, 10 * Math.log10(power(after[0]) / power(before[0]))];
  });
  assert(off <= 1e-4, `off by ${off}`);
  assert(less < -0.5, `the sound has ${less} dB of its power, expected less`);
  return `off by ${off.toExponential(1)}; ${cpu} ${await text(tab, "speed")}`;
});

await test("both sides play, and can be switched and saved", NONE, async (tab) => {
  await ready(tab);
  await tab.click("#example");
  await heard(tab, "ready to hear");
  await tab.click("#play");
  await tab.waitForFunction(() => document.getElementById("level-play").value > -60);
  await tab.click("input[value=before]");
  await tab.waitForTimeout(300);
  assert(await text(tab, "play") === "Stop", "it plays");
  await tab.click("#play");
  assert(await text(tab, "play") === "Play", "it stopped");
  const bytes = await tab.evaluate(async () => (await (await fetch(document.getElementById("save").href)).arrayBuffer()).byteLength);
  assert(bytes === 44 + 2 * 8 * 16000, `${bytes} bytes`);
  await without_error(tab);
});

await test("a microphone on a phone: levels, figures, before and after", NONE, async (tab) => {
  await ready(tab);
  await tab.click("#microphone");
  await tab.waitForFunction(() => /real-time factor/.test(document.getElementById("figures").textContent)
    && document.getElementById("level-in").value > -60);
  await tab.waitForTimeout(2000);
  await without_error(tab);
  const figures = await text(tab, "figures");
  await tab.screenshot({ path: join(folder, "phone-live.png"), fullPage: true });
  await tab.click("#suppress");
  await tab.click("#hear");
  await tab.click("#stop");
  await heard(tab, "Your voice is ready");
  await tab.screenshot({ path: join(folder, "phone.png"), fullPage: true });
  const wide = await tab.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert(wide <= 0, `the page is ${wide} pixels wider than the phone`);
  await without_error(tab);
  return figures;
}, { viewport: PHONE });

await test("files that are no sound, and no WebGPU, are said in words", NONE, async (tab) => {
  await ready(tab);
  const wav = Buffer.alloc(44 + 32000);
  for (const [name, buffer, words] of [
    ["notes.txt", Buffer.from("no sound at all"), /notes.txt is not sound that this browser can read/],
    ["empty.wav", Buffer.alloc(0), /empty.wav is empty/],
    ["zeros.wav", wav, /zeros.wav is not sound/],
  ]) {
    await tab.setInputFiles("#file", { name, mimeType: "audio/wav", buffer });
    await error_says(tab, words);
  }
  await tab.click("#example");
  await heard(tab, "ready to hear");
  await without_error(tab);
  await tab.click("input[value=webgpu]");
  const said = await error_says(tab, /WebGPU did not open.*choose CPU/);
  await tab.click("input[value=cpu]");
  await heard(tab, "ready to hear");
  await without_error(tab);
  return said;
});

await test("models that are not there, or are no models, are said in words", NONE, async (tab) => (
  error_says(tab, /model_2.onnx could not be loaded \(404\): fetch the models/)
), { hides: (path) => path.endsWith("model_2.onnx") });

process.exit(failed ? 1 : 0);
