// Clients that vanish at any point of their lives, all from one address. They leave nothing behind, and the
// next client is served normally.
//
// MESH_ATTACK_CLIENTS is the number of vanishing clients in each of the five rounds, 200 by default, 1000
// for the long run. MESH_ATTACK_SEED repeats a run.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { measure, settled } from '../hostile/baseline.js';
import { Honest } from '../hostile/honest.js';
import { makeIdentity } from '../hostile/identity.js';
import { random } from '../hostile/random.js';
import { points, vanish, ways } from '../hostile/vanish.js';
import { compared } from '../support/compared.js';

const ROUNDS = 5;
const clients = Number(process.env['MESH_ATTACK_CLIENTS'] ?? 200);
const seed = Number(process.env['MESH_ATTACK_SEED'] ?? Date.now() % 2 ** 32);
/** The number of concurrent clients, below the limits for one address. */
const AT_ONCE = 24;

const secret = randomBytes(32).toString('base64url');
const security = { jwtSecret: secret };

async function serve(): Promise<Honest> {
  const server = await Honest.start({ serviceId: 'server', port: 0, host: '127.0.0.1', security });
  onTestFinished(() => server.kill());
  return server;
}

/** A client process that has not called yet. */
async function newcomer(server: Honest, id: string, keysDir?: string): Promise<Honest> {
  const services = [{ id: 'server', host: '127.0.0.1', port: server.port }];
  const mesh = { serviceId: id, security, discovery: { services } };
  const client = await Honest.start(mesh, keysDir === undefined ? {} : { keysDir });
  onTestFinished(() => client.kill());
  return client;
}

it(
  `${clients} clients vanish at any point, ${ROUNDS} times over (seed ${seed})`,
  { ...compared, timeout: 20_000 + clients * ROUNDS * 40 },
  async () => {
    const server = await serve();
    const identity = makeIdentity();
    const options = { port: server.port, id: 'raw', peer: 'server', identity, secret };
    const next = random(seed);
    const pick = <T>(from: readonly T[]): T => from[Math.floor(next() * from.length)]!;
    // A first round of each kind, so that the baseline includes lazily allocated memory.
    for (const point of points) await vanish(options, point, 'reset');
    const before = await measure(server);

    for (let round = 0; round < ROUNDS; round++) {
      const client = await newcomer(server, `client-${round}`);
      let left = clients;
      let refused = 0;
      const one = async () => {
        while (left-- > 0) {
          await vanish(options, pick(points), pick(ways)).catch(() => (refused += 1));
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, one));
      const { result, error, took } = await client.timed('server', 'echo', round);
      // Limits may refuse some clients; most must reach their point.
      expect(refused, `refused in round ${round}`).toBeLessThan(clients / 4);
      expect(error, `round ${round}`).toBeUndefined();
      expect(result).toBe(round);
      expect(took, `the newcomer of round ${round} waited`).toBeLessThan(100);
      client.kill();
    }
    await settled(server, before);
  },
);

it('20 clients of the package are killed after one call each', { timeout: 60_000 }, async () => {
  const server = await serve();
  const keysDir = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-attack-'));
  onTestFinished(() => rmSync(keysDir, { recursive: true, force: true }));
  const one = async (number: number): Promise<void> => {
    const client = await newcomer(server, `client-${number}`, mkdtempSync(join(keysDir, 'x-')));
    const { result, error } = await client.call('server', 'echo', number);
    expect(error).toBeUndefined();
    expect(result).toBe(number);
    client.kill();
  };
  await one(20);
  await expect.poll(async () => (await server.gauges())['activeSessions']).toBe(0);
  const before = await measure(server);
  for (let number = 0; number < 20; number += 2) await Promise.all([one(number), one(number + 1)]);
  await settled(server, before);
});
