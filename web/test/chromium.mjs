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

/** A server of a folder's files; a folder's own file is index.html, and "/" is an empty page where there is none. `hides` names paths
 * that are not there. */
export async function serve(folder = root, { port = 0, hides = () => false } = {}) {
  const server = createServer(async (request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    if (path === "/favicon.ico") return response.writeHead(204).end();
    const file = join(folder, normalize(path.endsWith("/") ? `${path}index.html` : path));
    try {
      const found = await stat(file);
      if (!found.isFile() || hides(path)) throw new Error("not a file");
      response.writeHead(200, {
        "Content-Type": TYPES[extname(file)] ?? "application/octet-stream", "Content-Length": found.size,
      });
      createReadStream(file).pipe(response);
    } catch {
      const is_root = path === "/";
      response.writeHead(is_root ? 200 : 404, { "Content-Type": "text/html" });
      response.end(is_root ? "<!doctype html><title>tests</title>" : "");
    }
  }).listen(port, "127.0.0.1");
  await new Promise((resolve, reject) => server.on("listening", resolve).on("error", reject));
  return { origin: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

/** The browser and the address of a server; `close` ends both. `more` are further flags of the browser. */
export async function open({ folder, hides, adapter = process.env.ADAPTER ?? "swiftshader", more = [] } = {}) {
  const server = await serve(folder, { hides });
  // Without these the browser looks for updates, or a GPU that is not there.
  const flags = ["--no-sandbox", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
  if (adapter === "swiftshader") {
    flags.push("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan,WebGPU");
  } else {
    flags.push("--disable-gpu", "--disable-features=WebGPU");
  }
  const { chromium } = createRequire(join(process.env.PLAYWRIGHT, "index.js"))("playwright-core");
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: [...flags, ...more], ignoreDefaultArgs: ["--disable-gpu"],
  });
  return { browser, origin: server.origin, close: () => browser.close().finally(() => server.close()) };
}
