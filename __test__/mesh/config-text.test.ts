// The error of a configuration that the core cannot read as JSON names the option.
import { expect, it } from 'vitest';
import { SecureMesh } from '../../js/index.js';

const half = 'x😀'.slice(0, 2);
let deep: unknown = 'leaf';
for (let level = 0; level < 200; level += 1) deep = [deep];

it.each<[string, object, RegExp]>([
  ['half a character in an id', { serviceId: half }, /^serviceId has half of a character/],
  [
    'half a character deep inside',
    { serviceId: 'a', discovery: { services: [{ id: 'b', host: half, port: 1 }] } },
    /^discovery\.services\[0\]\.host has half of a character/,
  ],
  [
    'a name with half a character',
    { serviceId: 'a', limits: { [half]: 1 } },
    /^limits has a name with half of a character/,
  ],
  [
    'half a character in the options of a provider',
    { serviceId: 'a', discovery: { provider: 'file', path: half } },
    /^discovery\.path has half of a character/,
  ],
  [
    'half a character in one of several',
    { serviceId: 'a', discovery: { providers: [{ provider: 'file', path: half }] } },
    /^discovery\.providers\[0\]\.path has half of a character/,
  ],
  ['lists in lists', { serviceId: 'a', discovery: { services: deep } }, /is nested too deeply$/],
])('%s', (_name, config, message) => {
  expect(() => new SecureMesh(config as never)).toThrow(
    expect.objectContaining({
      code: 'INVALID_ARGUMENT',
      reason: 'CONFIG',
      message: expect.stringMatching(message),
    }),
  );
});
