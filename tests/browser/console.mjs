// What administrators do in the console, one function each; the function's name is the claim.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { signIn, tenant } from './people.mjs';

export const consoleStories = [
  grantInAnotherTabShowsWithinFiveSecondsWithoutAReload,
  wrongTokenIsRefused,
  administratorOpensTheConsoleBehindTheGateway,
  nobodyElseDoes,
];

const app = '8d2b6f10-4c9e-4f3a-a6b1-0e7c5d9f2b34';

async function grantInAnotherTabShowsWithinFiveSecondsWithoutAReload(visit) {
  const { page, demo, context } = visit;
  // The page that asks for the token is itself the answer 401.
  visit.expect(/status of 401/);
  await page.goto(`http://localhost:${new URL(demo.admin).port}/`);
  await visit.look('console-sign-in');
  await page.fill('#token', (await readFile(demo.admin_token, 'utf8')).trim());
  await page.click('button[type=submit]');
  await page.waitForSelector('#live table');
  await page.evaluate(() => { window.sameDocument = true; });
  const taken = await fetch(`${demo.simulator}/sim/v1/apps/${app}/principals/${tenant}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ consented: false }),
  });
  assert.equal(taken.status, 200);
  await page.click('button[data-do=check]');
  await page.waitForSelector('[data-gate=directory]');
  assert.match(await page.textContent('#live'), /has been taken back/);
  await visit.look('console-revoked');
  const [tab] = await Promise.all([context.waitForEvent('page'), page.click('[data-gate=directory]')]);
  await visit.look('provider-consent', tab);
  await tab.click('button[value=accept]');
  await tab.waitForSelector('#outcome');
  assert.equal(await tab.textContent('#outcome'), 'Granted');
  await visit.look('console-granted', tab);
  await tab.close();
  await page.waitForSelector('[data-gate=directory]', { state: 'detached', timeout: 5_000 });
  assert.ok(await page.evaluate(() => window.sameDocument), 'the page was not loaded again');
  await page.waitForSelector('[data-status=answers]');
  await visit.look('console');
  await page.click('nav a[href="/people"]');
  await page.waitForSelector('.people');
  assert.match(await page.textContent('.people'), /Mallory/);
  await visit.look('console-people');
}

async function wrongTokenIsRefused(visit) {
  const { page, demo } = visit;
  visit.expect(/status of 401/);
  await page.goto(`http://localhost:${new URL(demo.admin).port}/`);
  await page.fill('#token', 'guessed');
  await page.click('button[type=submit]');
  await page.waitForSelector('#wrong');
  await visit.look('console-wrong-token');
}

async function administratorOpensTheConsoleBehindTheGateway(visit) {
  const { page, demo } = visit;
  await page.goto(`${demo.console}/`);
  await signIn(page, 'alice');
  await page.waitForSelector('#live table');
  assert.match(await page.textContent('.who'), /alice/i);
  await visit.look('console-behind-the-gateway');
}

async function nobodyElseDoes(visit) {
  const { page, demo } = visit;
  visit.expect(/status of 403/);
  await page.goto(`${demo.console}/`);
  await signIn(page, 'bob');
  await page.waitForURL(`${demo.console}/**`);
  assert.equal(await page.textContent('h1'), 'You do not have access');
  await visit.look('console-closed');
}
