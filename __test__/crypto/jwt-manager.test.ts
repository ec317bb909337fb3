import {
  constants,
  createHmac,
  createPublicKey,
  createSign,
  createVerify,
  generateKeyPairSync,
  randomBytes,
} from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MeshError } from '../../js/base/errors.js';
import {
  JWTManager,
  type JWTManagerOptions,
  type KeyPairSource,
} from '../../js/crypto/jwt-manager.js';
import { KeyManager } from '../../js/crypto/key-manager.js';

const SECRET = 'a shared secret of forty bytes, or so...';
const HOUR = 3_600_000;

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Signs any header and claims with HS256. */
function forge(header: object, claims: object, secret: string | Buffer = SECRET): string {
  const message = `${encode(header)}.${encode(claims)}`;
  return `${message}.${createHmac('sha256', secret).update(message).digest('base64url')}`;
}

function claims(changes: object = {}): object {
  const iat = Math.floor(Date.now() / 1000);
  return {
    iss: 'orders',
    sub: 'orders',
    aud: 'secure-stack-mesh',
    sid: 's-1',
    iat,
    nbf: iat,
    exp: iat + 60,
    jti: 'name-of-the-token',
    ...changes,
  };
}

const HEADER = { alg: 'HS256', typ: 'JWT' };

/** The properties of a thrown error on which a program may rely. */
function failure(call: () => unknown): { code: string; reason: string; message: string } {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(MeshError);
    const { code, reason, message } = error as MeshError;
    return { code, reason, message };
  }
  throw new Error('nothing was thrown');
}

