// The page against answers about a shop with five faults.
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { shop } from './support/answers.js';
import {
  describeInBrowser,
  go,
  type Opened,
  settled,
  texts,
  useBrowser,
  type VIEWS,
} from './support/browser.js';
import { type Port, serve } from './support/server.js';
import { FAULTS } from './support/shop.js';

const open = useBrowser();
let port: Port;
/** The page of the tests that only look. */
let opened: Opened;
beforeAll(async () => {
  port = await serve(shop());
  opened = await open(port.url);
});
afterAll(() => port.kill());

/** Goes to a view of the common page. */
async function at(view: keyof typeof VIEWS): Promise<Page> {
  await go(opened.page, view);
  return opened.page;
}

/** Goes to the view of a service on the common page. */
async function service(name: string): Promise<Page> {
  const { page } = opened;
  await page.evaluate((to) => {
    location.hash = `#/service/${to}`;
  }, name);
  await page.waitForSelector(`h1:has-text("${name}")`);
  return page;
}

describeInBrowser('the overview', () => {
  it('names each fault in words, with its repair, the severest first', async () => {
    const page = await at('overview');
    await page.click('.more');
    const rows = await page.locator('.problem').evaluateAll((items) =>
      items.map((item) => ({
        kind: item.getAttribute('data-kind'),
        text: item.textContent,
      })),
    );
    expect(rows.map((row) => row.kind)).toEqual(FAULTS.map((fault) => fault.kind));
    for (const [i, fault] of FAULTS.entries()) {
      expect(rows[i]!.text).toContain(fault.text);
      expect(rows[i]!.text).toContain(fault.repair);
    }
    expect(await texts(page, 'h1')).toEqual(['3 critical problems, 3 warnings']);
    // It is seen without scrolling.
    const box = await page.locator('.problem').nth(2).boundingBox();
    expect(box!.y + box!.height).toBeLessThan(1000);
  });

  it('computes figures of now from the differences of counts', async () => {
    const page = await at('overview');
    const row = page.locator('tbody tr', { hasText: 'payments' });
    const cells = (await row.locator('td').allInnerTexts()).map((text) => text.trim());
    // 71 and 9.4 calls a second, of which 38 % of the latter fail.
    const [, success, calls] = cells.map((text) => parseFloat(text));
    expect(calls).toBeGreaterThan(60);
    expect(calls).toBeLessThan(100);
    expect(success).toBeGreaterThan(93);
    expect(success).toBeLessThan(97.5);
  });

  it('says whose word it is where a service does not report', async () => {
    const page = await at('overview');
    const row = page.locator('tbody tr', { hasText: 'legacy-billing' });
    expect(await row.innerText()).toContain('seen by orders only');
    expect(await texts(page, '.problem[data-kind=breaker-open] .meta')).toEqual([
      expect.stringContaining('says orders'),
    ]);
    expect(await page.locator('.node.hearsay').getAttribute('data-service')).toBe('legacy-billing');
  });

  it('is not coloured by a stranger who uses the name of a service', async () => {
    const page = await at('overview');
    // payments refused it; reporting itself is well.
    const refused = page.locator('.problem[data-kind=peer-refused] a');
    expect(await refused.innerText()).toBe('payments');
    expect(await page.locator('.node[data-service=reporting]').getAttribute('class')).toContain(
      'ok',
    );
  });
});

describeInBrowser('the view of a service', () => {
  it('shows the failing method and its errors', async () => {
    const page = await at('service');
    const [method] = await texts(page, '[aria-labelledby=card-methods] tbody tr');
    expect(method).toMatch(/^payments\.refund 6\d\.\d %/);
    const [error] = await texts(page, '[aria-labelledby=card-recent-errors] tbody tr');
    expect(error).toContain('UNAVAILABLE UPSTREAM_DOWN');
    expect(error).toContain('The card processor does not accept connections.');
    expect(error).toMatch(/err_\w+ 4bf92f\w+/);
  });

  it('shows the slow instance and the open breaker', async () => {
    const page = await service('orders');
    const instances = (await texts(page, '[aria-labelledby=card-instances] tbody tr')).join('\n');
    expect(instances).toMatch(/10\.20\.2\.13:50051 ejected, \d+ s left 486 ms 3 %/);
    await service('inventory');
    const broken = (await texts(page, '[aria-labelledby=card-instances] tbody tr')).join('\n');
    expect(broken).toContain('10.20.4.12:50051 breaker open at orders');
  });

  it('counts down to the end of a certificate', async () => {
    const page = await service('users');
    expect(await texts(page, '.countdown .tone-warning')).toContain('8 h 40 min left');
  });

  it('says so where a service has not reported, or does not exist', async () => {
    const page = await service('legacy-billing');
    const text = await page.innerText('main');
    expect(text).toContain('It could not be asked: it does not permit this service to observe it.');
    expect(text).toContain('Set its option observe');
    await service('nobody');
    await page.waitForSelector('text=No service of this name');
  });
});

