// How calls are handed to the addon, without the addon.
import { expect, it } from 'vitest';
import { Calls } from '../js/calls.js';
import { CommandWriter, Encoding, Incoming } from '../js/codec.js';

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

  // Four answers, and as many new calls, while the other four are still away.
  const nothing = new Incoming(Buffer.alloc(0), Encoding.None, 0, 0);
  for (let id = 1; id <= 4; id += 1) calls.result(id, '', nothing);
  await Promise.all(made.slice(0, 4));
  Array.from({ length: 4 }, call);
  expect(batches).toEqual([1, 1, 2, 4, 4]);
});
