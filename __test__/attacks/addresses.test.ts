// Strangers at sixteen addresses hold everything that strangers can hold. Services
// that nobody has seen are served all the same, from a seventeenth address and from
// behind one of the sixteen, and sessions hardly notice.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { root } from '../../scripts/lib.mjs';
import { writeClientHello, nonce, offer } from '../hostile/hello.js';
import { Honest } from '../hostile/honest.js';
import { makeIdentity, type Identity } from '../hostile/identity.js';
import { Membership } from '../hostile/schedule.js';
import { makeShare } from '../hostile/x25519.js';
import { MODE } from '../hostile/constants.js';

const ADDRESSES = Array.from({ length: 16 }, (_, index) => `127.0.0.${index + 2}`);
const OTHER = '127.0.0.18';
/** How soon a newcomer is served, in ms. */
const SOON = 1000;
const CALLS = 300;

async function start(...args: Parameters<typeof Honest.start>): Promise<Honest> {
  const honest = await Honest.start(...args);
  onTestFinished(() => honest.kill());
  return honest;
}

/** A way to the server from another address: a port whose connections come from there. */
async function wayFrom(localAddress: string, port: number): Promise<number> {
  const sockets = new Set<Socket>();
  const relay = createServer((near) => {
    const far = connect({ port, host: '127.0.0.1', localAddress });
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => (near.destroy(), far.destroy()));
    }
    near.pipe(far).pipe(near);
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    relay.close();
  });
  return (relay.address() as AddressInfo).port;
}

type Counts = Record<'connections' | 'hellos' | 'answered' | 'busy', number>;

/** The strangers, and what they have done so far. */
async function attack(settings: object): Promise<() => Promise<Counts>> {
  const file = join(root, '__test__', 'fixtures', 'strangers.cjs');
  const child = spawn(process.execPath, [file, JSON.stringify(settings)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child, 'message');
  return async () => {
    child.send({});
    return (await once(child, 'message'))[0] as Counts;
  };
}

async function p99(honest: Honest): Promise<number> {
  const times: number[] = [];
  for (let call = 0; call < CALLS; call++) {
    const { error, took } = await honest.timed('server', 'echo', call);
    expect(error).toBeUndefined();
    times.push(took);
  }
  return times.sort((a, b) => a - b)[Math.floor((CALLS * 99) / 100)]!;
}

/** A first message of a service that everybody knows by its public key. */
function template(id: string, { publicKey }: Identity) {
  const [membership, own] = [new Membership(null), nonce()];
  const hello = {
    ...offer,
    aes: 256,
    mode: MODE.pinned,
    clientId: id,
    serverId: 'server',
    nonce: own,
    x25519: makeShare().share,
    spki: publicKey.spki,
    secretId: membership.secretId,
    extensions: new Map<number, Buffer>(),
  };
  const message = writeClientHello(hello, membership);
  return {
    template: message.toString('hex'),
    nonceAt: message.indexOf(own),
    key: membership.clientHelloKey.toString('hex'),
  };
}

it.runIf(process.platform === 'linux').each([['a mesh secret'], ['pinned keys']])(
  'newcomers are served, where there is %s',
  { timeout: 120_000 },
  async (mode) => {
    const pinned = mode === 'pinned keys';
    const names = ['healthy', 'far', 'near', 'victim'];
    const identities = new Map(['server', ...names].map((id) => [id, makeIdentity()]));
    const key = (id: string) => identities.get(id)!;
    const secret = randomBytes(32).toString('base64url');
    const security = (id: string) =>
      pinned
        ? { privateKey: key(id).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
        : { jwtSecret: secret };
    const pins = names.map((id) => ({ id, publicKey: key(id).publicKey.pem }));
    const server = await start({
      serviceId: 'server',
      port: 0,
      host: '127.0.0.1',
      security: security('server'),
      ...(pinned && { discovery: { services: pins } }),
    });
    const client = (id: string, port: number) => {
      const pin = pinned && { publicKey: key('server').publicKey.pem };
      const services = [{ id: 'server', host: '127.0.0.1', port, ...pin }];
      return start({ serviceId: id, security: security(id), discovery: { services } });
    };
    const healthy = await client('healthy', server.port);
    const far = await client('far', await wayFrom(OTHER, server.port));
    const near = await client('near', await wayFrom(ADDRESSES[0]!, server.port));
    await p99(healthy);
    const before = await p99(healthy);

    const hello = pinned ? template('victim', key('victim')) : undefined;
    const counts = await attack({
      port: server.port,
      addresses: ADDRESSES,
      silent: 128,
      streams: 16,
      hello,
    });
    const figures = async () => (await server.ask('gauges')).details as Record<string, number>;
    // They have everything, and have lost and made anew much of it; and the accounts are exhausted.
    const all = async () => {
      const { strangersDisplaced } = await figures();
      const { answered } = await counts();
      return strangersDisplaced! > 1000 && (!pinned || answered > 18_000);
    };
    await expect.poll(all, { timeout: 60_000, interval: 200 }).toBe(true);

    for (const newcomer of [far, near]) {
      const { result, error, took } = await newcomer.timed('server', 'echo', newcomer.id);
      expect(error, newcomer.id).toBeUndefined();
      expect(result).toBe(newcomer.id);
      expect(took, `${newcomer.id} waited`).toBeLessThan(SOON);
    }
    // Loosely: a test shares its cores with the strangers and with others.
    const during = await p99(healthy);
    expect(during, `p99 in ms, ${before} before`).toBeLessThan(2 * before + 25);
    expect((await figures())['recordsDiscarded']).toBe(0);
  },
);
