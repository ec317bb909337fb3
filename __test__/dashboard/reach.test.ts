// How far back the page looks: as far as the admin port keeps the past.
import { afterEach, expect, it } from 'vitest';
import { shop } from './support/answers.js';
import { describeInBrowser, go, texts, useBrowser } from './support/browser.js';
import { type Answers, type Port, serve } from './support/server.js';

const open = useBrowser();
const ports: Port[] = [];
async function start(answers: Answers): Promise<Port> {
  const port = await serve(answers);
  ports.push(port);
  return port;
}
afterEach(() => Promise.all(ports.splice(0).map((port) => port.kill())));

const FIELD = 'label.select:has-text("How far back") select';
const asked = ({ asked: paths }: Port): string[] => paths.filter((path) => /history/.test(path));

describeInBrowser('the past', () => {
  it('is that of the last hour, and on request that of a day or a week, in every view', async () => {
    const port = await start(shop());
    const { page, faults } = await open(port.url);
    await page.waitForSelector('th:has-text("Calls, last hour")');
    await page.waitForSelector(FIELD);
    expect(asked(port)).toEqual(['/api/v1/history?window=3600&step=10']);
    await page.selectOption(FIELD, { label: 'Last 7 days' });
    await page.waitForSelector('th:has-text("Calls, last 7 days")');
    await expect.poll(() => asked(port).at(-1)).toBe('/api/v1/history?window=604800&step=1800');
    await go(page, 'service');
    expect(await texts(page, 'h2')).toContain('The last 7 days');
    await page.selectOption(FIELD, { label: 'Last 24 hours' });
    await page.waitForSelector('h2:has-text("The last 24 hours")');
    await expect.poll(() => asked(port).at(-1)).toBe('/api/v1/history?window=86400&step=300');
    await go(page, 'timeline');
    expect(await page.inputValue(FIELD)).toBe('86400');
    expect(faults).toEqual([]);
  });

  it('offers no choice where an hour is all that is kept', async () => {
    const whole = shop();
    let spanMs = 7 * 86_400_000;
    const history: NonNullable<Answers['history']> = (window, step) => ({
      ...(whole.history!(window, step) as object),
      spanMs,
    });
    const port = await start({ ...whole, history });
    const { page } = await open(port.url);
    await page.waitForSelector(FIELD);
    spanMs = 3_600_000;
    await page.selectOption(FIELD, { label: 'Last 7 days' });
    // The process has started anew without a directory: the page does not claim what it has not.
    await page.waitForSelector(FIELD, { state: 'detached' });
    await page.waitForSelector('th:has-text("Calls, last hour")');
  });
});
