// Runs the tests of a page in Chromium: node run.mjs PAGE [ARGUMENT]. PAGE is a module under web/, whose default export is called
// with a function that reports and the argument; it gives lines to print. Environment: CHROMIUM, the browser's path; PLAYWRIGHT, the folder of
// playwright-core; ADAPTER, swiftshader or none.
import { open } from "./chromium.mjs";

const [page, argument = ""] = process.argv.slice(2);
const { browser, origin, close } = await open();
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
  await close();
}
process.exit(failed ? 1 : 0);
