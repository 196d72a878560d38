// The demo in a real browser: sign-in, two apps, HTTP/2, WebSocket, sign-out, and every page of the gateway looked at
// in two widths. Screenshots land in tests/.cache/shots.
//
// Starts `portcullis demo` on free ports and Chromium with a fresh profile; ends both. `CHROMIUM` names the browser,
// `PORTCULLIS` the program; `./tests/run browser` finds and builds them.
import { mkdir, rm } from 'node:fs/promises';
import { startBrowser } from './chromium.mjs';
import { startDemo } from './demo.mjs';
import { stories } from './stories.mjs';

const shots = new URL('../.cache/shots/', import.meta.url).pathname;
await rm(shots, { recursive: true, force: true });
await mkdir(shots, { recursive: true });
const only = process.argv[2];
const demo = await startDemo();
const browser = await startBrowser(demo.spki);
let failures = 0;
try {
  for (const story of stories.filter(({ name }) => !only || name.includes(only))) {
    // A browser on a busy machine gets a second try, which is said.
    if (!(await told(story, false))) await told(story, true);
  }
} finally {
  await browser.end();
  await demo.end();
}
if (failures > 0) {
  console.log(`${failures} failed; the gateway's log:\n${demo.log()}`);
  process.exitCode = 1;
}

async function told(story, last) {
  const began = Date.now();
  const visit = await browser.visit(demo, shots);
  try {
    await within(story(visit), 60_000);
    visit.assertNothingWentWrong();
    console.log(`ok      ${sentence(story.name)} (${Date.now() - began} ms)`);
    return true;
  } catch (error) {
    if (last) failures += 1;
    const word = last ? 'FAILED ' : 'again  ';
    console.log(`${word} ${sentence(story.name)}\n${error.stack}\n  at ${visit.page.url()}\n  ${visit.notes().join('\n  ')}`);
    await visit.page.screenshot({ path: `${shots}failed-${story.name}.png` }).catch(() => {});
    return false;
  } finally {
    await visit.end();
  }
}

function within(promise, milliseconds) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${milliseconds} ms`)), milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function sentence(name) {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
