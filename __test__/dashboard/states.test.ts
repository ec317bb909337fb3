// The states in which there is no picture, or an old one.
import { afterEach, expect, it } from 'vitest';
import { shop } from './support/answers.js';
import { describeInBrowser, settled, texts, useBrowser } from './support/browser.js';
import { type Answers, type Port, serve } from './support/server.js';

const open = useBrowser();
const ports: Port[] = [];
async function start(answers: Answers): Promise<Port> {
  const port = await serve(answers);
  ports.push(port);
  return port;
}
afterEach(() => Promise.all(ports.splice(0).map((port) => port.kill())));

const EMPTY = {
  v: 1,
  observer: 'gateway',
  nodes: [{ service: 'gateway', report: 'self', instances: [], seenBy: [] }],
  edges: [],
  problems: [],
};

describeInBrowser('the page', () => {
  it('asks for a token, refuses a wrong one, and opens with the right one', async () => {
    const port = await start({ ...shop(), token: 'right' });
    const { page } = await open(port.url);
    await page.waitForSelector('h1:has-text("Token needed")');
    await page.fill('#token', 'wrong');
    await page.keyboard.press('Enter');
    await page.waitForSelector('text=does not accept this token');
    await page.fill('#token', 'right');
    await page.keyboard.press('Enter');
    await settled(page, 'overview');
    // The token itself is not kept where a script could read it.
    const kept = await page.evaluate(() => document.cookie + JSON.stringify(localStorage));
    expect(kept).not.toContain('right');
    expect(kept).not.toContain('mesh=yes');
  });

  it('keeps the last picture, greyed, and says since when there is no answer', async () => {
    const port = await start(shop());
    const { page } = await open(port.url);
    await settled(page, 'overview');
    await port.kill();
    await page.waitForSelector('.lost');
    expect(await page.innerText('.lost')).toMatch(
      /No answer from the admin port since \d\d:\d\d:\d\d\. The connection failed\./,
    );
    expect(await page.innerText('.lost .repair')).toContain('Check that the process runs');
    expect(await page.getAttribute('main', 'class')).toContain('stale');
    expect(await texts(page, 'tbody tr')).toHaveLength(10);
    await port.revive();
    await page.waitForSelector('.lost', { state: 'detached' });
    expect(await page.getAttribute('main', 'class')).not.toContain('stale');
  });

  it('says so when there has never been an answer, and what to check', async () => {
    const port = await start({ mesh: () => '<html>' });
    const { page } = await open(port.url);
    await page.waitForSelector('h1:has-text("does not answer")');
    expect(await page.innerText('main')).toContain('The answer is not JSON.');
    expect(await page.innerText('main')).toContain('Check that the process runs');
  });

  it('shows the picture where only the history cannot be read', async () => {
    const port = await start({ ...shop(), history: () => 'no JSON' });
    const { page } = await open(`${port.url}#/service/payments`);
    await page.waitForSelector('text=The history could not be read. The answer is not JSON.');
    await page.waitForTimeout(2200);
    expect(await page.locator('.lost').count()).toBe(0);
    expect(await page.locator('.problem').count()).toBe(2);
  });

  it('explains an empty mesh', async () => {
    const port = await start({ mesh: () => ({ ...EMPTY, at: Date.now() }) });
    const { page } = await open(port.url);
    await page.waitForSelector('h1:has-text("No calls yet")');
    expect(await page.innerText('main')).toContain("mesh.connect('gateway')");
  });

  it('says that it reads before the first answer', async () => {
    const port = await start({ mesh: () => ({ ...EMPTY, at: Date.now() }) });
    const { page } = await open(`${port.url}app.css`);
    await page.route('**/api/v1/mesh', () => {});
    await page.goto(port.url);
    await page.waitForSelector('h1:has-text("Reading the mesh…")');
  });

  it('asks for nothing while its tab is hidden', async () => {
    const port = await start(shop());
    const { page } = await open(port.url);
    await settled(page, 'overview');
    const hide = (hidden: boolean) =>
      page.evaluate((value) => {
        Object.defineProperty(document, 'hidden', { value, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
      }, hidden);
    await hide(true);
    await page.waitForTimeout(300);
    const asked = port.asked.length;
    await page.waitForTimeout(2600);
    expect(port.asked.length).toBe(asked);
    await hide(false);
    await expect.poll(() => port.asked.length).toBeGreaterThan(asked);
  });

  it('does not move for a reader who wants no motion', async () => {
    const port = await start(shop());
    const { page } = await open(port.url, { reducedMotion: 'reduce' });
    await settled(page, 'overview');
    await page.hover('a.node');
    expect(await page.evaluate(() => document.getAnimations().length)).toBe(0);
  });
});
