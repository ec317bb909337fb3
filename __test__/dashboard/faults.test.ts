// Five faults in real processes with certificates, as a reader of the page learns of them: in words, with their repair.
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { Authority } from '../support/authority.js';
import { keysDir } from '../support/meshes.js';
import { run } from '../support/processes.js';
import { describeInBrowser, texts, useBrowser } from './support/browser.js';

const open = useBrowser();

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

interface Where {
  port: number;
  admin: { host: string; port: number } | null;
}

/** Waits until the page lists a problem whose words match; its words. */
async function problem(page: Page, kind: string, words: RegExp): Promise<string> {
  let found: string[] = [];
  await expect
    .poll(
      async () => {
        found = (await texts(page, `.problem[data-kind="${kind}"]`)).filter((one) =>
          words.test(one),
        );
        return found.length;
      },
      { timeout: 30_000 },
    )
    .toBeGreaterThan(0);
  return found[0]!;
}

describeInBrowser('the page', () => {
  it('says what is wrong at five faults of a gateway and three services, and what to do', async () => {
    const authority = new Authority();
    const start = (service: string, certificate: object, settings: object = {}) =>
      run('shop', {
        service,
        security: { certificate },
        observe: { from: ['gateway'] },
        ...settings,
      });
    const lasting = (id: string) => authority.issue(id, { days: '29' });
    const place = (program: ReturnType<typeof run>): Promise<Where> => program.next();

    // The certificate of stock ends today; one of its instances is slow.
    const ending = authority.issue('stock', {
      between: [new Date(Date.now() - 29 * DAY), new Date(Date.now() + 5.5 * HOUR)],
    });
    const [fast, slow] = await Promise.all([
      place(start('stock', ending)),
      place(start('stock', ending, { delayMs: 400 })),
    ]);
    const payments = await place(start('payments', lasting('payments'), { failing: ['get'] }));
    const orders = await place(
      start('orders', lasting('orders'), {
        flaky: ['refund'],
        calls: [
          { id: 'stock', method: 'get', ports: [fast.port, slow.port] },
          { id: 'payments', method: 'get', ports: [payments.port] },
        ],
      }),
    );
    const gateway = await place(
      start('gateway', lasting('gateway'), {
        admin: { port: 0 },
        // Whom it may ask; it calls none of them.
        knows: [
          { id: 'stock', ports: [fast.port, slow.port] },
          { id: 'payments', ports: [payments.port] },
        ],
        calls: [
          { id: 'orders', method: 'get', ports: [orders.port] },
          { id: 'orders', method: 'refund', ports: [] },
        ],
      }),
    );
    // The impostor calls itself orders. It trusts the authority of the shop, which has not issued its certificate.
    const other = new Authority();
    const forged = other.issue('orders');
    const anchors = [forged.ca, authority.path('ca.crt')].map((file) => readFileSync(file));
    writeFileSync(other.path('both.crt'), Buffer.concat(anchors));
    await place(
      start(
        'orders',
        { ...forged, ca: other.path('both.crt') },
        { calls: [{ id: 'payments', method: 'get', ports: [payments.port] }] },
      ),
    );

    const { page, faults, strays } = await open(`http://127.0.0.1:${gateway.admin?.port}/`);
    const said = async (kind: string, text: RegExp, repair: RegExp): Promise<string> => {
      const found = await problem(page, kind, text);
      expect(found).toMatch(repair);
      return found;
    };
    const slowly = await said(
      'instance-slow',
      new RegExp(`stock at 127.0.0.1:${slow.port} takes \\d+ ms, the others about [\\d.]+ ms`),
      /→ What to do: Look at the load of that machine/,
    );
    expect(Number(/takes (\d+) ms/.exec(slowly)?.[1])).toBeGreaterThan(390);
    await said(
      'method-failing',
      /\d+ of the last \d+ calls to orders\.refund of orders failed \((4|5|6)\d %\).*says gateway/,
      /→ What to do: Look at the recent errors of orders\.refund/,
    );
    await said(
      'breaker-open',
      new RegExp(`payments at 127.0.0.1:${payments.port} fails too often.*says orders`),
      /→ What to do: Read the log of that instance; restart it, or take it out of discovery/,
    );
    await said(
      'certificate-expiring',
      /stock the certificate of this service ends in 5 hours/,
      /→ What to do: Renew it/,
    );
    // The address is all that is known of the impostor; the name is the one that it claims.
    await page.evaluate(() => (location.hash = '#/security'));
    await said(
      'peer-refused',
      /payments .*a peer at \S*127\.0\.0\.1\S* was refused (once|\d+ times): the certificate of orders leads to no trust anchor/,
      /→ What to do: .*security\.certificate\.ca/,
    );
    await said('certificate-expiring', /stock the certificate/, /→ What to do: Renew it/);
    await page.waitForSelector('tr:has-text("stock") .tone-critical:has-text("5 h")');

    // Nothing healthy is accused.
    await page.evaluate(() => (location.hash = '#/'));
    await page.waitForSelector('h2:has-text("Topology")');
    const more = page.locator('button:has-text("more")');
    if ((await more.count()) > 0) await more.click();
    const accused = await page
      .locator('.problem:not(.info)')
      .evaluateAll((all) => all.map((one) => one.getAttribute('data-kind')));
    expect([...new Set(accused)].sort()).toEqual([
      'breaker-open',
      'certificate-expiring',
      'instance-slow',
      'method-failing',
      'peer-refused',
    ]);
    const words = (await texts(page, '.problem')).join('\n');
    expect(words).not.toMatch(/orders\.get|for 0 s/);
    expect(words).not.toContain(`127.0.0.1:${fast.port}`);

    // Each service has a view of its own.
    await page.evaluate(() => (location.hash = '#/service/stock'));
    const instances = page.locator('table:has(caption:has-text("Instances with")) tbody tr');
    // Each listens on every interface. What it says of itself and what orders sees of it are one row.
    await instances.filter({ hasText: 'ready' }).first().waitFor();
    expect(await instances.count()).toBe(2);
    const row = instances.filter({ hasText: `127.0.0.1:${slow.port}` });
    expect(await row.innerText()).toMatch(/\b([4-9]\d\d ms|[1-9]\.\d+ s)/);
    expect(await page.innerText('.identity .tone-critical')).toMatch(/^5 h \d+ min left$/);
    await page.evaluate(() => (location.hash = '#/service/payments'));
    await page.waitForSelector('tr:has-text("breaker open at orders")');
    await page.evaluate(() => (location.hash = '#/service/orders'));
    // The id leads to the exception in the log of orders.
    const failure = page.locator('tr:has(.message-cell):has-text("orders.refund")').first();
    await failure.waitFor();
    expect(await failure.innerText()).toMatch(
      /INTERNAL[\s\S]*from gateway[\s\S]*[0-9a-f]{8}-[0-9a-f]{4}-/,
    );
    expect(faults).toEqual([]);
    expect(strays).toEqual([]);
  }, 120_000);

  it('says that a key is not the one of the service that its holder claims to be', async () => {
    const jwtSecret = 'a secret of the tests of the page, of more than 32 bytes';
    const start = (service: string, settings: object = {}): Promise<Where> =>
      run('shop', {
        service,
        // Each has a disk of its own, so the impostor knows the secret and has another key.
        keysDir: mkdtempSync(join(keysDir, 'own-')),
        security: { jwtSecret },
        observe: { from: ['gateway'] },
        ...settings,
      }).next();
    const payments = await start('payments');
    const toPayments = { id: 'payments', method: 'get', ports: [payments.port] };
    const orders = await start('orders', { calls: [toPayments] });
    const gateway = await start('gateway', {
      admin: { port: 0 },
      calls: [toPayments, { id: 'orders', method: 'get', ports: [orders.port] }],
    });
    const { page, faults } = await open(`http://127.0.0.1:${gateway.admin?.port}/#/security`);
    await page.waitForSelector('tr:has-text("payments")');
    expect(await texts(page, '.problem[data-kind="peer-refused"]')).toEqual([]);
    // The first orders is known by now.
    await page.waitForSelector('.matrix :text("orders")');
    await start('orders', { calls: [toPayments] });
    const said = await problem(
      page,
      'peer-refused',
      /payments .*a peer at \S*127\.0\.0\.1\S* was refused (once|\d+ times): the key of orders differs from its remembered key/,
    );
    expect(said).toMatch(/→ What to do: .*otherwise somebody poses as it/);
    expect(faults).toEqual([]);
  }, 60_000);
});
