// The state of an honest process before and after an attack.
import { expect } from 'vitest';
import type { Honest } from './honest.js';

export interface Baseline {
  gauges: Record<string, number>;
  descriptors: number;
  resident: number;
}

export async function measure(honest: Honest): Promise<Baseline> {
  const gauges = await honest.gauges();
  return { gauges, descriptors: honest.descriptors(), resident: honest.resident() };
}

/**
 * Waits until the process is back at its baseline: gauges and descriptors exactly, memory except for `slack`
 * MiB, which V8 and the allocator keep.
 */
export async function settled(
  honest: Honest,
  before: Baseline,
  { ms = 5_000, slack = 32 }: { ms?: number; slack?: number } = {},
): Promise<void> {
  const { gauges, descriptors } = before;
  const state = async () => ({ gauges: await honest.gauges(), descriptors: honest.descriptors() });
  await expect.poll(state, { timeout: ms, interval: 25 }).toEqual({ gauges, descriptors });
  const resident = () => honest.resident();
  const options = { timeout: ms, interval: 100 };
  await expect.poll(resident, options).toBeLessThan(before.resident + slack);
}

/**
 * Runs an attack for `ms`, and fails as soon as the process has held more than `limit` MiB, so that a
 * successful attack does not exhaust the machine.
 */
export async function bounded(honest: Honest, limit: number, ms: number): Promise<void> {
  const end = Date.now() + ms;
  for (;;) {
    if (honest.ended !== null) throw new Error(`the process ended: ${honest.output}`);
    expect(honest.peak(), 'MiB resident at the most').toBeLessThan(limit);
    if (Date.now() > end) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
