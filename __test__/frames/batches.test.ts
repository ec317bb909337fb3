// The submission of calls and the reading of events, without the addon.
import { expect, it } from 'vitest';
import { BatchReader } from '../../js/frames/batches.js';
import { Encoding, BATCH_BYTES, BATCH_FRAMES } from '../../js/base/boundary.js';
import { Incoming } from '../../js/frames/reader.js';
import { CommandWriter } from '../../js/frames/writer.js';
import { Calls } from '../../js/outgoing/calls.js';

it('keeps two batches under way, so that both processes have work', async () => {
  const batches: number[] = [];
  const writer = new CommandWriter((batch) => {
    let frames = 0;
    for (let at = 0; at < batch.length; at += 4 + batch.readUInt32LE(at)) frames += 1;
    batches.push(frames);
  });
  const calls = new Calls(writer, () => {});
  const call = (): Promise<unknown> =>
    calls.start('unary', 'other', 'echo', undefined, undefined, undefined);
  const made = Array.from({ length: 8 }, call);
  expect(batches).toEqual([1, 1, 2, 4]);

  // Four answers and four new calls, while the other four calls are pending.
  const nothing = new Incoming(Buffer.alloc(0), Encoding.Empty, 0, 0);
  for (let id = 1; id <= 4; id += 1) calls.result(id, '', nothing);
  await Promise.all(made.slice(0, 4));
  for (let more = 0; more < 4; more += 1) void call();
  expect(batches).toEqual([1, 1, 2, 4, 4]);
});

it.each([
  ['of many messages', { frames: BATCH_FRAMES, bytes: 4096 }, 2],
  ['of one that is large', { frames: 1, bytes: BATCH_BYTES }, 2],
  ['of one that is small', { frames: 1, bytes: 100 }, BATCH_FRAMES + 1],
])(
  'batches %s leave the event loop its turns, though the addon wakes it all the time',
  async (_, batch, most) => {
    let read = 0;
    const reader = new BatchReader(
      () => batch.bytes,
      () => {
        read += 1;
        return batch.frames;
      },
    );
    for (let round = 1; round <= 3; round += 1) {
      const before = read;
      // The addon signals again after its batch is taken.
      for (let taken = -1; taken < Math.min(read, 1000); reader.wake()) taken = read;
      await new Promise(setImmediate);
      expect(read - before).toBeGreaterThan(0);
      expect(read - before).toBeLessThanOrEqual(most);
    }
  },
);
