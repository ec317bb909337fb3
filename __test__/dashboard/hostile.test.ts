// Reports of peers that lie, shout, or are not what the contract says.
import { afterEach, expect, it } from 'vitest';
import { shop } from './support/answers.js';
import { describeInBrowser, texts, useBrowser, VIEWS } from './support/browser.js';
import { shopHistory, shopPicture } from './support/picture.js';
import { type Answers, type Port, serve } from './support/server.js';

const open = useBrowser();
const ports: Port[] = [];
async function start(answers: Answers): Promise<Port> {
  const port = await serve(answers);
  ports.push(port);
  return port;
}
afterEach(() => Promise.all(ports.splice(0).map((port) => port.kill())));

/** Members whose values are from a list; other values are replaced by the page. */
const LISTS = ['report', 'severity', 'state', 'breaker', 'direction', 'kind', 'unit', 'by', 'mode'];
const MARKUP = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>\u202e\u0007';

/** Returns a copy whose every string, keys of counts too, begins with markup and hidden characters. */
function shouted(value: unknown, name = ''): unknown {
  if (typeof value === 'string') return LISTS.includes(name) ? value : MARKUP + value;
  if (Array.isArray(value)) return value.map((element) => shouted(element, name));
  if (typeof value !== 'object' || value === null) return value;
  const loud = name === 'codes' ? MARKUP : '';
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [loud + key, shouted(member, key)]),
  );
}

/** Returns a copy in which some values are of other types, missing, negative or beyond all measure. */
function broken(value: unknown, random: () => number): unknown {
  if (random() < 0.04) {
    const others = [null, -1, 1e308, 'x', [], {}, true, '', 0, [null], -0.5];
    return others[Math.floor(random() * others.length)];
  }
  if (Array.isArray(value)) return value.map((element) => broken(element, random));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(() => random() > 0.02)
      .map(([key, member]) => [key, key === 'v' ? member : broken(member, random)]),
  );
}

describeInBrowser('the page', () => {
  it('shows markup as text and hidden characters by their numbers, in every view', async () => {
    const began = Date.now();
    const live = shop().live!;
    const port = await start({
      mesh: () => shouted(shopPicture(Date.now(), began)),
      history: (window, step) => shouted(shopHistory(Date.now(), began, window, step)),
      live: (send) => live((type, data) => send(type, shouted(data, type))),
    });
    const { page, faults } = await open(port.url);
    const service = encodeURIComponent(
      `${MARKUP}payments`.replace('\u202e', '\\u{202e}').replace('\u0007', '\\u{7}'),
    );
    for (const hash of ['#/', `#/service/${service}`, '#/live', '#/security', '#/timeline']) {
      await page.evaluate((to) => {
        location.hash = to;
      }, hash);
      await page.waitForFunction(() =>
        document.querySelector('main')!.textContent.includes('<img src=x'),
      );
      const seen = await page.evaluate(() => ({
        hit: 'hit' in window,
        elements: document.querySelectorAll('img, main script, iframe').length,
        text: document.body.textContent,
        wide: document.documentElement.scrollWidth > innerWidth,
      }));
      expect(seen.hit).toBe(false);
      expect(seen.elements).toBe(0);
      expect(seen.text).toContain('\\u{202e}');
      expect(seen.text).not.toMatch(/[\u202e\u0007]/);
      expect(seen.wide).toBe(false);
    }
    expect(faults).toEqual([]);
  });

  it('survives members of other types, missing, negative and huge ones', async () => {
    const began = Date.now();
    let seed = 1;
    const random = (): number => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    const port = await start({
      mesh: () => broken(shopPicture(Date.now(), began), random),
      history: (window, step) => broken(shopHistory(Date.now(), began, window, step), random),
    });
    const { page, faults } = await open(port.url);
    for (let round = 0; round < 6; round++) {
      seed = round * 7919 + 1;
      await page.reload();
      for (const { hash } of Object.values(VIEWS)) {
        await page.evaluate((to) => {
          location.hash = to;
        }, hash);
        await page.waitForFunction(() => document.querySelector('h1') !== null);
      }
      expect(await page.innerText('body')).not.toMatch(/NaN|undefined|Infinity|\[object/);
    }
    expect(faults).toEqual([]);
  });

  it('keeps a part of a million edges and says so', async () => {
    const edges = Array.from(
      { length: 1_000_000 },
      (_, i) => `{"from":"a${i % 900}","to":"b${i}"}`,
    );
    const text = `{"v":1,"at":1,"observer":"x","nodes":[],"problems":[],"edges":[${edges.join()}]}`;
    const port = await start({ mesh: () => text });
    const { page, faults } = await open(port.url);
    await page.waitForSelector(
      'text=The answer names 1,000,000 edges; the page shows the first 5,000.',
    );
    await page.waitForSelector('a.node');
    // It still answers.
    await page.click('nav a:has-text("Timeline")');
    await page.waitForSelector('h1:has-text("Timeline")');
    expect(faults).toEqual([]);
  });

  it('does not read an answer of 100 MB', async () => {
    const began = Date.now();
    let large = false;
    const port = await start({
      mesh: () => (large ? ' '.repeat(100 * 1024 * 1024) : shopPicture(Date.now(), began)),
    });
    const { page } = await open(port.url);
    await page.waitForSelector('.problem');
    large = true;
    await page.waitForSelector('text=The answer is larger than 32 MiB');
    expect((await texts(page, 'tbody tr')).length).toBe(10);
  });
});
