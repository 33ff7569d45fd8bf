// A server of the files of a folder: node serve.mjs FOLDER PORT.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const TYPES = {
  ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm", ".wav": "audio/wav",
};

/** The origin of a folder; `missing` are paths that it hides. */
export async function serve(folder, port = 0, missing = () => false) {
  const server = createServer(async (request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    const file = join(folder, normalize(path.endsWith("/") ? `${path}index.html` : path));
    try {
      const found = await stat(file);
      if (!found.isFile() || missing(path)) throw new Error("not a file");
      const type = TYPES[extname(file)] ?? "application/octet-stream";
      response.writeHead(200, { "Content-Type": type, "Content-Length": found.size });
      createReadStream(file).pipe(response);
    } catch {
      response.writeHead(404).end();
    }
  }).listen(port, "127.0.0.1");
  await new Promise((resolve, reject) => server.on("listening", resolve).on("error", reject));
  return { server, origin: `http://localhost:${server.address().port}` };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { origin } = await serve(process.argv[2], Number(process.argv[3]));
  console.log(`${origin}/`);
}
