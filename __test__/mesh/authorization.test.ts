import {
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  type AuthorizationConfig,
  type MeshAuditEvent,
  type MeshConfig,
  type SecureMesh,
} from '../../js/index.js';
import { services } from '../support/kit.js';
import { make, pair } from '../support/meshes.js';
import { run } from '../support/processes.js';
import { errorOf, until } from '../support/promises.js';

const handlers = (mesh: SecureMesh): unknown =>
  mesh
    .handle('orders.get', (input) => input)
    .handle('orders.delete', () => 'gone')
    .handle('orders.watch', { kind: 'serverStream' }, async function* () {
      yield 1;
    })
    .handle('own', { allow: ['nobody'] }, () => 1);

const reads: AuthorizationConfig = {
  rules: [
    { name: 'reads', from: ['caller'], to: ['orders.*', 'own'], except: ['orders.delete'] },
    { from: ['admin'], to: ['*'] },
  ],
};

/** Entries of an audit log, as they come. */
function audit(): { events: MeshAuditEvent[]; monitoring: NonNullable<MeshConfig['monitoring']> } {
  const events: MeshAuditEvent[] = [];
  const adapters = [{ logEvent: async (event: MeshAuditEvent) => void events.push(event) }];
  return { events, monitoring: { enabled: true, adapters } };
}

