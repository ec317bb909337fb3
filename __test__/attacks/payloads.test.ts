// Expensive messages of the allowed size from an authenticated peer: JSON that is costly to parse, and frames
// of very many useless messages.
import { randomBytes } from 'node:crypto';
import { describe, expect, it, onTestFinished } from 'vitest';
import { bounded, measure, settled } from '../hostile/baseline.js';
import { Caller } from '../hostile/caller.js';
import { MESSAGE } from '../hostile/constants.js';
import { Honest } from '../hostile/honest.js';
import { identityOf } from '../hostile/identity.js';
import {
  answer,
  cancel,
  item,
  payload,
  ping,
  text,
  window,
  write,
  type Payload,
} from '../hostile/messages.js';
import { Server } from '../hostile/server.js';
import { compared } from '../support/compared.js';

const SIZE = 4 * 1024 * 1024;
/** The limit of resident memory in MiB, whatever a peer sends. */
const LIMIT = 512;
/** The longest time in ms for which a message may block the event loop that weighs too much to be parsed. */
const REFUSED = 250;
/** The same for one that is parsed, and whose answer is written: V8's own time, on a machine that others use too. */
const PARSED = 750;
const MESSAGES = 38;

const secret = randomBytes(32).toString('base64url');
const security = { jwtSecret: secret };

/** Repeats a part as often as it fits into the largest message. */
const fill = (open: string, part: string, close: string): Payload => {
  const times = Math.floor((SIZE - open.length - close.length) / part.length);
  return text(open + part.repeat(times).slice(0, -1) + close);
};
const deep = (): Payload => text('['.repeat(SIZE / 2) + ']'.repeat(SIZE / 2));
interface Hostile {
  name: string;
  json: () => Payload;
}
const hostile: Hostile[] = [
  { name: 'arrays in arrays', json: deep },
  { name: 'arrays that are never closed', json: () => text('['.repeat(SIZE)) },
  { name: 'empty arrays', json: () => fill('[', '[],', ']') },
  { name: 'empty objects', json: () => fill('[', '{},', ']') },
  { name: 'numbers', json: () => fill('[', '1,', ']') },
  { name: 'one member in each of many objects', json: () => fill('[', '{"a":1},', ']') },
  {
    name: 'members with names of their own',
    json: () => {
      const members = Array.from({ length: 320_000 }, (_, index) => `"${index.toString(36)}x":1`);
      return text(`{${members.join(',')}}`);
    },
  },
];

const of = (...names: string[]) => hostile.filter(({ name }) => names.includes(name));
/** Payloads that are weighed and refused. Parsed, each would block the event loop for a second or more. */
const heavy = of(
  'arrays in arrays',
  'arrays that are never closed',
  'empty arrays',
  'empty objects',
  'members with names of their own',
);
const light = hostile.filter((each) => !heavy.includes(each));
/** Payloads with the most memory in relation to their size. */
const bulky = of('arrays in arrays', 'empty arrays', 'empty objects', 'numbers');

/** A service that has already served, and a client that continues to call it. */
async function serve(): Promise<{ server: Honest; healthy: Caller }> {
  const flags = ['--max-old-space-size=2048'];
  const mesh = { serviceId: 'server', port: 0, host: '127.0.0.1', security };
  const server = await Honest.start(mesh, { flags });
  onTestFinished(() => server.kill());
  const healthy = await connect(server, 'healthy');
  await healthy.call('echo', 'x'.repeat(1_000_000));
  return { server, healthy };
}

function connect(server: Honest, id: string): Promise<Caller> {
  const identity = identityOf(id);
  return Caller.connect({ port: server.port, id, peer: 'server', identity, secret });
}

