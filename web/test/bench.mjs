// Runs the benchmark's page in Chromium: node bench.mjs [SUITE [FILE]]. Records go to FILE, a screenshot of the report to FILE.png.
import { readFile, writeFile } from "node:fs/promises";
import { open } from "./chromium.mjs";

const [suite = "quick", file] = process.argv.slice(2);
const { browser, origin, close } = await open();
const failures = [];
const check = (holds, text) => { if (!holds) failures.push(text); };
try {
  const tab = await browser.newPage({ viewport: { width: 390, height: 800 } });
  tab.setDefaultTimeout(0);
  tab.on("pageerror", (error) => failures.push(`page: ${String(error).slice(0, 1500)}`));
  tab.on("console", (message) => { if (message.type() !== "debug") console.log(`    ${message.text().slice(0, 1500)}`); });
  await tab.goto(`${origin}/web/bench/index.html`);
  const said = (words) => tab.waitForFunction(
    (words) => words.some((word) => document.getElementById("status").textContent.startsWith(word)), words,
  );
  const saved = async () => {
    const [download] = await Promise.all([tab.waitForEvent("download"), tab.click("#save")]);
    return (await readFile(await download.path(), "utf8")).trim().split("\n").map((line) => JSON.parse(line));
  };
  await said(["Ready."]);
  check(await tab.isChecked("#webgpu"), `WebGPU is not offered: ${await tab.textContent("#webgpu-text")}`);
  check(await tab.isDisabled("#save"), "nothing is measured, and records can be saved");

  // Stopped within a suite: what was measured stays.
  await tab.uncheck("#webgpu");
  await tab.selectOption("#suite", "default");
  await tab.click("#start");
  await said(["3 of"]);
  await tab.click("#stop");
  await said(["Stopped: 6 records"]);
  check((await saved()).length === 6, "a stopped suite keeps other records than those of two cases");

  // Without a device nothing starts.
  await tab.uncheck("#cpu");
  await tab.click("#start");
  await said(["Choose a device."]);

  await tab.check("#cpu");
  await tab.check("#webgpu");
  await tab.selectOption("#suite", suite);
  await tab.click("#start");
  await said(["Done", "Ended"]);
  const errors = await tab.textContent("#errors");
  check(errors === "", errors);
  const records = await saved();
  for (const record of records) {
    const { case: name, device, timed, verified, median_s, max_error, tolerance } = record;
    const text = `${name}, ${device}, ${timed}`;
    check(verified && max_error <= tolerance, `${text}: not verified`);
    check(median_s > 0 && Number.isFinite(median_s), `${text}: median ${median_s}`);
  }
  const devices = [...new Set(records.map((record) => record.backend))].sort().join();
  check(devices === "cpu,webgpu", `records of ${devices}`);
  if (suite === "quick") check(records.length === 22, `${records.length} records`);
  const frame = await (await tab.waitForSelector("#report iframe")).contentFrame();
  await frame.waitForSelector("svg");
  const charts = await frame.locator("svg").count();
  check(charts >= 10, `${charts} charts`);
  const wide = await tab.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  check(!wide, "the page is wider than a phone");
  const narrow = await frame.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  check(!narrow, "the report is wider than a phone");
  if (file) {
    await writeFile(file, `${records.map((record) => JSON.stringify(record)).join("\n")}\n`);
    await tab.screenshot({ path: `${file}.png`, fullPage: true });
  }
  console.log(`    ${records.length} records, ${charts} charts`);
} finally {
  await close();
}
for (const failure of failures) console.error(`    FAILED ${failure}`);
process.exit(failures.length > 0 ? 1 : 0);
