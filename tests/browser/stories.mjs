// What people do, one function each; the function's name is the claim.
import assert from 'node:assert/strict';
import { consoleStories } from './console.mjs';
import { heldUp } from './held_up.mjs';
import { outOfOrder } from './out_of_order.mjs';
import { signIn, signOut, signedIn, tenant } from './people.mjs';
import { atRisk, risk } from './risk.mjs';

export const stories = [
  aliceSignsInAndUsesTheWikiOverHttp2,
  webSocketEchoesWithinTheSession,
  secondAppOpensWithoutAQuestion,
  signOutEndsBothAppsAndTheBackButtonShowsNothing,
  openWebSocketEndsWithTheSession,
  wrongPasswordAsksAgain,
  formSurvivesTheSignIn,
  formOfAnotherSiteIsNotSent,
  signedOutAtTheProviderIsSignedOutHere,
  staleAnswerEndsOnAPageWithAWayOn,
  browserWithoutCookiesSeesAPage,
  everyPageIsWorthLookingAt,
  personWithoutARuleSeesTheBlockPage,
  unknownAddressSaysSo,
  scriptIsToldWhereToSignIn,
  ...consoleStories,
  ...heldUp,
  ...atRisk,
  ...outOfOrder,
];

async function aliceSignsInAndUsesTheWikiOverHttp2(visit) {
  const { page, demo } = visit;
  await page.goto(`${demo.wiki}/`);
  assert.ok(page.url().startsWith(demo.simulator), `the provider asks: ${page.url()}`);
  await visit.look('provider-sign-in');
  await signIn(page, 'alice');
  await page.waitForURL(`${demo.wiki}/**`);
  assert.match(await page.textContent('body'), /alice/i);
  const protocol = await page.evaluate(() => performance.getEntriesByType('navigation')[0].nextHopProtocol);
  assert.equal(protocol, 'h2');
  const cookies = await visit.context.cookies(demo.wiki);
  const session = cookies.find(({ name }) => name === '__Host-portcullis');
  assert.ok(session.httpOnly && session.secure && session.path === '/' && session.value.length <= 64, JSON.stringify(session));
  assert.equal(await page.evaluate(() => document.cookie), '', 'no script can read the session');
}

async function webSocketEchoesWithinTheSession(visit) {
  await signedIn(visit, 'alice');
  assert.equal(await visit.page.evaluate(echo, `${visit.demo.wiki.replace('https', 'wss')}/ws`), 'hello');
}

async function secondAppOpensWithoutAQuestion(visit) {
  const { page, demo } = visit;
  await signedIn(visit, 'alice');
  const asked = [];
  page.on('framenavigated', (frame) => asked.push(frame.url()));
  await page.goto(`${demo.payroll}/`);
  await page.waitForURL(`${demo.payroll}/**`);
  assert.match(await page.textContent('body'), /alice/i);
  assert.ok(!asked.some((url) => url.startsWith(demo.simulator)), `no question: ${asked}`);
}

async function signOutEndsBothAppsAndTheBackButtonShowsNothing(visit) {
  const { page, demo } = visit;
  await signedIn(visit, 'alice');
  await page.goto(`${demo.payroll}/`);
  await signOut(visit);
  await visit.look('signed-out');
  await page.goBack();
  await page.waitForLoadState();
  const body = await page.textContent('body');
  assert.ok(!page.url().startsWith(demo.payroll) || !/alice/i.test(body), `the back button shows the app again: ${page.url()}`);
  await page.goto(`${demo.wiki}/`);
  assert.ok(page.url().startsWith(demo.simulator), `the first app asks again: ${page.url()}`);
}

async function openWebSocketEndsWithTheSession(visit) {
  const { page, demo } = visit;
  await signedIn(visit, 'alice');
  // The gateway cuts the page's own event stream and WebSocket too, in the middle: that is the claim.
  visit.expect(/WebSocket|\/events|status of 401/);
  await page.evaluate((url) => {
    window.closed = new Promise((resolve) => {
      const socket = new WebSocket(url);
      socket.onopen = () => socket.send('hello');
      socket.onmessage = () => { window.open = true; };
      socket.onclose = () => resolve(performance.now());
    });
  }, `${demo.wiki.replace('https', 'wss')}/ws`);
  await page.waitForFunction(() => window.open === true);
  const other = await visit.context.newPage();
  await other.goto(`${demo.wiki}/`);
  const began = await page.evaluate(() => performance.now());
  await signOut({ ...visit, page: other, demo });
  const ended = await page.evaluate(() => Promise.race([window.closed, new Promise((resolve) => setTimeout(resolve, 10_000, null))]));
  assert.ok(ended !== null, 'the WebSocket outlives the session');
  assert.ok(ended - began < 5_000, `the WebSocket ended after ${ended - began} ms`);
}

async function wrongPasswordAsksAgain(visit) {
  const { page, demo } = visit;
  visit.expect(/status of 40[01]/);
  await page.goto(`${demo.wiki}/`);
  await signIn(page, 'alice', 'wrong');
  assert.ok(page.url().startsWith(demo.simulator), page.url());
  assert.ok(await page.locator('input[type=password]').isVisible());
  await visit.look('provider-wrong-password');
}

// The session ends while a form is filled in; sending it leads through the sign-in and the form arrives.
async function formSurvivesTheSignIn(visit) {
  const { page, demo, context } = visit;
  visit.expect(/status of 401/);
  await page.goto(`${demo.payroll}/`);
  await signIn(page, 'alice');
  await page.waitForURL(`${demo.payroll}/**`);
  await visit.look('payroll');
  await page.fill('input[name=amount]', '4711 <&> "x"');
  await context.clearCookies();
  await page.click('button');
  await page.locator('input[type=password]').waitFor();
  assert.ok(page.url().startsWith(demo.simulator), page.url());
  await signIn(page, 'alice');
  await page.locator('#done').waitFor();
  assert.equal(await page.textContent('#done'), 'Paid 4711 <&> "x".');
  assert.equal(await page.evaluate(() => Object.keys(sessionStorage).length), 0, 'nothing of the form is left behind');
}