/** Runs an attack and checks that other clients are unaffected. */
async function survives(attack: (client: Caller) => unknown, ms: number): Promise<void> {
  const { server, healthy } = await serve();
  const before = await measure(server);
  const client = await connect(server, 'raw');
  server.resetPeak();
  attack(client);
  await bounded(server, LIMIT, ms);
  expect(await healthy.call('echo', 'during')).toBe('during');
  client.close();
  await settled(server, before, { slack: LIMIT });
  expect(await healthy.call('echo', 'after')).toBe('after');
}

describe('the event loop of a service is not held', () => {
  const holdsNot = async ({ json }: Hostile, most: number): Promise<void> => {
    const content = json();
    expect(content.bytes.length).toBeLessThanOrEqual(SIZE);
    const { server, healthy } = await serve();
    const client = await connect(server, 'raw');
    await server.held();
    await client.answer(client.request('echo', content)).catch(() => {});
    expect(await server.held()).toBeLessThan(most);
    expect(await healthy.call('echo', 'after')).toBe('after');
    client.close();
  };
  it.each(light)('by a message of $name', compared, (each) => holdsNot(each, PARSED));
  it.each(heavy)('by a message of $name', compared, (each) => holdsNot(each, REFUSED));
});

describe('the memory of a service is bounded', () => {
  const staysSmall = async ({ json }: Hostile): Promise<void> => {
    const content = json();
    await survives((client) => {
      for (let sent = 0; sent < MESSAGES; sent++) {
        client.request(sent % 2 === 0 ? 'hang' : 'echo', content, { timeLeft: 3_000 });
      }
    }, 1_500);
  };
  it.each(bulky)(`with ${MESSAGES} messages of $name`, { timeout: 30_000 }, staysSmall);
});

describe('a frame of countless messages costs a service little', () => {
  const frames: { name: string; message: (client: Caller) => Buffer }[] = [
    {
      name: 'requests without a token',
      message: (client) =>
        write(client.message(client.nextCall++, 'x', payload(undefined), { token: '' })),
    },
    {
      name: 'requests for a method that is not there',
      message: (client) => write(client.message(client.nextCall++, 'x', payload(undefined))),
    },
    { name: 'pings', message: () => write(ping(Buffer.from('12345678'))) },
    { name: 'cancels of calls that are not there', message: () => write(cancel(9)) },
    {
      name: 'items of calls that are not there',
      message: () => write(item(9, payload(undefined))),
    },
    { name: 'windows without credit', message: () => write(window(9, 0)) },
  ];

  it.each(frames)('of $name', async ({ message }) => {
    await survives((client) => {
      client.session.carrier.pause();
      const parts: Buffer[] = [];
      for (let size = 0; size < SIZE; size += parts.at(-1)!.length) parts.push(message(client));
      const plaintext = Buffer.concat(parts);
      for (let frame = 0; frame < 8; frame++) client.session.sendPlain(plaintext);
    }, 1_000);
  });
});

describe('the event loop of a client is not held', () => {
  const holdsNot = async ({ json }: Hostile, most: number): Promise<void> => {
    const content = json();
    const identity = identityOf('raw-server');
    const answers = await Server.listen(
      { id: 'raw-server', identity, secret },
      (message, { session }) => {
        if (message.type !== MESSAGE.request) return;
        session.send(answer(MESSAGE.response, message.call, content, new Map()));
      },
    );
    const discovery = { services: [answers.entry] };
    const client = await Honest.start({ serviceId: 'client', security, discovery });
    onTestFinished(() => {
      client.kill();
      answers.close();
    });
    const options = { timeoutMs: 5_000 };
    const call = () =>
      client.ask('call', { service: 'raw-server', method: 'x', options, drop: true });
    await call();
    client.resetPeak();
    await client.held();
    await call();
    expect(await client.held()).toBeLessThan(most);
    void Promise.allSettled(Array.from({ length: MESSAGES }, call));
    await bounded(client, LIMIT, 1_000);
  };
  it.each(light)('by an answer of $name', compared, (each) => holdsNot(each, PARSED));
  it.each(heavy)('by an answer of $name', compared, (each) => holdsNot(each, REFUSED));
});
