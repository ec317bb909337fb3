// The types of calls, handlers and middleware.
import {
  type CallOptions,
  type Context,
  type Handler,
  type Middleware,
  MeshError,
  SecureMesh,
  SecureMeshClient,
} from '@lemur-bookstores/secure-stack-mesh';
import { same, schema } from './schema.js';

declare const mesh: SecureMesh;

// A client by name, typed at the call.
const client = mesh.connect('other-service');
same<typeof client, SecureMeshClient>();
same<ReturnType<SecureMesh['connect']>, SecureMeshClient>();
const untyped = await client.call('methodName', { data: 'payload' });
same<typeof untyped, unknown>();
const typed = await client.call<{ id: number }, string>('get', { id: 1 }, { timeoutMs: 5 });
same<typeof typed, string>();
for await (const item of client.serverStream<unknown, number>('count')) same<typeof item, number>();
// @ts-expect-error the input is of another type
await client.call<{ id: number }, string>('get', { id: 'x' });
// @ts-expect-error there is no such option
await client.call('get', 1, { timeout: 5 });
// @ts-expect-error values of metadata are strings
await client.call('get', 1, { metadata: { n: 1 } });
const options: CallOptions = {
  signal: AbortSignal.timeout(5),
  metadata: { tenant: 't' },
  idempotencyKey: 'k',
  detached: true,
  onResponseMetadata: (metadata) => same<typeof metadata, Readonly<Record<string, string>>>(),
};
await client.call('get', 1, options);

// Handlers: without schemas they declare the type of the input.
mesh.handle('methodName', async (input, ctx) => ({ hello: ctx.caller.serviceId, input }));
mesh.handle('double', (n: number) => n * 2);
mesh.handle<number, string>('text', (n, ctx) => `${n.toFixed()} ${ctx.method}`);
mesh.handle<number, string>('text', { allow: ['a'] }, (n) => n.toFixed());
mesh.handle('limits', { timeoutMs: 2_000, allow: ['gateway'] }, (input) => input.anything);
mesh.handle('many', async function* (to: number, ctx) {
  same<typeof ctx, Context>();
  for (let n = 0; n < to; n += 1) yield n;
});
const named: Handler<number, string> = (n, ctx) => `${n} ${ctx.requestId}`;
mesh.handle('named', named);

// With schemas, the input has their output type, and the result their input type.
mesh.handle(
  'checked',
  {
    input: schema<string, Date>(),
    output: schema<{ day: number }>(),
    errors: { TOO_OLD: { code: 'OUT_OF_RANGE', data: schema<number>() } },
    idempotent: false,
    use: [async (_ctx, next) => next()],
  },
  async (input, ctx) => {
    same<typeof input, Date>();
    if (input.getTime() < 0) throw ctx.errors.TOO_OLD(5);
    return { day: input.getDay() };
  },
);
// @ts-expect-error the result is of another type
mesh.handle('wrong', { output: schema<{ day: number }>() }, () => ({ day: 'x' }));
mesh.handle(
  'sum',
  { kind: 'clientStream', input: schema<number>(), output: schema<number>() },
  async (numbers) => {
    let sum = 0;
    for await (const n of numbers) sum += n;
    return sum;
  },
);
// @ts-expect-error there is no such kind
mesh.handle('kind', { kind: 'stream' }, () => 1);
// @ts-expect-error there is no such option
mesh.handle('option', { timeout: 5 }, () => 1);
// @ts-expect-error not a schema
mesh.handle('schema', { input: {} }, () => 1);
// @ts-expect-error the handler is missing
mesh.handle('none', {});

// Middleware.
const timing: Middleware = async (ctx, next) => {
  same<typeof ctx.caller.serviceId, string>();
  const result = await next();
  return result;
};
mesh.use(timing).use((_ctx, next) => next());
mesh.useClient((call, next) => {
  call.options.metadata['tenant'] = 't1';
  call.options.timeoutMs = 5;
  call.input = 7;
  // @ts-expect-error the service of a call is read-only
  call.service = 'other';
  return next();
});
// @ts-expect-error not a function
mesh.use({});

// Routers of the core, by their structure.
declare const router: {
  getRoutes(): Map<
    string,
    {
      type: 'query' | 'mutation';
      config: { handler(call: { input: number; ctx: object }): number };
    }
  >;
  getMiddlewares(): ((ctx: unknown, next: () => Promise<void>) => Promise<void> | void)[];
};
mesh
  .mount(router)
  .mount('name', router)
  .mount({ a: { b: router } }, { allow: ['gateway'] });
// @ts-expect-error not a router
mesh.mount({ a: 7 });

const error = new MeshError('NOT_FOUND', 'none', { data: { id: 1 } });
same<typeof error.data, unknown>();