const reasonOf = (call: () => unknown): string => failure(call).reason;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: 1_800_000_000_000 });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('JWTManager with a secret', () => {
  it('runs the README snippet and returns every claim', () => {
    const jwt = new JWTManager({ secret: 'my-secret' });
    const token = jwt.generateToken('my-service', 'session-1', '1h');
    const payload = jwt.verifyToken(token);
    expect(payload).toEqual({
      iss: 'my-service',
      sub: 'my-service',
      aud: 'secure-stack-mesh',
      sid: 'session-1',
      iat: 1_800_000_000,
      nbf: 1_800_000_000,
      exp: 1_800_003_600,
      jti: expect.stringMatching(/^[\w-]{22}$/),
      serviceId: 'my-service',
      sessionId: 'session-1',
    });
  });

  it('makes tokens that any JWT library can check', () => {
    const token = new JWTManager({ secret: SECRET }).generateToken('orders', 's-1');
    const [header, payload, signature] = token.split('.') as [string, string, string];
    const mac = createHmac('sha256', SECRET).update(`${header}.${payload}`).digest('base64url');
    expect(signature).toBe(mac);
    expect(JSON.parse(Buffer.from(header, 'base64url').toString())).toEqual({
      alg: 'HS256',
      typ: 'JWT',
      kid: expect.stringMatching(/^[\w-]{22}$/),
    });
    expect(header).not.toContain(Buffer.from(SECRET).toString('base64url'));
  });

  it('accepts a token of another library, strictly', () => {
    const jwt = new JWTManager({ secret: SECRET });
    const reason = (header: object, body: object): string =>
      reasonOf(() => jwt.verifyToken(forge(header, body)));
    expect(jwt.verifyToken(forge(HEADER, claims())).sessionId).toBe('s-1');
    expect(reason({ ...HEADER, alg: 'none' }, claims())).toBe('JWT_ALG');
    expect(reason({ ...HEADER, alg: 'HS512' }, claims())).toBe('JWT_ALG');
    expect(reason({ alg: 'HS256' }, claims())).toBe('JWT_TYP');
    expect(reason({ ...HEADER, typ: 'ssm-request+jwt' }, claims())).toBe('JWT_TYP');
    expect(reason({ ...HEADER, kid: '../../dev/null' }, claims())).toBe('JWT_HEADER');
    expect(reason({ ...HEADER, jku: 'https://example.com' }, claims())).toBe('JWT_HEADER');
    expect(reason(HEADER, claims({ aud: ['secure-stack-mesh'] }))).toBe('JWT_AUD');
    expect(reason(HEADER, claims({ sub: 'other' }))).toBe('JWT_ISS');
    expect(reason(HEADER, claims({ exp: '9999999999' }))).toBe('JWT_EXP');
    expect(reason(HEADER, claims({ exp: 2 ** 63 }))).toBe('JWT_EXP');
    expect(reason(HEADER, claims({ nbf: 1_900_000_000, exp: 2_000_000_000 }))).toBe('JWT_NBF');
    expect(reason(HEADER, claims({ iat: 1_800_003_600, nbf: undefined, exp: 1_800_007_200 }))).toBe(
      'CLOCK_SKEW',
    );
    expect(reasonOf(() => jwt.verifyToken(forge(HEADER, claims(), 'another secret')))).toBe(
      'JWT_SIG',
    );
    for (const text of [
      '',
      'x',
      'a.b',
      'a.b.c.d',
      `${forge(HEADER, claims())}=`,
      'x'.repeat(5000),
    ]) {
      expect(failure(() => jwt.verifyToken(text))).toMatchObject({
        code: 'UNAUTHENTICATED',
        reason: 'JWT_FORMAT',
      });
    }
  });

  it('ends a token exactly when it says', () => {
    const jwt = new JWTManager({ secret: SECRET, expiresIn: '15m' });
    const token = jwt.generateToken('orders', 's-1');
    vi.setSystemTime(1_800_000_000_000 + 899_999);
    expect(jwt.verifyToken(token).serviceId).toBe('orders');
    expect(jwt.isTokenExpired(token)).toBe(false);
    vi.setSystemTime(1_800_000_000_000 + 900_000);
    expect(reasonOf(() => jwt.verifyToken(token))).toBe('JWT_EXP');
    expect(jwt.isTokenExpired(token)).toBe(true);
    expect(jwt.getTokenExpiration(token)).toEqual(new Date(1_800_000_900_000));
    const short = jwt.generateToken('orders', 's-1', 1_500);
    expect(jwt.getTokenExpiration(short)?.getTime()).toBe(1_800_000_902_000);
  });

  it('compares what it is told to expect', () => {
    const jwt = new JWTManager({ secret: SECRET });
    const token = jwt.generateToken('orders', 's-1');
    expect(jwt.verifyToken(token, { serviceId: 'orders', sessionId: 's-1' }).iss).toBe('orders');
    expect(jwt.verifyToken(token, 'orders').iss).toBe('orders');
    expect(reasonOf(() => jwt.verifyToken(token, 'billing'))).toBe('JWT_ISS');
    expect(reasonOf(() => jwt.verifyToken(token, { serviceId: 'billing' }))).toBe('JWT_ISS');
    expect(reasonOf(() => jwt.verifyToken(token, { sessionId: 's-2' }))).toBe('JWT_SID');
    const other = new JWTManager({ secret: SECRET, audience: 'the other mesh' });
    expect(reasonOf(() => other.verifyToken(token))).toBe('JWT_AUD');
  });

  it('does not take what it should expect and lacks for nothing to expect', () => {
    const jwt = new JWTManager({ secret: SECRET });
    const token = jwt.generateToken('orders', 's-1');
    const missing = [
      null,
      undefined,
      { serviceId: undefined },
      { sessionId: undefined },
      { serviceId: null },
      { serviceId: 'orders', sessionId: undefined },
      ['orders'],
    ];
    for (const expected of missing) {
      const error = failure(() => jwt.verifyToken(token, expected as never));
      expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'ARGUMENT' });
      expect(error.message).toMatch(/^expected\b/);
    }
    expect(jwt.verifyToken(token).serviceId).toBe('orders');
  });

  it('rotates its secret with a grace', () => {
    const jwt = new JWTManager({ secret: SECRET });
    const peer = new JWTManager({ secret: SECRET });
    const old = jwt.generateToken('orders', 's-1', '2h');
    const next = `the next ${SECRET}`;
    jwt.rotateSecret({ secret: next, graceMs: 60_000 });
    const fresh = jwt.generateToken('orders', 's-1');
    expect(reasonOf(() => peer.verifyToken(fresh))).toBe('JWT_SIG');
    peer.rotateSecret({ secret: next, graceMs: 60_000 });
    vi.setSystemTime(1_800_000_059_999);
    expect(peer.verifyToken(old).sid).toBe('s-1');
    vi.setSystemTime(1_800_000_060_000);
    expect(failure(() => peer.verifyToken(old))).toMatchObject({
      code: 'UNAUTHENTICATED',
      reason: 'SECRET_RETIRED',
    });
    expect(peer.verifyToken(fresh).sid).toBe('s-1');
    expect(failure(() => peer.rotateSecret({ secret: next })).message).toContain(
      'secret is or was in use',
    );
  });

  it('lets previous tokens live to their own end by default', () => {
    const jwt = new JWTManager();
    const token = jwt.generateToken('orders', 's-1');
    jwt.rotateSecret();
    vi.setSystemTime(1_800_000_000_000 + HOUR - 1);
    expect(jwt.verifyToken(token).sid).toBe('s-1');
  });

  it('has a random secret where none is given, and says when one is weak', () => {
    const one = new JWTManager();
    expect(one.weakSecret).toBe(false);
    expect(reasonOf(() => new JWTManager().verifyToken(one.generateToken('a', 'b')))).toBe(
      'JWT_SIG',
    );
    expect(new JWTManager({ secret: 'my-secret' }).weakSecret).toBe(true);
    expect(new JWTManager({ secret: Buffer.alloc(32, 1) }).weakSecret).toBe(true);
    expect(new JWTManager({ secret: randomBytes(32) }).weakSecret).toBe(false);
  });

  it('reads a token without believing it', () => {
    const jwt = new JWTManager({ secret: SECRET });
    const foreign = forge({ alg: 'none' }, { iss: 'x', role: 'admin' }, 'whatever');
    expect(jwt.decodeToken(foreign)).toEqual({ iss: 'x', role: 'admin', serviceId: 'x' });
    expect(jwt.getTokenExpiration(foreign)).toBeNull();
    expect(jwt.isTokenExpired(foreign)).toBe(true);
    for (const text of ['', 'a.b', 'a.b.c', `a.${encode([1])}.c`, `a.${encode(null)}.c`]) {
      expect(jwt.decodeToken(text)).toBeNull();
      expect(jwt.isTokenExpired(text)).toBe(true);
    }
    const hostile = `a.${Buffer.from('{"__proto__":{"polluted":1}}').toString('base64url')}.c`;
    expect(jwt.decodeToken(hostile)).not.toHaveProperty('polluted', 1);
    expect({}).not.toHaveProperty('polluted');
  });

  it('names the argument that is wrong', () => {
    const message = (call: () => unknown): string => {
      const { code, message: text } = failure(call);
      expect(code).toBe('INVALID_ARGUMENT');
      return text;
    };
    const jwt = new JWTManager({ secret: SECRET });
    expect(message(() => new JWTManager({ secret: '' }))).toContain('secret is empty');
    expect(message(() => new JWTManager({ secret: 7 as never }))).toContain('secret must be');
    expect(message(() => new JWTManager({ audience: '' }))).toContain('audience');
    expect(message(() => new JWTManager({ expiresIn: '15x' }))).toContain('expiresIn');
    expect(message(() => new JWTManager({ expiresIn: Number.NaN }))).toContain('expiresIn');
    expect(message(() => new JWTManager({ secert: 'x' } as JWTManagerOptions))).toContain(
      'did you mean secret?',
    );
    expect(message(() => jwt.generateToken('../../etc', 's'))).toContain('serviceId');
    expect(reasonOf(() => jwt.generateToken('../../etc', 's'))).toBe('ID_SYNTAX');
    expect(message(() => jwt.generateToken('orders'))).toContain('sessionId');
    expect(message(() => jwt.generateToken('orders', ''))).toContain('sessionId');
    expect(message(() => jwt.generateToken('orders', 's', '0s'))).toContain('expiresIn');
    expect(message(() => jwt.generateToken('orders', 's', -5))).toContain('expiresIn');
    expect(message(() => jwt.generateToken('orders', 's', Infinity))).toContain('expiresIn');
    expect(message(() => jwt.verifyToken(undefined as never))).toContain('token');
    expect(message(() => jwt.rotateSecret({ graceMs: -1 }))).toContain('graceMs');
    expect(message(() => new JWTManager('a', {} as KeyPairSource))).toContain('keyManager');
  });
});

