// KeyManager: key pairs and their directory.
import { chmodSync, mkdirSync, readdirSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { CryptoManager } from '../../js/crypto/crypto-manager.js';
import { JWTManager } from '../../js/crypto/jwt-manager.js';
import { KeyManager } from '../../js/crypto/key-manager.js';
import { keysDir, refused } from '../support/keys.js';

const alice = new CryptoManager({ rsaKeySize: 2048 });
const bob = new CryptoManager({ rsaKeySize: 2048 });
const eve = new CryptoManager({ rsaKeySize: 2048 });

beforeAll(() => Promise.all([alice, bob, eve].map((manager) => manager.initialize())));

describe('KeyManager', () => {
  test('keeps pairs, whole and closed to others', () => {
    const dir = keysDir();
    const keys = new KeyManager(dir, 2048);
    expect(keys.loadKeyPair('orders')).toBeNull();
    const pair = keys.getOrCreateKeyPair('orders');
    expect(keys.getOrCreateKeyPair('orders')).toEqual(pair);
    expect(new KeyManager(dir).loadKeyPair('orders')).toEqual(pair);
    const other = keys.generateKeyPair();
    keys.saveKeyPair('orders', other);
    expect(keys.loadKeyPair('orders')).toEqual(other);
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    for (const file of readdirSync(dir)) {
      expect(statSync(join(dir, file)).mode & 0o777).toBe(0o600);
      expect(file).not.toContain('orders');
    }
  });

  test('asynchronous twins do the same', async () => {
    const keys = new KeyManager(keysDir(), 2048);
    const pair = await keys.getOrCreateKeyPairAsync('orders');
    expect(await keys.loadKeyPairAsync('orders')).toEqual(pair);
    const other = await keys.generateKeyPairAsync();
    await keys.saveKeyPairAsync('orders', other);
    expect(keys.loadKeyPair('orders')).toEqual(other);
  });

  test("another service's public key stays as it was first stored", async () => {
    const keys = new KeyManager(keysDir(), 2048);
    keys.saveKeyPair('peer', { publicKey: alice.getPublicKey() });
    expect(keys.loadKeyPair('peer')).toEqual({ publicKey: alice.getPublicKey(), privateKey: '' });
    const changed = await refused(() =>
      keys.saveKeyPair('peer', { publicKey: eve.getPublicKey() }),
    );
    expect(changed.reason).toBe('PEER_KEY_CHANGED');
    expect(changed.message).toContain('rm ');
    const own = keys.getOrCreateKeyPair('own');
    const stolen = await refused(() => keys.saveKeyPair('own', { publicKey: eve.getPublicKey() }));
    expect(stolen.reason).toBe('PEER_KEY_CHANGED');
    expect(keys.loadKeyPair('own')).toEqual(own);
  });

  test("tokens are checked with a peer's public key alone", async () => {
    const [here, there] = [new KeyManager(keysDir(), 2048), new KeyManager(keysDir(), 2048)];
    const sender = new CryptoManager({ keyManager: here });
    await sender.initialize('orders');
    there.saveKeyPair('orders', { publicKey: sender.getPublicKey() });
    const token = new JWTManager('orders', here).generateToken('billing');
    const billing = new JWTManager('billing', there);
    expect(billing.verifyToken(token, 'orders').serviceId).toBe('orders');
    // These tokens name no session, so the expectation of one must fail.
    const named = { serviceId: 'orders', sessionId: 's-1' };
    expect(await refused(() => billing.verifyToken(token, named))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'ARGUMENT',
    });
    // The same key's data signature over the same bytes is not valid for a token.
    const signed = token.slice(0, token.lastIndexOf('.'));
    const minted = Buffer.from(sender.sign(signed), 'base64').toString('base64url');
    const error = await refused(() => billing.verifyToken(`${signed}.${minted}`, 'orders'));
    expect([error.code, error.reason]).toEqual(['UNAUTHENTICATED', 'JWT_SIG']);
  });

  test('no name leaves the directory', async () => {
    const dir = keysDir();
    const keys = new KeyManager(dir, 2048);
    const pair = alice.exportKeyPair();
    for (const name of ['../../tmp/x', 'a/b', 'a\0b', '', 'x'.repeat(10_000), 'a\nb', 'аdmin']) {
      for (const act of [
        () => keys.saveKeyPair(name, pair),
        () => keys.loadKeyPair(name),
        () => keys.getOrCreateKeyPair(name),
        () => keys.saveKeyPairAsync(name, pair),
      ]) {
        const error = await refused(act);
        expect([error.code, error.reason]).toEqual(['INVALID_ARGUMENT', 'ID_SYNTAX']);
      }
    }
    expect(readdirSync(join(dir, '..'))).toEqual([]);
  });

  test('halves of two pairs and keys that are none are refused', async () => {
    const keys = new KeyManager(keysDir(), 2048);
    const { privateKey } = alice.exportKeyPair();
    for (const [pair, reason] of [
      [{ publicKey: bob.getPublicKey(), privateKey }, 'BAD_KEY'],
      [{ privateKey: 'x' }, 'BAD_KEY'],
      [{ publicKey: 'x' }, 'BAD_KEY'],
      [{}, 'ARGUMENT'],
      [{ publickey: 'x' }, 'ARGUMENT'],
      [{ publicKey: 7 }, 'ARGUMENT'],
    ] as const) {
      expect((await refused(() => keys.saveKeyPair('a', pair as never))).reason).toBe(reason);
    }
    expect((await refused(() => new KeyManager('', 2048))).message).toContain('keyDir');
    expect((await refused(() => new KeyManager('x', 512 as never))).message).toContain('keySize');
  });

  test('an unsafe directory is refused with the repair', async () => {
    const dir = keysDir();
    mkdirSync(dir);
    chmodSync(dir, 0o755);
    const open = await refused(() => new KeyManager(dir, 2048).getOrCreateKeyPair('a'));
    expect([open.code, open.reason]).toEqual(['FAILED_PRECONDITION', 'KEYDIR_MODE']);
    expect(open.message).toContain(`chmod 700 ${dir}`);
    chmodSync(dir, 0o700);
    symlinkSync(dir, `${dir}-link`);
    const link = await refused(() => new KeyManager(`${dir}-link`, 2048).getOrCreateKeyPair('a'));
    expect(link.reason).toBe('KEYDIR_TYPE');
    expect(readdirSync(dir)).toEqual([]);
  });

  test('the environment says where keys are by default, never the working directory', () => {
    const before = readdirSync('.');
    const dir = keysDir();
    const saved = { ...process.env };
    try {
      process.env.SECURE_MESH_KEYS_DIR = dir;
      new KeyManager(undefined, 2048).getOrCreateKeyPair('a');
      expect(readdirSync(dir).length).toBe(1);
      delete process.env.SECURE_MESH_KEYS_DIR;
      process.env.HOME = dir;
      process.env.XDG_STATE_HOME = join(dir, 'state');
      new KeyManager(undefined, 2048).getOrCreateKeyPair('a');
      if (process.platform === 'linux') {
        expect(readdirSync(join(dir, 'state', 'secure-stack-mesh')).length).toBe(1);
      }
    } finally {
      process.env = saved;
    }
    expect(readdirSync('.')).toEqual(before);
  });
});
