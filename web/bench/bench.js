// The page of the benchmark: what the user chooses, the worker that measures, and the report of its records.
import init, { cases, report_of, resolution, suites } from "./pkg/wgru_web_bench.js";

const element = (id) => document.getElementById(id);
const [start, stop, save, bar, status, errors, suite] =
  ["start", "stop", "save", "bar", "status", "errors", "suite"].map(element);

/** The lines of JSON so far. */
let records = [];
/** The worker that measures, if one does. */
let worker;
let adapter = "";

function tell(text) {
  status.textContent = text;
}

function fault(text) {
  const item = document.createElement("li");
  item.textContent = text;
  errors.append(item);
}

/** The GPU as far as the browser tells; false without one. */
async function gpu() {
  const text = element("webgpu-text");
  if (!navigator.gpu) {
    text.textContent = isSecureContext
      ? "WebGPU: this browser has none"
      : "WebGPU: browsers offer it to pages from https or localhost alone";
    return false;
  }
  const found = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" }).catch(() => null);
  if (!found) {
    text.textContent = "WebGPU: the browser found no adapter";
    return false;
  }
  const { vendor, architecture, device, description } = found.info ?? {};
  adapter = description || [vendor, architecture, device].filter(Boolean).join(" ");
  text.textContent = `WebGPU: ${adapter || "an adapter that the browser does not name"}`;
  return true;
}

/** The report as a page of its own, as high as its content. */
function show() {
  if (records.length === 0) return;
  const frame = document.createElement("iframe");
  frame.title = "Report";
  frame.srcdoc = report_of(records.join("\n"));
  frame.onload = () => {
    const page = frame.contentDocument.documentElement;
    const fit = () => { frame.style.height = `${page.scrollHeight + 2}px`; };
    new ResizeObserver(fit).observe(page);
    fit();
  };
  element("report").replaceChildren(frame);
  save.disabled = false;
}

function ended(text) {
  worker?.terminate();
  worker = undefined;
  start.disabled = false;
  stop.disabled = true;
  tell(text);
  show();
}

start.onclick = () => {
  const devices = ["webgpu", "cpu"].filter((id) => element(id).checked);
  if (devices.length === 0) return tell("Choose a device.");
  const all = cases(suite.value);
  records = [];
  errors.replaceChildren();
  element("report").replaceChildren();
  save.disabled = true;
  start.disabled = true;
  stop.disabled = false;
  bar.max = all.length;
  bar.value = 0;
  tell("Opening devices …");
  const began = performance.now();
  worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  worker.onerror = (event) => {
    fault(event.message || "the worker could not be loaded");
    ended("Ended by an error.");
  };
  worker.onmessage = ({ data: [word, text, share] }) => {
    if (word === "progress") {
      bar.value = share;
      tell(text);
    } else if (word === "record") {
      records.push(text);
    } else if (word === "error") {
      fault(text);
    } else if (word === "fatal") {
      fault(text);
      ended("Ended by an error.");
    } else {
      bar.value = bar.max;
      const seconds = Math.round((performance.now() - began) / 1000);
      ended(`Done: ${records.length} records in ${seconds} s.`);
    }
  };
  worker.postMessage({ devices, adapter, cases: all, quick: element("quick").checked });
};

stop.onclick = () => ended(`Stopped: ${records.length} records are kept.`);

save.onclick = () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${records.join("\n")}\n`], { type: "application/jsonl" }));
  link.download = "wgru-bench.jsonl";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
};

try {
  await init();
  for (const [name, purpose] of suites()) suite.add(new Option(`${name}: ${purpose}`, name));
  suite.value = "quick";
  const has = await gpu();
  element("webgpu").disabled = !has;
  element("webgpu").checked = has;
  const micros = Math.round(resolution() * 1e6);
  element("clock").textContent =
    `This browser's clock has steps of ${micros < 1 ? "less than 1" : micros} µs. Runs shorter than 20 steps are timed several together.`;
  start.disabled = false;
  tell("Ready.");
} catch (error) {
  fault(String(error?.message ?? error));
  tell("The benchmark could not be loaded.");
}
