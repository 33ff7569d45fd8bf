// Runs the checks of a module: node run.mjs MODULE SET [SEED]. SET is the instruction set that the build is for.
import { readFileSync } from "node:fs";

const [path, set, given] = process.argv.slice(2);
const seed = BigInt(given ?? process.env.WGRU_SEED ?? 20);
const { instance } = await WebAssembly.instantiate(readFileSync(path), {});
const { run, report, report_length, memory } = instance.exports;
const text = () => new TextDecoder().decode(new Uint8Array(memory.buffer, report(), report_length()));

let failed;
try {
  failed = run(seed);
} catch (error) {
  console.error(`seed ${seed}: ${error}\n${text()}`);
  process.exit(1);
}
const [summary, ...failures] = text().split("\n");
failures.forEach((failure) => console.error(failure));
console.log(`    ${summary}, ${failed} failed, seed ${seed}`);
if (!summary.startsWith(set)) {
  console.error(`the build is for ${set}, and its best set is another: ${summary}`);
  process.exit(1);
}
process.exit(failed === 0 ? 0 : 1);
