// The page of a real admin port: a gateway and its services as processes, with faults, read over the mesh itself.
import { expect, it } from 'vitest';
import { run } from '../support/processes.js';
import { sleep } from '../support/promises.js';
import { describeInBrowser, useBrowser } from './support/browser.js';

const open = useBrowser();

interface Where {
  port: number;
  admin: { host: string; port: number } | null;
}

const start = (service: string, settings: object = {}): Promise<Where> =>
  run('shop', { service, ...settings }).next();

describeInBrowser('the page of a real mesh', () => {
  it('shows the services that it asks and those that they name, and a fault with its repair', async () => {
    const fast = await start('stock');
    const slow = await start('stock', { delayMs: 300 });
    const payments = await start('payments', { failing: ['refund'] });
    const orders = await start('orders', {
      calls: [
        { id: 'stock', method: 'get', ports: [fast.port, slow.port] },
        { id: 'payments', method: 'refund', ports: [payments.port] },
      ],
    });
    const gateway = await start('gateway', {
      admin: { port: 0 },
      calls: [{ id: 'orders', method: 'get', ports: [orders.port] }],
    });
    const url = `http://127.0.0.1:${gateway.admin?.port}/`;
    await sleep(4_000);
    const { page, faults, strays } = await open(url);
    for (const service of ['gateway', 'orders', 'stock', 'payments']) {
      await page.waitForSelector(`tbody tr:has-text("${service}")`, { timeout: 20_000 });
    }
    // Nobody typed these into the gateway: it learned of them from orders.
    const problems = page.locator('.problem');
    await page.waitForSelector('.problem:has-text("payments")', { timeout: 20_000 });
    const text = (await problems.allInnerTexts()).join('\n');
    expect(text).toMatch(/payments[\s\S]*(fail|open)/);
    const kinds = await problems.evaluateAll((all) =>
      all.map((one) => one.getAttribute('data-kind')),
    );
    expect(kinds).toContain('breaker-open');
    for (const row of await problems.all()) {
      expect((await row.innerText()).length).toBeGreaterThan(40);
    }
    await page.evaluate(() => {
      location.hash = '#/live';
    });
    await page.waitForSelector('text=orders.get', { timeout: 10_000 });
    await page.evaluate(() => {
      location.hash = '#/service/orders';
    });
    await page.waitForSelector('h1:has-text("orders")');
    expect(await page.innerText('main')).toMatch(/embedded/);
    expect(faults).toEqual([]);
    expect(strays).toEqual([]);
  }, 90_000);
});
