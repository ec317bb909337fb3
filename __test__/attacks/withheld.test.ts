// An authenticated peer that grants credit and does not read: the sender buffers no more for it than its own
// budget.
import { randomBytes } from 'node:crypto';
import { describe, expect, it, onTestFinished } from 'vitest';
import { bounded, measure, settled } from '../hostile/baseline.js';
import { Caller } from '../hostile/caller.js';
import {
  FLAG,
  MESSAGE,
  SESSION_CREDIT,
  SESSION_WINDOW,
  STREAM_CREDIT,
  STREAM_WINDOW,
} from '../hostile/constants.js';
import { Honest } from '../hostile/honest.js';
import { identityOf } from '../hostile/identity.js';
import { payload, window } from '../hostile/messages.js';
import { Server } from '../hostile/server.js';
import { echo } from '../hostile/echo.js';

/** The limit of resident memory in MiB that one peer may cause, including the process itself. */
const ONE = 256;
/** The limit of resident memory in MiB, whatever a peer does. */
const LIMIT = 512;
const ITEM = 16_384;

/** More credit than the limit, which ends the stream, and exactly the limit. */
const credits = [
  { name: 'more credit than there may be', stream: 2 ** 31, session: 2 ** 31 },
  { name: 'all the credit there may be', stream: STREAM_CREDIT, session: SESSION_CREDIT },
];

const secret = randomBytes(32).toString('base64url');
const security = { jwtSecret: secret };

async function serve(): Promise<Honest> {
  const server = await Honest.start({ serviceId: 'server', port: 0, host: '127.0.0.1', security });
  onTestFinished(() => server.kill());
  return server;
}

function connect(server: Honest, id: string): Promise<Caller> {
  const identity = identityOf(id);
  return Caller.connect({ port: server.port, id, peer: 'server', identity, secret });
}

/** Checks that the server still serves others, and returns to its baseline after the attack. */
async function survives(server: Honest, attack: () => Promise<Caller[]>, limit: number) {
  const healthy = await connect(server, 'healthy');
  expect(await healthy.call('echo', 'before')).toBe('before');
  const before = await measure(server);
  server.resetPeak();
  const attackers = await attack();
  await bounded(server, limit, 1_000);
  expect(await healthy.call('echo', 'during')).toBe('during');
  for (const attacker of attackers) attacker.close();
  // The allocator returns freed memory to the system at its own pace.
  await settled(server, before, { slack: limit });
  expect(await healthy.call('echo', 'after')).toBe('after');
}

describe.each(credits)('a service sends, with $name,', ({ stream, session }) => {
  it('a stream to a client that does not read', async () => {
    const server = await serve();
    const attack = async () => {
      const client = await connect(server, 'raw');
      client.session.send(window(0, session - SESSION_WINDOW));
      const call = client.request('flood', payload(ITEM), { kind: FLAG.answers, timeLeft: 0 });
      client.session.send(window(call, stream - STREAM_WINDOW));
      client.session.carrier.pause();
      return [client];
    };
    await survives(server, attack, ONE);
  });

  it('64 streams on one session to a client that does not read', async () => {
    const server = await serve();
    const attack = async () => {
      const client = await connect(server, 'raw');
      client.session.send(window(0, session - SESSION_WINDOW));
      for (let opened = 0; opened < 64; opened++) {
        const call = client.request('flood', payload(ITEM), { kind: FLAG.answers, timeLeft: 0 });
        client.session.send(window(call, stream - STREAM_WINDOW));
      }
      client.session.carrier.pause();
      return [client];
    };
    await survives(server, attack, ONE);
  });

  it('streams on many sessions to a client that does not read', { timeout: 30_000 }, async () => {
    const server = await serve();
    const attack = async () => {
      const clients: Caller[] = [];
      for (let connected = 0; connected < 60; connected++) {
        const client = await connect(server, 'raw');
        for (let opened = 0; opened < 4; opened++) {
          const call = client.request('flood', payload(ITEM), { kind: FLAG.answers, timeLeft: 0 });
          client.session.send(window(call, stream - STREAM_WINDOW));
        }
        client.session.carrier.pause();
        clients.push(client);
        await bounded(server, LIMIT, 0);
      }
      return clients;
    };
    await survives(server, attack, LIMIT);
  });
});

describe('a service answers', () => {
  it('4 MiB a thousand times to a client that does not read', { timeout: 30_000 }, async () => {
    const server = await serve();
    const attack = async () => {
      const client = await connect(server, 'raw');
      client.session.carrier.pause();
      // All requests are in one record, so that the service has them before its first answer waits.
      const requests = Array.from({ length: 1000 }, () =>
        client.message(client.nextCall++, 'big', payload(4 * 1024 * 1024), { timeLeft: 0 }),
      );
      client.session.send(...requests);
      return [client];
    };
    await survives(server, attack, LIMIT);
  });
});

describe.each(credits)('a client sends, with $name,', ({ stream, session: shared }) => {
  it('a stream to a service that does not read', async () => {
    const options = (id: string) => ({ id, identity: identityOf(id), secret });
    const hostile = await Server.listen(options('raw'), (message, { session }) => {
      if (message.type !== MESSAGE.request) return;
      session.send(
        window(0, shared - SESSION_WINDOW),
        window(message.call, stream - STREAM_WINDOW),
      );
      session.carrier.pause();
    });
    const healthy = await Server.listen(options('healthy'), echo());
    const services = [hostile.entry, healthy.entry];
    const client = await Honest.start({ serviceId: 'client', security, discovery: { services } });
    onTestFinished(() => {
      client.kill();
      hostile.close();
      healthy.close();
    });
    expect((await client.call('healthy', 'echo', 'before')).result).toBe('before');
    const before = await measure(client);
    client.resetPeak();
    const upload = { service: 'raw', method: 'swallow', size: ITEM, count: 1e9 };
    const ended = client.ask('upload', { ...upload, options: { timeoutMs: 1_500 } });
    ended.catch(() => {});
    await bounded(client, ONE, 1_000);
    expect((await client.call('healthy', 'echo', 'during')).result).toBe('during');
    expect((await ended).error).toMatchObject({ name: 'MeshError' });
    hostile.close();
    await settled(client, before, { slack: ONE });
  });
});
