// Members of the mesh that are asked for their reports over the wire, and answer with anything: the picture of the
// others is there, in time, in bounded memory, and says whose word it is.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { MESSAGE } from '../hostile/constants.js';
import { Honest } from '../hostile/honest.js';
import { identityOf } from '../hostile/identity.js';
import { answer, readRequest, text } from '../hostile/messages.js';
import { Server } from '../hostile/server.js';
import { entry, serve } from '../support/meshes.js';
import { describeInBrowser, useBrowser } from './support/browser.js';

const open = useBrowser();
const secret = randomBytes(32).toString('base64url');
const security = { jwtSecret: secret };
const MIB = 1024 * 1024;

interface Picture {
  nodes: {
    service: string;
    report: string;
    unreachable?: string;
    repair?: string;
    instances: { service: string; inbound: unknown[]; outbound: unknown[] }[];
  }[];
  edges: { from: string; to: string; by: string; figures: { total: number } }[];
  problems: { reporter: string; text: string }[];
}

function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-peers-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A member that answers each question about itself so; null is never. */
async function peer(id: string, report: string | null): Promise<Server> {
  const server = await Server.listen(
    { id, identity: identityOf(id), secret },
    (message, { session }) => {
      if (message.type !== MESSAGE.request || report === null) return;
      expect(readRequest(message).method).toBe('securestack.observe');
      session.send(answer(MESSAGE.response, message.call, text(report), new Map()));
    },
  );
  onTestFinished(() => server.close());
  return server;
}

/** A process with an admin port that asks these, and a service `orders` that is what it says. */
async function gateway(peers: Server[]): Promise<{
  process: Honest;
  url: string;
  picture: () => Promise<Picture>;
}> {
  const orders = await serve('orders', (mesh) => mesh.handle('get', () => 1), {
    security: { ...security, rsaKeySize: 2048 },
    // Each gateway has a key of its own, which an `orders` of another test would refuse.
    paths: { keysDir: scratch() },
    observe: true,
  });
  const services = [entry('orders', orders), ...peers.map((server) => server.entry)];
  const process = await Honest.start({
    serviceId: 'gateway',
    security,
    discovery: { services },
    admin: { port: 0 },
  });
  onTestFinished(() => process.kill());
  const first = await process.call('orders', 'get');
  expect(first.error).toBeUndefined();
  expect(first.result).toBe(1);
  const { port } = await process.ask('adminAddress');
  const url = `http://127.0.0.1:${port}/`;
  const picture = async (): Promise<Picture> => {
    const response = await fetch(`${url}api/v1/mesh`);
    expect(response.status).toBe(200);
    return (await response.json()) as Picture;
  };
  return { process, url, picture };
}

const node = ({ nodes }: Picture, service: string): Picture['nodes'][0] =>
  nodes.find((one) => one.service === service)!;

