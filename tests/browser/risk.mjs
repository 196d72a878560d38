// Stories of risk that changes while somebody is at work.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from './held_up.mjs';
import { signIn, signedIn } from './people.mjs';

export const atRisk = [mallorysOpenPageStreamsAndDownloadStop, bobProvesHimselfAndComesBackToHisPage, aliceNoticesNothing];

async function mallorysOpenPageStreamsAndDownloadStop(visit) {
  const { page, demo } = visit;
  // The page's own streams are cut in the middle, and it is closed to her afterwards: that is the claim.
  visit.expect(/WebSocket|\/events|\/download|status of 403|net::ERR/);
  await risk(demo, 'mallory', 'none', async () => {
    await signedIn(visit, 'mallory');
    await page.waitForFunction(() => document.getElementById('ws').textContent === 'echo ping');
    await page.waitForFunction(() => Number(document.getElementById('sse').textContent) > 0);
    await page.evaluate(() => {
      window.download = { bytes: 0, ended: null };
      fetch('/download').then(async (response) => {
        const reader = response.body.getReader();
        for (;;) {
          const { done, value } = await reader.read();
          if (done) break;
          window.download.bytes += value.length;
        }
        window.download.ended = 'whole';
      }).catch(() => { window.download.ended = 'cut'; });
    });
    await page.waitForFunction(() => window.download.bytes > 0);
    await visit.look('wiki-before-the-risk');
    await set(demo, 'mallory', 'high');
    await page.waitForFunction(() => document.getElementById('ws').textContent.startsWith('closed 1008'));
    await page.waitForFunction(() => document.getElementById('sse').textContent === 'ended');
    await page.waitForFunction(() => window.download.ended === 'cut');
    await visit.look('wiki-after-the-risk');
    assert.equal(await page.textContent('#ws'), 'closed 1008 verdict_changed');
    await page.goto(`${demo.wiki}/`);
    assert.match(await page.textContent('body'), /Your account is protected/);
  });
}

async function bobProvesHimselfAndComesBackToHisPage(visit) {
  const { page, demo } = visit;
  await page.goto(`${demo.payroll}/?month=11`);
  await signIn(page, 'bob');
  // He has signed in; now the second factor is asked for, at the provider and not here.
  const approve = page.locator('button[value=approve]');
  await approve.waitFor();
  assert.ok(page.url().startsWith(demo.simulator), page.url());
  await approve.click();
  await page.waitForURL(`${demo.payroll}/**`);
  assert.equal(page.url(), `${demo.payroll}/?month=11`);
  assert.match(await page.textContent('body'), /bob/i);
  // What he has proven counts at the other app too.
  await page.goto(`${demo.wiki}/`);
  assert.match(await page.textContent('body'), /bob/i);
}

async function aliceNoticesNothing(visit) {
  const { page, demo } = visit;
  await signedIn(visit, 'alice');
  await page.waitForFunction(() => document.getElementById('ws').textContent === 'echo ping');
  await risk(demo, 'mallory', 'low', async () => {
    const count = async () => Number(await page.textContent('#sse'));
    const before = await count();
    await page.waitForFunction((n) => Number(document.getElementById('sse').textContent) > n + 3, before);
  });
  assert.equal(await page.textContent('#ws'), 'echo ping');
}

// Runs `story` while `person` is at `level`, and puts them back to where the demo has them.
export async function risk(demo, person, level, story) {
  await set(demo, person, level);
  await seen(demo, person, level);
  try {
    await story();
  } finally {
    await set(demo, person, 'high');
    await seen(demo, person, 'high');
  }
}

async function set(demo, person, level) {
  const answer = await fetch(`${demo.simulator}/sim/v1/people/${person}/risk`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ level }),
  });
  assert.equal(answer.status, 200);
}

// Waits until the gateway has read it.
async function seen(demo, person, level) {
  const token = (await readFile(join(demo.state, 'state', 'admin-token'), 'utf8')).trim();
  await until(async () => {
    const answer = await fetch(`${demo.admin}/api/v1/users/risky`, { headers: { authorization: `Bearer ${token}` } });
    assert.equal(answer.status, 200);
    const line = (await answer.json()).users.find(({ upn }) => upn.startsWith(`${person}@`));
    return (line?.risk?.level ?? 'none') === level;
  });
}
