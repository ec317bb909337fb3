import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { MeshError, wrapNative, wrapNativeAsync } from '../../js/base/errors.js';

describe('MeshError', () => {
  it('has the documented defaults', () => {
    const error = new MeshError('NOT_FOUND', 'no such order');
    expect(error).toMatchObject({
      name: 'MeshError',
      code: 'NOT_FOUND',
      reason: 'NOT_FOUND',
      message: 'no such order',
      retryable: false,
      remote: false,
    });
    expect(Object.keys(error)).toEqual(['code', 'reason', 'retryable', 'remote']);
    expect(new MeshError('UNAVAILABLE', '').retryable).toBe(true);
    expect(error.stack).toContain('errors.test');
  });

  it('carries every field it is given', () => {
    const cause = new Error('behind');
    const options = {
      reason: 'STOCK',
      retryable: true,
      retryAfterMs: 5,
      data: { sku: 1 },
      service: 's',
      method: 'm',
      attempts: 2,
      remote: true,
      errorId: 'id',
    };
    const error = new MeshError('ABORTED', 'x', { ...options, cause });
    expect(error).toMatchObject(options);
    expect(error.cause).toBe(cause);
  });

  it('refuses a code that is none', () => {
    expect(() => new MeshError('NOTFOUND' as never, 'x')).toThrow(/^code must be one of CANCELLED/);
  });

  it('is recognised across copies of the package, and its subclasses are their own', () => {
    class Other extends Error {}
    Object.defineProperty(
      Other.prototype,
      Symbol.for('@lemur-bookstores/secure-stack-mesh.MeshError'),
      { value: true },
    );
    class Mine extends MeshError {}
    expect(new Other()).toBeInstanceOf(MeshError);
    expect(new Mine('INTERNAL', '')).toBeInstanceOf(MeshError);
    expect(new Mine('INTERNAL', '')).toBeInstanceOf(Mine);
    expect(new MeshError('INTERNAL', '')).not.toBeInstanceOf(Mine);
    for (const value of [new Error('x'), null, undefined, 'x', {}]) {
      expect(value).not.toBeInstanceOf(MeshError);
    }
  });

  it('is JSON without stack and cause, and prints without noise', () => {
    const error = new MeshError('NOT_FOUND', 'gone', { data: 1, cause: new Error('secret') });
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      name: 'MeshError',
      message: 'gone',
      code: 'NOT_FOUND',
      reason: 'NOT_FOUND',
      retryable: false,
      remote: false,
      data: 1,
    });
    expect(inspect(new MeshError('NOT_FOUND', 'gone'))).toMatch(/^MeshError: gone/);
    expect(inspect(error)).not.toContain('undefined');
  });
});

describe('errors of the addon', () => {
  it('become MeshErrors that say the same', () => {
    const source = Object.assign(new Error('too short'), {
      code: 'INVALID_ARGUMENT',
      reason: 'WEAK_SECRET',
      retryAfterMs: 7,
    });
    const error = MeshError.from(source);
    expect(error).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'WEAK_SECRET',
      message: 'too short',
      retryAfterMs: 7,
    });
    expect(MeshError.from(error)).toBe(error);
  });

  it('of conversion are INVALID_ARGUMENT, others INTERNAL with their cause', () => {
    const conversion = Object.assign(new Error('expect String'), { code: 'StringExpected' });
    expect(MeshError.from(conversion)).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'ARGUMENT',
    });
    const fault = Object.assign(new Error('panic'), { code: 'GenericFailure' });
    expect(MeshError.from(fault)).toMatchObject({ code: 'INTERNAL', reason: 'INTERNAL' });
    expect(MeshError.from(fault).cause).toBe(fault);
    expect(MeshError.from('text').message).toBe('text');
  });

  it('are wrapped where they are thrown and where they are rejected', async () => {
    const fault = Object.assign(new Error('x'), { code: 'UNAVAILABLE', reason: 'LISTEN' });
    const fail = (): never => {
      throw fault;
    };
    expect(() => wrapNative(fail)).toThrow(MeshError);
    expect(wrapNative(() => 1)).toBe(1);
    await expect(wrapNativeAsync(Promise.reject(fault))).rejects.toMatchObject({
      reason: 'LISTEN',
    });
    await expect(wrapNativeAsync(fail)).rejects.toBeInstanceOf(MeshError);
    await expect(wrapNativeAsync(async () => 2)).resolves.toBe(2);
  });
});
