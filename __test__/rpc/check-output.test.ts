// Contracts whose callers check the answers.
import { z } from 'zod';
import { describe, expect, it } from 'vitest';
import { defineContract, serverStream, unary } from '../../js/index.js';
import { services } from '../support/kit.js';
import { errorOf } from '../support/promises.js';

const times = defineContract('times', {
  now: unary({ output: z.object({ at: z.coerce.date() }), checkOutput: true }),
  plain: unary({ output: z.object({ at: z.coerce.date() }) }),
  wrong: unary({ output: z.object({ at: z.date() }), checkOutput: true }),
  watch: serverStream({ output: z.coerce.date(), checkOutput: true }),
});

describe('a contract with checkOutput', () => {
  const setup = async () => {
    const kit = await services({
      times: (mesh) =>
        mesh.implement(times, {
          now: () => ({ at: new Date(7) }),
          plain: () => ({ at: new Date(7) }),
          wrong: () => ({ at: new Date(7) }),
          async *watch() {
            yield new Date(7);
            yield new Date(8);
          },
        }),
    });
    const mesh = kit.mesh('caller');
    await mesh.initialize();
    return mesh.connect(times);
  };

  it('gives its callers what the schema makes of the answer', async () => {
    const client = await setup();
    expect(await client.now()).toEqual({ at: new Date(7) });
    const items: Date[] = [];
    for await (const item of client.watch()) items.push(item);
    expect(items).toEqual([new Date(7), new Date(8)]);
    expect(typeof ((await client.plain()) as { at: unknown }).at).toBe('string');
  });

  it('refuses an answer that is not what its type says', async () => {
    const client = await setup();
    const error = await errorOf(client.wrong());
    expect(error).toMatchObject({ code: 'INTERNAL', reason: 'VALIDATION', remote: false });
    expect(error.message).toContain('at');
    expect(error.data.issues[0].path).toEqual(['at']);
  });
});