function directory(): string {
  const made = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-policy-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

describe('a policy', () => {
  it('permits what its rules name and denies every other method alike', async () => {
    const { events, monitoring } = audit();
    const { server, client } = await pair(handlers, { authorization: reads, monitoring });
    expect(await client.call('orders.get', 7)).toBe(7);
    for (const method of ['orders.delete', 'none', 'securestack.stats']) {
      const { stack: _, ...error } = await errorOf(client.call(method, 7));
      expect(error).toMatchObject({
        code: 'PERMISSION_DENIED',
        reason: 'PERMISSION_DENIED',
        retryable: false,
        remote: true,
      });
      expect(String((await errorOf(client.call(method))).message)).toBe(
        `caller may not call ${method}`,
      );
      expect(error.data).toBeUndefined();
    }
    const { details, status } = await server.healthCheck();
    expect(status).toBe('healthy');
    expect(details).toMatchObject({
      requestsDenied: 6,
      denialsAudited: 0,
      authorization: { mode: 'enforce', rules: 2, file: null, problem: null },
    });
    await until(() => events.some(({ eventType }) => eventType === 'authorization'));
    const entries = events.filter(({ eventType }) => eventType === 'authorization');
    expect(entries).toHaveLength(6);
    expect(entries[0]?.details).toMatchObject({
      action: 'request.denied',
      success: false,
      metadata: { peer: 'caller', method: 'orders.delete', rule: '(default)', mode: 'enforce' },
    });
  });

  it('covers streams', async () => {
    const { client } = await pair(handlers, {
      authorization: { rules: [{ from: ['caller'], to: ['orders.get'] }] },
    });
    const read = async (): Promise<void> => {
      for await (const item of client.serverStream('orders.watch')) expect(item).toBeUndefined();
    };
    expect(await errorOf(read())).toMatchObject({ code: 'PERMISSION_DENIED' });
    const upload = client.clientStream('orders.upload', [1, 2]);
    expect(await errorOf(upload)).toMatchObject({ code: 'PERMISSION_DENIED' });
  });

  it('and allow must both permit', async () => {
    const { client } = await pair(handlers, { authorization: reads });
    const error = await errorOf(client.call('own'));
    expect(error).toMatchObject({ code: 'PERMISSION_DENIED', reason: 'PERMISSION_DENIED' });
    expect(error.message, 'as the policy says it').toBe('caller may not call own');
  });

  it('only records in audit mode', async () => {
    const { events, monitoring } = audit();
    const { server, client } = await pair(handlers, {
      authorization: { mode: 'audit', rules: [{ from: ['admin'], to: ['*'] }] },
      monitoring,
    });
    expect(await client.call('orders.delete')).toBe('gone');
    expect(await errorOf(client.call('none'))).toMatchObject({ reason: 'METHOD_NOT_FOUND' });
    const { details } = await server.healthCheck();
    expect(details).toMatchObject({ requestsDenied: 0, denialsAudited: 2 });
    await until(() => events.some(({ eventType }) => eventType === 'authorization'));
    const entry = events.find(({ eventType }) => eventType === 'authorization');
    expect(entry?.details.metadata).toMatchObject({ mode: 'audit', method: 'orders.delete' });
  });

  it('denies before the quota is asked', async () => {
    const { client } = await pair(handlers, {
      authorization: reads,
      resilience: { rateLimit: { maxRequests: 1, windowMs: 60_000 } },
    });
    for (let n = 0; n < 5; n += 1) {
      expect(await errorOf(client.call('orders.delete'))).toMatchObject({
        code: 'PERMISSION_DENIED',
      });
    }
    expect(await client.call('orders.get', 1)).toBe(1);
    expect(await errorOf(client.call('orders.get'))).toMatchObject({ reason: 'RATE_LIMITED' });
  });

  it('decides by metadata where a rule asks for them', async () => {
    const { client } = await pair(handlers, {
      authorization: {
        rules: [
          { from: ['caller'], to: ['orders.get'], when: { metadata: { tenant: 'internal' } } },
        ],
      },
    });
    expect(await client.call('orders.get', 1, { metadata: { tenant: 'internal' } })).toBe(1);
    for (const metadata of [{ tenant: 'other' }, { tenants: 'internal' }, undefined]) {
      expect(await errorOf(client.call('orders.get', 1, { metadata }))).toMatchObject({
        code: 'PERMISSION_DENIED',
      });
    }
  });

  it('is part of a test mesh', async () => {
    const kit = await services({ server: handlers }, { authorization: reads });
    const denied = errorOf(kit.connect('server', { as: 'other' }).call('orders.get'));
    expect(await denied).toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(await kit.connect('server', { as: 'caller' }).call('orders.get', 1)).toBe(1);
  });
});

describe('explain', () => {
  it('names the rule that decides, and why', async () => {
    const { server } = await pair(handlers, { authorization: reads });
    expect(server.explain({ from: 'caller', method: 'orders.get' })).toEqual({
      allowed: true,
      rule: 'reads',
      why: 'reads permits orders.get to caller',
    });
    const spiffeId = 'spiffe://shop.example/ns/prod/sa/caller';
    expect(server.explain({ from: 'caller', spiffeId, method: 'orders.delete' })).toEqual({
      allowed: false,
      rule: null,
      why: `no rule matches orders.delete of caller (${spiffeId}); the default is 'deny'; reads does not match because its except names the method`,
    });
  });

  it('reads metadata with half a character as a call would bring it', async () => {
    const { server, client } = await pair(handlers, {
      authorization: {
        rules: [
          { from: ['caller'], to: ['orders.get'], when: { metadata: { tenant: 'internal' } } },
        ],
      },
    });
    const metadata = { tenant: 'internal', note: 'x😀'.slice(0, 2) };
    expect(await client.call('orders.get', 1, { metadata })).toBe(1);
    const request = { from: 'caller', method: 'orders.get', metadata };
    expect(server.explain(request).allowed).toBe(true);
  });

  it('refuses what is no request', async () => {
    const mesh = make('server', { authorization: reads });
    const early = () => mesh.explain({ from: 'a', method: 'b' });
    expect(early).toThrow(expect.objectContaining({ reason: 'NOT_INITIALIZED' }));
    await mesh.initialize();
    const given: [object, string][] = [
      [{ from: 'a/b', method: 'b' }, 'a service id is'],
      [{ from: 'a', method: 'b c' }, 'request.method must be'],
      [{ from: 'a' }, 'request.method must be a string'],
      [{ from: 'a', method: 'b', spiffeId: 'spiffe://X/y' }, 'request.spiffeId must be'],
      [{ from: 'a', method: 'b', metadata: { k: 1 } }, 'request.metadata must be'],
      [{ from: 'a', methods: 'b' }, 'did you mean'],
    ];
    for (const [request, text] of given) {
      expect(() => mesh.explain(request as never)).toThrow(text);
    }
  });
});

it('handlers of an application cannot take the names of built-in methods', () => {
  const mesh = make('server');
  for (const method of ['securestack.stats', 'ca.enrol']) {
    expect(() => mesh.handle(method, () => 1)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', reason: 'ARGUMENT' }),
    );
  }
  mesh.handle('cat.x', () => 1).handle('ca', () => 1);
});

describe('a policy file', () => {
  it('that is missing or wrong refuses the start, with its path', async () => {
    const file = join(directory(), 'policy.json');
    const mesh = make('server', { authorization: { file } });
    const missing = await errorOf(mesh.initialize());
    expect(missing).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'FILE' });
    expect(missing.message).toContain(file);
    writeFileSync(file, '{"rules":[{"from":["a"],"to":["b"],"excepts":["c"]}]}');
    const wrong = await errorOf(mesh.initialize());
    expect(wrong.message).toContain(
      'rules[0].excepts is not an option; did you mean rules[0].except?',
    );
    writeFileSync(file, '{"rules":[]}');
    await mesh.initialize();
  });

  it('is followed by a service under load, through broken states, without a lost session', async () => {
    // As Kubernetes mounts a ConfigMap.
    const mount = directory();
    let generation = 0;
    const put = (text: string): void => {
      generation += 1;
      const data = `..data.${generation}`;
      mkdirSync(join(mount, data));
      writeFileSync(join(mount, data, 'policy.json'), text);
      symlinkSync(data, join(mount, '..data_tmp'));
      renameSync(join(mount, '..data_tmp'), join(mount, '..data'));
    };
    const methods = (...names: string[]): string =>
      JSON.stringify({ rules: [{ from: ['caller'], to: ['steady', 'health', ...names] }] });
    put(methods('odd'));
    const file = join(mount, 'policy.json');
    symlinkSync('..data/policy.json', file);

    const server = run('policy', { file });
    const address = await server.next();
    const mesh = make('caller', { discovery: { services: [{ id: 'server', ...address }] } });
    await mesh.initialize();
    const client = mesh.connect('server');
    const { sessionId } = (await client.call('steady', 0), mesh.getStats().peers[0]!);

    let running = true;
    const load = Array.from({ length: 8 }, async () => {
      let calls = 0;
      for (; running; calls += 1) expect(await client.call('steady', calls)).toBe(calls);
      return calls;
    });
    const permits = async (method: string): Promise<boolean> => {
      const outcome = await client.call(method, 'x').catch((error: unknown) => error);
      if (outcome === 'x') return true;
      expect(outcome).toMatchObject({ code: 'PERMISSION_DENIED' });
      return false;
    };
    const permitted = async (method: string, other: string): Promise<void> => {
      const end = Date.now() + 10_000;
      while (!(await permits(method))) if (Date.now() > end) throw new Error(`${method} never`);
      expect(await permits(other), 'not a mixture of two policies').toBe(false);
    };
    for (let round = 0; round < 6; round += 1) {
      const [on, off] = round % 2 === 0 ? ['even', 'odd'] : ['odd', 'even'];
      put(methods(on));
      await permitted(on, off);
      if (round === 2) {
        put('{"rules":[{"from":["caller"],"to":["even"');
        const problem = async (): Promise<string | null> => {
          const details = await client.call<undefined, any>('health');
          return details.authorization.problem;
        };
        const end = Date.now() + 10_000;
        while ((await problem()) === null) if (Date.now() > end) throw new Error('no problem');
        expect(await problem()).toContain(`${file} is not JSON`);
        expect([await permits('even'), await permits('odd')]).toEqual([true, false]);
        unlinkSync(join(mount, readlinkSync(join(mount, '..data')), 'policy.json'));
        while (!(await problem())?.includes('cannot be read')) {
          if (Date.now() > end) throw new Error('the file is still there');
        }
        expect([await permits('even'), await permits('odd')]).toEqual([true, false]);
      }
    }
    running = false;
    const calls = await Promise.all(load);
    expect(Math.min(...calls)).toBeGreaterThan(10);
    expect(mesh.getStats().peers.map((peer) => peer.sessionId)).toEqual([sessionId]);
    const details = await client.call<undefined, any>('health');
    expect(details.authorization).toMatchObject({ rules: 1, problem: null });
  });
});
