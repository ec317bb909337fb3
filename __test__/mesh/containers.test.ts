// A service under the circumstances of containers: user ids without a name, read-only file systems, mounted volumes and
// secrets. The mounts and ids are real, in a mount namespace of each program, so root of Linux is needed.
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from '../../scripts/lib.mjs';

/** An id that has no entry in /etc/passwd, and the group of the volumes. */
const UID = 734_511;
const GROUP = 734_000;
const SECRET = 'a secret of the tests in containers, with more than 32 bytes';

interface Told {
  uid: number;
  key?: string;
  error?: string;
  reason?: string;
}

/** Whether this process may mount, which a container without privileges may not. */
function mayMount(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  try {
    execFileSync('unshare', ['--mount', 'sh', '-c', 'mount -t tmpfs none /mnt'], {
      stdio: 'ignore',
    });
    execFileSync('setpriv', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!mayMount())('a container (needs root of Linux, with mounts)', () => {
  let directory: string;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-container-'));
    // Others must get through to what is mounted in it.
    chmodSync(directory, 0o755);
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  /**
   * Runs the service as a user without a name and without HOME, after `mounts`, on a read-only root.
   */
  function start(
    environment: Record<string, string>,
    { mounts = ':', groups = [GROUP] }: { mounts?: string; groups?: number[] } = {},
  ): Told {
    const variables = { PATH: process.env['PATH'] ?? '', ...environment };
    const assigned = Object.entries(variables).map(([name, value]) => `'${name}=${value}'`);
    const user = `setpriv --reuid=${UID} --regid=${UID} --groups=${groups.join()} --no-new-privs`;
    const program = join(root, '__test__/fixtures/contained.cjs');
    const script = `${mounts}\nmount -o remount,ro,bind /\nexec ${user} env -i ${assigned.join(' ')} ${process.execPath} ${program}`;
    const said = execFileSync(
      'unshare',
      ['--mount', '--propagation', 'private', 'sh', '-ec', script],
      {
        encoding: 'utf8',
        cwd: '/',
      },
    );
    const told = JSON.parse(said) as Told;
    expect(told.uid).toBe(UID);
    return told;
  }

  const folder = (name: string): string => {
    const path = join(directory, name);
    mkdirSync(path);
    return path;
  };

  it('with a random uid, no HOME and a read-only root says where its keys can go', () => {
    const { error, reason } = start({});
    expect(reason).toMatch(/^KEYDIR_/);
    expect(error).toMatch(/paths\.keysDir|SECURE_MESH_KEYS_DIR/);
    expect(error?.split('. ').length).toBeLessThan(3);
  });

  it('starts with an emptyDir, on a read-only root', () => {
    const at = folder('empty');
    // That of Kubernetes belongs to root, and everybody may write to it.
    const mounts = `mount -t tmpfs -o mode=0777 none ${at}`;
    expect(start({ SECURE_MESH_KEYS_DIR: at }, { mounts })).toHaveProperty('key');
    // And with an fsGroup.
    const grouped = `mount -t tmpfs -o mode=2777,gid=${GROUP} none ${at}`;
    expect(start({ SECURE_MESH_KEYS_DIR: at }, { mounts: grouped })).toHaveProperty('key');
  });

  it('takes its key from a Secret, whose files are links of another user on a read-only mount', () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const source = folder('secret');
    const data = join(source, '..2026_11_30_15_00_00.1');
    mkdirSync(data);
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
    writeFileSync(join(data, 'key.pem'), pem);
    chownSync(join(data, 'key.pem'), 0, GROUP);
    chmodSync(join(data, 'key.pem'), 0o440);
    symlinkSync('..2026_11_30_15_00_00.1', join(source, '..data'));
    symlinkSync('..data/key.pem', join(source, 'key.pem'));
    const keys = folder('known-peers');
    const at = folder('run');
    const mounts = [
      `mount --bind ${source} ${at}`,
      `mount -o remount,ro,bind ${at}`,
      `mount -t tmpfs -o mode=0777 none ${keys}`,
    ].join('\n');
    const environment = {
      SECURE_MESH_PRIVATE_KEY: join(at, 'key.pem'),
      SECURE_MESH_KEYS_DIR: keys,
      SECURE_MESH_JWT_SECRET: SECRET,
    };
    const first = start(environment, { mounts });
    expect(first).toHaveProperty('key');
    expect(start(environment, { mounts })).toEqual(first);
    // Without its group the process may not read it, and says so.
    const { error } = start(environment, { mounts, groups: [UID] });
    expect(error).toContain('key.pem');
    // Where others could write to it, it is nobody's secret.
    chmodSync(join(data, 'key.pem'), 0o666);
    const open = mounts.replace(/\n.*remount.*\n/, '\n');
    expect(start(environment, { mounts: open }).error).toContain('key.pem');
  });

  it('keeps its identity on a volume with an fsGroup that is mounted three times', () => {
    const volume = folder('volume');
    const at = folder('mounted');
    chownSync(volume, 0, GROUP);
    chmodSync(volume, 0o2775);
    const mounts = `mount --bind ${volume} ${at}`;
    // With `fsGroupChangePolicy: OnRootMismatch` a kubelet gives the volume to the group once.
    regroup(volume);
    const keys = new Set<string | undefined>();
    for (let mount = 0; mount < 3; mount += 1) {
      const told = start({ SECURE_MESH_KEYS_DIR: at }, { mounts });
      expect(told.error).toBeUndefined();
      keys.add(told.key);
    }
    expect(keys.size).toBe(1);
    // Without it, at each mount: the keys are then open to the group, and nothing is taken from there.
    regroup(volume);
    const { error, reason } = start({ SECURE_MESH_KEYS_DIR: at }, { mounts });
    expect(reason).toBe('KEYDIR_MODE');
    expect(error).toContain('set securityContext.fsGroupChangePolicy: OnRootMismatch');
    expect(error).toContain('chmod -R go-rwx,g-s');
    // The repair of the sentence leads to a start, with the same key.
    execFileSync('chmod', ['-R', 'go-rwx,g-s', join(volume, 'secure-stack-mesh')]);
    expect(keys).toContain(start({ SECURE_MESH_KEYS_DIR: at }, { mounts }).key);
  });

  it('says what a volume lacks on which it may not write', () => {
    const volume = folder('closed');
    chmodSync(volume, 0o755);
    const at = folder('closed-mount');
    const { error, reason } = start(
      { SECURE_MESH_KEYS_DIR: at },
      { mounts: `mount --bind ${volume} ${at}` },
    );
    expect(reason).toBe('KEYDIR_IO');
    expect(error).toContain('set securityContext.fsGroup to a group of the process');
  });

  it('does not take a key directory on a volume from another user', () => {
    const volume = folder('planted');
    const own = join(volume, 'secure-stack-mesh');
    mkdirSync(own, { mode: 0o700 });
    chownSync(own, UID + 1, UID + 1);
    chmodSync(volume, 0o777);
    const at = folder('planted-mount');
    const { error, reason } = start(
      { SECURE_MESH_KEYS_DIR: at },
      { mounts: `mount --bind ${volume} ${at}` },
    );
    expect(reason).toBe('KEYDIR_OWNER');
    expect(error).toContain(`set securityContext.runAsUser: ${UID + 1}`);
  });

  /** What `SetVolumeOwnership` of a kubelet does: the group, `rw-rw----` and the bit for new files of directories. */
  function regroup(path: string): void {
    lchownSync(path, statSync(path).uid, GROUP);
    const { mode } = statSync(path);
    if (!statSync(path).isDirectory()) {
      chmodSync(path, (mode & 0o7777) | 0o660);
      return;
    }
    chmodSync(path, (mode & 0o7777) | 0o770 | 0o2000);
    for (const name of readdirSync(path)) regroup(join(path, name));
  }
});
