// One proven peer, on as many sessions as it may have, sends and withholds whatever
// takes memory: the process with default limits stays below 512 MiB resident, and
// another peer goes on being served. MESH_ATTACK_SECONDS is the time in all.
import { randomBytes } from 'node:crypto';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { settled } from '../hostile/baseline.js';
import { Caller } from '../hostile/caller.js';
import { FLAG, MESSAGE, SESSION_CREDIT, STREAM_CREDIT } from '../hostile/constants.js';
import { grpcMessage } from '../hostile/grpc.js';
import { Honest } from '../hostile/honest.js';
import { identityOf } from '../hostile/identity.js';
import { answer, item, payload, ping, text, window, write } from '../hostile/messages.js';
import { Server } from '../hostile/server.js';

const SECONDS = Number(process.env['MESH_ATTACK_SECONDS'] ?? 20);
/** MiB resident, whatever a peer does. */
const LIMIT = 512;
const SIZE = 4 * 1024 * 1024;
const SESSIONS = 32;

const secret = randomBytes(32).toString('base64url');
const security = { jwtSecret: secret };

const wide = text(`[${'1,'.repeat(SIZE / 2 - 2)}1]`);
const records = text(`[${'{"a":1},'.repeat(SIZE / 8 - 2)}{}]`);
const nested = text('['.repeat(SIZE / 2) + ']'.repeat(SIZE / 2));
const bytes = payload(Buffer.alloc(SIZE - 64, 7));
const token = { token: '' };

/** The step that an attacker repeats on one of its sessions. */
interface Attack {
  name: string;
  begin?: (client: Caller) => void;
  step: (client: Caller, round: number) => void;
}

const attacks: Attack[] = [
  {
    name: 'wide and deep JSON',
    step: (client, round) => {
      const content = [wide, records, nested][round % 3]!;
      client.request(round % 2 === 0 ? 'hang' : 'echo', content, { timeLeft: 2_000 });
    },
  },
  {
    name: 'frames of bad messages',
    step: (client, round) => {
      const refused = () =>
        write(client.message(client.nextCall++, 'x', payload(undefined), token));
      const ping8 = () => write(ping(Buffer.from('12345678')));
      const parts = Array.from({ length: 20_000 }, round % 2 === 0 ? refused : ping8);
      client.session.sendPlain(Buffer.concat(parts));
    },
  },
  {
    name: 'requests that are never answered',
    step: (client, round) => {
      const content = round % 8 === 0 ? bytes : payload('x'.repeat(1_000));
      for (let sent = 0; sent < 64; sent++) {
        client.request('hang', content, { timeLeft: 0 });
        if (content === bytes) break;
      }
    },
  },
  {
    name: 'streams that are never read',
    begin: (client) => client.session.send(window(0, SESSION_CREDIT / 2)),
    step: (client) => {
      for (let opened = 0; opened < 32; opened++) {
        const call = client.request('flood', payload(16_384), { kind: FLAG.answers, timeLeft: 0 });
        client.session.send(window(call, STREAM_CREDIT / 2));
      }
      client.session.carrier.pause();
    },
  },
  {
    name: 'items that are never read',
    step: (client) => {
      const kind = FLAG.inputs | FLAG.answers;
      for (let opened = 0; opened < 16; opened++) {
        const call = client.request('hold', payload(undefined), { kind, timeLeft: 0 });
        const part = text(`[${'{},'.repeat(5_000)}{}]`);
        client.session.send(...Array.from({ length: 4 }, () => item(call, part)));
        client.session.send(...Array.from({ length: 40 }, () => item(call, payload(1))));
      }
    },
  },
  {
    name: 'answers that are never read',
    begin: (client) => client.session.carrier.pause(),
    step: (client, round) => {
      const size = round % 2 === 0 ? SIZE - 64 : 10_000;
      for (let sent = 0; sent < 32; sent++) {
        client.request('big', payload(size), { timeLeft: 0 });
      }
    },
  },
  {
    name: 'large frames that never end',
    step: (client, round) => {
      if (round > 0) return;
      client.session.carrier.raw(grpcMessage(Buffer.alloc(SIZE)).subarray(0, SIZE - 100));
    },
  },
];

