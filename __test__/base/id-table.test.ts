import { describe, expect, it } from 'vitest';
import { IdTable } from '../../js/base/id-table.js';

/** Pseudo-random and reproducible. */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed; ;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state;
  }
}

describe('the table of calls', () => {
  it('holds what a Map would hold, whatever comes and goes', () => {
    // Few distinct ids with a large step, so that many collide, and more ids than the initial capacity.
    for (const [ids, step] of [
      [40, 64],
      [300, 1],
      [300, 4096],
    ] as const) {
      const table = new IdTable<number>();
      const map = new Map<number, number>();
      const random = numbers(ids + step);
      for (let turn = 0; turn < 20_000; turn += 1) {
        const id = 0xffff_ffff - (random.next().value % ids) * step;
        if (random.next().value % 3 === 0) {
          expect(table.delete(id)).toBe(map.delete(id));
        } else {
          table.set(id, turn);
          map.set(id, turn);
        }
        expect(table.size).toBe(map.size);
        expect(table.get(id)).toBe(map.get(id));
        expect(table.has(id)).toBe(map.has(id));
      }
      expect(table.entries().sort(([a], [b]) => a - b)).toEqual([...map].sort(([a], [b]) => a - b));
    }
  });

  it('has a place for 0, and for undefined', () => {
    const table = new IdTable<undefined>();
    expect(table.has(0)).toBe(false);
    table.set(0, undefined);
    expect([table.has(0), table.size, table.has(64)]).toEqual([true, 1, false]);
  });

  it('is empty after clear', () => {
    const table = new IdTable<string>();
    for (let id = 0; id < 1000; id += 1) table.set(id, 'x');
    table.clear();
    expect([table.size, table.get(5), table.entries()]).toEqual([0, undefined, []]);
  });
});
