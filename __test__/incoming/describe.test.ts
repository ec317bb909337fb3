// securestack.describe, and the option observe.
import * as v from 'valibot';
import { expect, it } from 'vitest';
import { z } from 'zod';
import {
  defineContract,
  SecureMesh,
  serverStream,
  unary,
  type SecureMeshClient,
  type ServiceDescription,
} from '../../js/index.js';
import { refused } from '../support/keys.js';
import { pair, services } from '../support/kit.js';

const DESCRIBE = 'securestack.describe';
const describe = (client: SecureMeshClient): Promise<ServiceDescription> => client.call(DESCRIBE);
const names = async (client: SecureMeshClient) =>
  (await describe(client)).methods.map(({ name }) => name);

const SECRET = 'k3yX9vQ2mZ7pL0aW8sD4fG6hJ1cB5nRt-mesh';

const orders = defineContract('orders', {
  create: unary({
    input: z.object({ sku: z.string(), at: z.coerce.date().optional() }),
    output: z.object({ id: z.string() }),
    idempotent: true,
    errors: {
      OUT_OF_STOCK: { code: 'FAILED_PRECONDITION', data: z.object({ left: z.number() }) },
      CLOSED: { code: 'UNAVAILABLE' },
    },
  }),
  watch: serverStream({ output: v.object({ n: v.number() }) }),
});

it('describes handlers and contracts: kinds, schemas, errors and limits', async () => {
  const { client } = await pair(
    (mesh) => {
      mesh.implement(
        orders,
        {
          create: () => ({ id: '1' }),
          async *watch() {
            yield { n: 1 };
          },
        },
        { methods: { create: { timeoutMs: 800 } } },
      );
      mesh.handle('any', () => null);
      mesh.handle('generated', function* () {
        yield 1;
      });
    },
    { limits: { maxMessageBytes: 100_000 } },
  );
  const { methods, ...rest } = await describe(client);
  expect(rest).toEqual({
    v: 1,
    service: 'server',
    version: expect.stringMatching(/^\d+\.\d+\./),
    limits: { maxMessageBytes: 100_000, callTimeoutMs: 10_000 },
    truncated: false,
  });
  expect(methods).toMatchObject([
    { name: 'any', kind: null, idempotent: false },
    { name: 'generated', kind: 'serverStream' },
    {
      name: 'orders.create',
      kind: 'unary',
      idempotent: true,
      timeoutMs: 800,
      output: { vendor: 'zod', schema: { type: 'object', required: ['id'] } },
      errors: {
        OUT_OF_STOCK: { code: 'FAILED_PRECONDITION', data: { schema: { required: ['left'] } } },
        CLOSED: { code: 'UNAVAILABLE' },
      },
    },
    { name: 'orders.watch', kind: 'serverStream', output: { vendor: 'valibot' } },
  ]);
  // JSON Schema has no dates, and valibot has no JSON Schema of its own: the rest is described all the same.
  expect(methods[2]?.input?.vendor).toBe('zod');
  expect(methods[3]?.output).toEqual({ vendor: 'valibot' });
});

it('is no handler: no middleware runs around it, and an application cannot have its name', async () => {
  let runs = 0;
  const { client, server } = await pair((mesh) => {
    mesh.use((_ctx, next) => {
      runs += 1;
      return next();
    });
    mesh.handle('echo', (input) => input);
  });
  expect(await names(client)).toEqual(['echo']);
  expect(runs).toBe(0);
  await client.call('echo', 1);
  expect(runs).toBe(1);
  expect(() => server.handle(DESCRIBE, () => 1)).toThrow("must not begin with 'securestack.'");
});

