// The frames of the boundary, byte by byte, without the addon.
import { describe, expect, it } from 'vitest';
import { BATCH_BYTES, BATCH_FRAMES } from '../../js/base/boundary.js';
import { encodePayload, PayloadError } from '../../js/frames/payload.js';
import { readEvents, type EventSink, type Incoming } from '../../js/frames/reader.js';
import { CommandWriter } from '../../js/frames/writer.js';

/** Lets the writer's tick pass. */
const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function collect(): { batches: Buffer[]; writer: CommandWriter } {
  const batches: Buffer[] = [];
  // Copied, as in the addon, because the writer reuses its memory.
  return { batches, writer: new CommandWriter((batch) => batches.push(Buffer.from(batch))) };
}

/** Splits a batch into its frames, by their lengths alone. */
function frames(batch: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < batch.length;) {
    const end = at + 4 + batch.readUInt32LE(at);
    found.push(batch.subarray(at, end));
    at = end;
  }
  return found;
}

const u16 = (value: number): number[] => [value & 0xff, value >> 8];
const u32 = (value: number): number[] => [...u16(value & 0xffff), ...u16(value >>> 16)];

function f64(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
}

function frame(
  kind: number,
  encoding: number,
  a: number,
  id: number,
  ...parts: (string | number[] | Uint8Array)[]
): Buffer {
  const body = Buffer.concat([
    Buffer.from([kind, encoding, ...u16(a), ...u32(id)]),
    ...parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part))),
  ]);
  return Buffer.concat([Buffer.from(u32(body.length)), body]);
}

