// The JSON Schema of policy files against the core: both must give the same verdict.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { SecureMesh } from '../../js/index.js';
import { root } from '../../scripts/lib.mjs';

const schema = JSON.parse(readFileSync(join(root, 'docs/schemas/policy.schema.json'), 'utf8'));
const validate = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(schema);

const rule = (extra: object): object => ({ rules: [{ from: ['a'], to: ['b'], ...extra }] });
const from = (...callers: unknown[]): object => rule({ from: callers });
const to = (...methods: unknown[]): object => rule({ to: methods });
const deep = `spiffe://t/${'x'.repeat(2_037)}`;

const good: object[] = [
  { rules: [] },
  { default: 'allow', mode: 'audit', rules: [] },
  rule({ name: 'team a/reads 1', except: ['b.c', 'b.*'], deny: true }),
  rule({ except: [], when: { metadata: { tenant: 'é' } } }),
  from('*', 'gateway', 'a.b-c_d', 'A'.repeat(128)),
  from('spiffe://shop.example/ns/prod/sa/web', 'spiffe://shop.example/*', 'spiffe://s-h_o.p1/a/*'),
  from(deep, 'spiffe://t/...', 'spiffe://t/.a/*'),
  to('*', 'orders.get', 'orders.*', 'a', 'x'.repeat(200), '/a:b(c)!', 'a..*', '..*'),
];

const bad: object[] = [
  { rules: {} },
  { rules: [], rule: [] },
  { rules: [], default: 'permit' },
  { rules: [], mode: 'off' },
  { rules: ['x'] },
  { rules: [{ from: ['a'] }] },
  { rules: [{ to: ['a'] }] },
  rule({ name: '' }),
  rule({ name: 'rules[0]' }),
  rule({ name: 'x'.repeat(129) }),
  rule({ name: 'a\nb' }),
  rule({ deny: 'yes' }),
  rule({ excepts: [] }),
  rule({ except: 'b' }),
  rule({ when: {} }),
  rule({ when: { metadata: {} } }),
  rule({ when: { metadata: { k: 1 } } }),
  rule({ when: { header: {} } }),
  from(),
  to(),
  from(1),
  ...['', '-a', 'a-', 'a..b', 'a*', 'a.*', 'a/b', 'é', 'A'.repeat(129)].map((id) => from(id)),
  ...['spiffe://', 'spiffe://*', 'spiffe:///a', 'spiffe://t', 'spiffe://t/', 'spiffe://T/a'].map(
    (id) => from(id),
  ),
  ...['t:1/a', 'u@t/a', 't/a/', 't//a', 't/./a', 't/..', 't/a/../b', 't/a*', 't/*/a', 't/a?b'].map(
    (rest) => from(`spiffe://${rest}`),
  ),
  from(`${deep}x`),
  from('SPIFFE://t/a'),
  ...['', '.*', '*.get', 'or*', 'a.*.b', '**', 'a b', 'é', '<a>', '"', "'", '`', '\\'].map((name) =>
    to(name),
  ),
  to('x'.repeat(201)),
  to('b', null),
];

const verdict = (policy: object): string => {
  try {
    new SecureMesh({ serviceId: 'a', authorization: policy });
    return 'accepted';
  } catch (error) {
    return String(error);
  }
};

describe('the schema of policy files', () => {
  it('accepts what the core accepts', () => {
    for (const policy of good) {
      validate(policy);
      expect(validate.errors ?? [], JSON.stringify(policy).slice(0, 200)).toEqual([]);
      expect(verdict(policy)).toBe('accepted');
    }
  });

  it('refuses what the core refuses', () => {
    for (const policy of bad) {
      const shown = JSON.stringify(policy).slice(0, 200);
      expect(validate(policy), shown).toBe(false);
      expect(verdict(policy), shown).toMatch(/authorization/u);
    }
  });

  it('demands rules, and takes a name of a schema', () => {
    expect(validate({})).toBe(false);
    expect(validate([])).toBe(false);
    expect(validate({ $schema: './policy.schema.json', rules: [] })).toBe(true);
  });
});