it('shows a caller only the methods that it may call', async () => {
  const kit = await services({ server: setup }, (id) =>
    id === 'server'
      ? {
          authorization: {
            rules: [
              { from: ['*'], to: [DESCRIBE, 'open', 'own'] },
              { from: ['admin'], to: ['closed'] },
            ],
          },
        }
      : {},
  );
  function setup(mesh: SecureMesh): void {
    for (const name of ['open', 'closed', 'unknown']) mesh.handle(name, () => 1);
    mesh.handle('own', { allow: ['admin'] }, () => 1);
  }
  expect(await names(kit.connect('server', { as: 'caller' }))).toEqual(['open']);
  expect(await names(kit.connect('server', { as: 'admin' }))).toEqual(['closed', 'open', 'own']);
});

it('describes a method whose name no rule can have, unless a policy decides', async () => {
  const setup = (mesh: SecureMesh): unknown => mesh.handle('größe x', () => 1);
  expect(await names((await pair(setup)).client)).toEqual(['größe x']);
  const rules = [{ from: ['*'], to: ['*'] }];
  expect(await names((await pair(setup, { authorization: { rules } })).client)).toEqual([]);
});

it('follows the policy of the mesh', async () => {
  const { client } = await pair(() => undefined, {
    authorization: { rules: [{ from: ['*'], to: ['echo'] }] },
  });
  const error = await refused(() => describe(client));
  expect(error).toMatchObject({ code: 'PERMISSION_DENIED', remote: true });
});

it('answers by default under embedded trust, and nobody under a secret', async () => {
  const embedded = await pair((mesh) => mesh.handle('echo', () => 1));
  expect(await names(embedded.client)).toEqual(['echo']);
  const security = { jwtSecret: SECRET };
  const secret = await pair((mesh) => mesh.handle('echo', () => 1), { security }, { security });
  const error = await refused(() => describe(secret.client));
  expect(error).toMatchObject({
    code: 'PERMISSION_DENIED',
    message:
      'server does not describe itself to caller: its option observe would have to permit it',
  });
});

it.each([
  [true, true],
  [false, false],
  [{ from: ['caller'] }, true],
  [{ from: ['somebody', 'Caller'] }, false],
  [{ from: [] }, false],
])('observe: %j permits it: %s', async (observe, permitted) => {
  const security = { jwtSecret: SECRET };
  const { client } = await pair(() => undefined, { security, observe }, { security });
  if (permitted) expect(await names(client)).toEqual([]);
  else expect((await refused(() => describe(client))).code).toBe('PERMISSION_DENIED');
});

it('refuses everybody with observe: false, under embedded trust too', async () => {
  const { client } = await pair(() => undefined, { observe: false });
  expect((await refused(() => describe(client))).code).toBe('PERMISSION_DENIED');
});

it.each([
  ['yes'],
  [1],
  [null],
  [{}],
  [{ from: 'a' }],
  [{ from: [1] }],
  [{ from: [], to: [] }],
  [[]],
])('names a wrong option: %j', async (observe) => {
  const error = await refused(() => new SecureMesh({ serviceId: 'a', observe } as never));
  expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'CONFIG' });
  expect(error.message).toMatch(/^observe/);
});

it('is bounded, and says when it leaves something out', async () => {
  const wide = z.object(
    Object.fromEntries(Array.from({ length: 60 }, (_, at) => [`a-long-name-of-${at}`, z.string()])),
  );
  const { client } = await pair((mesh) => {
    for (let at = 0; at < 1_100; at += 1) mesh.handle(`m${at}`, { input: wide }, () => 1);
  });
  const description = await describe(client);
  expect(description.truncated).toBe(true);
  expect(description.methods).toHaveLength(1_000);
  expect(JSON.stringify(description).length).toBeLessThan(512 * 1024);
});

it('converts a schema once, however often it is read', async () => {
  let conversions = 0;
  const schema = {
    '~standard': {
      version: 1,
      vendor: 'own',
      validate: (value: unknown) => ({ value }),
      jsonSchema: {
        input: () => {
          conversions += 1;
          return { type: 'string' };
        },
      },
    },
  } as const;
  const { client } = await pair((mesh) => mesh.handle('echo', { input: schema }, () => 1));
  for (let at = 0; at < 3; at += 1) await describe(client);
  expect(conversions).toBe(1);
});
