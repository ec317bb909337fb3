// Clients that vanish at a chosen point.
import { Caller } from './caller.js';
import type { Carrier } from './carrier.js';
import { ClientHandshake, type ClientOptions } from './client.js';
import { FLAG } from './constants.js';
import { item, payload, write } from './messages.js';

/** The points at which a client can vanish, in the order of a session's life. */
export const points = [
  'connected',
  'M1 in part',
  'M1 sent',
  'M2 read',
  'M3 sent',
  'M4 read',
  'record in part',
  'request sent',
  'answer read',
  'reading a stream',
  'sending a stream',
] as const;
export type Point = (typeof points)[number];

/** The ways in which a client can vanish. */
export const ways = ['reset', 'fin', 'stream cancelled'] as const;
export type Way = (typeof ways)[number];

/** Proceeds to `point` and vanishes; the server has the methods `hang`, `echo`, `flood` and `sum`. */
export async function vanish(options: ClientOptions, point: Point, way: Way): Promise<void> {
  const handshake = await ClientHandshake.dial(options);
  try {
    await goTo(handshake, point);
  } finally {
    go(handshake.carrier, way);
  }
}

async function goTo(handshake: ClientHandshake, point: Point): Promise<void> {
  const { carrier } = handshake;
  if (point === 'connected') return;
  if (point === 'M1 in part') return carrier.raw(Buffer.from([0, 0, 0, 2, 0, 10, 253]));
  handshake.sendHello();
  if (point === 'M1 sent') return;
  await handshake.readHello();
  if (point === 'M2 read') return;
  const readFinish = handshake.sendFinish();
  if (point === 'M3 sent') return;
  const caller = Caller.on(handshake, await readFinish());
  if (point === 'M4 read') return;
  if (point === 'record in part') {
    const record = caller.session.sealer.seal(write(caller.message(1, 'echo', payload('x'))));
    return carrier.send(record.subarray(0, record.length / 2));
  }
  if (point === 'request sent') return void caller.request('hang', payload(undefined));
  if (point === 'answer read') return void (await caller.call('echo', 'x'));
  if (point === 'reading a stream') {
    const call = caller.request('flood', payload(1000), { kind: FLAG.answers, timeLeft: 0 });
    for (let read = 0; read < 10; read++) await caller.messages(call).next();
    return;
  }
  const call = caller.request('sum', payload(undefined), { kind: FLAG.inputs, timeLeft: 0 });
  for (let sent = 0; sent < 10; sent++) caller.session.send(item(call, payload(sent)));
}

function go(carrier: Carrier, way: Way): void {
  if (way === 'fin') return carrier.close();
  if (way === 'reset') return carrier.reset();
  // The connection stays open briefly without its stream.
  carrier.stream.close(8);
  setTimeout(() => carrier.close(), 50);
}
