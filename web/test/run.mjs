// Runs the tests of a page in Chromium: node run.mjs PAGE [ARGUMENT]. PAGE is a module under web/, whose default export is called
// with a function that reports and the argument; it gives lines to print. Environment: CHROMIUM, the browser's path; PLAYWRIGHT, the folder of
// playwright-core; ADAPTER, swiftshader or none.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const [page, argument = ""] = process.argv.slice(2);
const root = fileURLToPath(new URL("../..", import.meta.url));
const { chromium } = createRequire(join(process.env.PLAYWRIGHT, "index.js"))("playwright-core");

const TYPES = {
  ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".json": "application/json",
  ".wasm": "application/wasm", ".wav": "audio/wav",
};
const server = createServer(async (request, response) => {
  const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
  if (path === "/favicon.ico") return response.writeHead(204).end();
  const file = join(root, normalize(path));
  try {
    const found = await stat(file);
    if (!found.isFile()) throw new Error("not a file");
    response.writeHead(200, {
      "Content-Type": TYPES[extname(file)] ?? "application/octet-stream", "Content-Length": found.size,
    });
    createReadStream(file).pipe(response);
  } catch {
    const is_root = path === "/";
    response.writeHead(is_root ? 200 : 404, { "Content-Type": "text/html" });
    response.end(is_root ? "<!doctype html><title>tests</title>" : "");
  }
}).listen(0, "127.0.0.1");
await new Promise((resolve) => server.on("listening", resolve));
const origin = `http://127.0.0.1:${server.address().port}`;

// Without these the browser looks for updates, or a GPU that is not there.
const flags = ["--no-sandbox", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
if ((process.env.ADAPTER ?? "swiftshader") === "swiftshader") {
  flags.push("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan,WebGPU");
} else {
  flags.push("--disable-gpu", "--disable-features=WebGPU");
}
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: flags, ignoreDefaultArgs: ["--disable-gpu"],
});
let failed = false;
try {
  const tab = await browser.newPage();
  tab.setDefaultTimeout(0);
  tab.on("pageerror", (error) => { failed = true; console.error(`    page: ${String(error).slice(0, 1500)}`); });
  tab.on("console", (message) => {
    if (message.type() !== "debug") console.log(`    ${message.text().slice(0, 1500)}`);
  });
  tab.on("crash", () => { failed = true; console.error("    the tab crashed"); });
  await tab.goto(`${origin}/`);
  const failures = await tab.evaluate(async ([page, argument]) => {
    try {
      return await (await import(`/${page}`)).default((line) => console.log(line), argument);
    } catch (error) {
      return [`${error?.name}: ${error?.message}\n${error?.stack}`];
    }
  }, [page, argument]);
  for (const failure of failures) console.error(`    FAILED ${failure}`);
  failed ||= failures.length > 0;
} finally {
  await browser.close();
  server.close();
}
process.exit(failed ? 1 : 0);
