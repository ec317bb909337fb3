// Chromium, and pages that record everything that a page of the admin port must not do.
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, type SuiteAPI } from 'vitest';
import { findChromium } from '../../../scripts/chromium.mjs';

const executable = findChromium();
if (executable === undefined) {
  const text = 'there is no Chromium for the tests of the dashboard; run node scripts/chromium.mjs';
  if (process.env['CI']) throw new Error(text);
  process.stderr.write(`${text}\n`);
}

/** `describe`, skipped where there is no Chromium. */
export const describeInBrowser = (executable === undefined ? describe.skip : describe) as SuiteAPI;

/** A page and its record. */
export interface Opened {
  page: Page;
  /** Errors and warnings of the console, uncaught exceptions, violations of the policy. */
  faults: string[];
  /** Requests to elsewhere. */
  strays: string[];
}

/** Starts a browser for the tests of a file; returns a function that opens an address. */
export function useBrowser() {
  let browser: Browser;
  beforeAll(async () => {
    if (executable === undefined) return;
    browser = await chromium.launch({
      executablePath: executable,
      // Chromium's sandbox does not start for root.
      args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
    });
  });
  afterAll(async () => {
    await browser?.close();
  });
  return async (url: string, options: BrowserContextOptions = {}): Promise<Opened> => {
    const context = await browser.newContext({
      viewport: { width: 1440, height: 1000 },
      colorScheme: 'light',
      ...options,
    });
    const page = await context.newPage();
    const [faults, strays]: [string[], string[]] = [[], []];
    page.on('pageerror', (error) => faults.push(String(error)));
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') faults.push(message.text());
    });
    page.on('request', (request) => {
      const target = request.url();
      if (!target.startsWith(new URL(url).origin) && !target.startsWith('data:')) {
        strays.push(target);
      }
    });
    await page.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) =>
        // eslint-disable-next-line no-console -- the page's console is the record
        console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`),
      );
    });
    await page.goto(url);
    return { page, faults, strays };
  };
}

/** The views by their hash, each with an element that is there once it is drawn. */
export const VIEWS = {
  overview: { hash: '#/', ready: '.graph a.node' },
  service: { hash: '#/service/payments', ready: '.chart canvas' },
  live: { hash: '#/live', ready: '.tall tbody tr' },
  security: { hash: '#/security', ready: '.matrix' },
  timeline: { hash: '#/timeline', ready: '.events li' },
} as const;

/** Waits until a view is drawn, and until there are rates. */
export async function settled(page: Page, view: keyof typeof VIEWS): Promise<void> {
  await page.waitForSelector(VIEWS[view].ready);
  if (view === 'overview' || view === 'service') {
    await page.waitForFunction(() => /\d+ \/s/.test(document.querySelector('.facts')!.textContent));
  }
}

/** Goes to a view by its hash, and waits until it is drawn. */
export async function go(page: Page, view: keyof typeof VIEWS): Promise<void> {
  await page.evaluate((hash) => {
    location.hash = hash;
  }, VIEWS[view].hash);
  await settled(page, view);
}

/** Returns the visible text of elements. */
export async function texts(page: Page, selector: string): Promise<string[]> {
  const found = await page.locator(selector).allInnerTexts();
  return found.map((text) => text.replace(/\s+/g, ' ').trim());
}
