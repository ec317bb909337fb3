// describe: what a service says about itself, for people and for programs.
import { expect, it } from 'vitest';
import { z } from 'zod';
import type { MeshConfig } from '../../js/index.js';
import { command, configFile } from '../support/command.js';
import { config, entry, serve } from '../support/meshes.js';

async function args(extra: Partial<MeshConfig> = {}, own: Partial<MeshConfig> = {}) {
  const mesh = await serve(
    'orders',
    (service) => {
      service.handle(
        'create',
        {
          kind: 'unary',
          idempotent: true,
          timeoutMs: 500,
          input: z.object({ sku: z.string() }),
          output: z.object({ id: z.string() }),
          errors: { GONE: { code: 'NOT_FOUND', data: z.object({ sku: z.string() }) } },
        },
        () => ({ id: '1' }),
      );
      service.handle('any\u001b[2J\u202e\nok', () => null);
    },
    extra,
  );
  const { paths, security } = config('any', own);
  return [
    '--config',
    configFile({ paths, security, discovery: { services: [entry('orders', mesh)] } }),
  ];
}

it('shows methods, kinds, schemas and limits', async () => {
  const { code, stdout, stderr } = await command([...(await args()), 'describe', 'orders']);
  expect(stderr).toBe('');
  expect(stdout).toMatch(
    /^orders, version \d\S+, messages up to 4194304 bytes, 10000 ms for a call\n/,
  );
  expect(stdout).toContain('  create  unary, idempotent, at most 500 ms\n');
  expect(stdout).toContain('    input   {"type":"object","properties":{"sku":{"type":"string"}}');
  expect(stdout).toContain('    error   GONE (NOT_FOUND) {"type":"object"');
  expect(code).toBe(0);
});

it('writes the name of a method so that it cannot command the terminal', async () => {
  const { stdout } = await command([...(await args()), 'describe', 'orders']);
  expect(stdout).toContain('  any\\u001b[2J\\u202e\\nok  any kind\n');
});

it('writes the description as one document', async () => {
  const { stdout } = await command([...(await args()), '--json', 'describe', 'orders']);
  expect(JSON.parse(stdout)).toMatchObject({
    v: 1,
    service: 'orders',
    methods: [
      { name: 'any\u001b[2J\u202e\nok', kind: null },
      { name: 'create', kind: 'unary' },
    ],
    truncated: false,
  });
});

it('says whose option it is when a service does not describe itself; call works all the same', async () => {
  const security = { jwtSecret: 'k3yX9vQ2mZ7pL0aW8sD4fG6hJ1cB5nRt-mesh' };
  const given = await args({ security }, { security });
  const { code, stderr } = await command([...given, 'describe', 'orders']);
  expect(stderr).toContain('orders does not describe itself to mesh-cli: its option observe');
  expect(code).toBe(64 + 7);
  const call = await command([...given, 'call', 'orders', 'create', '{"sku":"a"}']);
  expect(call).toEqual({ code: 0, stdout: '{"id":"1"}\n', stderr: '' });
});
