// policy check, policy explain.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { command, scratch } from '../support/command.js';

const RULES = {
  rules: [
    { name: 'front', from: ['gateway'], to: ['orders.*'], except: ['orders.delete'] },
    { from: ['spiffe://shop.example/ns/prod/*'], to: ['stock.get'] },
    { from: ['batch'], to: ['orders.export'], when: { metadata: { tenant: 'internal' } } },
  ],
};

function policy(content: unknown): string {
  const file = join(scratch(), 'policy.json');
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
}

it('accepts a policy file that a service accepts', async () => {
  const file = policy({ mode: 'audit', ...RULES });
  const { code, stdout, stderr } = await command(['policy', 'check', file]);
  expect(stdout).toBe(`ok: ${file} has 3 rules, mode audit\n`);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  const json = JSON.parse((await command(['--json', 'policy', 'check', file])).stdout);
  expect(json).toEqual({ v: 1, ok: true, file, mode: 'audit', rules: 3 });
});

it.each([
  ['{', ''],
  [{ rules: [{ from: ['a'], tos: ['b'] }] }, 'rules[0]'],
  [{ rules: [{ from: ['a*b'], to: ['b'] }] }, 'rules[0].from[0]'],
  [{ mode: 'sometimes', rules: [] }, 'mode'],
])('refuses %j with the place of the fault, and exits with 1', async (content, place) => {
  const file = policy(content);
  const { code, stdout, stderr } = await command(['policy', 'check', file]);
  expect(stdout).toBe('');
  expect(stderr).toContain(place);
  expect(code).toBe(1);
  const json = JSON.parse((await command(['--json', 'policy', 'check', file])).stdout);
  expect(json).toMatchObject({ v: 1, ok: false, file, error: { code: 'INVALID_ARGUMENT' } });
});

it('refuses a file that is not there', async () => {
  const { code, stderr } = await command(['policy', 'check', join(scratch(), 'none.json')]);
  expect(stderr).toContain('none.json');
  expect(code).toBe(1);
});

const PROD = 'spiffe://shop.example/ns/prod/sa/stock-keeper';

it.each([
  [['--from', 'gateway', '--method', 'orders.get'], 0, 'allowed', 'front'],
  [['--from', 'gateway', '--method', 'orders.delete'], 1, 'denied', null],
  [['--from', 'keeper', '--method', 'stock.get'], 1, 'denied', null],
  [['--from', 'keeper', '--method', 'stock.get', '--spiffe-id', PROD], 0, 'allowed', 'rules[1]'],
  [['--from', 'batch', '--method', 'orders.export'], 1, 'denied', null],
  [
    ['--from', 'batch', '--method', 'orders.export', '--metadata', 'tenant=internal'],
    0,
    'allowed',
    'rules[2]',
  ],
])('explains %j', async (args, code, word, rule) => {
  const file = policy(RULES);
  const text = await command(['policy', 'explain', file, ...args]);
  expect(text.stdout).toMatch(new RegExp(`^${word}: .+\\n$`));
  expect(text.code).toBe(code);
  const { stdout } = await command(['--json', 'policy', 'explain', file, ...args]);
  expect(JSON.parse(stdout)).toMatchObject({ v: 1, allowed: code === 0, rule, from: args[1] });
});

it('leaves no key behind', async () => {
  const HOME = scratch();
  await command(['policy', 'check', policy(RULES)], { env: { HOME } });
  const { stdout } = await command(['--json', 'keys', 'path'], { env: { HOME } });
  expect(JSON.parse(stdout).exists).toBe(false);
});

it('asks for what is missing', async () => {
  const { code, stderr } = await command(['policy', 'explain', policy(RULES), '--from', 'a']);
  expect(stderr).toContain("required option '--method <name>' not specified");
  expect(code).toBe(2);
});
