// Stories of people who are held up on their way: asked for more, warned, at risk, sent round too often.
import assert from 'node:assert/strict';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { signIn, signedIn, tenant } from './people.mjs';

export const heldUp = [
  formSurvivesAStepUp,
  cancelledStepUpEndsOnAPageWithAWayOn,
  warningIsReadOnce,
  accountAtRiskIsToldWhatToDo,
  browserThatIsSentRoundIsToldSo,
];

const sendingProvesMore = rule('sending-proves-more', 'apps = ["payroll"]\nmethods = ["POST"]\nwho = "signed_in"\nverdict = "challenge"\ncontext = "c1"');

async function formSurvivesAStepUp(visit) {
  const { page, demo } = visit;
  visit.expect(/status of 401/);
  await context(demo, 'mfa');
  await withRules(demo, sendingProvesMore, async () => {
    await page.goto(`${demo.payroll}/`);
    await signIn(page, 'alice');
    await page.waitForURL(`${demo.payroll}/**`);
    await page.fill('input[name=amount]', '17 <&> "x"');
    await page.click('button');
    await page.locator('button[value=approve]').waitFor();
    assert.ok(page.url().startsWith(demo.simulator), page.url());
    await visit.look('provider-second-factor');
    await page.click('button[value=approve]');
    await page.locator('#done').waitFor();
    assert.equal(await page.textContent('#done'), 'Paid 17 <&> "x".');
  });
}

async function cancelledStepUpEndsOnAPageWithAWayOn(visit) {
  const { page, demo } = visit;
  visit.expect(/status of 40[13]/);
  await context(demo, 'mfa');
  await withRules(demo, rule('wiki-proves-more', 'apps = ["wiki"]\nwho = "signed_in"\nverdict = "challenge"\ncontext = "c1"'), async () => {
    await page.goto(`${demo.wiki}/`);
    await signIn(page, 'alice');
    await page.click('button[value=cancel]');
    await page.waitForURL(`${demo.portal}/**`);
    await visit.look('step-up-cancelled');
    await page.click('a.button');
    await page.click('button[value=approve]');
    await page.waitForURL(`${demo.wiki}/**`);
    assert.match(await page.textContent('body'), /alice/i);
  });
}

async function warningIsReadOnce(visit) {
  const { page, demo } = visit;
  visit.expect(/status of 403/);
  await withRules(demo, rule('wiki-warns', 'apps = ["wiki"]\npaths = ["/"]\nmethods = ["GET"]\nwho = "signed_in"\nverdict = "warn"'), async () => {
    await page.goto(`${demo.wiki}/`);
    await signIn(page, 'alice');
    await page.waitForURL(`${demo.wiki}/**`);
    await visit.look('warning');
    await page.click('button');
    await page.waitForFunction(() => document.getElementById('ws')?.textContent === 'echo ping');
    assert.equal(page.url(), `${demo.wiki}/`);
    await page.reload();
    assert.match(await page.textContent('body'), /alice/i);
    assert.equal(await page.locator('text=Before you go on').count(), 0);
  });
}

async function accountAtRiskIsToldWhatToDo(visit) {
  const { page, demo } = visit;
  visit.expect(/status of 403/);
  await page.goto(`${demo.wiki}/`);
  await signIn(page, 'mallory');
  await page.waitForURL(`${demo.wiki}/**`);
  assert.equal(await page.locator('text=Your account is protected').count(), 1);
  await visit.look('account-at-risk');
  const links = await page.locator('ol a').evaluateAll((all) => all.map(({ href }) => href));
  assert.deepEqual(links, ['https://aka.ms/sspr', 'https://mysignins.microsoft.com/security-info']);
  // The way out stays open.
  await page.click('a.button');
  await page.locator('input[type=password]').waitFor();
  assert.ok(page.url().startsWith(demo.simulator), page.url());
  await page.goto(`${demo.portal}/`);
  assert.match(await page.textContent('body'), /mallory/i);
}

async function browserThatIsSentRoundIsToldSo(visit) {
  const { page, demo, context: browser } = visit;
  // What the wiki still asks for after its cookie is gone is refused too.
  visit.expect(/status of (401|429)/);
  await signedIn(visit, 'alice');
  for (let round = 0; round < 2; round += 1) {
    await browser.clearCookies({ name: '__Host-portcullis', domain: new URL(demo.wiki).hostname });
    await page.goto(`${demo.wiki}/`);
  }
  assert.equal(await page.textContent('h1'), 'Signing in keeps failing');
  await visit.look('keeps-failing');
}

function rule(name, keys) {
  return `[[rule]]\nname = "${name}"\n${keys}\n\n`;
}

// The Conditional Access policy behind c1.
export async function context(demo, policy) {
  const answer = await fetch(`${demo.simulator}/sim/v1/contexts/${tenant}/c1`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ policy }),
  });
  assert.equal(answer.status, 200);
}

// Puts rules before the demo's own while `story` runs. The gateway reads them by itself.
async function withRules(demo, rules, story) {
  const file = join(demo.state, 'rules.toml');
  const before = await readFile(file, 'utf8');
  await change(demo, file, rules + before);
  try {
    await story();
  } finally {
    await change(demo, file, before);
  }
}

export async function change(demo, file, text) {
  const before = await generation(demo);
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
  await until(async () => (await generation(demo)) > before);
}

async function generation(demo) {
  const metrics = await (await fetch(`${demo.admin}/metrics`)).text();
  return Number(/^portcullis_config_generation (\d+)/m.exec(metrics)[1]);
}

export async function until(condition) {
  const deadline = Date.now() + 30_000;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, 'not within 30 s');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