describe('CommandWriter', () => {
  it('writes a call as documented', () => {
    const { batches, writer } = collect();
    const chain = { parent: 7, depth: 3, path: 'a > b x', inherits: true };
    const meta = '{"t":"é"}';
    writer.call(0xdead_beef, 'other', 'm', '{"a":1}', 800.25, true, meta, 'bidiStream', chain);
    writer.call(1, 's', 'm', undefined, 0, false, '');
    writer.flush();
    const all = batches.flatMap(frames);
    expect(all).toEqual([
      frame(
        1,
        0,
        5,
        0xdead_beef,
        f64(800.25),
        u32(7),
        u16(1),
        u16(7),
        [1 | (3 << 1), 3],
        u32(10),
        'other',
        'm',
        meta,
        'a > b x',
        '{"a":1}',
      ),
      frame(1, 2, 1, 1, f64(0), u32(0), u16(1), u16(0), [0, 1], u32(0), 's', 'm'),
    ]);
  });

  it('writes the other commands as documented', () => {
    const { batches, writer } = collect();
    writer.cancel(1);
    writer.respond(2, undefined, '');
    writer.respond(3, Uint8Array.of(0, 255), '{}');
    writer.respond(4, '[]', '');
    writer.fail(5, '{"code":"INTERNAL"}');
    writer.flush();
    expect(batches).toEqual([
      Buffer.concat([
        frame(2, 2, 0, 1),
        frame(3, 2, 0, 2, u32(0)),
        frame(3, 1, 0, 3, u32(2), '{}', [0, 255]),
        frame(3, 0, 0, 4, u32(0), '[]'),
        frame(4, 0, 0, 5, '{"code":"INTERNAL"}'),
      ]),
    ]);
  });

  it('writes UTF-8 of every width, short and long', () => {
    const { batches, writer } = collect();
    const text = '{"a":"aé€😀"}';
    writer.respond(1, text, '');
    writer.respond(2, text.repeat(1000), '');
    writer.flush();
    expect(batches).toEqual([
      Buffer.concat([
        frame(3, 0, 0, 1, u32(0), text),
        frame(3, 0, 0, 2, u32(0), text.repeat(1000)),
      ]),
    ]);
  });

  it('flushes once, at the end of the tick', async () => {
    const { batches, writer } = collect();
    for (let id = 0; id < 5; id += 1) writer.cancel(id);
    expect(batches).toHaveLength(0);
    await tick();
    expect(batches.map((batch) => frames(batch).length)).toEqual([5]);
    writer.cancel(9);
    await tick();
    expect(batches).toHaveLength(2);
  });

  it('never hands over more than 32 frames', async () => {
    const { batches, writer } = collect();
    for (let id = 0; id < 100; id += 1) writer.cancel(id);
    await tick();
    expect(batches.map((batch) => frames(batch).length)).toEqual([BATCH_FRAMES, 32, 32, 4]);
    expect(batches.flatMap(frames).map((one) => one.readUInt32LE(8))).toEqual(
      Array.from({ length: 100 }, (_, id) => id),
    );
  });

  it('never hands over more than 64 KiB, unless one frame is larger', async () => {
    const { batches, writer } = collect();
    const part = new Uint8Array(20_000);
    for (let id = 0; id < 7; id += 1) writer.respond(id, part, '');
    writer.respond(7, new Uint8Array(3 * BATCH_BYTES).fill(7), '');
    writer.respond(8, new Uint8Array(3 * BATCH_BYTES).fill(8), '');
    writer.respond(9, part, '');
    await tick();
    const all = batches.flatMap(frames);
    expect(all.map((one) => one.readUInt32LE(8))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(all[7]?.subarray(16)).toEqual(Buffer.alloc(3 * BATCH_BYTES, 7));
    for (const batch of batches) {
      expect(batch.length <= BATCH_BYTES || frames(batch).length === 1).toBe(true);
    }
  });

  it('survives an addon that refuses, without handing anything over twice', () => {
    let refuse = true;
    const batches: Buffer[] = [];
    const writer = new CommandWriter((batch) => {
      if (refuse) throw new Error('refused');
      batches.push(Buffer.from(batch));
    });
    writer.cancel(1);
    expect(() => writer.flush()).toThrow('refused');
    refuse = false;
    writer.cancel(2);
    writer.flush();
    expect(batches).toEqual([frame(2, 2, 0, 2)]);
  });
});

describe('encodePayload', () => {
  it('takes JSON, bytes and nothing', () => {
    expect(encodePayload({ a: [1, null, 'x'] })).toBe('{"a":[1,null,"x"]}');
    expect(encodePayload(null)).toBe('null');
    expect(encodePayload(undefined)).toBeUndefined();
    const bytes = Uint8Array.of(1, 2);
    const encoded = encodePayload(bytes) as Uint8Array;
    expect(encoded).toEqual(bytes);
    expect(encoded.buffer).toBe(bytes.buffer);
    expect(encodePayload(Buffer.from([1]))).toBeInstanceOf(Uint8Array);
  });

  it.each([900, 2, -7, Number.NaN])('sends bytes that say they are %s as they are', (length) => {
    class Subclass extends Uint8Array {
      override get length(): number {
        return length;
      }
    }
    const bytes = Uint8Array.of(1, 2, 3, 4);
    const own = Object.defineProperty(Uint8Array.from(bytes), 'length', { value: length });
    for (const liar of [new Subclass(bytes.buffer), own]) {
      const { batches, writer } = collect();
      writer.respond(1, Buffer.alloc(1000, 's'), '');
      writer.flush();
      writer.respond(2, encodePayload(liar), '');
      writer.flush();
      expect([...(batches[1] as Buffer).subarray(16)]).toEqual([1, 2, 3, 4]);
    }
  });

  it('refuses bytes that belong to another', () => {
    const bytes = Uint8Array.of(1, 2);
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    expect(() => encodePayload(bytes)).toThrow(PayloadError);
  });

  it.each([
    ['a BigInt', { n: 1n }],
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
    ['an ArrayBuffer', new ArrayBuffer(1)],
    ['another view', new Uint16Array(1)],
    [
      'a toJSON that throws',
      {
        toJSON() {
          throw new Error('no');
        },
      },
    ],
  ])('refuses %s', (_name, value) => {
    expect(() => encodePayload(value)).toThrow(PayloadError);
  });

  it('refuses a cycle, and says so in one line', () => {
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    expect(() => encodePayload(cycle)).toThrow(/^JSON cannot carry a cycle at self$/);
  });
});

/** A sink that records its events. */
function recorder(): { told: unknown[][]; sink: EventSink } {
  const told: unknown[][] = [];
  const note =
    (name: string) =>
    (...args: unknown[]): void => {
      told.push([name, ...args.map((arg) => (isIncoming(arg) ? arg.decode() : arg))]);
    };
  const names = [
    'result',
    'error',
    'request',
    'item',
    'inputEnded',
    'sent',
    'abort',
    'sessionOpened',
    'sessionClosed',
    'log',
    'more',
    'broken',
  ];
  const sink = Object.fromEntries(names.map((name) => [name, note(name)]));
  return { told, sink: sink as unknown as EventSink };
}

const isIncoming = (value: unknown): value is Incoming =>
  typeof value === 'object' && value !== null && 'decode' in value;

describe('readEvents', () => {
  it('reads every event as documented', () => {
    const { told, sink } = recorder();
    readEvents(
      Buffer.concat([
        frame(1, 0, 0, 1, u32(0), '{"x":"€"}'),
        frame(1, 1, 0, 2, u32(2), '{}', [9, 8]),
        frame(1, 2, 0, 3, u32(0)),
        frame(2, 0, 0, 4, '{"code":"INTERNAL"}'),
        frame(
          3,
          0,
          3,
          5,
          u32(77),
          u32(1500),
          u32(9 | (2 << 24)),
          u32(7 | (4 << 24)),
          'a.b',
          '{"m":"n"}',
          'a > b x',
          '[1]',
        ),
        frame(3, 2, 3 | (3 << 8), 9, u32(77), u32(0), u32(1 << 24), u32(1 << 24), 'a.b'),
        frame(9, 0, 0, 5, '[2]'),
        frame(9, 1, 1, 6, [7]),
        frame(10, 2, 0, 6),
        frame(11, 2, 1, 6, u32(70_000)),
        frame(4, 2, 2, 6),
        frame(5, 0, 0, 7, '{"serviceId":"s"}'),
        frame(6, 2, 0, 8),
        frame(7, 0, 0, 0, '{"level":"info"}'),
        frame(8, 2, 0, 0),
      ]),
      sink,
    );
    expect(told).toEqual([
      ['result', 1, '', { x: '€' }],
      ['result', 2, '{}', Uint8Array.of(9, 8)],
      ['result', 3, '', undefined],
      ['error', 4, '{"code":"INTERNAL"}'],
      ['request', 5, 77, 1500, 2, 'a.b', '{"m":"n"}', [1], 'unary', 4, 'a > b x'],
      ['request', 9, 77, 0, 1, 'a.b', '', undefined, 'bidiStream', 1, ''],
      ['item', 0, 5, [2]],
      ['item', 1, 6, Uint8Array.of(7)],
      ['inputEnded', 6],
      ['sent', 1, 6, 70_000],
      ['abort', 6, 2],
      ['sessionOpened', 7, '{"serviceId":"s"}'],
      ['sessionClosed', 8],
      ['log', '{"level":"info"}'],
      ['more'],
    ]);
  });

  it('passes over what it does not know', () => {
    const { told, sink } = recorder();
    readEvents(Buffer.concat([frame(99, 0, 0, 1, 'later'), frame(6, 2, 0, 8)]), sink);
    expect(told).toEqual([['sessionClosed', 8]]);
  });

  it('goes on after a frame that cannot be taken', () => {
    const { told, sink } = recorder();
    sink.log = () => {
      throw new Error('bad entry');
    };
    readEvents(Buffer.concat([frame(7, 0, 0, 0, '?'), frame(6, 2, 0, 8)]), sink);
    expect(told).toEqual([
      ['broken', new Error('bad entry')],
      ['sessionClosed', 8],
    ]);
  });

  it('stops at a frame that is cut off', () => {
    const { told, sink } = recorder();
    const whole = frame(6, 2, 0, 8);
    readEvents(Buffer.concat([whole, whole.subarray(0, 11)]), sink);
    expect(told.map(([name]) => name)).toEqual(['sessionClosed', 'broken']);
  });

  it('gives bytes of their own, without the rest of the batch', () => {
    let bytes: unknown;
    const { sink } = recorder();
    sink.result = (_id, _meta, payload) => (bytes = payload.decode());
    const batch = frame(1, 1, 0, 2, u32(0), [1, 2, 3]);
    readEvents(batch, sink);
    batch.fill(0);
    expect(bytes).toEqual(Uint8Array.of(1, 2, 3));
    expect((bytes as Uint8Array).buffer.byteLength).toBe(3);
    expect(Buffer.isBuffer(bytes)).toBe(false);
  });

  it('makes nothing but properties of a peer’s keys', () => {
    let value: any;
    const { sink } = recorder();
    sink.result = (_id, _meta, payload) => (value = payload.decode());
    readEvents(
      frame(1, 0, 0, 2, u32(0), '{"__proto__":{"admin":true},"constructor":{"prototype":{"b":1}}}'),
      sink,
    );
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(Object.hasOwn(value, '__proto__')).toBe(true);
    expect(value.admin).toBeUndefined();
    expect(({} as any).admin).toBeUndefined();
    expect(({} as any).b).toBeUndefined();
  });
});
