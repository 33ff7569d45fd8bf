// Shows a built page: node serve.mjs FOLDER PORT.
import { serve } from "../../../../web/test/chromium.mjs";

const { origin } = await serve(process.argv[2], { port: Number(process.argv[3]) });
console.log(`${origin}/`);
