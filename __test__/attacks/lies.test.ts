// An authenticated peer that lies: about reasons, messages, executed calls and numbers, and with one ticket
// at two instances.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Accepted } from '../hostile/acceptor.js';
import { Caller } from '../hostile/caller.js';
import { FIELD, MESSAGE, PARAMETER } from '../hostile/constants.js';
import { echo, errorFields } from '../hostile/echo.js';
import { Honest, type Outcome } from '../hostile/honest.js';
import { identityOf } from '../hostile/identity.js';
import { answer, goaway, payload, type Message } from '../hostile/messages.js';
import { makeHolder } from '../hostile/resumption.js';
import { Server } from '../hostile/server.js';

const secret = randomBytes(32).toString('base64url');
const security = { jwtSecret: secret };

/** A client of a hostile server and of an honest one. */
async function between(
  options: object = {},
): Promise<{ client: Honest; hostile: Server; ask: (extra?: object) => Promise<Outcome> }> {
  const hostile = await Server.listen({ id: 'raw', identity: identityOf('raw'), secret }, echo());
  const services = [hostile.entry];
  const mesh = { serviceId: 'client', security, discovery: { services }, ...options };
  const client = await Honest.start(mesh);
  onTestFinished(() => {
    client.kill();
    hostile.close();
  });
  const ask = (extra: object = {}) => client.call('raw', 'x', 1, { timeoutMs: 2_000, ...extra });
  return { client, hostile, ask };
}

/** Lets `act` answer requests; the result has their numbers. */
function answered(server: Server, act: (message: Message, accepted: Accepted) => void): number[] {
  const calls: number[] = [];
  server.respond = (message, accepted) => {
    if (message.type !== MESSAGE.request) return;
    calls.push(message.call);
    act(message, accepted);
  };
  return calls;
}

/** Answers every request with one error. */
function failing(server: Server, code: number, reason: string, text: string): number[] {
  return answered(server, ({ call }, { session }) => {
    const fields = errorFields(code, reason, text);
    fields.set(FIELD.errorId, Buffer.from(text));
    session.send(answer(MESSAGE.error, call, payload(undefined), fields));
  });
}

describe('a service that answers with a reason of the caller’s side', () => {
  const local = [
    'SESSION_LOST',
    'CONNECT_FAILED',
    'CIRCUIT_OPEN',
    'HANDSHAKE_REFUSED',
    'PEER_KEY_CHANGED',
    'RECORD_AUTH',
    'CLOSED',
  ];
  it.each(local)('%s is not taken for a failure of this side', async (reason) => {
    const { hostile, ask } = await between();
    failing(hostile, 14, reason, 'text');
    const { error } = await ask();
    expect(error).toMatchObject({ name: 'MeshError', code: 'UNAVAILABLE', remote: true });
    expect(error?.reason).not.toBe(reason);
  });

  it.each(['SESSION_LOST', 'RECORD_AUTH', 'BREAKER_OPEN', 'CIRCUIT_OPEN'])(
    '%s opens the breaker as any failure of the service does',
    async (reason) => {
      const circuitBreaker = { failureThreshold: 3, successThreshold: 1, timeout: 60_000 };
      const { hostile, ask } = await between({ resilience: { circuitBreaker } });
      const calls = failing(hostile, 14, reason, 'text');
      for (let failed = 0; failed < 3; failed++) expect((await ask()).error?.remote).toBe(true);
      expect((await ask()).error).toMatchObject({ reason: 'CIRCUIT_OPEN', remote: false });
      expect(calls).toHaveLength(3);
    },
  );

  it('and with escapes, newlines and marks of direction in its texts moves no terminal', async () => {
    const { client, hostile, ask } = await between();
    const text =
      'a\u001b[31m\u001b]0;title\u0007b\r\nERROR forged\u009b2J\u202e\u2066c\u0000\u007f';
    failing(hostile, 9, `R${text}`, text);
    const { error } = await ask();
    const seen = [error?.message, error?.reason, JSON.stringify(await client.ask('logs'))];
    for (const each of seen) expect(each).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
    expect(error?.message).toContain('ERROR forged');
  });
});

