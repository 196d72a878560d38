// Stories of what is not there: an app that is down, a form that is too large, a provider that does not answer.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { change, until } from './held_up.mjs';
import { signedIn } from './people.mjs';

export const outOfOrder = [appThatIsDownOrRefusesSaysSo, providerThatIsDownIsSaidSo];

async function appThatIsDownOrRefusesSaysSo(visit) {
  const { page, demo } = visit;
  visit.expect(/status of (405|413|502|503)/);
  const file = join(demo.state, 'portcullis.toml');
  const before = await readFile(file, 'utf8');
  // Port 9 is "discard": nobody listens there on this machine.
  const down = '[[app]]\nname = "intranet"\nhost = "intranet.localhost"\nupstream = ["http://127.0.0.1:9"]\n\n[decision_log]';
  const small = before
    .replace('host = "payroll.localhost"', 'host = "payroll.localhost"\nmax_body = "10B"')
    .replace('host = "wiki.localhost"', 'host = "wiki.localhost"\nmethods = ["GET", "HEAD"]');
  await change(demo, file, small.replace('[decision_log]', down));
  const rules = join(demo.state, 'rules.toml');
  const rulesBefore = await readFile(rules, 'utf8');
  await change(demo, rules, `[[rule]]\nname = "intranet"\napps = ["intranet"]\nwho = "signed_in"\nverdict = "allow"\n\n${rulesBefore}`);
  try {
    await signedIn(visit, 'alice');
    await page.goto(demo.wiki.replace('wiki', 'intranet'));
    assert.equal(await page.textContent('h1'), 'The app is not available');
    await visit.look('app-down');
    await page.goto(`${demo.payroll}/`);
    await page.fill('input[name=amount]', '1'.repeat(100));
    await page.click('button');
    await page.waitForFunction(() => document.querySelector('h1')?.textContent === 'This is too large to send');
    await visit.look('too-large');
    await page.goto(`${demo.wiki}/`);
    await page.evaluate(() => {
      const form = document.body.appendChild(document.createElement('form'));
      form.method = 'post';
      form.submit();
    });
    await page.waitForFunction(() => document.querySelector('h1')?.textContent.startsWith('This kind of request'));
    await visit.look('method-refused');
  } finally {
    await change(demo, rules, rulesBefore);
    await change(demo, file, before);
  }
}

async function providerThatIsDownIsSaidSo(visit) {
  const { page, demo } = visit;
  visit.expect(/status of 503/);
  const faults = `${demo.simulator}/sim/v1/faults`;
  const answer = await fetch(`${faults}/discovery`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ fail: { status: 503 }, times: 1000 }),
  });
  assert.equal(answer.status, 200, await answer.text());
  try {
    // An answer of a moment ago counts for five seconds.
    await until(async () => {
      await page.goto(`${demo.wiki}/`);
      return (await page.textContent('h1')) === 'Microsoft cannot be reached';
    });
    await visit.look('provider-down');
  } finally {
    await fetch(faults, { method: 'DELETE' });
  }
}
