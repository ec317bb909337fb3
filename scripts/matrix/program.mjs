// The program of every environment: the quick start, the four kinds of calls, an error; and nothing
// keeps the process alive afterwards.
import { MeshError, SecureMesh } from '@lemur-bookstores/secure-stack-mesh';

function check(what, got, wanted) {
  const [left, right] = [JSON.stringify(got), JSON.stringify(wanted)];
  if (left !== right) throw new Error(`${what}: ${left} instead of ${right}`);
}

async function all(items) {
  const found = [];
  for await (const item of items) found.push(item);
  return found;
}

const made = (serviceId, more) =>
  new SecureMesh({ serviceId, security: { rsaKeySize: 2048 }, ...more });

/** Runs two services in this thread, and calls one from the other. */
export async function exercise() {
  const other = made('other-service', { port: 0, host: '127.0.0.1' });
  other
    .handle('methodName', async (input, ctx) => ({ hello: ctx.caller.serviceId, input }))
    .handle('bytes', (input) => new Uint8Array(input).reverse())
    .handle('count', async function* ({ to }) {
      for (let number = 1; number <= to; number += 1) yield number;
    })
    .handle('sum', async (numbers) => (await all(numbers)).reduce((sum, one) => sum + one, 0))
    .handle('double', async function* (numbers) {
      for await (const number of numbers) yield number * 2;
    });
  await other.initialize();
  const services = [{ id: 'other-service', ...other.address() }];
  const mesh = made('my-service', { discovery: { services } });
  try {
    await mesh.initialize();
    const client = mesh.connect('other-service');
    check('call', await client.call('methodName', { data: 'payload' }), {
      hello: 'my-service',
      input: { data: 'payload' },
    });
    const bytes = await client.call('bytes', new Uint8Array([1, 2, 3]));
    check('bytes', [bytes instanceof Uint8Array, ...bytes], [true, 3, 2, 1]);
    check('serverStream', await all(client.serverStream('count', { to: 3 })), [1, 2, 3]);
    check('clientStream', await client.clientStream('sum', [1, 2, 3]), 6);
    check('bidiStream', await all(client.bidiStream('double', [1, 2, 3])), [2, 4, 6]);
    const error = await client.call('absent').catch((thrown) => thrown);
    check('error', [error instanceof MeshError, error.code], [true, 'UNIMPLEMENTED']);
    check('sessions', mesh.getStats().activeSessions, 1);
  } finally {
    await mesh.cleanup();
    await other.cleanup();
  }
}