/** The first picture about which a condition holds: the sessions have to be made first. */
async function seen(look: () => Promise<Picture>, is: (of: Picture) => boolean): Promise<Picture> {
  for (const end = Date.now() + 30_000; ;) {
    const picture = await look();
    if (is(picture)) return picture;
    if (Date.now() > end) throw new Error(JSON.stringify(picture.nodes).slice(0, 2_000));
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

const flows = (count: number): string =>
  Array.from({ length: count }, (_, i) => `{"peer":"s${i}","method":"m","total":1}`).join();

it('are left out where they answer too much, too late or nonsense, and the others are there', async () => {
  const answers: [string, string | null, RegExp][] = [
    ['huge', `{"v":1,"x":"${'x'.repeat(100 * MIB)}"}`, /./],
    ['large', `{"v":1,"x":"${'x'.repeat(3 * MIB)}"}`, /too large/],
    ['edges', `{"v":1,"outbound":[${flows(80_000)}]}`, /too large/],
    ['endless', null, /did not answer in time/],
    ['broken', '{"v":1,', /cannot be read/],
    ['other', '"v1"', /cannot be read/],
    ['later', '{"v":2}', /another version/],
  ];
  const peers = await Promise.all(answers.map(([id, report]) => peer(id, report)));
  const { process, picture } = await gateway(peers);
  const before = process.resident();
  process.resetPeak();
  const late = answers.map(([id, , why]) => [id, why] as const);
  const found = await seen(picture, (of) =>
    late.every(([id, why]) => why.test(node(of, id)?.unreachable ?? '')),
  );
  for (const [id] of late) {
    expect(node(found, id)).toMatchObject({ report: 'hearsay', instances: [] });
    expect(node(found, id).repair).toMatch(/\w.*\.$/);
  }
  expect(node(found, 'orders').report).toBe('direct');
  // However many ask, it is one picture after the other, and none waits for the one that never answers.
  const began = Date.now();
  await Promise.all(Array.from({ length: 20 }, picture));
  expect(Date.now() - began).toBeLessThan(12_000);
  expect(process.peak() - before).toBeLessThan(80);
}, 120_000);

it('speak for themselves, whomever they name, and a thousand names hide nobody', async () => {
  const claims = (name: string): string =>
    JSON.stringify({
      v: 1,
      service: 'orders',
      inbound: [{ peer: 'gateway', method: 'get', total: 1e9, failed: 1e9 }],
      outbound: JSON.parse(`[${flows(1_500)}]`.replaceAll('"s', `"${name}-s`)) as unknown,
      problems: [{ severity: 'critical', subject: 'orders', text: `${name} says so` }],
    });
  const names = ['a-liar', 'b-liar', 'c-liar'];
  const peers = await Promise.all(names.map((name) => peer(name, claims(name))));
  const { picture } = await gateway(peers);
  const found = await seen(picture, (of) =>
    names.every((name) => node(of, name)?.report === 'direct'),
  );
  const call = found.edges.find(({ from, to }) => from === 'gateway' && to === 'orders')!;
  expect(call.figures.total).toBeLessThan(10);
  expect(node(found, 'orders').instances).toHaveLength(1);
  for (const name of names) {
    const [instance] = node(found, name).instances;
    expect(instance!.service).toBe(name);
    expect(instance!.outbound.length).toBeLessThanOrEqual(501);
    expect(found.problems.find((problem) => problem.text === `${name} says so`)!.reporter).toBe(
      name,
    );
  }
  expect(found.nodes.length).toBeLessThanOrEqual(1_000);
}, 60_000);

const MARKUP = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>\u202e\u0007';

describeInBrowser('the page', () => {
  it('shows the words of a hostile member as text, and whose they are', async () => {
    const flow = { peer: 'orders', method: MARKUP, kind: MARKUP, codes: { [MARKUP]: 9 }, total: 9 };
    const report = {
      v: 1,
      service: 'orders',
      instance: MARKUP,
      version: MARKUP,
      state: MARKUP,
      mode: MARKUP,
      zone: MARKUP,
      address: MARKUP,
      inbound: [{ ...flow, peer: 'gateway' }],
      outbound: [flow],
      instances: [{ service: 'orders', address: MARKUP, zone: MARKUP, breaker: MARKUP }],
      sessions: [{ peer: MARKUP, address: MARKUP, trust: MARKUP, suite: MARKUP, spiffeId: MARKUP }],
      identity: {
        thumbprint: MARKUP,
        certificate: { subject: MARKUP, issuer: MARKUP, notAfter: 1 },
      },
      policy: {
        mode: MARKUP,
        rules: [{ name: MARKUP, from: [MARKUP], to: [MARKUP] }],
        file: MARKUP,
      },
      denials: [{ caller: MARKUP, method: MARKUP, rule: MARKUP, count: 1 }],
      limits: [{ name: MARKUP, used: 9, max: 10, unit: MARKUP }],
      problems: [
        { severity: 'critical', kind: MARKUP, subject: 'orders', text: MARKUP, repair: MARKUP },
      ],
      errors: [{ peer: MARKUP, method: MARKUP, code: MARKUP, message: MARKUP, reason: MARKUP }],
    };
    const { url } = await gateway([await peer('liar', JSON.stringify(report))]);
    const { page, faults, strays } = await open(url);
    await page.waitForSelector('.problem:has-text("<img src=x")', { timeout: 30_000 });
    expect(await page.innerText('.problem:has-text("<img src=x")')).toContain('says liar');
    for (const hash of [
      '#/',
      '#/service/liar',
      '#/service/orders',
      '#/live',
      '#/security',
      '#/timeline',
    ]) {
      await page.evaluate((to) => {
        location.hash = to;
      }, hash);
      await page.waitForSelector('h1');
      const found = await page.evaluate(() => ({
        hit: 'hit' in window,
        elements: document.querySelectorAll('img, main script, iframe').length,
        hidden: /[\u202e\u0007]/.test(document.body.textContent),
        wide: document.documentElement.scrollWidth > innerWidth,
      }));
      expect(found).toEqual({ hit: false, elements: 0, hidden: false, wide: false });
    }
    expect(faults).toEqual([]);
    expect(strays).toEqual([]);
  }, 60_000);
});