// A page of another site posts to the app; nothing of it may be sent again after the sign-in.
async function formOfAnotherSiteIsNotSent(visit) {
  const { page, demo } = visit;
  visit.expect(/status of 401/);
  await page.route('https://evil.example/', (route) => route.fulfill({
    contentType: 'text/html',
    body: `<!doctype html><html lang=en><title>x</title><h1>x</h1><form method=post action="${demo.payroll}/"><input name=amount value=666><button>x</button></form>`,
  }));
  await page.goto('https://evil.example/');
  await page.click('button');
  await page.waitForURL(`${demo.payroll}/**`);
  assert.ok(!(await page.content()).includes('666'), 'the form is not kept');
  await page.goto(`${demo.payroll}/`);
  await signIn(page, 'alice');
  await page.waitForURL(`${demo.payroll}/**`);
  assert.equal(await page.locator('#done').count(), 0);
}

// Front-channel logout: the provider's page frames ours.
async function signedOutAtTheProviderIsSignedOutHere(visit) {
  const { page, demo } = visit;
  await signedIn(visit, 'alice');
  await page.goto(`${demo.simulator}/${tenant}/oauth2/v2.0/logout`);
  await page.waitForLoadState('networkidle');
  await visit.look('provider-signed-out');
  await page.goto(`${demo.wiki}/`);
  assert.ok(page.url().startsWith(demo.simulator), `the wiki asks again: ${page.url()}`);
}

// Cookies of the sign-in host are thrown away: a page says so, and there is no loop.
async function browserWithoutCookiesSeesAPage(visit) {
  const { page, demo, context } = visit;
  visit.expect(/status of 40\d/);
  await page.goto(`${demo.wiki}/`);
  await context.clearCookies({ domain: 'portal.localhost' });
  await signIn(page, 'alice');
  await page.waitForURL(`${demo.portal}/**`);
  await visit.look('cookies-off');
  assert.match(await page.textContent('body'), /cookies/i);
}

async function everyPageIsWorthLookingAt(visit) {
  const { page, demo } = visit;
  visit.expect(/status of (40\d|503)/);
  await signedIn(visit, 'alice');
  await page.waitForFunction(() => document.getElementById('ws').textContent === 'echo ping');
  await visit.look('wiki');
  await page.goto(`${demo.portal}/`);
  await visit.look('portal');
  await page.goto(`${demo.portal}/.portcullis/sign-out`);
  await visit.look('sign-out-question');
  await page.goto(`${demo.wiki}/.portcullis/resume?key=gone`);
  await visit.look('form-lost');
  await page.goto(`${demo.portal}/.portcullis/callback?code=a&code=b`);
  await visit.look('stale-answer');
  await page.goto(`${demo.wiki}/a//b`);
  assert.equal(await page.textContent('h1'), 'This request was not understood');
  await visit.look('bad-request');
  await page.goto(`${demo.simulator}/error?code=50105`);
  await visit.look('provider-error-lookup');
  await page.goto(`${demo.simulator}/${tenant}/oauth2/v2.0/authorize?client_id=unknown`);
  await visit.look('provider-error');
}

async function staleAnswerEndsOnAPageWithAWayOn(visit) {
  const { page, demo } = visit;
  visit.expect(/status of 40\d/);
  const response = await page.goto(`${new URL('/.portcullis/callback', demo.auth ?? demo.portal)}?code=old&state=old`);
  assert.ok(response.status() >= 400 && response.status() < 500, `${response.status()}`);
  await visit.look('answer-without-cookie');
  assert.ok((await page.locator('a[href]').count()) > 0, 'there is a way on');
}

async function personWithoutARuleSeesTheBlockPage(visit) {
  const { page, demo } = visit;
  visit.expect(/status of 403/);
  await risk(demo, 'mallory', 'none', async () => {
    await page.goto(`${demo.payroll}/`);
    await signIn(page, 'mallory');
    await page.waitForURL(`${demo.payroll}/**`);
    await visit.look('blocked');
    const body = await page.textContent('body');
    assert.match(body, /request/i, 'the page names the request');
    assert.match(body, /No rule gives/);
  });
}

async function unknownAddressSaysSo(visit) {
  const { page, demo } = visit;
  visit.expect(/status of (404|421)/);
  const url = new URL(demo.wiki);
  url.hostname = 'nowhere.localhost';
  const response = await page.goto(url.href);
  assert.ok([404, 421].includes(response.status()), `${response.status()}`);
  await visit.look('unknown-address');
}

async function scriptIsToldWhereToSignIn(visit) {
  const { page, demo } = visit;
  await signedIn(visit, 'alice');
  await visit.context.clearCookies({ name: '__Host-portcullis' });
  visit.expect(/status of 401/);
  const answer = await page.evaluate(async () => {
    const response = await fetch('/api', { headers: { accept: 'application/json' } });
    return { status: response.status, body: await response.json() };
  });
  assert.equal(answer.status, 401);
  assert.match(JSON.stringify(answer.body), /https:/, 'the answer names the login address');
  assert.ok(page.url().startsWith(demo.wiki));
}

function echo(url) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    socket.onopen = () => socket.send('hello');
    socket.onmessage = ({ data }) => { resolve(data); socket.close(); };
    socket.onerror = () => reject(new Error('the WebSocket failed'));
  });
}