describe('JWTManager in the shape of 0.2.0', () => {
  const pair = (): { publicKey: string; privateKey: string } =>
    generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });

  /** A key manager of a host that has its own pair and the public keys of others. */
  function keyManager(own: Record<string, ReturnType<typeof pair>>, known: Record<string, string>) {
    return {
      getOrCreateKeyPair: vi.fn((name: string) => (own[name] ??= pair())),
      loadKeyPair: vi.fn((name: string) => {
        const publicKey = known[name];
        return publicKey === undefined ? null : { publicKey };
      }),
    } satisfies KeyPairSource;
  }

  it('needs only the public key of the sender', () => {
    const a = pair();
    const keysOfA = keyManager({ a }, {});
    const sender = new JWTManager('a', keysOfA);
    const receiver = new JWTManager('b', keyManager({}, { a: a.publicKey }));
    const token = sender.generateToken('b', '5m');
    expect(receiver.verifyToken(token, 'a')).toMatchObject({
      iss: 'a',
      sub: 'a',
      aud: 'b',
      serviceId: 'a',
      exp: 1_800_000_300,
    });
    sender.generateToken('b');
    expect(keysOfA.getOrCreateKeyPair).toHaveBeenCalledTimes(1);
    const [header, payload, signature] = token.split('.') as [string, string, string];
    const good = createVerify('sha256')
      .update(`${header}.${payload}`)
      .verify(
        {
          key: createPublicKey(a.publicKey),
          padding: constants.RSA_PKCS1_PSS_PADDING,
          saltLength: 32,
        },
        signature,
        'base64url',
      );
    expect(good).toBe(true);
  });

  it('refuses everybody else', () => {
    const a = pair();
    const mallory = pair();
    const known = { a: a.publicKey, mallory: mallory.publicKey };
    const receiver = new JWTManager('b', keyManager({}, known));
    const forged = new JWTManager('a', keyManager({ a: mallory }, {})).generateToken('b');
    expect(reasonOf(() => receiver.verifyToken(forged, 'a'))).toBe('JWT_SIG');
    const token = new JWTManager('a', keyManager({ a }, {})).generateToken('c');
    expect(reasonOf(() => receiver.verifyToken(token, 'a'))).toBe('JWT_AUD');
    expect(reasonOf(() => receiver.verifyToken(token, 'mallory'))).toBe('JWT_SIG');
    expect(failure(() => receiver.verifyToken(token, 'x'))).toMatchObject({
      code: 'UNAUTHENTICATED',
      reason: 'UNKNOWN_PEER',
    });
    const claims = {
      iss: 'a',
      sub: 'a',
      aud: 'b',
      iat: 1_800_000_000,
      exp: 1_800_000_060,
      jti: 'x',
    };
    expect(reasonOf(() => receiver.verifyToken(forge(HEADER, claims, a.publicKey), 'a'))).toBe(
      'JWT_ALG',
    );
    const message = `${encode({ alg: 'RS256', typ: 'JWT' })}.${encode(claims)}`;
    const pkcs1 = createSign('sha256').update(message).sign(a.privateKey, 'base64url');
    expect(reasonOf(() => receiver.verifyToken(`${message}.${pkcs1}`, 'a'))).toBe('JWT_ALG');
  });

  it("follows a sender's new key", () => {
    const [first, second] = [pair(), pair()];
    const known = { a: first.publicKey };
    const keys = keyManager({}, known);
    const receiver = new JWTManager('b', keys);
    const token = (key: typeof first): string =>
      new JWTManager('a', keyManager({ a: key }, {})).generateToken('b');
    const previous = token(first);
    receiver.verifyToken(previous, 'a');
    receiver.verifyToken(token(first), 'a');
    expect(keys.loadKeyPair).toHaveBeenCalledTimes(1);
    known.a = second.publicKey;
    expect(receiver.verifyToken(token(second), 'a').iss).toBe('a');
    expect(reasonOf(() => receiver.verifyToken(previous, 'a'))).toBe('JWT_SIG');
  });

  it('works with a KeyManager that was given public keys only', () => {
    const directory = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-jwt-'));
    try {
      const [ofA, ofB] = ['a', 'b'].map((name) => new KeyManager(join(directory, name), 2048));
      const { publicKey } = ofA!.getOrCreateKeyPair('a');
      ofB!.saveKeyPair('a', { publicKey });
      const token = new JWTManager('a', ofA!).generateToken('b');
      expect(new JWTManager('b', ofB!).verifyToken(token, 'a').iss).toBe('a');
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it('says what is wrong with a key, and that there is no secret', () => {
    const jwt = new JWTManager('b', {
      getOrCreateKeyPair: () => ({ publicKey: '', privateKey: 'no key' }),
      loadKeyPair: () => ({ publicKey: '<RSA-PUBLIC-KEY>' }),
    });
    expect(reasonOf(() => jwt.generateToken('a'))).toBe('BAD_KEY');
    expect(reasonOf(() => jwt.verifyToken('a.b.c', 'a'))).toBe('BAD_KEY');
    expect(failure(() => jwt.rotateSecret()).code).toBe('FAILED_PRECONDITION');
    expect(jwt.weakSecret).toBe(false);
    expect(failure(() => jwt.verifyToken('a.b.c')).message).toContain('sourceServiceId');
  });
});
