// Chromium, and a server of the workspace's files for it. Environment: CHROMIUM, the browser's path; PLAYWRIGHT, the folder of
// playwright-core; ADAPTER, swiftshader or none.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const TYPES = {
  ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".json": "application/json",
  ".wasm": "application/wasm", ".wav": "audio/wav",
};

/** The browser and the address of the server; `close` ends both. */
export async function open() {
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
  const { chromium } = createRequire(join(process.env.PLAYWRIGHT, "index.js"))("playwright-core");
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: flags, ignoreDefaultArgs: ["--disable-gpu"],
  });
  return { browser, origin, close: () => browser.close().finally(() => server.close()) };
}
