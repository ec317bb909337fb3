// A proven peer whose items are not the JSON that they should be. Items wait as text
// and are parsed when they are asked for, so that the error comes where the item would.
import { randomBytes } from 'node:crypto';
import { expect, it, onTestFinished } from 'vitest';
import { Caller } from '../hostile/caller.js';
import { FLAG, MESSAGE } from '../hostile/constants.js';
import { Honest } from '../hostile/honest.js';
import { identityOf } from '../hostile/identity.js';
import { end, item, payload, text } from '../hostile/messages.js';
import { Server } from '../hostile/server.js';

const secret = randomBytes(32).toString('base64url');
const security = { jwtSecret: secret };

it('an input that is not JSON fails its request alone', async () => {
  const server = await Honest.start({ serviceId: 'server', port: 0, host: '127.0.0.1', security });
  onTestFinished(() => server.kill());
  const identity = identityOf('raw');
  const options = { port: server.port, id: 'raw', peer: 'server', identity, secret };
  const client = await Caller.connect(options);
  const kind = FLAG.inputs;
  const call = client.request('sum', payload(undefined), { kind, timeLeft: 0 });
  client.session.send(item(call, payload(1)), item(call, text('{"a":')), item(call, payload(2)));
  await expect(client.answer(call)).rejects.toMatchObject({ reason: 'PAYLOAD' });
  expect(await client.clientStream('sum', [1, 2])).toBe(3);
  expect((await server.gauges())['memoryBytes']).toBe(0);
  client.close();
});

it('a result that is not JSON fails its call alone, after the results before it', async () => {
  const hostile = await Server.listen(
    { id: 'raw', identity: identityOf('raw'), secret },
    ({ type, call }, { session }) => {
      if (type !== MESSAGE.request) return;
      session.send(
        item(call, payload(1)),
        item(call, payload(2)),
        item(call, text('[1')),
        end(call),
      );
    },
  );
  const discovery = { services: [hostile.entry] };
  const client = await Honest.start({ serviceId: 'client', security, discovery });
  onTestFinished(() => {
    client.kill();
    hostile.close();
  });
  const { found, error } = await client.ask('read', { service: 'raw', method: 'x' });
  expect(found).toEqual([1, 2]);
  expect(error).toMatchObject({ code: 'INTERNAL', reason: 'PAYLOAD', service: 'raw' });
  expect((await client.gauges())['memoryBytes']).toBe(0);
});
