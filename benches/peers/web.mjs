// Times this crate's npm package and onnxruntime-web in one page of Chromium, in turns, each result compared with the reference:
//
//   cargo xtask web
//   npm install --prefix target/peers onnxruntime-web@1.30.0 playwright-core@1.65.1
//   node benches/peers/web.mjs [--wgru target/release/wgru] [--rounds 7] [--backend webassembly] [--out FILE.csv]
//
// onnxruntime-web is fetched by the user and is no part of the package. The page is served from the workspace's folder.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { gru, lstm, safetensors } from "../../web/test/models.js";

const { values } = parseArgs({
  options: {
    wgru: { type: "string", default: "target/release/wgru" },
    rounds: { type: "string", default: "7" },
    backend: { type: "string", multiple: true, default: ["webassembly", "webassembly, relaxed SIMD", "webgpu"] },
    out: { type: "string" },
  },
});
process.chdir(fileURLToPath(new URL("../..", import.meta.url)));
process.env.PLAYWRIGHT ??= `${process.cwd()}/target/peers`;
process.env.ADAPTER ??= "swiftshader";
const { open } = await import("../../web/test/chromium.mjs");

// [name, cell, B, T, I, H]
const CASES = [
  ["gru-b1-t100-i64-h64", gru, 1, 100, 64, 64],
  ["lstm-b1-t100-i64-h64", lstm, 1, 100, 64, 64],
  ["gru-b16-t100-i256-h256", gru, 16, 100, 256, 256],
  ["lstm-b16-t100-i256-h256", lstm, 16, 100, 256, 256],
  // The size of the first LSTM of DTLN.
  ["lstm-b1-t100-i257-h128", lstm, 1, 100, 257, 128],
];
const folder = "target/peers/web";
mkdirSync(folder, { recursive: true });
const cases = CASES.map(([name, cell, batch, steps, input, hidden], index) => {
  const file = `${folder}/${name}`;
  writeFileSync(`${file}.safetensors`, safetensors(cell(index + 1, input, hidden)));
  execFileSync(values.wgru, ["export", `${file}.safetensors`, `${file}.onnx`], { stdio: ["ignore", "ignore", "inherit"] });
  return { name, file: `/${file}`, batch, steps, input, hidden };
});

const { browser, origin, close } = await open();
try {
  const tab = await browser.newPage();
  tab.setDefaultTimeout(0);
  tab.on("console", (message) => console.error(message.text().slice(0, 600)));
  await tab.goto(`${origin}/`);
  const rows = [];
  for (const one of cases) {
    rows.push(...await tab.evaluate(async ([one, rounds, backends]) =>
      (await import("/benches/peers/web-page.js")).measure(one, rounds, backends), [one, Number(values.rounds), values.backend]));
  }
  const version = (name) => JSON.parse(
    execFileSync("node", ["-p", `JSON.stringify(require("./target/peers/node_modules/${name}/package.json").version)`]).toString(),
  );
  const head = [
    `# processor: ${cpus()[0].model}, ${cpus().length} virtual cores; Chromium ${browser.version()}, SwiftShader; onnxruntime-web ${version("onnxruntime-web")}`,
    `# milliseconds, from arrays to arrays, in turns within one page; one thread; ratio: median over rounds of onnxruntime-web's time by wgru's`,
    "case,backend,wgru,wgru_least,onnxruntime,onnxruntime_least,ratio,ratio_least,ratio_most,max_error,max_error_onnxruntime",
  ];
  const text = `${[...head, ...rows.map((row) => row.join(","))].join("\n")}\n`;
  if (values.out) writeFileSync(values.out, text);
  console.log(text);
} finally {
  await close();
}
