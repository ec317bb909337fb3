// call: real services, and the built command as a process of its own.
import { expect, it } from 'vitest';
import { z } from 'zod';
import { MeshError, type SecureMesh } from '../../js/index.js';
import { command, configFile, start, type Outcome, type Settings } from '../support/command.js';
import { config, entry, serve } from '../support/meshes.js';

/** A service, and the arguments that find it. */
async function orders(extra = {}): Promise<{ mesh: SecureMesh; args: string[] }> {
  const mesh = await serve(
    'orders',
    (service) => {
      service.handle('echo', { kind: 'unary' }, (input) => input ?? null);
      service.handle('facts', (_input, ctx) => {
        ctx.responseMetadata['region'] = 'eu';
        return { metadata: ctx.metadata, caller: ctx.caller.serviceId, left: ctx.timeoutMs() };
      });
      service.handle('count', async function* ({ n }: { n: number }) {
        for (let i = 0; i < n; i += 1) yield { i };
      });
      service.handle('sum', { kind: 'clientStream' }, async (items: AsyncIterable<number>) => {
        let sum = 0;
        for await (const item of items) sum += item;
        return sum;
      });
      service.handle('chat', { kind: 'bidiStream' }, async function* (items) {
        for await (const item of items) yield { heard: item };
      });
      service.handle('bytes', () => Uint8Array.of(1, 2, 3));
      service.handle('slow', () => new Promise(() => undefined));
      service.handle('typed', { input: z.object({ id: z.number() }) }, (input) => input);
      service.handle('hostile', () => {
        throw new MeshError('NOT_FOUND', 'a\u001b[31mred\nok    forged\u009b2J\u202e', {
          data: { text: '\u001b]0;title\u0007\u009b2J\u202e' },
        });
      });
      service.handle('broken', () => {
        throw new Error('a secret of the service');
      });
    },
    extra,
  );
  const { paths, security } = config('any');
  const file = configFile({ paths, security, discovery: { services: [entry('orders', mesh)] } });
  return { mesh, args: ['--config', file] };
}

async function call(rest: string[], settings: Settings = {}): Promise<Outcome> {
  const { args } = await orders();
  return command([...args, 'call', 'orders', ...rest], settings);
}

it('writes the result of a unary call, and exits with 0', async () => {
  expect(await call(['echo', '{"a":[1,"ü"]}'])).toEqual({
    code: 0,
    stdout: '{"a":[1,"ü"]}\n',
    stderr: '',
  });
});

it('sends no input without an argument, and stdin for -', async () => {
  expect((await call(['echo'])).stdout).toBe('null\n');
  expect((await call(['echo', '-'], { stdin: '{"from":"stdin"}\n' })).stdout).toBe(
    '{"from":"stdin"}\n',
  );
});

it('finds out that a method answers with a stream, and writes a line for each item', async () => {
  const { stdout, code } = await call(['count', '{"n":3}']);
  expect(stdout).toBe('{"i":0}\n{"i":1}\n{"i":2}\n');
  expect(code).toBe(0);
});

it('sends the lines of stdin as items', async () => {
  expect((await call(['sum'], { stdin: '1\n2\n\n39\n' })).stdout).toBe('42\n');
  expect((await call(['chat', '-'], { stdin: '1\n{"b":2}\n' })).stdout).toBe(
    '{"heard":1}\n{"heard":{"b":2}}\n',
  );
});

it('writes an answer of a stream before the input has ended', async () => {
  const { args } = await orders();
  const child = start([...args, 'call', 'orders', 'chat']);
  child.stdin?.write('"one"\n');
  const first = await new Promise<string>((resolve) =>
    child.stdout?.once('data', (chunk: Buffer) => resolve(chunk.toString())),
  );
  expect(first).toBe('{"heard":"one"}\n');
  child.stdin?.end();
  expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(0);
});

it('names the line of stdin that is not JSON', async () => {
  const { code, stderr } = await call(['sum'], { stdin: '1\nx\n' });
  expect(stderr).toContain('line 2 of stdin is not JSON');
  expect(code).toBe(2);
});

it('writes bytes as base64', async () => {
  expect((await call(['bytes'])).stdout).toBe('{"base64":"AQID"}\n');
});

