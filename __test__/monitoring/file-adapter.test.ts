// Audit entries in files.
import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { FileAdapter } from '../../js/index.js';
import { event, FORGED } from '../support/audit.js';
import { errorOf } from '../support/promises.js';

const directory = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-audit-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let names = 0;
const newPath = (): string => join(directory, String((names += 1)), 'audit.log');

describe('FileAdapter', () => {
  const lines = (path: string): any[] =>
    readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));

  it('appends a line for each entry, for its owner only (P41)', async () => {
    const path = newPath();
    const adapter = new FileAdapter(path, `${path}.metrics`);
    await adapter.logEvent(event());
    await adapter.logEvent(event({ id: 'e2', details: { success: false, error: FORGED } }));
    await adapter.logMetrics({ active: 1 });
    await adapter.close();
    expect(lines(path).map(({ id }) => id)).toEqual(['e1', 'e2']);
    expect(lines(`${path}.metrics`)).toMatchObject([{ active: 1 }]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(path, '..')).mode & 0o777).toBe(0o700);
    await adapter.logEvent(event({ id: 'e3' }));
    expect(lines(path), 'it can be used again').toHaveLength(3);
    await adapter.close();
  });

  it('keeps every one of many entries at once, through rotations', async () => {
    const path = newPath();
    const adapter = new FileAdapter(path, undefined, { maxBytes: 20_000, maxFiles: 10 });
    const all = Array.from({ length: 1_000 }, (_, n) => adapter.logEvent(event({ id: `n${n}` })));
    await Promise.all(all);
    await adapter.close();
    const files = readdirSync(join(path, '..')).toSorted(
      (a, b) => Number(b.split('.')[2] ?? 0) - Number(a.split('.')[2] ?? 0),
    );
    expect(files.length).toBeGreaterThan(3);
    const kept = files.flatMap((name) => lines(join(path, '..', name)));
    expect(kept.map(({ id }) => id)).toEqual(Array.from({ length: 1_000 }, (_, n) => `n${n}`));
    for (const name of files) {
      expect(statSync(join(path, '..', name)).size).toBeLessThanOrEqual(20_000);
    }
  });

  it('keeps no more files than allowed', async () => {
    for (const maxFiles of [0, 2]) {
      const path = newPath();
      const adapter = new FileAdapter(path, undefined, { maxBytes: 1_024, maxFiles });
      for (let n = 0; n < 50; n += 1) await adapter.logEvent(event());
      await adapter.close();
      expect(readdirSync(join(path, '..'))).toHaveLength(maxFiles + 1);
    }
  });

  it('closes a line that was cut off', async () => {
    const path = newPath();
    mkdirSync(join(path, '..'));
    writeFileSync(path, '{"cut":');
    chmodSync(path, 0o644);
    const adapter = new FileAdapter(path);
    await adapter.logEvent(event());
    await adapter.close();
    expect(readFileSync(path, 'utf8')).toMatch(/^\{"cut":\n\{"id":"e1".*\}\n$/);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('tells everybody whose entry was not written, and recovers', async () => {
    const path = newPath();
    mkdirSync(path, { recursive: true });
    const adapter = new FileAdapter(path);
    const all = await Promise.all([1, 2, 3].map(() => errorOf(adapter.logEvent(event()))));
    for (const error of all) {
      expect(error).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'AUDIT_DELIVERY' });
      expect(error.message).toContain(path);
    }
    rmSync(path, { recursive: true });
    await adapter.logEvent(event());
    expect(lines(path)).toHaveLength(1);
    await adapter.close();
  });

  it('follows no symbolic link', async () => {
    const path = newPath();
    const target = join(directory, 'target');
    appendFileSync(target, '');
    mkdirSync(join(path, '..'));
    symlinkSync(target, path);
    expect((await errorOf(new FileAdapter(path).logEvent(event()))).message).toMatch(
      /symbolic link/,
    );
    expect(readFileSync(target, 'utf8')).toBe('');
  });

  // Windows has no mode that lets everybody write.
  it.skipIf(process.platform === 'win32')(
    'refuses a directory that everybody may write to, and says what to do',
    async () => {
      for (const mode of [0o777, 0o1777, 0o702]) {
        const open = dirname(newPath());
        mkdirSync(open);
        chmodSync(open, mode);
        const path = join(open, 'audit.log');
        const error = await errorOf(new FileAdapter(path).logEvent(event()));
        expect(error).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'AUDIT_DELIVERY' });
        expect(error.message).toContain(`chmod o-w ${open}`);
        expect(readdirSync(open)).toEqual([]);
        // Both suggested repairs work.
        const own = /such as (\S+?),/.exec(error.message)![1]!;
        await new FileAdapter(own).logEvent(event());
        expect(statSync(dirname(own)).mode & 0o777).toBe(0o700);
        chmodSync(open, mode & ~0o002);
        await new FileAdapter(path).logEvent(event());
        expect(readFileSync(path, 'utf8')).toContain('"id":"e1"');
      }
    },
  );

  it.runIf(process.getuid?.() === 0)("refuses another user's file", async () => {
    const path = newPath();
    mkdirSync(dirname(path));
    writeFileSync(path, '');
    chownSync(path, 12_345, 12_345);
    const error = await errorOf(new FileAdapter(path).logEvent(event()));
    expect(error.message).toContain('belongs to another user (uid 12345)');
    expect(readFileSync(path, 'utf8')).toBe('');
  });

  it('writes nothing below the working directory unless told to (P37)', async () => {
    vi.stubEnv('XDG_STATE_HOME', directory);
    onTestFinished(() => void vi.unstubAllEnvs());
    const adapter = new FileAdapter();
    await adapter.logEvent(event());
    await adapter.close();
    expect(lines(join(directory, 'secure-stack-mesh', 'logs', 'mesh-audit.log'))).toHaveLength(1);
  });
});
