// The delay of the event loop, as the metrics have it.
import { expect, it } from 'vitest';
import { make } from '../support/meshes.js';
import { sleep } from '../support/promises.js';

it('is on the page of metrics: the longest one of the last seconds', async () => {
  const mesh = make('delayed', { admin: { port: 0 } });
  await mesh.initialize();
  const { host, port } = mesh.adminAddress()!;
  const delay = async (): Promise<number | undefined> => {
    const page = await (await fetch(`http://${host}:${port}/metrics`)).text();
    const found = /^securestack_event_loop_delay_seconds (\S+)$/m.exec(page);
    return found === null ? undefined : Number(found[1]);
  };
  expect(await delay()).toBeUndefined();
  // The first tick of the measurement precedes the delay.
  await sleep(100);
  for (const end = performance.now() + 400; performance.now() < end;);
  let measured: number | undefined;
  for (const end = Date.now() + 15_000; measured === undefined && Date.now() < end;) {
    await sleep(100);
    measured = await delay();
  }
  expect(measured).toBeGreaterThan(0.3);
}, 30_000);