it('passes metadata and a deadline, and calls as mesh-cli or as --as', async () => {
  const { args } = await orders();
  const facts = async (...options: string[]) =>
    JSON.parse((await command([...args, 'call', 'orders', 'facts', ...options])).stdout);
  const given = await facts('--metadata', 'tenant=t1', 'note=a=b', '--timeout', '5s');
  expect(given).toMatchObject({ metadata: { tenant: 't1', note: 'a=b' }, caller: 'mesh-cli' });
  expect(given.left).toBeLessThanOrEqual(5_000);
  expect(given.left).toBeGreaterThan(1_000);
  expect(await facts('--as', 'gateway')).toMatchObject({ caller: 'gateway' });
});

it('reaches a service by --address alone', async () => {
  const { mesh } = await orders();
  const { host, port } = mesh.address()!;
  const { paths, security } = config('any');
  const file = configFile({ paths, security });
  const args = ['--config', file, 'call', 'orders', 'echo', '1', '--address', `${host}:${port}`];
  expect((await command(args)).stdout).toBe('1\n');
});

it('describes the outcome in one document with --json', async () => {
  const { args } = await orders();
  const run = async (...rest: string[]) =>
    JSON.parse((await command([...args, '--json', 'call', 'orders', ...rest])).stdout);
  expect(await run('facts')).toMatchObject({
    v: 1,
    service: 'orders',
    method: 'facts',
    kind: 'unary',
    result: { caller: 'mesh-cli' },
    metadata: { region: 'eu' },
    ms: expect.any(Number),
    session: { service: 'orders', trust: 'embedded', suite: 'X25519MLKEM768' },
  });
  expect(await run('count', '{"n":2}')).toMatchObject({ items: [{ i: 0 }, { i: 1 }] });
  expect(await run('typed', '{"id":"x"}')).toMatchObject({
    error: {
      code: 'INVALID_ARGUMENT',
      reason: 'VALIDATION',
      remote: true,
      data: { issues: [{ path: ['id'] }] },
      repair: expect.stringContaining('Correct the input'),
    },
  });
});

it.each([
  [['slow', '--timeout', '200ms'], 64 + 4, 'DEADLINE_EXCEEDED DEADLINE'],
  [['nothing'], 64 + 12, 'UNIMPLEMENTED METHOD_NOT_FOUND'],
  [['hostile'], 64 + 5, 'NOT_FOUND'],
  [['broken'], 64 + 13, 'INTERNAL HANDLER'],
  [['sum', '1', '--kind', 'unary'], 64 + 12, 'the option --kind'],
  [['echo', '{a'], 2, 'the input is not JSON'],
  [['echo', '1', '--kind', 'sideways'], 2, '--kind must be one of unary'],
  [['echo', '1', '--timeout', 'soon'], 2, '--timeout must be a time above 0'],
  [['echo', '1', '--metadata', 'tenant'], 2, '--metadata must be name=value'],
  [['echo', '1', '--address', 'nowhere'], 2, '--address must be host:port'],
])('%j exits with %i', async (args, code, text) => {
  const outcome = await call(args);
  expect(outcome.stderr).toContain(text);
  expect(outcome.stderr).not.toContain('a secret of the service');
  expect(outcome.stdout).toBe('');
  expect(outcome.code).toBe(code);
});

it('says where to write the address of a service that the configuration does not have', async () => {
  const { args } = await orders();
  const { code, stderr } = await command([...args, 'call', 'stock', 'echo']);
  expect(stderr).toContain('nothing says where stock is');
  expect(stderr).toContain('--address host:port. The configuration has orders.');
  expect(code).toBe(2);
});

it('reports a service that is down with what to do', async () => {
  const { mesh, args } = await orders();
  await mesh.cleanup();
  const { code, stderr } = await command([...args, 'call', 'orders', 'echo']);
  expect(stderr).toContain('UNAVAILABLE CONNECT_FAILED');
  expect(stderr).toContain('repair: Check that the service runs');
  expect(code).toBe(64 + 14);
});

it('writes nothing of a service to the terminal that could command it', async () => {
  const { stdout, stderr } = await call(['--json', 'hostile']);
  for (const text of [stdout, stderr]) {
    expect(text).toContain('red');
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(text.split('\n').some((line) => line.startsWith('ok '))).toBe(false);
  }
  expect(JSON.parse(stdout).error.data).toEqual({ text: '\u001b]0;title\u0007\u009b2J\u202e' });
});

it('does not listen, whatever the environment says', async () => {
  const { mesh } = await orders();
  const port = String(mesh.address()!.port);
  const env = { SECURE_MESH_PORT: port, SECURE_MESH_HOST: '127.0.0.1' };
  expect(await call(['echo', '1'], { env })).toMatchObject({ code: 0, stderr: '' });
});
