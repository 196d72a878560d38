// Chromium with a fresh profile, and a visit: one context, one page, and a note of everything that went wrong in it.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const widths = [
  { name: 'wide', width: 1280, height: 800 },
  { name: 'narrow', width: 390, height: 844 },
];

export async function startBrowser(spki) {
  const places = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
  const executablePath = places.find((place) => place && existsSync(place));
  assert.ok(executablePath, 'Chromium is not installed');
  const browser = await chromium.launch({
    executablePath,
    args: [
      '--no-sandbox', // the tests may run as root, as in a container
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--disable-default-apps',
      '--host-resolver-rules=MAP *.localhost 127.0.0.1',
      ...(spki ? [`--ignore-certificate-errors-spki-list=${spki}`] : []),
    ],
  });
  return {
    async visit(demo, shots) {
      const context = await browser.newContext({ viewport: widths[0], locale: 'en-US' });
      const page = await context.newPage();
      return new Visit(context, page, demo, shots);
    },
    end: () => browser.close(),
  };
}

class Visit {
  #notes = [];
  #expected = [];

  constructor(context, page, demo, shots) {
    Object.assign(this, { context, page, demo, shots });
    context.on('page', (opened) => this.#watch(opened));
    this.#watch(page);
  }

  #watch(page) {
    page.on('pageerror', (error) => this.#notes.push(`script error: ${error.message}`));
    page.on('console', (message) => {
      if (message.type() === 'error') this.#notes.push(`console: ${message.text()} (${message.location().url})`);
    });
    page.on('requestfailed', (request) => {
      // Leaving a page ends its event stream; that is no failure.
      if (request.resourceType() === 'eventsource' && request.failure()?.errorText === 'net::ERR_ABORTED') return;
      this.#notes.push(`request failed: ${request.url()} ${request.failure()?.errorText}`);
    });
  }

  // Says that a note like this belongs to the story.
  expect(pattern) {
    this.#expected.push(pattern);
  }

  notes() {
    return this.#notes.filter((note) => !this.#expected.some((pattern) => pattern.test(note)));
  }

  assertNothingWentWrong() {
    assert.deepEqual(this.notes(), []);
  }

  // A picture in both widths, and what any page must keep: a title, one heading, a language, no sideways scrolling.
  async look(name, page = this.page) {
    for (const { name: width, ...viewport } of widths) {
      await page.setViewportSize(viewport);
      await page.screenshot({ path: `${this.shots}${name}-${width}.png`, fullPage: true });
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(overflow <= 0, `${name} is ${overflow} px too wide at ${viewport.width} px`);
    }
    await page.setViewportSize({ width: widths[0].width, height: widths[0].height });
    assert.notEqual(await page.title(), '', `${name} has a title`);
    assert.equal(await page.locator('h1:visible').count(), 1, `${name} has one heading`);
    assert.match((await page.locator('html').getAttribute('lang')) ?? '', /^[a-z]{2}/, `${name} names its language`);
  }

  async end() {
    await this.context.close();
  }
}
