// Every view in dark and light, wide and narrow. With MESH_IMAGES=1 the images of the guide are made anew.
import axe from 'axe-core';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { root } from '../../scripts/lib.mjs';
import { shop } from './support/answers.js';
import { describeInBrowser, go, settled, useBrowser, VIEWS } from './support/browser.js';
import { type Port, serve } from './support/server.js';

const open = useBrowser();
const views = Object.keys(VIEWS) as (keyof typeof VIEWS)[];
let port: Port;
let locked: Port;
let empty: Port;
beforeAll(async () => {
  [port, locked, empty] = await Promise.all([
    serve(shop()),
    serve({ ...shop(), token: 'x' }),
    serve({ mesh: () => ({ v: 1, at: Date.now(), observer: 'gateway', nodes: [], edges: [] }) }),
  ]);
});
afterAll(() => Promise.all([port, locked, empty].map((one) => one.kill())));

type Finding = { id: string; nodes: { html: string; failureSummary?: string }[] };

describeInBrowser.each(['light', 'dark'] as const)('in %s', (colorScheme) => {
  it('axe finds nothing in any view', async () => {
    const { page } = await open(port.url, { colorScheme });
    await page.evaluate(axe.source);
    const check = async (name: string): Promise<void> => {
      const found = await page.evaluate(async () => {
        const { violations } = await (
          window as unknown as { axe: { run(): Promise<{ violations: Finding[] }> } }
        ).axe.run();
        return violations.map(({ id, nodes }) => ({
          id,
          nodes: nodes.slice(0, 3).map((node) => `${node.html} ${node.failureSummary ?? ''}`),
        }));
      });
      expect(found, name).toEqual([]);
    };
    for (const view of views) {
      await go(page, view);
      await check(view);
    }
    for (const [name, other] of [
      ['login', locked],
      ['empty', empty],
    ] as const) {
      await page.goto(other.url);
      await page.waitForSelector('.message h1:not(:has-text("Reading"))');
      await page.evaluate(axe.source);
      await check(name);
    }
  });

  it('no view is wider than 320 pixels', async () => {
    const { page } = await open(port.url, { colorScheme, viewport: { width: 320, height: 700 } });
    for (const view of views) {
      await go(page, view);
      const widths = await page.evaluate(() => ({
        page: document.documentElement.scrollWidth,
        // Elements that are wider than the page, outside of boxes that scroll by themselves.
        wide: [...document.querySelectorAll('main *')]
          .filter((e) => e.getBoundingClientRect().right > 321)
          .filter((e) => !e.closest('.scroller, .graph-scroll, pre, .hidden'))
          .map((e) => e.className),
      }));
      expect(widths, view).toEqual({ page: 320, wide: [] });
    }
  });
});

describeInBrowser('the images of the guide', () => {
  const folder = join(root, 'docs', 'images');

  // Slow, and of use to the guide only.
  it.runIf(process.env['MESH_IMAGES']).each([
    ['overview', 'light'],
    ['overview', 'dark'],
    ['service', 'light'],
    ['service', 'dark'],
  ] as const)('show the %s view in %s', async (view, colorScheme) => {
    const { page } = await open(`${port.url}${VIEWS[view].hash}`, {
      colorScheme,
      viewport: { width: 1280, height: 900 },
    });
    await settled(page, view);
    // Long enough for figures over the whole window.
    await page.waitForTimeout(2500);
    const path = join(folder, `dashboard-${view}-${colorScheme}.png`);
    // Down to the end of a section.
    const bottom = await page.evaluate(() =>
      Math.max(
        ...[...document.querySelectorAll('.card')]
          .map((card) => card.getBoundingClientRect().bottom + scrollY)
          .filter((end) => end < 1900),
      ),
    );
    const clip = { x: 0, y: 0, width: 1280, height: Math.ceil(bottom) + 20 };
    const image = await page.screenshot({ path, fullPage: true, clip });
    expect(image.byteLength).toBeGreaterThan(50_000);
    expect(image.byteLength).toBeLessThan(600_000);
  });
});
