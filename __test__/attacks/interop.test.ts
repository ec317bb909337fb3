// The package and a second implementation, written from docs/protocol.md, interoperate: each as client and as
// server, in both modes.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Answered, Caller } from '../hostile/caller.js';
import { echo } from '../hostile/echo.js';
import { Honest } from '../hostile/honest.js';
import { makeIdentity } from '../hostile/identity.js';
import { MESSAGE } from '../hostile/constants.js';
import { payload } from '../hostile/messages.js';
import { Server } from '../hostile/server.js';

const secret = randomBytes(32).toString('base64url');
const identity = makeIdentity();

const modes = [
  { mode: 'a shared secret', secret, security: { jwtSecret: secret }, pins: false },
  { mode: 'pinned keys', secret: null, security: {}, pins: true },
];

async function all(values: AsyncIterable<unknown>): Promise<unknown[]> {
  const found: unknown[] = [];
  for await (const value of values) found.push(value);
  return found;
}

describe.each(modes)('with $mode, a client of its own', ({ secret, security, pins }) => {
  let server: Honest;
  const options = () => ({ port: server.port, id: 'raw', peer: 'server', identity, secret });

  beforeAll(async () => {
    const services = pins ? [{ id: 'raw', publicKey: identity.publicKey.pem }] : [];
    server = await Honest.start({
      serviceId: 'server',
      port: 0,
      host: '127.0.0.1',
      security,
      discovery: { services },
    });
  });
  afterAll(() => server.kill());

  it('makes calls of all four kinds', async () => {
    const client = await Caller.connect(options());
    const bytes = randomBytes(100_000);
    expect(await client.call('echo', { a: [1, 'ä'] })).toEqual({ a: [1, 'ä'] });
    expect(await client.call('echo', undefined)).toBeUndefined();
    expect(await client.call('echo', bytes)).toEqual(bytes);
    const numbers = Array.from({ length: 3000 }, (_, number) => number);
    expect(await all(client.serverStream('count', 3000))).toEqual(numbers);
    expect(await client.clientStream('sum', numbers)).toBe(4_498_500);
    expect(await all(client.bidiStream('each', numbers))).toEqual(numbers);
    client.close();
  });

  it('gets errors with their code, reason, text and data', async () => {
    const client = await Caller.connect(options());
    const failure = await client.call('fail', 'x').catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Answered);
    expect(failure).toMatchObject({
      code: 9,
      reason: 'OUT_OF_STOCK',
      message: 'none left',
      data: { input: 'x' },
    });
    const missing = await client.call('nothing', 'x').catch((error: unknown) => error);
    expect(missing).toMatchObject({ code: 12, reason: 'METHOD_NOT_FOUND' });
    client.close();
  });

  it('cancels a call, and its handler ends', async () => {
    const client = await Caller.connect(options());
    const call = client.request('hang', payload(undefined));
    await expect.poll(async () => (await server.ask('gauges')).running).toBe(1);
    client.cancel(call);
    await expect.poll(async () => (await server.ask('gauges')).running).toBe(0);
    client.close();
  });

  it('changes keys, and is answered', async () => {
    const client = await Caller.connect(options());
    for (let round = 0; round < 5; round++) {
      client.session.rekey();
      expect(await client.call('echo', round)).toBe(round);
    }
    expect(client.session.sealer.epoch).toBe(5);
    client.close();
  });

  it('resumes its session once, and again with the next ticket', async () => {
    const first = await Caller.connect(options());
    expect(first.session.resumed).toBe(false);
    first.close();
    const second = await Caller.connect({ ...options(), ticket: first.ticket! });
    expect(second.session.resumed).toBe(true);
    expect(await second.call('echo', 2)).toBe(2);
    second.close();
    const third = await Caller.connect({ ...options(), ticket: second.ticket! });
    expect(third.session.resumed).toBe(true);
    expect(await third.call('echo', 3)).toBe(3);
    third.close();
    const again = await Caller.connect({ ...options(), ticket: first.ticket! });
    expect(again.session.resumed).toBe(false);
    expect(await again.call('echo', 4)).toBe(4);
    again.close();
  });
});

describe.each(modes)('with $mode, a server of its own', ({ secret, security, pins }) => {
  let server: Server;
  let client: Honest;

  beforeAll(async () => {
    server = await Server.listen({ id: 'raw', identity, secret }, echo());
    const publicKey = pins ? { publicKey: identity.publicKey.pem } : {};
    client = await Honest.start({
      serviceId: 'client',
      security,
      discovery: { services: [{ ...server.entry, ...publicKey }] },
    });
  });
  afterAll(() => {
    client.kill();
    server.close();
  });

  it('answers calls of all four kinds', async () => {
    expect((await client.call('raw', 'echo', { a: 'ä' })).result).toEqual({ a: 'ä' });
    const numbers = Array.from({ length: 3000 }, (_, number) => number);
    const read = await client.ask('read', { service: 'raw', method: 'count', input: 3000 });
    expect(read).toEqual({ found: numbers });
    const sum = { service: 'raw', method: 'bytes', size: 10_000, count: 100 };
    expect(await client.ask('upload', sum)).toMatchObject({ result: 1_000_000 });
    const each = { service: 'raw', method: 'each', inputs: numbers };
    expect(await client.ask('bidi', each)).toEqual({ found: numbers });
  });

  it('answers errors with their code, reason, text and data', async () => {
    expect((await client.call('raw', 'fail', 'x')).error).toMatchObject({
      name: 'MeshError',
      code: 'FAILED_PRECONDITION',
      reason: 'OUT_OF_STOCK',
      message: expect.stringContaining('none left'),
      data: { input: 'x' },
      remote: true,
      service: 'raw',
    });
  });

  it('is told of a call that is cancelled', async () => {
    const calls: number[] = [];
    const cancelled: number[] = [];
    const before = server.respond;
    server.respond = (message) => {
      if (message.type === MESSAGE.request) calls.push(message.call);
      if (message.type === MESSAGE.cancel) cancelled.push(message.call);
    };
    const outcome = await client.call('raw', 'never', 1, { timeoutMs: 200 });
    expect(outcome.error).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await expect.poll(() => cancelled).toEqual(calls);
    server.respond = before;
  });

  it('changes keys, and the client follows', async () => {
    const { session } = await server.sessions.next();
    for (let round = 0; round < 5; round++) {
      session.rekey();
      expect((await client.call('raw', 'echo', round)).result).toBe(round);
    }
  });

  it('is resumed when the connection was lost', async () => {
    const resumed = server.resumed;
    server.drop();
    await expect.poll(async () => (await client.call('raw', 'echo', 'again')).result).toBe('again');
    expect(server.resumed).toBe(resumed + 1);
    expect(server.failures).toEqual([]);
  });
});
