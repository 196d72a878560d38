// What people do, one function each; the function's name is the claim.
import assert from 'node:assert/strict';

export const stories = [
  aliceSignsInAndUsesTheWikiOverHttp2,
  webSocketEchoesWithinTheSession,
  secondAppOpensWithoutAQuestion,
  signOutEndsBothAppsAndTheBackButtonShowsNothing,
  openWebSocketEndsWithTheSession,
  wrongPasswordAsksAgain,
  staleAnswerEndsOnAPageWithAWayOn,
  personWithoutARuleSeesTheBlockPage,
  unknownAddressSaysSo,
  scriptIsToldWhereToSignIn,
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
  visit.expect(/WebSocket/);
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
}

async function staleAnswerEndsOnAPageWithAWayOn(visit) {
  const { page, demo } = visit;
  visit.expect(/status of 40\d/);
  const response = await page.goto(`${new URL('/.portcullis/callback', demo.auth ?? demo.portal)}?code=old&state=old`);
  assert.ok(response.status() >= 400 && response.status() < 500, `${response.status()}`);
  await visit.look('stale-answer');
  assert.ok((await page.locator('a[href]').count()) > 0, 'there is a way on');
}

async function personWithoutARuleSeesTheBlockPage(visit) {
  const { page, demo } = visit;
  visit.expect(/status of 403/);
  await page.goto(`${demo.payroll}/`);
  await signIn(page, 'mallory');
  await page.waitForURL(`${demo.payroll}/**`);
  await visit.look('blocked');
  const body = await page.textContent('body');
  assert.match(body, /request/i, 'the page names the request');
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

async function signedIn(visit, person) {
  await visit.page.goto(`${visit.demo.wiki}/`);
  await signIn(visit.page, person);
  await visit.page.waitForURL(`${visit.demo.wiki}/**`);
}

// The simulator's page: choose a person or type a name, then the password.
async function signIn(page, person, password = 'demo') {
  const account = page.locator('label', { hasText: new RegExp(`^${person}`, 'i') });
  if (await account.count()) await account.first().click();
  else await page.locator('input[type=text], input[type=email]').first().fill(`${person}@contoso.example`);
  await page.locator('input[type=password]').fill(password);
  await page.locator('input[type=password]').press('Enter');
  await page.waitForLoadState();
}

async function signOut({ page, demo }) {
  await page.goto(`${demo.wiki}/.portcullis/sign-out`);
  const confirm = page.locator('form[method=post] button');
  if (await confirm.count()) await confirm.first().click();
  await page.waitForLoadState();
}

function echo(url) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    socket.onopen = () => socket.send('hello');
    socket.onmessage = ({ data }) => { resolve(data); socket.close(); };
    socket.onerror = () => reject(new Error('the WebSocket failed'));
  });
}
