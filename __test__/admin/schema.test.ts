// The documents of the admin port against the schema that it serves.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, it } from 'vitest';
import type { SecureMesh } from '../../js/index.js';
import { root } from '../../scripts/lib.mjs';
import { call, serve } from '../support/meshes.js';
import { errorOf } from '../support/promises.js';

const schema = JSON.parse(
  readFileSync(join(root, 'docs/schemas/admin-api.schema.json'), 'utf8'),
) as { $id: string };
const ajv = new Ajv2020({ strict: false, allErrors: true }).addSchema(schema);

async function get(mesh: SecureMesh, path: string): Promise<unknown> {
  const { host, port } = mesh.adminAddress()!;
  const response = await fetch(`http://${host}:${port}${path}`);
  expect(response.status, path).toBe(200);
  return response.json();
}

function check(name: string, document: unknown): void {
  const validate = ajv.getSchema(`${schema.$id}#/$defs/${name}`)!;
  expect(validate(document), JSON.stringify(validate.errors)).toBe(true);
}

it('each document is what the schema says', async () => {
  const admin = { port: 0 };
  const server = await serve(
    'server',
    (own) => {
      own.handle('echo', (input) => input);
      own.handle('numbers', { kind: 'serverStream' }, async function* () {
        yield 1;
      });
    },
    {
      admin,
      authorization: { rules: [{ from: ['*'], to: ['*'], except: ['secret'] }] },
      resilience: {
        circuitBreaker: { failureThreshold: 100, successThreshold: 1, timeout: 1_000 },
      },
    },
  );
  const { mesh, client } = await call(server, { admin });
  await client.call('echo', 1);
  for await (const number of client.serverStream('numbers')) expect(number).toBe(1);
  await errorOf(client.call('secret'));
  for (const one of [server, mesh]) {
    check('Report', await get(one, '/api/v1/self'));
    check('MeshPicture', await get(one, '/api/v1/mesh'));
    check('History', await get(one, '/api/v1/history?window=60&step=10'));
    expect(await get(one, '/api/v1/schema')).toEqual(schema);
  }
  const report = (await get(server, '/api/v1/self')) as {
    inbound: { method: string; kind: string }[];
  };
  expect(report.inbound).toContainEqual(
    expect.objectContaining({ method: 'numbers', kind: 'server-stream', total: 1, failed: 0 }),
  );
  expect(ajv.getSchema(`${schema.$id}#/$defs/Report`)!({ v: 1 })).toBe(false);
});