describe('a goaway that lies', () => {
  it('about a call that has been answered sends no other call again', async () => {
    const { client, hostile, ask } = await between();
    expect((await client.call('raw', 'echo', 1)).result).toBe(1);
    // The goaway claims that no call ran. For the call whose answer has arrived, the claim is false.
    const calls = answered(hostile, (_, { session }) => session.send(goaway(0, 14)));
    const { error } = await ask();
    expect(error).toMatchObject({ name: 'MeshError', retryable: false });
    expect(calls).toHaveLength(1);
    hostile.respond = echo();
    expect((await client.call('raw', 'echo', 2)).result).toBe(2);
  });

  it('sends a call that is not idempotent a second time at the most', async () => {
    const { client, hostile, ask } = await between();
    const calls = answered(hostile, ({ call }, { session }) => session.send(goaway(call - 1, 14)));
    expect((await ask()).error).toMatchObject({ name: 'MeshError' });
    expect(calls.length).toBeLessThanOrEqual(2);
    hostile.respond = echo();
    expect((await client.call('raw', 'echo', 2)).result).toBe(2);
  });

  it('and takes it back gets no answer in for a call that it gave away', async () => {
    const { client, hostile } = await between();
    let first = true;
    answered(hostile, ({ call }, { session }) => {
      if (!first) return session.send(answer(MESSAGE.response, call, payload('new'), new Map()));
      first = false;
      const late = answer(MESSAGE.response, call, payload('given away'), new Map());
      session.send(goaway(call - 1, 14), goaway(call + 100, 14), late);
    });
    expect((await client.call('raw', 'x', 1)).result).toBe('new');
  });
});

describe('a client', () => {
  const connect = (server: Honest, options: object = {}) => {
    const identity = identityOf('raw');
    return Caller.connect({
      port: server.port,
      id: 'raw',
      peer: 'server',
      identity,
      secret,
      ...options,
    });
  };

  it.each([1, 0, 2 ** 32 - 1])(
    'that goes on from call 4,294,967,295 with %i ends its own session only',
    async (next) => {
      const server = await Honest.start({
        serviceId: 'server',
        port: 0,
        host: '127.0.0.1',
        security,
      });
      onTestFinished(() => server.kill());
      const other = await connect(server);
      const client = await connect(server);
      expect(await client.call('echo', 'last', { call: 2 ** 32 - 1 })).toBe('last');
      const failure = client.call('echo', 'again', { call: next });
      await expect(failure).rejects.toThrow('over');
      expect((await server.gauges())['requestsInFlight']).toBe(0);
      expect((await server.ask('gauges')).ran.echo).toBe(1);
      expect(await other.call('echo', 'other')).toBe('other');
    },
  );

  it.each([
    [3072, 'kept'],
    [3073, 'dropped'],
  ])('has its ticket of %i bytes %s', async (length, outcome) => {
    const { client, hostile, ask } = await between();
    answered(hostile, ({ call }, { session }) => {
      session.send(answer(MESSAGE.response, call, payload('fine'), new Map()));
    });
    const shown: number[] = [];
    hostile.tickets.take = (ticket) => (shown.push(ticket.length), null);
    hostile.options.finish = ({ parameters }) => {
      parameters.set(PARAMETER.ticket, Buffer.alloc(length, 7));
    };
    for (let session = 0; session < 3; session++) {
      expect(await ask({ idempotent: true })).toMatchObject({ result: 'fine' });
      hostile.drop();
    }
    expect(shown).toEqual(outcome === 'kept' ? [length, length] : []);
    const logs: { event?: string; level?: string }[] = await client.ask('logs');
    const ignored = logs.filter(({ event }) => event === 'ticket.ignored');
    expect(ignored).toHaveLength(outcome === 'kept' ? 0 : 3);
  });

  it('uses a ticket once at each of two instances, and without its holder key at none', async () => {
    const keysDir = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-attack-'));
    const mesh = { serviceId: 'server', port: 0, host: '127.0.0.1', security };
    const first = await Honest.start(mesh, { keysDir });
    const second = await Honest.start(mesh, { keysDir });
    onTestFinished(() => {
      first.kill();
      second.kill();
      rmSync(keysDir, { recursive: true, force: true });
    });
    const { ticket } = await connect(first);
    // Instances do not share their used tickets: docs/protocol.md.
    for (const server of [second, first]) {
      expect((await connect(server, { ticket })).session.resumed).toBe(true);
      expect((await connect(server, { ticket })).session.resumed).toBe(false);
    }
    const { ticket: stolen } = await connect(first);
    const holder = makeHolder(identityOf('raw'), 'server');
    for (const server of [first, second]) {
      const before = (await server.ask('gauges')).details.handshakesSucceeded;
      await expect(connect(server, { ticket: { ...stolen!, holder } })).rejects.toThrow();
      expect((await server.ask('gauges')).details.handshakesSucceeded).toBe(before);
    }
  });
});