/** The most that was resident in each attack, in MiB. */
const peaks: Record<string, number> = {};
afterAll(() => process.stderr.write(`MiB resident at the most: ${JSON.stringify(peaks)}\n`));

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function connect(server: Honest, id: string): Promise<Caller> {
  const identity = identityOf(id);
  return Caller.connect({ port: server.port, id, peer: 'server', identity, secret });
}

describe('a service stays within its memory, and serves others,', () => {
  const time = (SECONDS * 1_000) / (attacks.length + 1);

  it.each(attacks)(
    'whatever one peer does with $name',
    { timeout: time + 60_000 },
    async (attack) => {
      const server = await Honest.start({
        serviceId: 'server',
        port: 0,
        host: '127.0.0.1',
        security,
      });
      onTestFinished(() => server.kill());
      const healthy = await connect(server, 'healthy');
      expect(await healthy.call('echo', 'before')).toBe('before');
      server.resetPeak();
      const clients: (Caller | undefined)[] = Array<undefined>(SESSIONS).fill(undefined);
      const rounds = Array<number>(SESSIONS).fill(0);
      let served = 0;
      for (const end = Date.now() + time; Date.now() < end;) {
        for (let at = 0; at < SESSIONS && Date.now() < end; at++) {
          let client = clients[at];
          if (client === undefined || client.session.carrier.closed) {
            client = await connect(server, 'raw').catch(() => undefined);
            clients[at] = client;
            rounds[at] = 0;
            if (client !== undefined) attack.begin?.(client);
          }
          // Bytes that the service does not take are not piled up here.
          if (client !== undefined && client.session.carrier.stream.writableLength < 2 * SIZE) {
            attack.step(client, rounds[at]!++);
          }
          if (at % 8 === 0) await pause(1);
          expect(server.peak(), 'MiB resident').toBeLessThan(LIMIT);
        }
        expect(await healthy.call('echo', 'during')).toBe('during');
        served += 1;
      }
      peaks[attack.name] = Math.round(server.peak());
      expect(server.ended, server.output).toBe(null);
      expect(server.peak(), 'MiB resident').toBeLessThan(LIMIT);
      expect(served).toBeGreaterThan(0);
      for (const client of clients) client?.close();
      expect(await healthy.call('echo', 'after')).toBe('after');
      const memory = async () => (await server.gauges())['memoryBytes'];
      await expect.poll(memory, { timeout: 20_000, interval: 100 }).toBeLessThan(64 * 1024);
    },
  );
});

describe('a client stays within its memory, and calls others,', () => {
  it('whatever one service answers', { timeout: (SECONDS * 1_000) / 8 + 60_000 }, async () => {
    const options = (id: string) => ({ id, identity: identityOf(id), secret });
    let round = 0;
    const hostile = await Server.listen(options('raw'), (message, { session }) => {
      if (message.type !== MESSAGE.request) return;
      const content = [wide, records, nested, bytes][round++ % 4]!;
      if (round % 8 === 7) return; // never answered
      session.send(answer(MESSAGE.response, message.call, content, new Map()));
    });
    const healthy = await Server.listen(options('healthy'), (message, { session }) => {
      if (message.type !== MESSAGE.request) return;
      session.send(answer(MESSAGE.response, message.call, payload('ok'), new Map()));
    });
    const services = [hostile.entry, healthy.entry];
    const client = await Honest.start({ serviceId: 'client', security, discovery: { services } });
    onTestFinished(() => {
      client.kill();
      hostile.close();
      healthy.close();
    });
    expect((await client.call('healthy', 'x')).result).toBe('ok');
    const before = {
      gauges: await client.gauges(),
      descriptors: client.descriptors(),
      resident: client.resident(),
    };
    client.resetPeak();
    const call = () =>
      client.ask('call', {
        service: 'raw',
        method: 'x',
        options: { timeoutMs: 3_000 },
        drop: true,
      });
    for (const end = Date.now() + (SECONDS * 1_000) / 8; Date.now() < end;) {
      await Promise.all(Array.from({ length: 24 }, call));
      expect((await client.call('healthy', 'x')).result).toBe('ok');
      expect(client.peak(), 'MiB resident').toBeLessThan(LIMIT);
    }
    peaks['answers of every kind'] = Math.round(client.peak());
    hostile.close();
    await settled(client, before, { ms: 15_000, slack: LIMIT });
  });
});
