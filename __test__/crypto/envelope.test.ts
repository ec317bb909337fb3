// Envelopes: docs/envelope.md, and a second implementation of it.
import * as nodeCrypto from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { CryptoManager } from '../../js/crypto/crypto-manager.js';
import type { EncryptedData } from '../../js/crypto/envelope.js';
import { root } from '../../scripts/lib.mjs';
import { refused, rsa } from '../support/keys.js';
import { nodeOpen, nodeSeal } from '../support/node-envelope.js';

const alice = new CryptoManager({ rsaKeySize: 2048 });
const bob = new CryptoManager({ rsaKeySize: 2048 });
const eve = new CryptoManager({ rsaKeySize: 2048 });

beforeAll(() => Promise.all([alice, bob, eve].map((manager) => manager.initialize())));

describe('envelopes', () => {
  test('the README example', async () => {
    const data = 'payload';
    const crypto = new CryptoManager({ rsaKeySize: 4096, aesKeySize: 256 });
    await crypto.initialize();
    const recipientPublicKey = crypto.getPublicKey();
    const senderPublicKey = crypto.getPublicKey();
    const encrypted = crypto.encrypt(data, recipientPublicKey);
    const decrypted = crypto.decrypt(encrypted, senderPublicKey);
    expect(decrypted.toString()).toBe(data);
    expect(nodeCrypto.createPublicKey(senderPublicKey).asymmetricKeyDetails).toEqual({
      modulusLength: 4096,
      publicExponent: 65537n,
    });
  });

  test('strings, bytes and JSON come back as bytes, through JSON and every AES size', async () => {
    for (const aesKeySize of [128, 192, 256] as const) {
      const sender = new CryptoManager({ aesKeySize });
      sender.importKeyPair(alice.exportKeyPair());
      const send = (data: Parameters<CryptoManager['encrypt']>[0]) => {
        const json = JSON.stringify(sender.encrypt(data, bob.getPublicKey()));
        return bob.decrypt(JSON.parse(json) as EncryptedData, alice.getPublicKey());
      };
      expect(send('grüße').toString()).toBe('grüße');
      expect(send('')).toEqual(Buffer.alloc(0));
      expect([...send(new Uint8Array([0, 255, 1]).subarray(1))]).toEqual([255, 1]);
      expect([...send(new Uint8Array([7]).buffer)]).toEqual([7]);
      expect(JSON.parse(send({ a: [1, null] }).toString())).toEqual({ a: [1, null] });
      expect(send(nodeCrypto.randomBytes(1 << 20)).length).toBe(1 << 20);
    }
  });

  test('node:crypto alone opens what encrypt made', () => {
    for (const aesKeySize of [128, 192, 256] as const) {
      const sender = new CryptoManager({ aesKeySize });
      sender.importKeyPair(alice.exportKeyPair());
      const envelope = sender.encrypt('attack at dawn', bob.getPublicKey());
      const opened = nodeOpen(envelope, bob.exportKeyPair(), alice.getPublicKey());
      expect(opened).toBe('attack at dawn');
    }
  });

  test('decrypt opens what node:crypto alone made', () => {
    for (const [keyBytes, bits] of [
      [16, 2048],
      [24, 3072],
      [32, 4096],
    ] as const) {
      const sender = rsa(bits);
      const envelope = nodeSeal('attack at dawn', bob.getPublicKey(), sender, keyBytes);
      expect(bob.decrypt(envelope, sender.publicKey).toString()).toBe('attack at dawn');
    }
  });

  test('the vector of docs/envelope.md', () => {
    const vector = JSON.parse(
      readFileSync(join(root, 'crates/mesh-core/tests/data/envelope-v1.json'), 'utf8'),
    );
    const manager = new CryptoManager();
    manager.importKeyPair({ privateKey: vector.recipientPrivateKey });
    const sender = nodeCrypto
      .createPublicKey(vector.senderPrivateKey)
      .export({ type: 'spki', format: 'pem' }) as string;
    expect(manager.decrypt(vector.envelope, sender).toString()).toBe(vector.plaintext);
  });

  test('whatever is wrong, the failure is the same', async () => {
    const good = alice.encrypt('secret', bob.getPublicKey());
    const flip = (text: string) => {
      const bytes = Buffer.from(text, 'base64');
      bytes.writeUInt8(bytes.readUInt8(0) ^ 1, 0);
      return bytes.toString('base64');
    };
    const wrong: [CryptoManager, EncryptedData, string?][] = [
      [eve, good],
      [eve, good, alice.getPublicKey()],
      [bob, good, eve.getPublicKey()],
      [bob, { ...good, encryptedData: flip(good.encryptedData) }],
      [bob, { ...good, encryptedKey: flip(good.encryptedKey) }],
      [bob, { ...good, encryptedKey: '' }],
      [bob, { ...good, iv: flip(good.iv) }],
      [bob, { ...good, authTag: flip(good.authTag) }],
      [bob, { ...good, hmac: '0'.repeat(64) }],
      [bob, { ...good, signature: flip(good.signature) }, alice.getPublicKey()],
      [bob, { ...good, signature: '' }, alice.getPublicKey()],
    ];
    const messages = new Set<string>();
    for (const [manager, envelope, sender] of wrong) {
      const args = (sender === undefined ? [envelope] : [envelope, sender]) as [EncryptedData];
      for (const act of [() => manager.decrypt(...args), () => manager.decryptAsync(...args)]) {
        const error = await refused(act);
        expect([error.code, error.reason]).toEqual(['INVALID_ARGUMENT', 'DECRYPT_FAILED']);
        messages.add(error.message);
      }
    }
    expect(messages.size).toBe(1);
    expect(bob.decrypt(good, alice.getPublicKey()).toString()).toBe('secret');
  });

  test('a malformed envelope is named as such', async () => {
    const good = alice.encrypt('secret', bob.getPublicKey());
    const short = Buffer.from(good.authTag, 'base64').subarray(0, 4).toString('base64');
    const { signature: _, ...unsigned } = good;
    for (const [envelope, member] of [
      [{ ...good, authTag: short }, 'authTag'],
      [{ ...good, hmac: good.hmac.slice(2) }, 'hmac'],
      [{ ...good, iv: '!' }, 'iv'],
      [{ ...good, version: 2 }, 'version'],
      [{ ...good, version: 'x' }, 'version'],
      [{ ...good, encryptedKey: 7 }, 'encryptedKey'],
      [{ ...good, encryptedData: undefined }, 'encryptedData'],
    ] as [EncryptedData, string][]) {
      const error = await refused(() => bob.decrypt(envelope, alice.getPublicKey()));
      expect([error.code, error.reason]).toEqual(['INVALID_ARGUMENT', 'ENVELOPE_FORMAT']);
      expect(error.message).toContain(member);
    }
    const unproven = await refused(() =>
      bob.decrypt(unsigned as EncryptedData, alice.getPublicKey()),
    );
    expect(unproven.reason).toBe('DECRYPT_FAILED');
    expect((await refused(() => bob.decrypt(null as never))).message).toContain('encrypted');
  });

  test('a missing sender key is not taken for any sender', async () => {
    const good = alice.encrypt('secret', bob.getPublicKey());
    for (const missing of [undefined, null, 7]) {
      const error = await refused(() => bob.decrypt(good, missing as never));
      expect(error.message).toContain('senderPublicKey must be an RSA key in PEM');
    }
    expect(bob.decrypt(good).toString()).toBe('secret');
  });

  test('envelopes of 0.2.0 are read only when asked for', async () => {
    const vector = JSON.parse(
      readFileSync(join(root, 'crates/mesh-core/tests/data/envelope-0.2.0.json'), 'utf8'),
    );
    const manager = new CryptoManager();
    manager.importKeyPair({ privateKey: vector.privateKey });
    const opened = manager.decrypt(vector.envelope, undefined, { legacy: true });
    expect(opened.toString()).toBe(vector.plaintext);
    const byDefault = await refused(() => manager.decrypt(vector.envelope));
    expect(byDefault.reason).toBe('ENVELOPE_FORMAT');
    expect(byDefault.message).toContain('legacy: true');
    const unsigned = await refused(() =>
      manager.decrypt(vector.envelope, alice.getPublicKey() as never, { legacy: true }),
    );
    expect(unsigned.message).toContain('no signature');
    const typo = await refused(() =>
      manager.decrypt(vector.envelope, undefined, { legasy: true } as never),
    );
    expect(typo.message).toContain('did you mean legacy');
  });

  test('asynchronous twins encrypt the bytes as they were', async () => {
    const data = Buffer.from('original');
    const pending = alice.encryptAsync(data, bob.getPublicKey());
    data.fill('x');
    const envelope = await pending;
    const opened = await bob.decryptAsync(envelope, alice.getPublicKey());
    expect(opened.toString()).toBe('original');
  });

  test('data that cannot be encoded is refused', async () => {
    const cycle: { self?: unknown } = {};
    cycle.self = cycle;
    for (const data of [undefined, () => 1, Symbol('x'), 1n, cycle]) {
      const error = await refused(() => alice.encrypt(data as never, bob.getPublicKey()));
      expect([error.code, error.reason]).toEqual(['INVALID_ARGUMENT', 'ARGUMENT']);
      expect(error.message).toContain('data');
    }
  });
});