describeInBrowser('the view of calls as they happen', () => {
  it('shows calls and gaps, filters, and stands still when paused', async () => {
    const page = await at('live');
    await page.fill('input[type=search]', 'users.session');
    await expect
      .poll(async () =>
        (await texts(page, 'tbody tr')).every((row) => row.includes('users.session')),
      )
      .toBe(true);
    await page.fill('input[type=search]', '');
    await page.check('input[type=checkbox]');
    await expect
      .poll(async () => (await texts(page, 'tbody tr')).every((row) => row.includes('UNAVAILABLE')))
      .toBe(true);
    await page.uncheck('input[type=checkbox]');
    await page.click('text=Pause');
    const before = await texts(page, 'tbody tr');
    await page.waitForSelector('text=/Go on \\(\\d+ new\\)/');
    expect(await texts(page, 'tbody tr')).toEqual(before);
    await page.click('text=/Go on/');
    await page.waitForSelector('text=340 calls are missing here');
  });
});

describeInBrowser('the view of security', () => {
  it('shows who may call whom, and the weak points', async () => {
    const page = await at('security');
    const cell = (from: string, to: string) =>
      page.locator(`.matrix td[title^="${from} → ${to}:"]`).getAttribute('class');
    expect(await cell('gateway', 'orders')).toBe('used');
    expect(await cell('reporting', 'payments')).toBe('denied');
    expect(await cell('search', 'users')).toBe('audit');
    expect(await cell('gateway', 'search')).toBe('open');
    expect(await cell('reporting', 'inventory')).toBe('unused');
    const kinds = await page
      .locator('.problem')
      .evaluateAll((items) => items.map((item) => item.getAttribute('data-kind')));
    expect(kinds).toEqual([
      'peer-refused',
      'certificate-expiring',
      'plaintext-listener',
      'secret-in-grace',
    ]);
  });
});

describeInBrowser('the timeline', () => {
  it('lists events, newest first, by kind and by words', async () => {
    const page = await at('timeline');
    const all = await texts(page, '.events li');
    expect(all[0]).toContain('Refused payments refused a peer at 10.20.77.3');
    expect(all).toHaveLength(9);
    await page.selectOption('label:has-text("Kind of event") select', 'ejection');
    expect(await texts(page, '.events li')).toEqual([expect.stringContaining('22 times slower')]);
    await page.selectOption('label:has-text("Kind of event") select', '');
    await page.fill('input[type=search]', 'breaker');
    await expect.poll(() => texts(page, '.events li')).toHaveLength(1);
  });
});

describeInBrowser('the page', () => {
  it('keeps to its origin and its policy in every view', async () => {
    const { page, faults, strays } = opened;
    for (const view of ['overview', 'service', 'live', 'security', 'timeline'] as const) {
      await go(page, view);
    }
    await page.mouse.move(400, 400);
    expect(strays).toEqual([]);
    expect(faults).toEqual([]);
    // The record works: what the policy forbids appears in it.
    await page.evaluate(() => {
      const style = document.createElement('style');
      style.textContent = 'body { color: red }';
      document.head.append(style);
    });
    await expect
      .poll(() => faults.some((fault) => fault.startsWith('policy: style-src')))
      .toBe(true);
  });

  it('is reached by the keyboard alone, with the focus in sight', async () => {
    const { page } = await open(port.url);
    await settled(page, 'overview');
    const focused = () =>
      page.evaluate(() => {
        const element = document.activeElement!;
        const { outlineStyle, outlineWidth } = getComputedStyle(element);
        return {
          name: element.getAttribute('aria-label') ?? element.textContent.trim(),
          seen: outlineStyle !== 'none' && outlineWidth !== '0px',
          service: element.getAttribute('data-service'),
        };
      });
    await page.keyboard.press('Tab');
    expect((await focused()).name).toBe('Skip to content');
    await page.keyboard.press('Enter');
    expect(await page.evaluate(() => document.activeElement!.id)).toBe('main');
    expect(page.url()).not.toContain('main');
    const stops: string[] = [];
    for (let i = 0; i < 40; i++) {
      await page.keyboard.press('Tab');
      const stop = await focused();
      expect(stop.seen, `the focus is in sight at ${stop.name}`).toBe(true);
      stops.push(stop.name);
      if (stop.service !== null) break;
    }
    expect(stops).toContain('payments');
    // The topology is one stop; the arrow keys move in it.
    await page.keyboard.press('ArrowRight');
    expect((await focused()).service).toBe('orders');
    await page.keyboard.press('Enter');
    await page.waitForSelector('h1:has-text("orders")');
    expect(await page.evaluate(() => document.activeElement!.id)).toBe('main');
    await page.goBack();
    await settled(page, 'overview');
    await page.keyboard.press('/');
    await page.keyboard.type('ship');
    await expect.poll(() => texts(page, 'tbody tr')).toHaveLength(1);
    await page.keyboard.press('Escape');
    await expect.poll(() => texts(page, 'tbody tr')).toHaveLength(10);
    // A table sorts by its heads.
    await page.focus('button.sort:has-text("Calls")');
    await page.keyboard.press('Enter');
    expect(await page.getAttribute('th:has(button:has-text("Calls"))', 'aria-sort')).toBe(
      'descending',
    );
    expect((await texts(page, 'tbody tr'))[0]).toContain('gateway');
  });

  it('remembers the choice of colours', async () => {
    const { page } = await open(port.url, { colorScheme: 'light' });
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await background();
    await page.click('.theme');
    await page.click('.theme');
    const dark = await background();
    expect(dark).not.toBe(light);
    await page.reload();
    expect(await background()).toBe(dark);
  });
});
